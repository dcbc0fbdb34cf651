//! By a real browser: the keyboard, and times by the viewer's clock.

use jeton_tests::{Jeton, first_admin_path};
use serde_json::json;

use crate::browser::node;

#[tokio::test]
async fn a_browser_is_used_by_keyboard_and_tells_times_by_its_own_clock() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let settings = json!({ "name": "Nightly triage", "scopes": ["a"] });
    let client = operator.client_with(&server, settings).await;
    for _ in 0..3 {
        client.token(&jeton.url, &[]).await;
    }
    let issued = operator.audit("kind=token.issued").await;
    let jti = issued
        .iter()
        .find(|event| event["client_id"] == client.client_id.as_str())
        .unwrap()["jti"]
        .as_str()
        .unwrap();
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    let arguments = [&jeton.url, &link, &server, &client.client_id, jti];
    node("dashboard_keyboard.mjs", &arguments).await;
}
