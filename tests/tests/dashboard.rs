//! The dashboard: by a real browser, and by those who send what no browser would.

use std::process::Output;

use jeton_tests::{
    Admin, Jeton, JetonOptions, PASSWORD, TodoServer, call_tool, csrf_in, eventually,
    first_admin_path, free_port, http, set_cookie, workspace,
};
use serde_json::json;
use tokio::process::Command;

async fn node(script: &str, arguments: &[&str]) -> Output {
    let folder = workspace().join("tests/node");
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

async fn journey(mode: &str) {
    let jeton = Jeton::start().await;
    let todo = TodoServer::start(&jeton.url).await;
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    let output = node(
        "dashboard_journey.mjs",
        &[&jeton.url, &link, &todo.url, mode],
    )
    .await;
    // With what the page displayed: a token, and a tool call.
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let credentials = jeton_tests::Credentials::of(&shown);
    let token = credentials
        .token(&jeton.url, &[("scope", "todo:write")])
        .await;
    let answer = call_tool(&todo.url, &token, "create_todo", json!({ "title": "milk" })).await;
    assert_eq!(answer.status(), 200);
    let body = answer.text().await.unwrap();
    assert!(body.contains("milk"), "{body}");
}

#[tokio::test]
async fn a_browser_goes_the_whole_way_from_first_run_to_a_tool_call() {
    journey("javascript").await;
}

#[tokio::test]
async fn a_browser_without_javascript_goes_the_same_way() {
    journey("no-javascript").await;
}

#[tokio::test]
async fn a_browser_finds_every_page_accessible_light_and_showing_html_as_text() {
    let jeton = Jeton::start().await;
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    node("dashboard_pages.mjs", &[&jeton.url, &link]).await;
}

/// A server with a client on it, and the paths of every change.
struct World {
    jeton: Jeton,
    admin: Admin,
    client: String,
    changes: Vec<(String, Vec<(&'static str, String)>)>,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let admin = Admin::first(&jeton).await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server("http://localhost:1/mcp", &["todo:read"])
            .await;
        let client = operator.client(&server, &["todo:read"]).await.client_id;
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
            (at_server("/secrets"), vec![]),
            (at_server("/clients"), name("Another")),
            (at_server(&format!("/clients/{client}/scopes")), vec![]),
            (
                at_client("/grants"),
                vec![("mcp_server_id", server.clone())],
            ),
            (at_client(&format!("/grants/{server}/delete")), vec![]),
            (at_client("/secrets"), vec![]),
            (at_client("/secrets/rotate"), vec![]),
            (format!("/dashboard/secrets/{secret}/revoke"), vec![]),
            (at_client("/settings"), name("Changed")),
            (at_client("/disable"), vec![]),
            (at_client("/enable"), vec![]),
            (at_client("/delete"), confirm("Changed")),
            (at_server("/delete"), confirm("Changed")),
            (
                "/dashboard/signing-keys/rotate".into(),
                vec![("algorithm", "ES256".into())],
            ),
            (
                "/dashboard/settings/invitations".into(),
                vec![("note", "Eve".into()), ("role", "admin".into())],
            ),
        ];
        Self {
            jeton,
            admin,
            client,
            changes,
        }
    }

    /// How many events there are, sign-ins aside.
    async fn changed(&self) -> usize {
        let events = self.jeton.operator().await.audit("").await;
        events
            .iter()
            .filter(|event| {
                let kind = event["kind"].as_str().unwrap();
                !kind.starts_with("token.") && !kind.starts_with("admin.s")
            })
            .count()
    }

    async fn viewer(&self) -> Admin {
        let path = self.invitation().await;
        let viewer = Admin::join(&self.jeton, &path, "Vera", "vera@example.com").await;
        assert_eq!(self.jeton.get(&path).await.status(), 410, "used");
        viewer
    }

    /// The path of a viewer's invitation.
    async fn invitation(&self) -> String {
        let answer = self
            .admin
            .post(
                "/dashboard/settings/invitations",
                &[("note", "Vera"), ("role", "viewer")],
            )
            .await;
        let reveal = set_cookie(&answer, "jeton_reveal").unwrap();
        let page = self
            .admin
            .get("/dashboard/settings")
            .header("cookie", format!("{}; {reveal}", self.admin.session))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let link = page.split("/dashboard/join/").nth(1).unwrap();
        format!("/dashboard/join/{}", link.split('<').next().unwrap())
    }
}

fn fields<'a>(fields: &'a [(&'static str, String)], csrf: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut all: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    if !csrf.is_empty() {
        all.push(("csrf", csrf));
    }
    all
}

#[tokio::test]
async fn no_change_is_made_without_the_right_session_role_and_form() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let before = world.changed().await;
    // Those that the second half of this test leaves out are refused alike, whatever they are about.
    let zeros = "0".repeat(26);
    let others = [
        format!("/dashboard/settings/admins/adm_{zeros}/role"),
        format!("/dashboard/settings/admins/adm_{zeros}/remove"),
        format!("/dashboard/settings/invitations/inv_{zeros}/revoke"),
    ];
    let others = others.into_iter().map(|path| (path, Vec::new()));
    for (path, values) in &world
        .changes
        .iter()
        .cloned()
        .chain(others)
        .collect::<Vec<_>>()
    {
        let admin = &world.admin;
        let nobody = http();
        let url = format!("{}{path}", world.jeton.url);
        let right = fields(values, &admin.csrf);
        let cases = [
            (
                "no CSRF token",
                403,
                admin.post_raw(path, &fields(values, "")),
            ),
            (
                "another session's CSRF token",
                403,
                admin.post_raw(path, &fields(values, &viewer.csrf)),
            ),
            (
                "another site",
                403,
                admin
                    .post_raw(path, &right)
                    .header("sec-fetch-site", "cross-site"),
            ),
            (
                "another origin of the same site",
                403,
                admin
                    .post_raw(path, &right)
                    .header("sec-fetch-site", "same-site"),
            ),
            ("no session", 303, nobody.post(&url).form(&right)),
            (
                "a session that never was",
                303,
                nobody
                    .post(&url)
                    .header("cookie", "jeton_session=jeton_oops")
                    .form(&right),
            ),
            (
                "a viewer",
                403,
                viewer.post_raw(path, &fields(values, &viewer.csrf)),
            ),
            (
                "JSON",
                415,
                admin
                    .get(path)
                    .build()
                    .map(|_| {
                        nobody
                            .post(&url)
                            .header("cookie", &admin.session)
                            .json(&json!({ "csrf": admin.csrf }))
                    })
                    .unwrap(),
            ),
            (
                "too large",
                413,
                admin.post_raw(
                    path,
                    &[
                        ("csrf", admin.csrf.as_str()),
                        ("name", &"x".repeat(600_000)),
                    ],
                ),
            ),
        ];
        for (what, expected, request) in cases {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), expected, "{what}: {path}");
            if expected == 303 {
                let location = answer.headers()["location"].to_str().unwrap().to_owned();
                assert!(location.starts_with("/dashboard/sign-in"), "{location}");
            }
            assert_eq!(
                answer.headers()["cache-control"],
                "no-store",
                "{what}: {path}"
            );
        }
    }
    assert_eq!(world.changed().await, before, "something was changed");

    // With all of it right, each of them works, in this order.
    for (path, values) in &world.changes {
        let answer = world.admin.post(path, &fields(values, "")).await;
        assert_eq!(answer.status(), 303, "{path}: {:?}", answer.text().await);
    }
    assert!(world.changed().await >= before + world.changes.len() - 1);
}

