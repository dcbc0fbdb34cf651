//! The official SDKs' stdio clients, unmodified, with the bridge as their server, in front of both
//! todo servers.

use std::path::PathBuf;

use jeton_tests::{
    Credentials, FastMcp, Jeton, TodoServer, binary, call_tool, mistyped, python, workspace,
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::host::{Host, stateless};

const EXTENSION: &str = "io.modelcontextprotocol/oauth-client-credentials";
const ALL: &str = "list,import,cancel,create";

/// A stock client: the program and its first arguments, up to the path of `jeton`.
fn stock(name: &str) -> (PathBuf, Vec<String>) {
    let jeton = binary("jeton").to_str().unwrap().to_owned();
    let script = |path: &str| workspace().join(path).to_str().unwrap().to_owned();
    match name {
        "python" => (
            python(),
            vec![script("tests/python/stdio_client.py"), jeton],
        ),
        package => (
            "node".into(),
            vec![
                script("tests/node/stdio_client.mjs"),
                package.to_owned(),
                jeton,
            ],
        ),
    }
}

async fn run(client: &str, url: &str, mode: &[&str], what: &str, who: &[(&str, &str)]) -> Value {
    let (program, arguments) = stock(client);
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JETON_")) {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .arg(url)
        .args(mode)
        .arg(what)
        .envs(who.iter().copied())
        .current_dir(workspace().join("tests/node"))
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client} failed: {errors}");
    let mut seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    seen["stderr"] = errors.into();
    seen
}

fn settings<'a>(jeton: &'a Jeton, who: &'a Credentials) -> [(&'a str, &'a str); 3] {
    [
        ("JETON_ISSUER", &jeton.url),
        ("JETON_CLIENT_ID", &who.client_id),
        ("JETON_CLIENT_SECRET", &who.client_secret),
    ]
}

fn assert_all(seen: &Value, client: &str) {
    let tools = seen["tools"].as_array().map(Vec::len);
    assert_eq!(tools, Some(6), "{client}: {seen}");
    // In earlier revisions, FastMCP leaves out what they do not define.
    if seen["version"] == "2026-07-28" {
        let declared = &seen["extensions"][EXTENSION];
        assert!(declared.is_object(), "{client}: {seen}");
    }
    assert_eq!(seen["imported"], 3, "{client}: {seen}");
    let progress: Vec<_> = seen["progress"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| (step[0].as_f64(), step[1].as_f64()))
        .collect();
    let expected = [1.0, 2.0, 3.0].map(|step| (Some(step), Some(3.0)));
    // The TypeScript clients drop what they read together with the answer; that they see progress is
    // what their cancelling begins with.
    if client.starts_with("python") {
        assert_eq!(progress, expected, "{client}: {seen}");
    }
    assert_eq!(seen["cancel"]["cancelled"], true, "{client}: {seen}");
    assert!(
        seen["cancel"]["made"].as_u64().unwrap() < 500,
        "{client}: {seen}"
    );
    assert_eq!(seen["is_error"], false, "{client}: {seen}");
    assert!(
        seen["created"]["todo"]["id"].is_string(),
        "{client}: {seen}"
    );
}

const CLIENTS: [(&str, &[&str]); 4] = [
    ("python", &["auto"]),
    ("python", &["legacy"]),
    ("sdk", &[]),
    ("client", &[]),
];

async fn all_clients_work(jeton: &Jeton, url: &str) {
    let operator = jeton.operator().await;
    let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
    for (client, mode) in CLIENTS {
        let who = operator.client(&server, &["todo:read", "todo:write"]).await;
        let seen = run(client, url, mode, ALL, &settings(jeton, &who)).await;
        assert_all(&seen, &format!("{client} {mode:?}"));
        assert!(!seen.to_string().contains(&who.client_secret));
    }
    for (client, mode) in CLIENTS {
        let reader = operator.client(&server, &["todo:read"]).await;
        let seen = run(client, url, mode, "list,create", &settings(jeton, &reader)).await;
        assert_eq!(seen["listed"], 0, "{client} {mode:?}: {seen}");
        let refused = seen["error"].is_string() || seen["is_error"] == true;
        assert!(
            refused && seen["created"]["todo"].is_null(),
            "{client} {mode:?}: {seen}"
        );
        // One for reading; one more at most, to learn that writing is not granted.
        let events = operator
            .audit(&format!("client_id={}", reader.client_id))
            .await;
        let asked_for = events
            .iter()
            .filter(|event| event["kind"].as_str().unwrap().starts_with("token."))
            .count();
        assert!(
            (1..=2).contains(&asked_for),
            "{client} {mode:?}: {events:?}"
        );
    }
}

