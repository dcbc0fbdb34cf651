//! By a real browser.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jeton_tests::{
    Jeton, JetonOptions, SHARED_PATH, SharedHost, TodoServer, call_tool, first_admin_path,
    free_port, http, postgres_cluster, workspace,
};
use serde_json::{Value, json};
use tokio::process::Command;

pub(crate) async fn node(script: &str, arguments: &[&str]) -> Output {
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
    journey_at(&Jeton::start().await, mode).await;
}

async fn journey_at(jeton: &Jeton, mode: &str) {
    let todo = TodoServer::start(&jeton.url).await;
    let link = format!("{}{}", jeton.url, first_admin_path(jeton).await);
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
async fn a_browser_goes_the_whole_way_below_a_path_of_a_shared_host() {
    let host = SharedHost::start(JetonOptions::default()).await;
    journey_at(&host.jeton, "javascript").await;
    let asked = host.elsewhere();
    let asked: Vec<_> = asked
        .iter()
        .filter(|asked| !asked.starts_with("/favicon"))
        .collect();
    assert!(asked.is_empty(), "every link has the path: {asked:?}");
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
async fn a_browser_chooses_among_many_scopes() {
    let jeton = Jeton::start().await;
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    let operator = jeton.operator().await;
    let scopes: Vec<_> = ["issues", "repos", "wiki"]
        .iter()
        .flat_map(|group| (0..40).map(move |number| format!("{group}:{number}")))
        .collect();
    let names: Vec<_> = scopes.iter().map(String::as_str).collect();
    let server = operator.mcp_server("http://localhost:1/mcp", &names).await;
    let output = node("dashboard_scopes.mjs", &[&jeton.url, &link, &server]).await;
    let client = String::from_utf8(output.stdout).unwrap();
    let grant = format!("/clients/{}/grants", client.trim());
    let granted = operator.get(&grant).await;
    assert_eq!(granted["items"][0]["scopes"], json!(["wiki:3"]));
}

/// An `[oidc]` section.
fn provider(port: u16, admins: &str, viewers: &str) -> String {
    format!(
        "[oidc]\nissuer = \"http://127.0.0.1:{port}\"\nclient_id = \"jeton\"\nname = \"Example\"\n\
         admins = [{admins}]\nviewers = [{viewers}]\n"
    )
}

/// Pages are the same over both databases, and a walk takes minutes: each database has two of the four.
async fn walk(view: [&str; 3]) {
    let jeton = Jeton::start().await;
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    let arguments = [&[jeton.url.as_str(), &link], &view[..]].concat();
    node("dashboard_walk.mjs", &arguments).await;
}

#[tokio::test]
async fn a_browser_activates_every_control() {
    match postgres_cluster() {
        None => walk(["javascript", "dark", "390"]).await,
        Some(_) => walk(["javascript", "light", "1280"]).await,
    }
}

#[tokio::test]
async fn a_browser_without_javascript_activates_every_control() {
    match postgres_cluster() {
        None => walk(["no-javascript", "light", "1280"]).await,
        Some(_) => walk(["no-javascript", "dark", "390"]).await,
    }
}

#[tokio::test]
async fn a_browser_signs_in_through_an_openid_connect_provider() {
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_port();
    let config = folder.path().join("jeton.toml");
    let lists = provider(port, "\"ada@example.com\"", "\"@example.com\"");
    std::fs::write(&config, lists).unwrap();
    let secret = "a secret with spaces & signs";
    let at = free_port();
    let options = || JetonOptions {
        flags: vec!["--config", config.to_str().unwrap()],
        environment: vec![("JETON_OIDC_CLIENT_SECRET", secret)],
        port: Some(at),
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    let output = node(
        "dashboard_oidc.mjs",
        &[&jeton.url, &port.to_string(), secret],
    )
    .await;
    // The provider's own words come first.
    let printed = String::from_utf8(output.stdout).unwrap();
    let sessions: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let operator = jeton.operator().await;
    assert_eq!(operator.audit("kind=admin.created").await.len(), 2);
    let refused = operator.audit("kind=admin.sign_in_refused").await;
    let reasons: Vec<_> = refused
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons.len(), 6, "{reasons:?}");
    for (reason, expected) in reasons.iter().zip([
        "not on the lists",
        "no verified e-mail address",
        "no verified e-mail address",
        "another account",
    ]) {
        assert!(reason.contains(expected), "{reasons:?}");
    }
    assert!(!jeton.log().contains(secret));

    // Whom the lists made an admin stays one as long as they are on them; then their sessions end too.
    let status = async |jeton: &Jeton, name: &str| {
        let request = http().get(format!("{}/dashboard", jeton.url));
        let session = sessions[name].as_str().unwrap();
        let answer = request.header("cookie", session).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(status(&jeton, "ada").await, 200);
    jeton.terminate().await;
    let lists = provider(port, "\"grace@example.com\"", "\"vera@example.com\"");
    std::fs::write(&config, lists).unwrap();
    let jeton = jeton.restart(options()).await;
    assert_eq!(status(&jeton, "vera").await, 200);
    assert_eq!(status(&jeton, "ada").await, 303, "signed out");
    let operator = jeton.operator().await;
    assert!(operator.audit("kind=admin.deleted").await.is_empty());
    let ended = operator.audit("kind=admin.signed_out").await;
    assert_eq!(ended.len(), 2, "ada's, and vera's with another address");
}

#[tokio::test]
async fn a_browser_signs_in_through_a_provider_where_the_issuer_has_a_path() {
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_port();
    let config = folder.path().join("jeton.toml");
    let lists = provider(port, "\"ada@example.com\"", "\"@example.com\"");
    std::fs::write(&config, lists).unwrap();
    let secret = "a secret with spaces & signs";
    let host = SharedHost::start(JetonOptions {
        flags: vec!["--config", config.to_str().unwrap()],
        environment: vec![("JETON_OIDC_CLIENT_SECRET", secret)],
        ..JetonOptions::default()
    })
    .await;
    // The provider knows one redirect URI, which is below the path.
    let url = &host.jeton.url;
    assert!(url.ends_with(SHARED_PATH), "{url}");
    node("dashboard_oidc.mjs", &[url, &port.to_string(), secret]).await;
    let operator = host.jeton.operator().await;
    assert_eq!(operator.audit("kind=admin.created").await.len(), 2);
    let asked = host.elsewhere();
    assert!(
        asked.iter().all(|asked| !asked.contains("jeton_")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_however_many_begin_to_sign_in() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let fails = axum::Router::new().fallback(move || {
        counting.fetch_add(1, Ordering::SeqCst);
        async { axum::http::StatusCode::INTERNAL_SERVER_ERROR }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, fails).await });
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("jeton.toml");
    std::fs::write(&config, provider(port, "", "")).unwrap();
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--config", config.to_str().unwrap()],
        environment: vec![("JETON_OIDC_CLIENT_SECRET", "s")],
        ..JetonOptions::default()
    })
    .await;
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(jeton.get("/dashboard/oidc/start").await.status(), 502);
    }
    // One attempt every ten seconds, and one complaint.
    let due = 1 + usize::try_from(begun.elapsed().as_secs() / 10).unwrap();
    assert!(asked.load(Ordering::SeqCst) <= due);
    let complaints = jeton.log().matches("through the provider failed").count();
    assert!(complaints <= due, "{complaints}");
}
