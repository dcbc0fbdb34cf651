//! Plain http between machines, as in a network of containers: one switch in server, guard, agent and command line,
//! off by default.
//!
//! `http://jeton:8420` is reached through an HTTP proxy, which a Jeton is good enough as: it is asked for absolute
//! URLs, and routes by their path.

use jeton_agent::{AgentError, ClientCredentials, TokenSource};
use jeton_guard::GuardLayer;
use jeton_tests::{Jeton, JetonOptions, TodoServer, call_tool, jeton_alone};
use std::process::Output;

const ISSUER: &str = "http://jeton:8420";

async fn container() -> Jeton {
    Jeton::start_with(JetonOptions {
        flags: vec!["--insecure-http", "--issuer", ISSUER],
        ..JetonOptions::default()
    })
    .await
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn commands_talk_to_such_an_issuer_with_the_switch_alone() {
    let jeton = container().await;
    let proxy = jeton.listening();
    let through = [("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "")];
    let listed = jeton.command_with(&through, &["client", "list"]).await;
    assert!(!listed.status.success());
    let error = said(&listed);
    for words in [ISSUER, "--insecure-http", "JETON_INSECURE_HTTP"] {
        assert!(error.contains(words), "{error}");
    }
    let listed = jeton
        .command_with(&through, &["client", "list", "--insecure-http"])
        .await;
    assert!(listed.status.success(), "{listed:?}");
    for (value, allowed) in [("true", true), ("1", true), ("0", false), ("false", false)] {
        let environment = [through[0], through[1], ("JETON_INSECURE_HTTP", value)];
        let listed = jeton.command_with(&environment, &["client", "list"]).await;
        assert_eq!(listed.status.success(), allowed, "{value}: {listed:?}");
    }
}

#[tokio::test]
async fn a_guard_and_an_agent_work_with_such_an_issuer() {
    let jeton = container().await;
    let proxy = jeton.listening();
    let environment = [("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "")];
    let todo = TodoServer::start_with_flags(ISSUER, &environment, &["--insecure-http"]).await;
    let direct = jeton.operator_at(&proxy).await;
    let server = direct
        .mcp_server(&todo.url, &["todo:read", "todo:write"])
        .await;
    let client = direct.client(&server, &["todo:read"]).await;
    let token = client.token(&proxy, &[]).await;
    let answer = call_tool(&todo.url, &token, "list_todos", serde_json::json!({})).await;
    assert_eq!(answer.status(), 200);

    let credentials = [
        ("JETON_CLIENT_ID", client.client_id.as_str()),
        ("JETON_CLIENT_SECRET", client.client_secret.as_str()),
    ];
    let environment = [
        environment[0],
        environment[1],
        credentials[0],
        credentials[1],
    ];
    let call = ["call", &todo.url, "list_todos", "--issuer", ISSUER];
    let refused = jeton_alone(&environment, &call).await;
    assert!(said(&refused).contains("--insecure-http"), "{refused:?}");
    let called = jeton_alone(&environment, &[&call[..], &["--insecure-http"]].concat()).await;
    assert!(called.status.success(), "{called:?}");
}

#[tokio::test]
async fn libraries_refuse_such_urls_and_name_the_switch() {
    let refused = GuardLayer::builder("http://todo:3002/mcp", ISSUER).build();
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("insecure_http(true)"), "{error}");
    let allowed = GuardLayer::builder("http://todo:3002/mcp", ISSUER).insecure_http(true);
    assert!(allowed.build().is_ok());

    let credentials = || ClientCredentials::new(ISSUER, "m2m_1", "jeton_1");
    let refused = TokenSource::builder("http://todo:3002/mcp", credentials()).build();
    let error = refused.unwrap_err();
    assert!(matches!(error, AgentError::Url { .. }), "{error}");
    assert!(error.to_string().contains("insecure_http"), "{error}");
    let allowed = TokenSource::builder("http://todo:3002/mcp", credentials()).insecure_http(true);
    assert!(allowed.build().is_ok());
}
