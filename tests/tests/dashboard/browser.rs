//! By a real browser.

use std::process::Output;

use jeton_tests::{
    Jeton, JetonOptions, TodoServer, call_tool, first_admin_path, free_port, workspace,
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
