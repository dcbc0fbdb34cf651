//! No proxy for this machine, in any of the programs; and a proxy that fails is named.

use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use jeton_tests::{Jeton, JetonOptions, TodoServer, call_tool, eventually, jeton_alone};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A proxy that writes down what it is sent, and answers nothing.
struct Recorder {
    url: String,
    came: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:hunter2@{}", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&came);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 4096];
                let length = stream.read(&mut bytes).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                noted.lock().unwrap().push(text);
            }
        });
        Self { url, came }
    }

    fn came(&self) -> Vec<String> {
        self.came.lock().unwrap().clone()
    }

    /// Every variable that names a proxy.
    fn environment(&self) -> Vec<(&str, &str)> {
        let names = [
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
        ];
        names.map(|name| (name, self.url.as_str())).into()
    }
}

#[tokio::test]
async fn commands_reach_this_machine_without_a_proxy() {
    let proxy = Recorder::start().await;
    let jeton = Jeton::start().await;
    let todo = TodoServer::start(&jeton.url).await;
    let operator = jeton.operator().await;
    let server = operator.mcp_server(&todo.url, &["todo:read"]).await;
    let client = operator.client(&server, &["todo:read"]).await;
    let who = ["--client-id", &client.client_id];
    let secret = ["--client-secret", &client.client_secret];
    for command in [
        vec!["client", "list"],
        vec!["token"],
        [&["call", &todo.url, "--list"][..], &who, &secret].concat(),
        vec!["demo", "--exit"],
    ] {
        let output = jeton.command_with(&proxy.environment(), &command).await;
        assert!(output.status.success(), "{command:?}: {}", err(&output));
    }
    assert_eq!(proxy.came(), Vec::<String>::new());
}

#[tokio::test]
async fn the_guard_and_the_server_reach_this_machine_without_a_proxy() {
    let proxy = Recorder::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Mutex::new(0));
    let count = Arc::clone(&received);
    let receiver = Router::new().route(
        "/hook",
        post(move || async move { *count.lock().unwrap() += 1 }),
    );
    tokio::spawn(async move { axum::serve(listener, receiver).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jeton.toml");
    let text = format!(
        "[[audit.forward]]\nname = \"siem\"\nurl = \"http://{address}/hook\"\nsecret_env = \"SIEM_SECRET\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let secret = ("SIEM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--config", file.to_str().unwrap()],
        environment: [proxy.environment(), vec![secret]].concat(),
        ..JetonOptions::default()
    })
    .await;
    let todo = TodoServer::start_with(&jeton.url, &proxy.environment()).await;
    let operator = jeton.operator().await;
    let server = operator.mcp_server(&todo.url, &["todo:read"]).await;
    let client = operator.client(&server, &["todo:read"]).await;
    let token = client.token(&jeton.url, &[("resource", &todo.url)]).await;
    let listed = call_tool(&todo.url, &token, "list_todos", json!({})).await;
    assert_eq!(listed.status(), 200);
    eventually("events arrive", async || {
        client.ask(&jeton.url, &[("scope", "x")]).await;
        *received.lock().unwrap() > 0
    })
    .await;
    assert_eq!(proxy.came(), Vec::<String>::new());
}

#[tokio::test]
async fn a_proxy_that_fails_is_named_without_its_credentials() {
    let proxy = Recorder::start().await;
    let shown = proxy.url.replace("user:hunter2@", "");
    let who = [
        ("JETON_CLIENT_ID", "m2m_x"),
        ("JETON_CLIENT_SECRET", "jeton_secret"),
    ];
    let elsewhere = ("JETON_URL", "https://auth.example.com");
    for environment in [
        vec![("HTTPS_PROXY", proxy.url.as_str())],
        // Nobody listens there.
        vec![("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1")],
    ] {
        let shown = match environment[0].1.ends_with(":1") {
            true => "http://127.0.0.1:1",
            false => &shown,
        };
        let environment = [&environment[..], &who, &[elsewhere]].concat();
        for command in [
            &["token"][..],
            &["client", "list"],
            &["call", "https://mcp.example.com/mcp", "--list"],
        ] {
            let output = jeton_alone(&environment, command).await;
            assert_eq!(output.status.code(), Some(1));
            let words = err(&output);
            assert!(
                words.contains(shown) && words.contains("HTTPS_PROXY"),
                "{command:?}: {words}"
            );
            assert!(
                !words.contains("hunter2") && !words.contains("jeton_secret"),
                "{words}"
            );
        }
    }
    // It was asked for a tunnel each time, and saw nothing of what would have gone through it.
    let came = proxy.came();
    assert_eq!(came.len(), 3);
    for text in came {
        assert!(text.starts_with("CONNECT ") && !text.contains("jeton_secret"));
    }
}

#[tokio::test]
async fn a_webhook_that_fails_names_its_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jeton.toml");
    let text = "[[audit.forward]]\nname = \"siem\"\nurl = \"https://hooks.example.com/secret-path\"\nsecret_env = \"SIEM_SECRET\"\n";
    std::fs::write(&file, text).unwrap();
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--config", file.to_str().unwrap()],
        environment: vec![
            ("SIEM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1"),
        ],
        ..JetonOptions::default()
    })
    .await;
    let client = jeton.operator().await.todo_client().await;
    eventually("the log says which proxy", async || {
        client.ask(&jeton.url, &[("scope", "x")]).await;
        jeton
            .log()
            .contains("the proxy http://127.0.0.1:1 (HTTPS_PROXY)")
    })
    .await;
    assert!(!jeton.log().contains("hunter2"));
    assert!(!jeton.log().contains("secret-path"));
}