#[tokio::test]
async fn fields_that_cannot_be_used_are_refused_with_a_sentence_and_kept() {
    let world = World::new().await;
    let long = "x".repeat(101);
    let base = [
        ("name", "New"),
        ("url", "http://localhost:9/mcp"),
        ("token_ttl", "1"),
        ("token_ttl_unit", "hours"),
        ("signing_alg", "RS256"),
    ];
    for (field, value, sentence) in [
        ("name", "", "must not be empty"),
        ("name", long.as_str(), "101 characters"),
        ("name", "a\u{7}b", "control characters"),
        (
            "url",
            "javascript:alert(1)",
            "expected an http or https URL",
        ),
        ("url", "data:text/html,x", "expected an http or https URL"),
        ("url", "http://localhost:1/mcp", "registered already"),
        ("token_ttl", "25", "86400"),
        ("token_ttl", "-1", "above zero"),
        ("token_ttl", "soon", "whole number"),
        ("token_ttl_unit", "eons", "seconds, minutes"),
        ("signing_alg", "none", "RS256"),
        ("scope_name", "two words", "scope"),
        ("description", &"y".repeat(1001), "1001 characters"),
    ] {
        let mut fields: Vec<_> = base
            .iter()
            .copied()
            .filter(|(name, _)| *name != field)
            .collect();
        fields.push((field, value));
        fields.push(("scope_description", ""));
        let answer = world.admin.post("/dashboard/mcp-servers", &fields).await;
        assert_eq!(answer.status(), 422, "{field} = {value}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(sentence), "{field} = {value}: {sentence}");
    }
    let path = format!("/dashboard/clients/{}/settings", world.client);
    for (field, value, sentence) in [
        ("custom_claims", "[1]", "JSON object"),
        (
            "custom_claims",
            "{\"iss\": 1}",
            "set by the authorization server",
        ),
        ("token_ttl", "5", "60"),
    ] {
        let fields = [
            ("name", "agent"),
            ("token_ttl_unit", "seconds"),
            (field, value),
        ];
        let answer = world.admin.post(&path, &fields).await;
        assert_eq!(answer.status(), 422, "{field} = {value}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(sentence), "{field} = {value}: {sentence}");
    }
    // What somebody else changed meanwhile is not overwritten.
    let fields = [("name", "agent"), ("version", "1")];
    assert_eq!(world.admin.post(&path, &fields).await.status(), 303);
    assert_eq!(world.admin.post(&path, &fields).await.status(), 409);
}

#[tokio::test]
async fn a_new_secret_is_shown_once_to_the_one_who_made_it() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let path = format!("/dashboard/clients/{}", world.client);
    let answer = world.admin.post(&format!("{path}/secrets"), &[]).await;
    let reveal = set_cookie(&answer, "jeton_reveal").unwrap();
    let secret_id = "id=\"client-secret\"";
    let with = |admin: &Admin| {
        admin
            .get(&path)
            .header("cookie", format!("{}; {reveal}", admin.session))
    };
    // A viewer cannot open it, nor another session of the same admin, nor another page.
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let session = set_cookie(&again, "jeton_session").unwrap();
    let elsewhere = http()
        .get(format!("{}{path}", world.jeton.url))
        .header("cookie", format!("{session}; {reveal}"));
    let page = elsewhere.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(secret_id));
    let settings = world
        .admin
        .get("/dashboard/settings")
        .header("cookie", format!("{}; {reveal}", world.admin.session));
    let page = settings.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("invitation-link"));
    let page = with(&viewer).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(secret_id));
    let answer = with(&world.admin).send().await.unwrap();
    let taken_away = answer.headers().get_all("set-cookie").iter().any(|value| {
        let value = value.to_str().unwrap();
        value.starts_with("jeton_reveal=;") && value.contains("Max-Age=0")
    });
    assert!(
        taken_away,
        "the page that shows the secret takes the cookie away"
    );
    let page = answer.text().await.unwrap();
    let secret = page.split(secret_id).nth(1).unwrap()[1..]
        .split('<')
        .next()
        .unwrap();
    assert!(secret.starts_with("jeton_"), "{secret}");
    assert!(!world.admin.page(&path).await.contains(secret));
    assert!(!reveal.contains(secret), "the cookie is sealed");
    assert!(!world.jeton.log().contains(secret));
}

