//! What a client may send to say which MCP server it wants a token for: `resource`, `audience`, with and
//! without a query.

use jeton_tests::World;
use reqwest::Method;
use serde_json::{Value, json};

const TODO: &str = "http://localhost:3002/mcp";
const NOTES: &str = "http://localhost:3003/mcp";

/// A client with grants on two servers.
async fn two_grants() -> World {
    let world = World::new(TODO, json!({}), &["todo"]).await;
    let notes = world.operator.mcp_server(NOTES, &["notes"]).await;
    let path = format!("/clients/{}/grants/{notes}", world.client.client_id);
    let scopes = json!({ "scopes": ["notes"] });
    world.operator.put(&path, scopes).await;
    world
}

#[tokio::test]
async fn audience_names_the_server_as_resource_does() {
    let world = two_grants().await;
    for (resource, scope) in [(TODO, "todo"), (NOTES, "notes")] {
        let by_audience = world.ask(&[("audience", resource)]).await;
        assert_eq!(by_audience.body["scope"], scope, "{}", by_audience.body);
        let request_id = by_audience.headers["x-request-id"].to_str().unwrap();
        let events = world
            .operator
            .audit(&format!("request_id={request_id}"))
            .await;
        assert_eq!(events[0]["resource"], resource);
        for same in [
            resource.to_owned(),
            format!("{resource}/"),
            resource.to_uppercase().replace("MCP", "mcp"),
        ] {
            let both = world
                .ask(&[("resource", resource), ("audience", &same)])
                .await;
            assert_eq!(both.body["scope"], scope, "{same}: {}", both.body);
        }
    }
    let aud = world
        .audience(&[
            ("audience", "http://localhost:3002/mcp/"),
            ("resource", TODO),
        ])
        .await;
    assert_eq!(
        aud,
        json!([TODO, world.todo]),
        "resource decides the spelling"
    );
    // Somebody else's is not this server's, whatever the endpoint's default.
    let own_endpoint = format!("{}/resources/{}/oauth/token", world.jeton.url, world.todo);
    let grant = ("grant_type", "client_credentials");
    let answer = world
        .client
        .send(&own_endpoint, &[grant, ("audience", NOTES)])
        .await;
    assert_eq!(answer.body["scope"], "notes", "{}", answer.body);
}

#[tokio::test]
async fn two_different_servers_at_once_and_unknown_ones_are_refused() {
    let world = two_grants().await;
    let unknown = "http://localhost:4000/mcp";
    for parameters in [
        &[("resource", TODO), ("audience", NOTES)][..],
        &[("audience", TODO), ("audience", TODO)],
        &[("resource", TODO), ("audience", unknown)],
        &[("audience", unknown)],
        &[("audience", "todo")],
        &[("audience", "http://localhost:3002/mcp#x")],
    ] {
        let answer = world.ask(parameters).await;
        assert_eq!(
            (answer.status, answer.error()),
            (400, "invalid_target"),
            "{parameters:?}: {}",
            answer.body
        );
    }
    // Introspection and revocation do not know the parameter.
    let token = world
        .client
        .token(&world.jeton.url, &[("resource", TODO)])
        .await;
    for endpoint in ["introspect", "revoke"] {
        let url = format!("{}/oauth/{endpoint}", world.jeton.url);
        let other = [("token", token.as_str()), ("audience", NOTES)];
        assert_eq!(world.client.send(&url, &other).await.status, 200);
        for name in ["audience", "resource"] {
            let twice = [("token", token.as_str()), (name, NOTES), (name, NOTES)];
            assert_eq!(
                world.client.send(&url, &twice).await.error(),
                "invalid_request"
            );
        }
    }
}

#[tokio::test]
async fn a_url_with_a_query_is_matched_without_it() {
    let world = two_grants().await;
    for asked in [
        "http://localhost:3002/mcp?profile=x",
        "http://localhost:3002/mcp?",
        "HTTP://localhost:3002/mcp?key=hunter2",
    ] {
        for parameter in ["resource", "audience"] {
            let aud = world.audience(&[(parameter, asked)]).await;
            assert_eq!(aud, json!([TODO, world.todo]), "{asked}");
        }
    }
    let below = world
        .audience(&[("resource", "http://localhost:3002/mcp/x?y")])
        .await;
    assert_eq!(
        below,
        json!([TODO, "http://localhost:3002/mcp/x", world.todo])
    );
    let both = [
        ("resource", "http://localhost:3002/mcp?a"),
        ("audience", "http://localhost:3002/mcp?b"),
    ];
    assert_eq!(world.audience(&both).await, json!([TODO, world.todo]));
    // What a query holds is recorded nowhere.
    let events = world.operator.audit("kind=token.issued").await;
    assert!(!Value::from(events).to_string().contains("hunter2"));
    for fragment in [
        "http://localhost:3002/mcp#x",
        "http://localhost:3002/mcp?x#y",
    ] {
        assert_eq!(
            world.ask(&[("resource", fragment)]).await.error(),
            "invalid_target"
        );
    }
    let strict = json!({ "token_profile": "strict" });
    world
        .operator
        .patch(&format!("/mcp-servers/{}", world.todo), strict)
        .await;
    assert_eq!(
        world
            .audience(&[("resource", "http://localhost:3002/mcp?profile=x")])
            .await,
        TODO
    );
}

#[tokio::test]
async fn a_server_is_registered_without_a_query_and_told_how() {
    let world = two_grants().await;
    let body =
        json!({ "name": "Hosted", "url": "https://mcp.example.com/mcp?profile=x&key=hunter2" });
    let (status, problem) = world
        .operator
        .send(Method::POST, "/mcp-servers", Some(body))
        .await;
    assert_eq!(
        (status, &problem["parameter"]),
        (400, &json!("url")),
        "{problem}"
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("https://mcp.example.com/mcp.") && !detail.contains("hunter2"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_secret_below_a_registered_url_reaches_no_token_and_no_record() {
    let world = World::new(TODO, json!({}), &["todo"]).await;
    for secret in [
        world.client.client_secret.as_str(),
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.c2ln",
    ] {
        let resource = format!("{TODO}/{secret}");
        let refused = world.ask(&[("resource", &resource)]).await;
        assert_eq!((refused.status, refused.error()), (400, "invalid_target"));
        let words = refused.body.to_string();
        assert!(words.contains(TODO) && !words.contains(secret), "{words}");
        let events = world.operator.audit("kind=token.refused").await;
        assert!(!events.is_empty() && !format!("{events:?}").contains(secret));
    }
    // Registered so, it is a name like any other.
    let url = "http://localhost:3004/jeton_internal-documentation/mcp";
    let server = world.operator.mcp_server(url, &["docs"]).await;
    let client = world.operator.client(&server, &["docs"]).await;
    client
        .token(&world.jeton.url, &[("resource", &format!("{url}/a"))])
        .await;
}
