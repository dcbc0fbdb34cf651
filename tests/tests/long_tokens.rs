//! Tokens travel in a header, which stock servers refuse over 8 or 16 kB: `scopes` repeats `scope` only while
//! that keeps the token under 6,000 bytes, and whoever makes a longer one hears of it.

use jeton_tests::{Admin, Credentials, Jeton, Operator, claims};
use serde_json::{Value, json};

const LIMIT: usize = 6_000;

struct World {
    jeton: Jeton,
    operator: Operator,
    client: Credentials,
}

impl World {
    async fn new(scopes: usize, settings: Value) -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let names: Vec<String> = (0..scopes)
            .map(|n| format!("todo:list{n:03}:read"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let server = operator
            .mcp_server_with("http://localhost:3002/mcp", &names, settings)
            .await;
        let client = operator.client(&server, &names).await;
        Self {
            jeton,
            operator,
            client,
        }
    }

    /// Makes the client's tokens so many bytes longer, before they are encoded.
    async fn pad(&self, bytes: usize) {
        let claims = json!({ "custom_claims": { "pad": "x".repeat(bytes) } });
        let path = format!("/clients/{}", self.client.client_id);
        self.operator.patch(&path, claims).await;
    }

    /// A token with the event that records it.
    async fn token(&self) -> (String, Value) {
        let answer = self.client.ask(&self.jeton.url, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let request_id = answer.headers["x-request-id"].to_str().unwrap();
        let events = self
            .operator
            .audit(&format!("request_id={request_id}"))
            .await;
        let token = answer.body["access_token"].as_str().unwrap().to_owned();
        (token, events[0].clone())
    }
}

#[tokio::test]
async fn the_array_of_scopes_is_left_out_where_the_token_would_reach_six_thousand_bytes() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let world = World::new(60, json!({ "signing_alg": algorithm })).await;
        world.pad(0).await;
        let (token, _) = world.token().await;
        assert_eq!(claims(&token)["scopes"].as_array().unwrap().len(), 60);
        // Three bytes of claims are four of the token.
        let room = (LIMIT - token.len()) * 3 / 4;
        let mut lengths = Vec::new();
        for padding in room - 4..room + 5 {
            world.pad(padding).await;
            let (token, event) = world.token().await;
            let claims = claims(&token);
            let scopes = claims["scopes"].as_array();
            lengths.push((scopes.is_some(), token.len()));
            assert_eq!(claims["scope"].as_str().unwrap().split(' ').count(), 60);
            assert!(token.len() < LIMIT, "{algorithm}: {}", token.len());
            assert_eq!(event["detail"]["token_bytes"], Value::Null);
        }
        let with: Vec<usize> = lengths
            .iter()
            .filter(|(with, _)| *with)
            .map(|(_, length)| *length)
            .collect();
        assert!((3..=6).contains(&with.len()), "{algorithm}: {lengths:?}");
        // The longest that fits is there, and one byte of claims more would not have been.
        assert!(
            with.iter().max().unwrap() + 2 >= LIMIT,
            "{algorithm}: {lengths:?}"
        );
        assert!(
            lengths.iter().take(with.len()).all(|(with, _)| *with),
            "{lengths:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_long_without_it_is_noted_and_warned_of() {
    let world = World::new(200, json!({})).await;
    world.pad(4_000).await;
    let (token, event) = world.token().await;
    assert!(token.len() > 10_000, "{}", token.len());
    assert_eq!(claims(&token)["scopes"], Value::Null);
    assert_eq!(event["detail"]["token_bytes"], token.len());

    let (id, secret) = (&world.client.client_id, &world.client.client_secret);
    let ask = ["token", "--client-id", id, "--client-secret", secret];
    let output = world.jeton.command(&ask).await;
    assert!(output.status.success());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains(&format!("{} bytes", token.len())), "{words}");

    // The dry run says the same, of a token that is as long as the real one.
    let admin = Admin::first(&world.jeton).await;
    let dry = |more: &str| format!("/dashboard/clients/{id}/try?run=yes{more}");
    let page = admin.page(&dry("")).await;
    assert!(page.contains(&format!("{} bytes", token.len())), "{page}");
    assert!(page.contains("Too long"), "{page}");
    let page = admin.page(&dry("&scope=todo:list000:read")).await;
    assert!(
        page.contains(" bytes") && !page.contains("scopes&#34;: ["),
        "{page}"
    );

    world.pad(10).await;
    let short = [("scope", "todo:list000:read")];
    let short = world.client.token(&world.jeton.url, &short).await;
    let page = admin.page(&dry("&scope=todo:list000:read")).await;
    assert!(page.contains(&format!("{} bytes", short.len())), "{page}");
    assert!(!page.contains("Too long"), "{page}");
}

#[tokio::test]
async fn two_hundred_scopes_fit_into_the_header_of_a_stock_server() {
    let world = World::new(200, json!({})).await;
    let (token, _) = world.token().await;
    assert_eq!(claims(&token)["scopes"], Value::Null);
    assert!(token.len() < 8 * 1024 - 512, "{}", token.len());
}