#[tokio::test]
async fn sessions_end_by_time_and_cannot_be_used_when_stolen_later() {
    let world = World::new().await;
    let database = world.jeton.database();
    let age = async |column: &str, hours: u32| {
        let by = format!("UPDATE admin_session SET {column} = {column} - {hours} * 3600000");
        database.sql(&by).await;
    };
    let status = async || world.admin.get("/dashboard").send().await.unwrap().status();
    age("seen_at", 7).await;
    // A page that refreshes itself does not count as use, a person does.
    let refresh = world
        .admin
        .get("/dashboard")
        .header("sec-fetch-dest", "empty");
    assert_eq!(refresh.send().await.unwrap().status(), 200);
    age("seen_at", 1).await;
    assert_eq!(status().await, 303, "eight hours idle, in an open tab");
    age("seen_at", 0).await;
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let session = set_cookie(&again, "jeton_session").unwrap();
    let status = async || {
        let request = http().get(format!("{}/dashboard", world.jeton.url));
        request
            .header("cookie", &session)
            .send()
            .await
            .unwrap()
            .status()
    };
    age("seen_at", 7).await;
    assert_eq!(status().await, 200, "seven hours idle");
    age("seen_at", 8).await;
    assert_eq!(status().await, 303, "eight hours idle");

    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(again.status(), 303);
    let session = set_cookie(&again, "jeton_session").unwrap();
    let with_session = async || {
        let request = http().get(format!("{}/dashboard", world.jeton.url));
        request.header("cookie", &session).send().await.unwrap()
    };
    assert_eq!(with_session().await.status(), 200);
    age("created_at", 24).await;
    assert_eq!(with_session().await.status(), 303, "a day old");
}

