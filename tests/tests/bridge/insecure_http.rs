//! Plain http between machines, as in a network of containers: the bridge has the switch that every command has.
//!
//! `http://jeton:8420` is reached through an HTTP proxy, which a Jeton is good enough as: it is asked for absolute
//! URLs, and routes by their path.

use jeton_tests::{Jeton, JetonOptions, TodoServer};
use serde_json::{Value, json};

use crate::host::{Host, stateless};

const ISSUER: &str = "http://jeton:8420";

fn list(id: u32) -> Value {
    let call = json!({ "name": "list_todos", "arguments": {} });
    stateless(json!(id), "tools/call", call)
}

#[tokio::test]
async fn the_bridge_reaches_such_an_issuer_with_the_switch_alone() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--insecure-http", "--issuer", ISSUER],
        ..JetonOptions::default()
    })
    .await;
    let proxy = jeton.listening();
    let through = [("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "")];
    let todo = TodoServer::start_with_flags(ISSUER, &through, &["--insecure-http"]).await;
    let operator = jeton.operator_at(&proxy).await;
    let server = operator
        .mcp_server(&todo.url, &["todo:read", "todo:write"])
        .await;
    let client = operator.client(&server, &["todo:read"]).await;
    let environment = [
        through[0],
        through[1],
        ("JETON_ISSUER", ISSUER),
        ("JETON_CLIENT_ID", &client.client_id),
        ("JETON_CLIENT_SECRET", &client.client_secret),
    ];
    let mut host = Host::start(&[&todo.url], &environment);
    let refused = host.ask(list(1)).await;
    let words = refused["error"]["message"].as_str().unwrap();
    assert!(words.contains("--insecure-http"), "{words}");

    let by_variable = [&environment[..], &[("JETON_INSECURE_HTTP", "true")]].concat();
    let mut hosts = [
        Host::start(&[&todo.url, "--insecure-http"], &environment),
        Host::start(&[&todo.url], &by_variable),
    ];
    for host in &mut hosts {
        let listed = host.ask(list(2)).await;
        let todos = &listed["result"]["structuredContent"]["todos"];
        assert_eq!(*todos, json!([]), "{listed}");
    }
}
