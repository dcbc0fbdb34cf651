//! What a change does not stop is said where it was made.

use jeton_tests::{Admin, Credentials, Jeton, Operator, hidden_field};

struct World {
    jeton: Jeton,
    admin: Admin,
    operator: Operator,
    server: String,
    client: Credentials,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let admin = Admin::first(&jeton).await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server("http://localhost:3002/mcp", &["a"])
            .await;
        let client = operator.client(&server, &["a"]).await;
        Self {
            jeton,
            admin,
            operator,
            server,
            client,
        }
    }

    /// What the page that follows a change says of tokens.
    async fn after(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.admin.post(path, fields).await;
        assert_eq!(answer.status(), 303, "{path}: {:?}", answer.text().await);
        let next = answer.headers()["location"].to_str().unwrap().to_owned();
        let page = self.admin.page(&next).await;
        let told = page.split("id=\"still-works\"").nth(1);
        let told = told.unwrap_or_else(|| panic!("{next} says nothing: {page}"));
        told.split("</div>").next().unwrap().to_owned()
    }

    /// The expiry of the newest token, as an event has it.
    async fn expiry(&self) -> String {
        let issued = self.operator.audit("kind=token.issued").await;
        let newest = issued
            .iter()
            .find(|event| event["client_id"] == self.client.client_id.as_str());
        newest.unwrap()["detail"]["expires_at"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn disabling_and_deleting_say_until_when_tokens_work() {
    let world = World::new().await;
    let at = format!("/dashboard/clients/{}", world.client.client_id);
    let told = world.after(&format!("{at}/disable"), &[]).await;
    assert!(
        told.contains("No token issued before still works."),
        "{told}"
    );
    world
        .admin
        .post(&format!("{at}/enable"), &[("version", "2")])
        .await;
    world.client.token(&world.jeton.url, &[]).await;
    let expiry = format!("datetime=\"{}\"", world.expiry().await);
    let told = world.after(&format!("{at}/disable"), &[]).await;
    assert!(
        told.contains("last token, issued")
            && told.contains(&expiry)
            && told.contains("don’t ask Jeton"),
        "{told}"
    );
    // Introspection refuses them already: nothing is left to revoke.
    assert!(
        !told.contains("<form") && told.contains("Servers that do ask refuse it now."),
        "{told}"
    );
    let told = world
        .after(
            &format!("{at}/delete"),
            &[("confirm", "agent"), ("version", "4")],
        )
        .await;
    assert!(told.contains(&expiry) && !told.contains("<form"), "{told}");
}

#[tokio::test]
async fn removing_access_and_deleting_a_server_say_so_too() {
    let world = World::new().await;
    world.client.token(&world.jeton.url, &[]).await;
    let expiry = format!("datetime=\"{}\"", world.expiry().await);
    let at = format!("/dashboard/clients/{}", world.client.client_id);
    let server = &world.server;
    let action = format!("{at}/grants/{server}/delete");
    let version = hidden_field(&world.admin.page(&action).await, &action, "version");
    let told = world.after(&action, &[("version", &version)]).await;
    assert!(told.contains(&expiry) && !told.contains("<form"), "{told}");
    let told = world
        .after(
            &format!("/dashboard/mcp-servers/{server}/delete"),
            &[("confirm", "Todo"), ("version", "1")],
        )
        .await;
    assert!(told.contains(&expiry) && !told.contains("<form"), "{told}");
}

#[tokio::test]
async fn revoking_a_secret_offers_to_revoke_the_tokens_issued_with_it() {
    let world = World::new().await;
    let id = &world.client.client_id;
    world.client.token(&world.jeton.url, &[]).await;
    let expiry = format!("datetime=\"{}\"", world.expiry().await);
    let secrets = world.operator.get(&format!("/clients/{id}/secrets")).await;
    let secret = secrets["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/dashboard/secrets/{secret}/revoke");
    let told = world.after(&path, &[]).await;
    assert!(told.contains(&expiry), "{told}");
    assert!(told.contains(&format!("action=\"{path}\"")), "{told}");
    let revoked = async || {
        let events = world.operator.audit("kind=secret.tokens_revoked").await;
        events.len()
    };
    assert_eq!(revoked().await, 0);
    let told = world.after(&path, &[("revoke_tokens", "yes")]).await;
    assert!(told.contains(&expiry) && !told.contains("<form"), "{told}");
    assert_eq!(revoked().await, 1);
}

#[tokio::test]
async fn an_address_that_names_nobody_says_nothing() {
    let world = World::new().await;
    for of in ["", "oops", "http://localhost:1/", "m2m_1", "<b>"] {
        let of: String = url::form_urlencoded::byte_serialize(of.as_bytes()).collect();
        let page = world
            .admin
            .page(&format!("/dashboard/clients?tokens_of={of}"))
            .await;
        assert!(!page.contains("still-works"), "{of}");
    }
}

#[tokio::test]
async fn sheets_say_until_when_tokens_work_before_anything_is_done() {
    let world = World::new().await;
    let id = &world.client.client_id;
    let (client, server) = (
        format!("/dashboard/clients/{id}"),
        format!("/dashboard/mcp-servers/{}", world.server),
    );
    let secrets = world.operator.get(&format!("/clients/{id}/secrets")).await;
    let secret = secrets["items"][0]["id"].as_str().unwrap();
    let sheets = [
        format!("{client}/disable"),
        format!("{client}/delete"),
        format!("{client}/revoke-tokens"),
        format!("{client}/grants/{}/delete", world.server),
        format!("/dashboard/secrets/{secret}/revoke"),
        format!("{server}/revoke-tokens"),
        format!("{server}/delete"),
    ];
    let told = async |path: &str, zone: &str| {
        let cookie = format!("{}; jeton_zone={zone}", world.admin.session);
        let page = world.admin.get(path).header("cookie", cookie);
        let page = page.send().await.unwrap().text().await.unwrap();
        let told = page.split("id=\"not-stopped\">").nth(1);
        let told = told.unwrap_or_else(|| panic!("{path} says nothing: {page}"));
        told.split("</p>").next().unwrap().to_owned()
    };
    for path in &sheets {
        let told = told(path, "UTC_0").await;
        assert_eq!(told, "No token issued before still works.", "{path}");
    }
    world.client.token(&world.jeton.url, &[]).await;
    let expiry = world.expiry().await;
    let minute = &expiry[11..16];
    for path in &sheets {
        let told = told(path, "UTC_0").await;
        assert!(
            told.contains("last token, issued")
                && told.contains(&format!("datetime=\"{expiry}\""))
                && told.split("data-shows=").nth(1).unwrap().contains(minute)
                && told.contains("don’t ask Jeton"),
            "{path}: {told}"
        );
    }
    // By the viewer's clock, which is half an hour off the others.
    let half = |minute: &str| format!(":{:02}", (minute[3..].parse::<u32>().unwrap() + 30) % 60);
    let told = told(&sheets[0], "Asia~Kolkata_330").await;
    let shown = told.split("data-shows=").nth(1).unwrap();
    assert!(shown.contains(&half(minute)), "{minute}: {told}");
}
