//! The command line sends credentials to the authorization server that they belong to, whatever
//! an MCP server or a flag says.

use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::{Json, Router};
use jeton_tests::{Jeton, TodoServer, binary, jeton_alone};
use serde_json::json;
use tokio::process::Command;

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A server that poses as an MCP server and as the authorization server `issuer`, and writes down
/// what comes: method, path, headers, body.
struct Impostor {
    url: String,
    came: Arc<Mutex<Vec<String>>>,
}

impl Impostor {
    async fn start(issuer: Option<&str>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = issuer.unwrap_or(&url).to_owned();
        // One document for every path: whichever is asked for is there.
        let document = json!({
            "resource": format!("{url}/mcp"), "authorization_servers": [issuer],
            "issuer": issuer, "token_endpoint": format!("{url}/oauth/token"),
            "access_token": "x", "token_type": "Bearer",
        });
        let came = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&came);
        let router = Router::new().fallback(move |request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let text = String::from_utf8_lossy(&body);
            noted.lock().unwrap().push(format!("{parts:?} {text}"));
            Json(document)
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, came }
    }

    /// Whether somebody authenticated, by whatever way.
    fn was_sent_credentials(&self) -> bool {
        let came = self.came.lock().unwrap();
        let credentials = [
            // The header as `Parts` prints it: the well-known path has the word in it, too.
            "\"authorization\":",
            "client_id",
            "client_secret",
            "/oauth/token",
        ];
        came.iter()
            .any(|came| credentials.iter().any(|word| came.contains(word)))
    }
}

#[tokio::test]
async fn a_folder_that_nobody_named_does_not_say_where_the_secret_goes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("jeton-data");
    std::fs::create_dir(&data).unwrap();
    let file = json!({ "issuer": "https://evil.example", "client_id": "m2m_y", "client_secret": "jeton_y" });
    std::fs::write(data.join("admin.json"), file.to_string()).unwrap();
    for arguments in [
        &["token"][..],
        &["client", "list"],
        &["call", "http://127.0.0.1:9/mcp", "--list"],
    ] {
        let output = Command::new(binary("jeton"))
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("JETON_DATA_DIR")
            .env("JETON_CLIENT_ID", "m2m_x")
            .env("JETON_CLIENT_SECRET", "jeton_secret")
            .output()
            .await
            .unwrap();
        let words = err(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(words.contains("set JETON_URL"), "{arguments:?}: {words}");
        assert!(!words.contains("jeton_secret"), "{words}");
    }
}

#[tokio::test]
async fn jeton_call_does_not_send_the_secret_where_the_mcp_server_says() {
    let impostor = Impostor::start(None).await;
    let url = format!("{}/mcp", impostor.url);
    let who = [
        ("JETON_CLIENT_ID", "m2m_x"),
        ("JETON_CLIENT_SECRET", "jeton_secret"),
    ];
    let jeton = Jeton::start().await;
    let call = ["call", &url, "--list"];
    for (belongs_to, output) in [
        ("http://127.0.0.1:8420", jeton_alone(&who, &call).await),
        (jeton.url.as_str(), jeton.command_with(&who, &call).await),
        (jeton.url.as_str(), jeton.command(&call).await),
        (
            "https://auth.example.com",
            jeton_alone(
                &[&who[..], &[("JETON_URL", "https://auth.example.com/")]].concat(),
                &call,
            )
            .await,
        ),
        (
            "https://auth.example.com",
            jeton_alone(
                &who,
                &[&call[..], &["--issuer", "https://auth.example.com"]].concat(),
            )
            .await,
        ),
    ] {
        assert_eq!(output.status.code(), Some(1));
        let words = err(&output);
        assert!(
            words.contains(belongs_to)
                && words.contains(&impostor.url)
                && words.contains("--issuer"),
            "{words}"
        );
        assert!(!words.contains("jeton_secret"), "{words}");
    }
    assert!(!impostor.was_sent_credentials());
}

