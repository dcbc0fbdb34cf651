//! Whoever asks for more than is granted: the compatible profile leaves the rest out and says so, the
//! strict one refuses.

use jeton_tests::{Admin, Answer, Credentials, Jeton, Operator, claims, form};
use serde_json::{Value, json};

/// A server that defines a, b and c, with a client that was granted a and b.
struct World {
    jeton: Jeton,
    operator: Operator,
    server: String,
    client: Credentials,
}

impl World {
    async fn new(profile: &str) -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let settings = json!({ "token_profile": profile });
        let server = operator
            .mcp_server_with("http://localhost:3002/mcp", &["a", "b", "c"], settings)
            .await;
        let client = operator.client(&server, &["a", "b"]).await;
        Self {
            jeton,
            operator,
            server,
            client,
        }
    }

    async fn ask(&self, scope: &str) -> Answer {
        self.client.ask(&self.jeton.url, &[("scope", scope)]).await
    }

    /// The one event of the request that was answered so.
    async fn event(&self, answer: &Answer) -> Value {
        let request_id = answer.headers["x-request-id"].to_str().unwrap();
        let events = self
            .operator
            .audit(&format!("request_id={request_id}"))
            .await;
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    }
}

fn description(answer: &Answer) -> &str {
    answer.body["error_description"].as_str().unwrap()
}

#[tokio::test]
async fn a_request_for_every_scope_of_a_server_gets_those_that_are_granted() {
    let world = World::new("compatible").await;
    let answer = world.ask("c b a").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["scope"], "b a", "in the order asked for");
    let claims = claims(answer.body["access_token"].as_str().unwrap());
    assert_eq!(claims["scope"], "b a");
    assert_eq!(claims["scopes"], json!(["b", "a"]));

    let event = world.event(&answer).await;
    assert_eq!(event["kind"], "token.issued");
    assert_eq!(event["scope"], "b a");
    assert_eq!(event["detail"]["not_granted"], "c");
    let exported = world.jeton.command(&["audit", "export"]).await;
    assert!(
        String::from_utf8(exported.stdout)
            .unwrap()
            .contains("\"not_granted\":\"c\"")
    );
    let admin = Admin::first(&world.jeton).await;
    let page = admin
        .page(&format!("/dashboard/audit/{}", event["seq"]))
        .await;
    assert!(page.contains("not_granted"), "{page}");
    let csv = admin
        .page("/dashboard/audit/export.csv?kind=token.issued")
        .await;
    assert!(csv.contains("not_granted"), "{csv}");

    // Where nothing was left out, nothing is said.
    let whole = world.ask("a b").await;
    assert_eq!(
        world.event(&whole).await["detail"]["not_granted"],
        Value::Null
    );
    let verified = world.jeton.command(&["audit", "verify"]).await;
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_scope_that_the_server_does_not_define_is_refused_by_name() {
    let world = World::new("compatible").await;
    for scope in ["todo:raed", "a todo:raed", "c todo:raed a"] {
        let answer = world.ask(scope).await;
        assert_eq!((answer.status, answer.error()), (400, "invalid_scope"));
        let description = description(&answer);
        assert!(description.contains("todo:raed"), "{description}");
        assert!(description.ends_with(": a b"), "{description}");
    }
    let refused = world.operator.audit("kind=token.refused").await;
    // What repeats within a moment is one event.
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["mcp_server_id"], world.server.as_str());
    assert_eq!(refused[0]["scope"], "todo:raed");
    // A scope that was granted, and that the server defines no more, is undefined, too.
    let path = format!("/mcp-servers/{}?confirm=true", world.server);
    world
        .operator
        .patch(&path, json!({ "remove_scopes": ["b"] }))
        .await;
    let answer = world.ask("a b").await;
    assert_eq!((answer.status, answer.error()), (400, "invalid_scope"));
}

#[tokio::test]
async fn a_request_of_which_nothing_is_granted_is_refused() {
    let world = World::new("compatible").await;
    let answer = world.ask("c").await;
    assert_eq!((answer.status, answer.error()), (400, "invalid_scope"));
    assert!(description(&answer).ends_with(": a b"), "{}", answer.body);
    assert_eq!(
        world.event(&answer).await["mcp_server_id"],
        world.server.as_str()
    );
}

#[tokio::test]
async fn the_strict_profile_grants_exactly_what_was_asked_for_or_nothing() {
    let world = World::new("strict").await;
    assert_eq!(world.ask("b a").await.body["scope"], "b a");
    for scope in ["a c", "a todo:raed"] {
        let answer = world.ask(scope).await;
        assert_eq!((answer.status, answer.error()), (400, "invalid_scope"));
        let outside = scope.split(' ').nth(1).unwrap();
        assert!(description(&answer).contains(outside), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_command_line_and_the_dry_run_say_what_was_left_out() {
    let world = World::new("compatible").await;
    let who = &world.client;
    let ask = [
        "token",
        "--client-id",
        &who.client_id,
        "--client-secret",
        &who.client_secret,
    ];
    let output = world
        .jeton
        .command(&[&ask[..], &["--scope", "a c"]].concat())
        .await;
    assert!(output.status.success(), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.ends_with("left out: c\n"), "{words}");
    let token = String::from_utf8(output.stdout).unwrap();
    assert_eq!(claims(token.trim())["scope"], "a");
    let quiet = world
        .jeton
        .command(&[&ask[..], &["--scope", "a b"]].concat())
        .await;
    assert!(quiet.stderr.is_empty(), "{quiet:?}");

    let admin = Admin::first(&world.jeton).await;
    let try_it = async |scope: &str| {
        let query = form(&[("run", "yes"), ("scope", scope)]);
        admin
            .page(&format!("/dashboard/clients/{}/try?{query}", who.client_id))
            .await
    };
    let page = try_it("c a").await;
    assert!(page.contains("left out: <code>c</code>"), "{page}");
    assert!(!try_it("a b").await.contains("left out"));
    assert!(try_it("c").await.contains("<code>invalid_scope</code>"));
}