async fn sign_in(jeton: &Jeton, email: &str, password: &str) -> reqwest::Response {
    let url = format!("{}/dashboard/sign-in", jeton.url);
    let page = http().get(&url).send().await.unwrap();
    let early = set_cookie(&page, "jeton_form").unwrap();
    let csrf = csrf_in(&page.text().await.unwrap());
    http()
        .post(&url)
        .header("cookie", early)
        .form(&[
            ("csrf", csrf.as_str()),
            ("email", email),
            ("password", password),
        ])
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn failed_sign_ins_are_slowed_down_recorded_and_tell_nothing() {
    let world = World::new().await;
    let unknown = sign_in(&world.jeton, "eve@example.com", "wrong").await;
    assert_eq!(unknown.status(), 401);
    let unknown = unknown.text().await.unwrap();
    let wrong = sign_in(&world.jeton, "ada@example.com", "wrong").await;
    let wrong = wrong.text().await.unwrap();
    let sentence = "The e-mail address or the password is wrong.";
    assert!(unknown.contains(sentence) && wrong.contains(sentence));
    for _ in 0..4 {
        assert_eq!(
            sign_in(&world.jeton, "ada@example.com", "wrong")
                .await
                .status(),
            401
        );
    }
    let slowed = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(slowed.status(), 429, "even the right password has to wait");
    assert!(slowed.headers().contains_key("retry-after"));
    let operator = world.jeton.operator().await;
    let refused = operator.audit("kind=admin.sign_in_refused").await;
    assert_eq!(refused.len(), 6);
    assert!(refused.iter().all(|event| event["actor"] == "anonymous"));
    // A sign-in without the page's own cookie is not even looked at.
    let url = format!("{}/dashboard/sign-in", world.jeton.url);
    let form = [("email", "ada@example.com"), ("password", PASSWORD)];
    assert_eq!(
        http().post(url).form(&form).send().await.unwrap().status(),
        403
    );
}

#[tokio::test]
async fn the_first_link_works_once_and_a_restart_makes_a_new_one() {
    let mut jeton = Jeton::start().await;
    let first = first_admin_path(&jeton).await;
    jeton.terminate().await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    let second = first_admin_path(&jeton).await;
    assert_ne!(first, second);
    assert_eq!(jeton.get(&first).await.status(), 410, "of an earlier start");
    Admin::join(&jeton, &second, "Ada", "ada@example.com").await;
    assert_eq!(jeton.get(&second).await.status(), 410, "used");
    let database = jeton.database().everything().await;
    let link = second.rsplit('/').next().unwrap();
    let holds = |needle: &str| {
        database
            .windows(needle.len())
            .any(|at| at == needle.as_bytes())
    };
    assert!(!holds(link) && !holds(PASSWORD));
}

#[tokio::test]
async fn somebody_is_always_left_who_may_change_things() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let page = world.admin.page("/dashboard/settings").await;
    let role = "/dashboard/settings/admins/";
    let vera = page
        .split(role)
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    // One cannot remove oneself, and a viewer cannot become an admin by their own doing.
    let own = world
        .jeton
        .operator()
        .await
        .audit("kind=admin.created")
        .await;
    let ada = own.last().unwrap()["actor"].as_str().unwrap().to_owned();
    let status = async |admin: &Admin, path: String, fields: &[(&str, &str)]| {
        admin.post(&path, fields).await.status().as_u16()
    };
    assert_eq!(
        status(&world.admin, format!("{role}{ada}/remove"), &[]).await,
        409
    );
    assert_eq!(
        status(
            &world.admin,
            format!("{role}{ada}/role"),
            &[("role", "viewer")]
        )
        .await,
        409
    );
    assert_eq!(
        status(&viewer, format!("{role}{vera}/role"), &[("role", "admin")]).await,
        403
    );
    // A role that is taken away is gone with the next request.
    assert_eq!(
        status(
            &world.admin,
            format!("{role}{vera}/role"),
            &[("role", "admin")]
        )
        .await,
        303
    );
    assert_eq!(
        status(&viewer, format!("{role}{ada}/role"), &[("role", "viewer")]).await,
        303
    );
    assert_eq!(
        status(&world.admin, "/dashboard/mcp-servers".into(), &[]).await,
        403
    );
    // Removed, one is signed out at once.
    assert_eq!(
        status(&viewer, format!("{role}{ada}/remove"), &[]).await,
        303
    );
    let answer = world.admin.get("/dashboard").send().await.unwrap();
    assert_eq!(answer.status(), 303);
}