#[tokio::test]
async fn jeton_call_works_where_the_issuer_is_named_or_is_the_servers() {
    let jeton = Jeton::start().await;
    let todo = TodoServer::start(&jeton.url).await;
    let operator = jeton.operator().await;
    let server = operator.mcp_server(&todo.url, &["todo:read"]).await;
    let client = operator.client(&server, &["todo:read"]).await;
    let who = [
        ("JETON_CLIENT_ID", client.client_id.as_str()),
        ("JETON_CLIENT_SECRET", client.client_secret.as_str()),
    ];
    let call = ["call", &todo.url, "--list"];
    let slash = format!("{}/", jeton.url);
    for output in [
        jeton.command_with(&who, &call).await,
        jeton_alone(&[&who[..], &[("JETON_URL", &jeton.url)]].concat(), &call).await,
        jeton_alone(&[&who[..], &[("JETON_ISSUER", &slash)]].concat(), &call).await,
    ] {
        assert!(output.status.success(), "{}", err(&output));
    }
}

/// Somebody's, in the right form.
const SECRET_ID: &str = "sec_01890a5d3cv8q9r7s6t5w4x3y2";

#[tokio::test]
async fn what_admin_json_says_is_compared_with_the_server() {
    let jeton = Jeton::start().await;
    let impostor = Impostor::start(None).await;
    for command in [
        &["client", "list"][..],
        &["mcp-server", "list"],
        &["token"],
        &["audit", "verify"],
        &["key", "list"],
        &["secret", "revoke", SECRET_ID],
        &["admin", "invite", "--note", "x"],
    ] {
        let all = [command, &["--server", &impostor.url]].concat();
        let output = jeton.command(&all).await;
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let words = err(&output);
        assert!(
            words.contains(&jeton.url) && words.contains(&impostor.url),
            "{command:?}: {words}"
        );
    }
    assert!(!impostor.was_sent_credentials());
    // Nor does another flag change what the file says.
    let other = jeton.command(&["token", "--issuer", &impostor.url]).await;
    assert_eq!(other.status.code(), Some(1));
    assert!(err(&other).contains(&jeton.url), "{}", err(&other));
    // And --issuer holds for a client's own credentials.
    let who = ["--client-id", "m2m_x", "--client-secret", "jeton_x"];
    let place = ["--server", &impostor.url, "--issuer", &jeton.url];
    let elsewhere = jeton
        .command(&[&["token"][..], &who, &place].concat())
        .await;
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(!impostor.was_sent_credentials());
    // Elsewhere, claiming to be the issuer is not enough: nothing is even fetched.
    let claimed = ["token", "--server", "https://impostor.invalid"];
    let elsewhere = jeton.command(&claimed).await;
    assert_eq!(elsewhere.status.code(), Some(1));
    let words = err(&elsewhere);
    assert!(
        words.contains("were not sent") && words.contains("impostor.invalid"),
        "{words}"
    );
    // On this machine, a server reached at another port than its issuer's is still itself.
    let through = Impostor::start(Some(&jeton.url)).await;
    let reached = jeton.command(&["token", "--server", &through.url]).await;
    assert!(reached.status.success(), "{}", err(&reached));
    assert!(through.was_sent_credentials());
}

#[tokio::test]
async fn what_a_server_sends_reaches_no_terminal_as_it_is() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async || "\u{1b}]0;pwned\u{7}\u{9b}31m{");
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let who = [
        ("JETON_URL", url.as_str()),
        ("JETON_CLIENT_ID", "m2m_x"),
        ("JETON_CLIENT_SECRET", "jeton_secret"),
    ];
    let mcp_url = format!("{url}/mcp?key=hidden");
    for arguments in [
        &["token"][..],
        &["call", &mcp_url, "--list"],
        &["client", "list"],
    ] {
        let output = jeton_alone(&who, arguments).await;
        let words = err(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        let is_tame = |c: char| c == '\n' || !c.is_control();
        assert!(words.chars().all(is_tame), "{arguments:?}: {words:?}");
        assert!(!words.contains("hidden"), "{words}");
    }
}