#[tokio::test]
async fn stock_clients_use_the_rust_server_with_progress_and_cancellation() {
    let jeton = Jeton::start().await;
    let todo = TodoServer::start(&jeton.url).await;
    all_clients_work(&jeton, &todo.url).await;
}

#[tokio::test]
async fn stock_clients_use_the_fastmcp_server_with_progress_and_cancellation() {
    let jeton = Jeton::start().await;
    let fast = FastMcp::start(&jeton.url).await;
    all_clients_work(&jeton, &fast.url).await;
}

#[tokio::test]
async fn stock_clients_are_told_of_a_wrong_secret_and_of_a_server_that_is_away() {
    let jeton = Jeton::start().await;
    let mut todo = TodoServer::start(&jeton.url).await;
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server(&todo.url, &["todo:read", "todo:write"])
        .await;
    let who = operator.client(&server, &["todo:read"]).await;
    let wrong = Credentials {
        client_secret: mistyped(&who.client_secret),
        ..who.clone()
    };
    for (client, mode) in CLIENTS {
        let seen = run(client, &todo.url, mode, "list", &settings(&jeton, &wrong)).await;
        let error = seen["error"].as_str().unwrap_or_else(|| panic!("{seen}"));
        assert!(
            error.contains("JETON_CLIENT_SECRET"),
            "{client} {mode:?}: {error}"
        );
    }
    todo.process.kill().await;
    for (client, mode) in CLIENTS {
        let who = [&settings(&jeton, &who)[..], &[("JETON_WAIT", "0")]].concat();
        let seen = run(client, &todo.url, mode, "list", &who).await;
        let error = seen["error"].as_str().unwrap_or_else(|| panic!("{seen}"));
        assert!(
            error.contains("Is it running"),
            "{client} {mode:?}: {error}"
        );
    }
}

#[tokio::test]
async fn both_servers_may_restart_under_a_host_of_either_revision() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let mut todo = TodoServer::start(&jeton.url).await;
    let mut fast = FastMcp::start(&jeton.url).await;
    for url in [todo.url.clone(), fast.url.clone()] {
        let server = operator
            .mcp_server(&url, &["todo:read", "todo:write"])
            .await;
        let who = operator.client(&server, &["todo:read", "todo:write"]).await;
        let mut old = Host::start(&[&url, "--wait", "60"], &settings(&jeton, &who));
        let mut new = Host::start(&[&url, "--wait", "60"], &settings(&jeton, &who));
        old.initialize().await;
        let list = json!({ "name": "list_todos", "arguments": {} });
        let old_call =
            |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": list });
        old.send(old_call(1)).await;
        assert!(answer(&mut old, 1).await["result"].is_object());
        new.send(stateless(json!(1), "tools/call", list.clone()))
            .await;
        assert!(answer(&mut new, 1).await["result"].is_object());
        if url == todo.url {
            todo.restart().await;
        } else {
            fast.restart().await;
        }
        old.send(old_call(2)).await;
        new.send(stateless(json!(2), "tools/call", list.clone()))
            .await;
        let (old, new) = (answer(&mut old, 2).await, answer(&mut new, 2).await);
        assert!(old["result"].is_object(), "{url}: {old}");
        assert!(new["result"].is_object(), "{url}: {new}");
    }
    // The bridge's tokens are those that anybody gets.
    let anybody = call_tool(&todo.url, "x", "list_todos", json!({})).await;
    assert_eq!(anybody.status(), 401);
}

/// The response with this ID; what else comes is left out.
async fn answer(host: &mut Host, id: u32) -> Value {
    loop {
        let message = host.next().await;
        if message["id"] == id && message["method"].is_null() {
            return message;
        }
    }
}