#[tokio::test]
async fn pages_and_cookies_are_protected_by_their_headers() {
    let options = JetonOptions {
        flags: vec!["--issuer", "https://auth.example.com"],
        ..JetonOptions::default()
    };
    let jeton = Jeton::start_with(options).await;
    // The server listens on plain http behind a proxy.
    let log = jeton.log();
    let address = log
        .split("listen=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let answer = http()
        .get(format!("http://{address}/dashboard/sign-in"))
        .send()
        .await
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-jeton_form="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}");
    }
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn the_audit_log_is_exported_whole_and_safe_for_spreadsheets() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let server = operator.mcp_server("http://localhost:3/mcp", &[]).await;
    operator
        .patch(&format!("/mcp-servers/{server}"), json!({ "name": "=1+1" }))
        .await;
    let lines = world.admin.page("/dashboard/audit/export.jsonl").await;
    let events: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.last().unwrap()["seq"], 1, "down to the first event");
    let csv = world.admin.page("/dashboard/audit/export.csv").await;
    assert_eq!(csv.lines().count(), events.len() + 1);
    let only = world
        .admin
        .page("/dashboard/audit/export.jsonl?kind=client.created")
        .await;
    assert!(only.lines().all(|line| line.contains("client.created")) && only.lines().count() >= 1);
    assert_eq!(
        world
            .jeton
            .get("/dashboard/audit/export.csv")
            .await
            .status(),
        303
    );
}

