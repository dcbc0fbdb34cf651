//! A server with a client on it, and everything that a page can change.

use jeton_tests::{Admin, Jeton, PageForm, forms_in, set_cookie};
use serde_json::json;

/// A server with a client on it, and the paths of every change.
pub(crate) struct World {
    pub(crate) jeton: Jeton,
    pub(crate) admin: Admin,
    pub(crate) client: String,
    pub(crate) changes: Vec<(String, Vec<(&'static str, String)>)>,
    /// The pages that have forms.
    pages: Vec<String>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let jeton = Jeton::start().await;
        let admin = Admin::first(&jeton).await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server("http://localhost:1/mcp", &["todo:read"])
            .await;
        let client = operator.client(&server, &["todo:read"]).await.client_id;
        let other = operator.mcp_server("http://localhost:8/mcp", &["x"]).await;
        let grant = format!("/clients/{client}/grants/{other}");
        operator.put(&grant, json!({ "scopes": ["x"] })).await;
        let page = admin.page(&format!("/dashboard/clients/{client}")).await;
        let secret = page.split("/dashboard/secrets/").nth(1).unwrap()[..30].to_owned();
        let settings = admin.page("/dashboard/settings").await;
        assert!(settings.contains("ada@example.com"));
        let at_server = |end: &str| format!("/dashboard/mcp-servers/{server}{end}");
        let at_client = |end: &str| format!("/dashboard/clients/{client}{end}");
        let server_fields = |name: &str, url: &str| {
            vec![
                ("name", name.to_owned()),
                ("url", url.to_owned()),
                ("token_ttl", "1".to_owned()),
                ("token_ttl_unit", "hours".to_owned()),
                ("signing_alg", "ES256".to_owned()),
                ("token_profile", "strict".to_owned()),
            ]
        };
        let name = |text: &str| vec![("name", text.to_owned())];
        let confirm = |text: &str| vec![("confirm", text.to_owned())];
        let changes = vec![
            (
                "/dashboard/mcp-servers".into(),
                server_fields("New", "http://localhost:2/mcp"),
            ),
            (
                at_server("/settings"),
                server_fields("Changed", "http://localhost:3/mcp"),
            ),
            (
                at_server("/scopes"),
                vec![
                    ("scope_name", "x".into()),
                    ("scope_description", String::new()),
                ],
            ),
            (
                at_server("/scopes/rename"),
                vec![("from", "x".into()), ("to", "y".into())],
            ),
            (at_server("/revoke-tokens"), vec![]),
            (at_server("/secrets"), vec![]),
            (at_server("/clients"), name("Another")),
            (at_server(&format!("/clients/{client}/scopes")), vec![]),
            (
                at_client("/grants"),
                vec![("mcp_server_id", server.clone())],
            ),
            (
                at_client("/default-mcp-server"),
                vec![("mcp_server_id", other)],
            ),
            (at_client(&format!("/grants/{server}/delete")), vec![]),
            (at_client("/secrets/rotate"), vec![("grace", "24h".into())]),
            (at_client("/secrets"), vec![]),
            (format!("/dashboard/secrets/{secret}/revoke"), vec![]),
            (at_client("/settings"), name("Changed")),
            (at_client("/revoke-tokens"), vec![]),
            (at_client("/disable"), vec![]),
            (at_client("/enable"), vec![]),
            (at_client("/delete"), confirm("Changed")),
            (at_server("/delete"), confirm("Changed")),
            (
                "/dashboard/retired-urls/release".into(),
                vec![("url", "http://localhost:3/mcp".into())],
            ),
            (
                "/dashboard/signing-keys/rotate".into(),
                vec![("algorithm", "ES256".into())],
            ),
            (
                "/dashboard/signing-keys/replace".into(),
                vec![("algorithm", "ES256".into()), ("confirm", "ES256".into())],
            ),
            (
                "/dashboard/settings/invitations".into(),
                vec![("note", "Eve".into()), ("role", "admin".into())],
            ),
        ];
        let pages = vec![
            at_client(""),
            at_client("/settings"),
            at_client(&format!("/grants/new?mcp_server={server}")),
            at_client("/disable"),
            at_client("/revoke-tokens"),
            at_client("/delete"),
            at_client("/secrets/rotate"),
            at_client(&format!("/grants/{server}/delete")),
            format!("/dashboard/secrets/{secret}/revoke"),
            at_server("/revoke-tokens"),
            at_server("/delete"),
            at_server("/scopes"),
            at_server("/clients"),
            at_server("/clients/new"),
            at_server(&format!("/clients/{client}/created")),
            at_server("/settings"),
            "/dashboard/mcp-servers".into(),
            "/dashboard/mcp-servers/new".into(),
            "/dashboard/signing-keys".into(),
            "/dashboard/signing-keys/replace?algorithm=ES256".into(),
            "/dashboard/settings".into(),
        ];
        Self {
            jeton,
            admin,
            client,
            changes,
            pages,
        }
    }

    /// The forms of all pages that are there.
    pub(crate) async fn forms(&self) -> Vec<PageForm> {
        let mut forms = Vec::new();
        for path in &self.pages {
            let page = self.admin.get(path).send().await.unwrap();
            if page.status() == 200 {
                forms.extend(forms_in(&page.text().await.unwrap(), path));
            }
        }
        forms
    }

    /// How many events there are, sign-ins aside.
    pub(crate) async fn changed(&self) -> usize {
        let events = self.jeton.operator().await.audit("").await;
        events
            .iter()
            .filter(|event| {
                let kind = event["kind"].as_str().unwrap();
                !kind.starts_with("token.") && !kind.starts_with("admin.s")
            })
            .count()
    }

    pub(crate) async fn viewer(&self) -> Admin {
        let path = self.invitation().await;
        let viewer = Admin::join(&self.jeton, &path, "Vera", "vera@example.com").await;
        assert_eq!(self.jeton.get(&path).await.status(), 410, "used");
        viewer
    }

    /// The path of a viewer's invitation.
    pub(crate) async fn invitation(&self) -> String {
        invite(&self.admin, &[("note", "Vera"), ("role", "viewer")]).await
    }

    /// The path of the sheet that asks before the open invitation is cancelled.
    pub(crate) async fn cancelling(&self) -> String {
        let settings = self.admin.page("/dashboard/settings").await;
        let path = settings
            .split("href=\"/dashboard/settings/invitations/")
            .nth(1);
        let id = path.unwrap().split('/').next().unwrap();
        format!("/dashboard/settings/invitations/{id}/revoke")
    }

    /// The ID of the admin with this address.
    pub(crate) async fn id_of(&self, email: &str) -> String {
        id_of(&self.jeton, email).await
    }
}

/// The ID of the admin with this address.
pub(crate) async fn id_of(jeton: &Jeton, email: &str) -> String {
    let id = format!("SELECT id FROM admin WHERE email = '{email}'");
    jeton.database().sql(&id).await.trim().to_owned()
}

/// The path of an invitation that somebody makes.
pub(crate) async fn invite(by: &Admin, fields: &[(&str, &str)]) -> String {
    link_of(by, by.post("/dashboard/settings/invitations", fields).await).await
}

/// The path of the link that an answer makes Settings show.
pub(crate) async fn link_of(by: &Admin, answer: reqwest::Response) -> String {
    assert_eq!(answer.status(), 303);
    let reveal = set_cookie(&answer, "jeton_reveal").unwrap();
    let page = by
        .get("/dashboard/settings")
        .header("cookie", format!("{}; {reveal}", by.session))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let link = page.split("/dashboard/join/").nth(1).unwrap();
    format!("/dashboard/join/{}", link.split('<').next().unwrap())
}

pub(crate) fn fields<'a>(
    fields: &'a [(&'static str, String)],
    csrf: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let mut all: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    if !csrf.is_empty() {
        all.push(("csrf", csrf));
    }
    all
}
