//! The configurations that the dashboard shows work as they are pasted.

use jeton_tests::{Admin, Jeton, TodoServer};
use serde_json::{Value, json};

use crate::host::{Host, stateless};

/// The text of an element, as a browser shows it.
fn shown(page: &str, id: &str) -> String {
    let start = page
        .split(&format!("id=\"{id}\""))
        .nth(1)
        .unwrap_or_else(|| panic!("no {id} on the page"));
    let text = start.split('>').nth(1).unwrap().split('<').next().unwrap();
    let entities = [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

/// Starts what a configuration says, as a host would.
fn started(server: &Value, secret: &str) -> Host {
    assert_eq!(server["command"], "jeton");
    let arguments = server["args"].as_array().unwrap();
    let arguments: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    let Some(("bridge", rest)) = arguments.split_first().map(|(first, rest)| (*first, rest)) else {
        panic!("{arguments:?}")
    };
    let settings = server["env"].as_object().unwrap();
    let mut environment: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    for (name, value) in &mut environment {
        if *name == "JETON_CLIENT_SECRET" {
            *value = secret;
        }
    }
    Host::start(rest, &environment)
}

#[tokio::test]
async fn the_clients_page_has_configurations_that_work_as_they_are() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator.mcp_server(&todo.url, &["todo:read"]).await;
    let client = operator.client(&server, &["todo:read"]).await;
    let page = admin
        .page(&format!("/dashboard/clients/{}", client.client_id))
        .await;
    assert!(!page.contains(&client.client_secret));
    for (id, servers) in [
        ("host-claude-desktop", "mcpServers"),
        ("host-cursor", "mcpServers"),
        ("host-claude-code", "mcpServers"),
        ("host-zed", "context_servers"),
        ("host-other", "mcpServers"),
        ("host-vs-code", "servers"),
    ] {
        let text = shown(&page, &format!("{id}-{server}"));
        let configuration: Value = serde_json::from_str(&text).unwrap();
        let mut host = started(&configuration[servers]["todo"], &client.client_secret);
        let listed = host.ask(stateless(json!(1), "tools/list", json!({}))).await;
        assert!(listed["result"]["tools"].is_array(), "{id}: {listed}");
    }
    let vs_code = shown(&page, &format!("host-vs-code-{server}"));
    assert!(
        vs_code.contains("${input:jeton-client-secret}"),
        "{vs_code}"
    );
}