#[tokio::test]
async fn a_browser_signs_in_through_an_openid_connect_provider() {
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_port();
    let config = folder.path().join("jeton.toml");
    std::fs::write(
        &config,
        format!(
            "[oidc]\nissuer = \"http://127.0.0.1:{port}\"\nclient_id = \"jeton\"\nname = \"Example\"\n\
             admins = [\"ada@example.com\"]\nviewers = [\"@example.com\"]\n"
        ),
    )
    .unwrap();
    let secret = "a secret with spaces & signs";
    let options = JetonOptions {
        flags: vec!["--config", config.to_str().unwrap()],
        environment: vec![("JETON_OIDC_CLIENT_SECRET", secret)],
        ..JetonOptions::default()
    };
    let jeton = Jeton::start_with(options).await;
    node(
        "dashboard_oidc.mjs",
        &[&jeton.url, &port.to_string(), secret],
    )
    .await;
    let operator = jeton.operator().await;
    assert_eq!(operator.audit("kind=admin.created").await.len(), 2);
    assert_eq!(operator.audit("kind=admin.sign_in_refused").await.len(), 2);
    assert!(!jeton.log().contains(secret));
}

#[tokio::test]
async fn a_rotated_key_is_published_first_signs_a_day_later_and_breaks_no_token() {
    // The issuer stays the same.
    let port = Some(free_port());
    let options = || JetonOptions {
        port,
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server("http://localhost:1/mcp", &["todo:read"])
        .await;
    let client = operator.client(&server, &["todo:read"]).await;
    let old_token = client.token(&jeton.url, &[]).await;
    let rotate = async |admin: &Admin| {
        let fields = [("algorithm", "RS256")];
        admin
            .post("/dashboard/signing-keys/rotate", &fields)
            .await
            .status()
    };
    assert_eq!(rotate(&admin).await, 303);
    assert_eq!(rotate(&admin).await, 409, "one waits already");
    let kid = |token: &str| {
        use base64::Engine as _;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(
        kid(&token),
        kid(&old_token),
        "the new key does not sign yet"
    );

    // A day passes.
    jeton.terminate().await;
    let day = "UPDATE signing_key SET activated_at = activated_at - 86400001 \
               WHERE state = 'pending'";
    jeton.database().sql(day).await;
    let jeton = jeton.restart(options()).await;
    eventually("the new key signs", async || {
        kid(&client.token(&jeton.url, &[]).await) != kid(&old_token)
    })
    .await;
    let keys = jeton.get("/keys").await.text().await.unwrap();
    assert!(
        keys.contains(&kid(&old_token)),
        "the old key is still published"
    );
    let operator = jeton.operator().await;
    for kind in ["key.activated", "key.retired"] {
        assert_eq!(
            operator.audit(&format!("kind={kind}")).await.len(),
            1,
            "{kind}"
        );
    }
    // The token that the old key signed still counts.
    let answer = http()
        .post(format!("{}/oauth/introspect", jeton.url))
        .form(&[
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.client_secret.as_str()),
            ("token", old_token.as_str()),
        ])
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["active"], true);
}

#[tokio::test]
async fn the_command_line_invites_admins_and_rotates_keys() {
    let jeton = Jeton::start().await;
    Admin::first(&jeton).await;
    let made = jeton
        .json(&["admin", "invite", "--note", "Grace", "--role", "admin"])
        .await;
    let path = made["link"]
        .as_str()
        .unwrap()
        .strip_prefix(&jeton.url)
        .unwrap();
    let grace = Admin::join(&jeton, path, "Grace", "grace@example.com").await;
    assert!(
        grace
            .page("/dashboard/mcp-servers")
            .await
            .contains("Add MCP server")
    );
    let wrong = jeton
        .command(&["admin", "invite", "--note", "x", "--role", "owner"])
        .await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("expected admin or viewer"));

    let key = jeton.json(&["key", "rotate", "--algorithm", "EdDSA"]).await;
    assert_eq!(
        (key["algorithm"].as_str(), key["state"].as_str()),
        (Some("EdDSA"), Some("pending"))
    );
    let again = jeton
        .command(&["key", "rotate", "--algorithm", "EdDSA"])
        .await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("begins to sign at"));
    let wrong = jeton
        .command(&["key", "rotate", "--algorithm", "none"])
        .await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("RS256, ES256 or EdDSA"));
}
