//! Trying a token request: what would happen with the credentials that there are.

use jeton_tests::{Admin, Credentials, Jeton, eventually, http, mistyped};
use serde_json::json;

struct World {
    jeton: Jeton,
    admin: Admin,
    server: String,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let admin = Admin::first(&jeton).await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server("http://localhost:3002/mcp", &["a", "b", "c"])
            .await;
        Self {
            jeton,
            admin,
            server,
        }
    }

    async fn client(&self, settings: serde_json::Value) -> Credentials {
        let operator = self.jeton.operator().await;
        operator.client_with(&self.server, settings).await
    }

    async fn try_it(&self, client: &Credentials, fields: &[(&str, &str)]) -> String {
        let path = format!("/dashboard/clients/{}/try", client.client_id);
        let answer = self.admin.post(&path, fields).await;
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }
}

fn headline(page: &str) -> &str {
    let from = page.split("id=\"headline\"").nth(1).unwrap();
    from.split("</p>").next().unwrap()
}

#[tokio::test]
async fn it_answers_for_the_credentials_that_there_are() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let path =
        |client: &Credentials| format!("/dashboard/clients/{}/try?run=yes", client.client_id);
    let works = world.client(json!({ "scopes": ["a"] })).await;
    let page = world.admin.page(&path(&works)).await;
    assert!(
        headline(&page).contains("A token would be issued."),
        "{}",
        headline(&page)
    );

    let expires = world
        .client(json!({ "scopes": ["a"], "secret_expires_in": 1 }))
        .await;
    eventually("the secret has expired", async || {
        expires.ask(&world.jeton.url, &[]).await.status == 401
    })
    .await;
    let page = world.admin.page(&path(&expires)).await;
    let line = headline(&page);
    assert!(
        line.contains("Would be refused: its only secret expired"),
        "{line}"
    );
    let cure = format!(
        "href=\"/dashboard/clients/{}#secrets\">Rotate its secret",
        expires.client_id
    );
    assert!(line.contains(&cure), "{line}");
    assert!(
        page.contains("id=\"claims\""),
        "what it would get is told all the same"
    );

    let id = &works.client_id;
    let secrets = operator.get(&format!("/clients/{id}/secrets")).await;
    let first = secrets["items"][0]["id"].as_str().unwrap().to_owned();
    operator.delete(&format!("/secrets/{first}")).await;
    let line = world.admin.page(&path(&works)).await;
    assert!(
        headline(&line).contains("its only secret was revoked"),
        "{}",
        headline(&line)
    );

    let disabled = world.client(json!({ "scopes": ["a"] })).await;
    operator
        .patch(
            &format!("/clients/{}", disabled.client_id),
            json!({ "status": "disabled" }),
        )
        .await;
    let page = world.admin.page(&path(&disabled)).await;
    assert!(
        headline(&page).contains("the client is disabled"),
        "{}",
        headline(&page)
    );
    let scopeless = world.client(json!({ "scopes": [] })).await;
    let page = world.admin.page(&path(&scopeless)).await;
    assert!(
        headline(&page).contains("#grants\">"),
        "{}",
        headline(&page)
    );
    // It says what the token endpoint does.
    for client in [&expires, &works, &disabled, &scopeless] {
        assert!(client.ask(&world.jeton.url, &[]).await.status >= 400);
    }
}

