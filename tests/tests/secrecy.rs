//! No secret, whole token or private key in a log line, an audit event, an error, a file or a
//! `Debug` output.

use jeton_agent::ClientCredentials;
use jeton_core::{PlainSecret, TokenResponse};
use jeton_jose::{MasterKey, OsEntropy};
use jeton_tests::{Credentials, Jeton, JetonOptions, http};
use serde_json::json;

/// Everything that must not be seen, and where it was looked for.
struct Hunt {
    secrets: Vec<(String, String)>,
}

impl Hunt {
    fn look_in(&self, place: &str, text: &str) {
        for (name, secret) in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{place} shows {name}");
        }
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_recorded_answered_or_stored() {
    let options = JetonOptions {
        log: Some("trace"),
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options).await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let server = Credentials::of(
        &operator
            .post(&format!("/mcp-servers/{todo}/secrets"), json!({}))
            .await,
    );
    let client = operator.client(&todo, &["a"]).await;
    let rotate = format!("/clients/{}/secrets/rotate", client.client_id);
    let rotated = Credentials::of(&operator.post(&rotate, json!({})).await);
    let token = client.token(&jeton.url, &[]).await;
    let wrong = Credentials {
        client_secret: server.client_secret.clone(),
        ..client.clone()
    };
    let mut hunt = Hunt {
        secrets: Vec::new(),
    };
    for (name, secret) in [
        ("the client's secret", &client.client_secret),
        ("the rotated secret", &rotated.client_secret),
        ("the MCP server's secret", &server.client_secret),
        ("the admin secret", &operator.credentials.client_secret),
        ("the token", &token),
        ("the admin token", &operator.token),
    ] {
        hunt.secrets.push((name.to_owned(), secret.clone()));
    }

    let mut answers = String::new();
    let introspect = format!("{}/oauth/introspect", jeton.url);
    let revoke = format!("{}/oauth/revoke", jeton.url);
    for answer in [
        wrong.ask(&jeton.url, &[]).await,
        rotated
            .ask(&jeton.url, &[("scope", &client.client_secret)])
            .await,
        rotated
            .ask(&jeton.url, &[("resource", &client.client_secret)])
            .await,
        rotated
            .ask(
                &jeton.url,
                &[(&client.client_secret, "1"), (&client.client_secret, "2")],
            )
            .await,
        rotated.send(&introspect, &[("token", &token)]).await,
        server
            .send(&introspect, &[("token", &client.client_secret)])
            .await,
        client.send(&revoke, &[("token", &token)]).await,
    ] {
        answers.push_str(&format!("{:?}", answer.headers));
        answers.push_str(&answer.body.to_string());
    }
    let by_header = http()
        .post(format!("{}/oauth/token", jeton.url))
        .header("Authorization", client.basic())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("grant_type=nonsense");
    answers.push_str(&by_header.send().await.unwrap().text().await.unwrap());
    hunt.secrets
        .push(("the Basic header".into(), client.basic()));
    let stale = http()
        .get(format!("{}/api/v1/clients", jeton.url))
        .bearer_auth(&token);
    answers.push_str(&stale.send().await.unwrap().text().await.unwrap());
    hunt.look_in("an answer", &answers);

    let events = serde_json::to_string(&operator.audit("").await).unwrap();
    hunt.look_in("the audit log", &events);
    let lists = [
        operator.get("/clients").await,
        operator
            .get(&format!("/clients/{}/secrets", client.client_id))
            .await,
        operator.get("/signing-keys").await,
    ];
    hunt.look_in("the admin API", &json!(lists).to_string());

    assert_eq!(jeton.terminate().await, Some(0));
    let master_key = std::fs::read_to_string(jeton.data_dir().join("master.key")).unwrap();
    hunt.secrets
        .push(("the master key".into(), master_key.trim().to_owned()));
    hunt.secrets
        .push(("a private key".into(), "PRIVATE KEY".into()));
    hunt.look_in("the log", &jeton.log());
    for entry in std::fs::read_dir(jeton.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "admin.json" && name != "master.key" {
            let bytes = std::fs::read(&path).unwrap();
            hunt.look_in(&name, &String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn debug_output_is_redacted() {
    let plain = PlainSecret::generate(&OsEntropy).unwrap();
    let token = "eyJ.secret.token";
    let response: TokenResponse =
        serde_json::from_value(json!({ "access_token": token, "token_type": "Bearer" })).unwrap();
    let master = MasterKey::generate(&OsEntropy).unwrap();
    let shown = format!(
        "{plain:?} {:?} {response:?} {:?} {:?}",
        plain.digest(),
        ClientCredentials::new("https://a.example", "m2m_1", plain.expose()),
        MasterKey::from_base64(&master).unwrap(),
    );
    for secret in [
        plain.expose(),
        &plain.digest().to_hex(),
        token,
        master.as_str(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