#[tokio::test]
async fn a_secret_is_checked_and_neither_echoed_kept_nor_logged() {
    let world = World::new().await;
    let client = world.client(json!({ "scopes": ["a"] })).await;
    let other = world.client(json!({ "scopes": ["a"] })).await;
    let (right, wrong) = (client.client_secret.as_str(), other.client_secret.as_str());
    let suffix = &right[right.len() - 4..];
    let recorded = async || {
        let of_client = format!("client_id={}", client.client_id);
        world.jeton.operator().await.audit(&of_client).await.len()
    };
    let before = recorded().await;
    let mistyped = mistyped(right);
    let surrounded = format!("{right}\n");
    for (typed, says) in [
        (right, "A token would be issued."),
        (wrong, "not one of this client’s secrets"),
        (&mistyped, "mistyped"),
        (&surrounded, "white space"),
        ("hunter2", "mistyped"),
    ] {
        let page = world.try_it(&client, &[("secret", typed)]).await;
        assert!(
            headline(&page).contains(says),
            "{says}: {}",
            headline(&page)
        );
        assert!(!page.contains(typed.trim()), "{says}");
    }
    let page = world.try_it(&client, &[("secret", right)]).await;
    assert!(
        page.contains(&format!("<code>…{suffix}</code>, which works")),
        "{page}"
    );
    assert_eq!(recorded().await, before);
    let log = world.jeton.log();
    assert!(!log.contains(right) && !log.contains(&mistyped) && !log.contains("hunter2"));
    // Another site's form tries no secrets.
    let url = format!(
        "{}/dashboard/clients/{}/try",
        world.jeton.url, client.client_id
    );
    let answer = http()
        .post(url)
        .header("cookie", &world.admin.session)
        .form(&[("secret", right)])
        .send();
    assert_eq!(answer.await.unwrap().status(), 403);
}

#[tokio::test]
async fn it_offers_servers_and_scopes_and_says_what_verifiers_would_and_how_to_ask() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let client = world.client(json!({ "scopes": ["a", "b"] })).await;
    let desk = operator
        .mcp_server_with(
            "https://desk.example.com/mcp",
            &["x"],
            json!({ "name": "Desk", "signing_alg": "ES256", "token_profile": "strict" }),
        )
        .await;
    let path = format!("/clients/{}/grants/{desk}", client.client_id);
    operator.put(&path, json!({ "scopes": ["x"] })).await;
    let server = &world.server;
    let form = world
        .admin
        .page(&format!("/dashboard/clients/{}/try", client.client_id))
        .await;
    for value in [
        format!("value=\"{server} a\""),
        format!("value=\"{desk} x\""),
    ] {
        assert!(form.contains(&value), "{value}");
    }
    assert!(
        !form.contains(&format!("value=\"{server} c\"")),
        "not granted"
    );
    let a = format!("{server} a");
    let x = format!("{desk} x");
    let page = world
        .try_it(&client, &[("server", server), ("scope", &a), ("scope", &x)])
        .await;
    assert!(
        page.contains("&quot;scope&quot;: &quot;a&quot;")
            || page.contains("&#34;scope&#34;: &#34;a&#34;"),
        "{page}"
    );
    let curl = page.split("id=\"try-curl\"").nth(1).unwrap();
    let curl = curl.split("</pre>").next().unwrap();
    for part in [
        "/oauth/token",
        "$CLIENT_SECRET",
        "resource=http://localhost:3002/mcp",
        "scope=a",
    ] {
        assert!(curl.contains(part), "{part}: {curl}");
    }
    assert!(
        !curl.contains("x&#39;") && !curl.contains("scope=a x"),
        "the other server's is left out: {curl}"
    );
    let verdicts = |page: &str| {
        let list = page.split("id=\"verdicts\"").nth(1).unwrap();
        let list = list.split("</ul>").next().unwrap().to_owned();
        (
            list.matches("accepts it").count(),
            list.matches("refuses it").count(),
        )
    };
    // A compatible RS256 token is one for all but FastMCP 2.13, which wants the URL with a slash.
    assert_eq!(verdicts(&page), (6, 1), "{page}");
    for time in ["iat", "nbf", "exp"] {
        assert!(
            page.contains(&format!("<code>{time}</code></dt><dd><time datetime=")),
            "{time}"
        );
    }
    let strict = world.try_it(&client, &[("server", &desk)]).await;
    assert_eq!(verdicts(&strict), (2, 5), "{strict}");
    // A scope that it lacks, by name.
    let page = world
        .try_it(&client, &[("server", &desk), ("more", "y")])
        .await;
    assert!(
        headline(&page).contains("the scope y is not granted"),
        "{}",
        headline(&page)
    );
}
