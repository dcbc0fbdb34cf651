//! The official SDKs, unmodified, get tokens from Jeton and call both todo servers.

use jeton_tests::{
    Answer, Credentials, FastMcp, Jeton, Operator, Process, TodoServer, call_tool, free_port, http,
    python, workspace,
};
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, ClientCredentialsConfig, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::{Value, json};
use tokio::process::Command;

async fn python_sdk(
    jeton: &Jeton,
    url: &str,
    who: &Credentials,
    mode: &str,
    scope: &str,
    method: &str,
) -> Value {
    let output = Command::new(python())
        .arg(workspace().join("tests/python/sdk_client.py"))
        .args([&jeton.url, url, mode, scope])
        .env("CLIENT_ID", &who.client_id)
        .env("CLIENT_SECRET", &who.client_secret)
        .env("AUTH_METHOD", method)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the Python SDK failed: {errors}");
    assert!(!errors.contains(&who.client_secret));
    serde_json::from_slice(&output.stdout).unwrap()
}

const TOOLS: [&str; 6] = [
    "create_todo",
    "delete_todo",
    "get_todo",
    "import_todos",
    "list_todos",
    "update_todo",
];

#[tokio::test]
async fn the_python_sdk_calls_the_rust_and_the_fastmcp_server() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        let writer = operator.client(&server, &["todo:read", "todo:write"]).await;
        for (mode, method) in [
            ("auto", "client_secret_basic"),
            ("legacy", "client_secret_post"),
        ] {
            let seen = python_sdk(&jeton, url, &writer, mode, "todo:read todo:write", method).await;
            assert_eq!(seen["tools"], json!(TOOLS), "{url} {mode}");
            assert_eq!(
                seen["created"]["todo"]["title"], "From Python",
                "{url} {mode}: {seen}"
            );
            assert_eq!(seen["scope"], "todo:read todo:write", "{url} {mode}");
        }
    }
}

/// How many requests a client may send that was granted one of two scopes: enough for discovery, a few
/// tokens and a few calls, and far fewer than a loop sends.
const MOST_REQUESTS: u64 = 40;

/// A client with one of two scopes, whatever it asked for: it reads, it cannot write, and it gives up.
async fn assert_reads_only(operator: &Operator, reader: &Credentials, seen: &Value, who: &str) {
    assert_eq!(seen["listed"]["todos"], json!([]), "{who}: {seen}");
    assert!(seen["created"]["todo"].is_null(), "{who}: {seen}");
    let refused = seen["is_error"] == true || seen["error"].is_string();
    assert!(refused, "{who}: {seen}");
    assert_eq!(seen["scope"], "todo:read", "{who}: {seen}");
    let requests = seen["requests"].as_u64().unwrap();
    assert!(
        (3..=MOST_REQUESTS).contains(&requests),
        "{who}: {requests} requests"
    );
    assert_few_tokens(operator, reader, who).await;
}

/// The client got a token, with what is granted, and did not ask again and again.
async fn assert_few_tokens(operator: &Operator, reader: &Credentials, who: &str) {
    let events = operator
        .audit(&format!("client_id={}", reader.client_id))
        .await;
    let tokens: Vec<&Value> = events
        .iter()
        .filter(|event| event["kind"].as_str().unwrap().starts_with("token."))
        .collect();
    assert!((1..=8).contains(&tokens.len()), "{who}: {tokens:?}");
    for event in tokens {
        assert_eq!(event["kind"], "token.issued", "{who}: {event}");
        assert_eq!(event["scope"], "todo:read", "{who}: {event}");
    }
}

/// What a client asks for: what the SDK chooses, and what people write into its settings.
const ASKED: [&str; 2] = ["", "todo:read todo:write"];

#[tokio::test]
async fn the_python_sdk_reads_with_one_of_two_scopes_and_gives_up_writing() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        for asked in ASKED {
            for mode in ["auto", "legacy"] {
                let reader = operator.client(&server, &["todo:read"]).await;
                let method = "client_secret_basic";
                let seen = python_sdk(&jeton, url, &reader, mode, asked, method).await;
                let who = format!("Python asking for {asked:?} in mode {mode} at {url}");
                assert_reads_only(&operator, &reader, &seen, &who).await;
            }
        }
    }
}

#[tokio::test]
async fn both_typescript_sdks_read_with_one_of_two_scopes_and_give_up_writing() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        for package in ["sdk", "client"] {
            for asked in ASKED {
                let reader = operator.client(&server, &["todo:read"]).await;
                let seen = typescript_sdk(&jeton, package, url, &reader, asked).await;
                let who = format!("{package} asking for {asked:?} at {url}");
                assert_reads_only(&operator, &reader, &seen, &who).await;
            }
        }
    }
}

#[tokio::test]
async fn rmcp_reads_with_one_of_two_scopes_and_gives_up_writing() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        for asked in ASKED {
            let reader = operator.client(&server, &["todo:read"]).await;
            let who = format!("rmcp asking for {asked:?} at {url}");
            let scopes = asked.split_whitespace().map(str::to_owned).collect();
            let client = rmcp_client(url, &reader, scopes).await;
            let listed = client
                .call_tool(CallToolRequestParams::new("list_todos"))
                .await
                .unwrap();
            assert_eq!(
                listed.structured_content.unwrap()["todos"],
                json!([]),
                "{who}"
            );
            let created = client.call_tool(create_todo("From rmcp")).await;
            let refused = created
                .as_ref()
                .map_or(true, |created| created.is_error == Some(true));
            assert!(refused, "{who}: {created:?}");
            assert_few_tokens(&operator, &reader, &who).await;
            let _ = client.cancel().await;
        }
    }
}

#[tokio::test]
async fn both_typescript_sdks_call_both_servers() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        let writer = operator.client(&server, &["todo:read", "todo:write"]).await;
        for package in ["sdk", "client"] {
            let both = "todo:read todo:write";
            let seen = typescript_sdk(&jeton, package, url, &writer, both).await;
            assert_eq!(seen["tools"], json!(TOOLS), "{package} at {url}: {seen}");
            assert_eq!(
                seen["created"]["todo"]["title"], "From TypeScript",
                "{package} at {url}"
            );
            assert_eq!(seen["scope"], "todo:read todo:write", "{package} at {url}");
        }
    }
}

/// FastMCP's own client.
async fn fastmcp_client(issuer: &str, url: &str, who: &Credentials, scope: &str) -> Value {
    let output = Command::new(python())
        .arg(workspace().join("tests/python/fastmcp_client.py"))
        .args([issuer, url, scope])
        .env("CLIENT_ID", &who.client_id)
        .env("CLIENT_SECRET", &who.client_secret)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "FastMCP's client failed: {errors}");
    assert!(!errors.contains(&who.client_secret));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn fastmcps_own_client_calls_both_servers_and_with_one_of_two_scopes_it_only_reads() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        for asked in ASKED {
            let who = format!("FastMCP asking for {asked:?} at {url}");
            let reader = operator.client(&server, &["todo:read"]).await;
            let seen = fastmcp_client(&jeton.url, url, &reader, asked).await;
            assert_eq!(seen["listed"]["todos"], json!([]), "{who}: {seen}");
            let refused = seen["is_error"] == true || seen["error"].is_string();
            assert!(refused && seen["created"].is_null(), "{who}: {seen}");
            assert_few_tokens(&operator, &reader, &who).await;
            let writer = operator.client(&server, &["todo:read", "todo:write"]).await;
            let seen = fastmcp_client(&jeton.url, url, &writer, asked).await;
            let title = &seen["created"]["todo"]["title"];
            assert_eq!(*title, "From FastMCP", "{who}: {seen}");
        }
    }
}

#[tokio::test]
async fn fastmcps_scalekit_provider_works_with_jetons_url_as_its_environment() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let port = free_port();
    let url = format!("http://localhost:{port}/mcp");
    let server = operator
        .mcp_server(&url, &["todo:read", "todo:write"])
        .await;
    let mut serving = Process::start(
        Command::new(python())
            .arg(workspace().join("tests/python/scalekit_server.py"))
            .args([&jeton.url, &server, &port.to_string()]),
    );
    serving.wait_for("Uvicorn running").await;
    let issuer = format!("{}/resources/{server}", jeton.url);
    let forwarded = format!("http://localhost:{port}/.well-known/oauth-authorization-server");
    let forwarded = Answer::of(http().get(forwarded).send().await.unwrap()).await;
    assert_eq!(forwarded.body["issuer"], issuer.as_str());
    let reader = operator.client(&server, &["todo:read"]).await;
    for own_issuer in [false, true] {
        let change = json!({ "own_issuer": own_issuer });
        let path = format!("/mcp-servers/{server}");
        operator.patch(&path, change).await;
        for asked in ASKED {
            let seen = fastmcp_client(&issuer, &url, &reader, asked).await;
            assert_eq!(seen["listed"]["todos"], json!([]), "{asked:?}: {seen}");
            assert!(seen["created"].is_null(), "{asked:?}: {seen}");
        }
    }
    // A token for another server is not one for this.
    let other = operator
        .mcp_server("http://localhost:1/mcp", &["todo:read"])
        .await;
    let stranger = operator.client(&other, &["todo:read"]).await;
    let token = stranger.token(&jeton.url, &[]).await;
    let refused = call_tool(&url, &token, "list_todos", json!({})).await;
    assert_eq!(refused.status(), 401);
}

async fn typescript_sdk(
    jeton: &Jeton,
    package: &str,
    url: &str,
    who: &Credentials,
    scope: &str,
) -> Value {
    let folder = workspace().join("tests/node");
    assert!(
        folder.join("node_modules").is_dir(),
        "tests/node/node_modules is missing: ./test makes it"
    );
    let output = Command::new("node")
        .args(["client.mjs", package, &jeton.url, url, scope])
        .env("CLIENT_ID", &who.client_id)
        .env("CLIENT_SECRET", &who.client_secret)
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the TypeScript SDK failed: {errors}"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn plain_http_calls_both_servers_and_a_reader_cannot_create() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        let writer = operator.client(&server, &["todo:read", "todo:write"]).await;
        let token = writer.token(&jeton.url, &[]).await;
        let created = call_tool(url, &token, "create_todo", json!({ "title": "Plain" })).await;
        assert_eq!(created.status(), 200, "{url}");
        assert!(created.text().await.unwrap().contains("Plain"), "{url}");
        let listed = call_tool(url, &token, "list_todos", json!({})).await;
        assert!(listed.text().await.unwrap().contains("Plain"), "{url}");

        let read = writer.token(&jeton.url, &[("scope", "todo:read")]).await;
        let refused = call_tool(url, &read, "create_todo", json!({ "title": "No" })).await;
        let status = refused.status();
        let text = refused.text().await.unwrap();
        assert!(
            status == 403 || text.contains("error") || text.contains("isError\":true"),
            "{text}"
        );
        let listed = call_tool(url, &read, "list_todos", json!({}))
            .await
            .text()
            .await
            .unwrap();
        assert!(
            listed.contains("Plain") && !listed.contains("\"No\""),
            "{url}: {listed}"
        );

        for bad in ["", "x", &format!("{token}x")] {
            assert_eq!(
                call_tool(url, bad, "list_todos", json!({})).await.status(),
                401,
                "{url}"
            );
        }
    }
}

#[tokio::test]
async fn the_rust_server_tells_a_reader_which_scope_is_missing() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator.register(&todo).await;
    let reader = operator.client(&server, &["todo:read"]).await;
    let token = reader.token(&jeton.url, &[]).await;
    for tool in ["create_todo", "update_todo", "delete_todo"] {
        let refused = Answer::of(call_tool(&todo.url, &token, tool, json!({})).await).await;
        assert_eq!(refused.status, 403, "{tool}");
        let challenge = refused.headers["www-authenticate"].to_str().unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge}"
        );
        assert!(challenge.contains("scope=\"todo:write\""), "{challenge}");
        assert!(challenge.contains("resource_metadata=\""), "{challenge}");
    }
}

#[tokio::test]
async fn rmcps_own_client_credentials_support_gets_a_token_and_calls_a_tool() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator.register(&todo).await;
    let writer = operator.client(&server, &["todo:read", "todo:write"]).await;

    let scopes = vec!["todo:read".into(), "todo:write".into()];
    let client = rmcp_client(&todo.url, &writer, scopes).await;
    let created = client.call_tool(create_todo("From rmcp")).await.unwrap();
    assert_eq!(
        created.structured_content.unwrap()["todo"]["title"],
        "From rmcp"
    );
    client.cancel().await.unwrap();
}

/// `rmcp`'s own provider, with a token.
async fn rmcp_client(
    url: &str,
    who: &Credentials,
    scopes: Vec<String>,
) -> RunningService<RoleClient, ()> {
    let mut state = OAuthState::new(url, None).await.unwrap();
    state
        .authenticate_client_credentials(ClientCredentialsConfig::ClientSecret {
            client_id: who.client_id.clone(),
            client_secret: who.client_secret.clone(),
            scopes,
            resource: Some(url.to_owned()),
        })
        .await
        .unwrap();
    let manager = state.into_authorization_manager().unwrap();
    let transport = StreamableHttpClientTransport::with_client(
        AuthClient::new(http(), manager),
        StreamableHttpClientTransportConfig::with_uri(url),
    );
    ().serve(transport).await.unwrap()
}

fn create_todo(title: &str) -> CallToolRequestParams {
    let mut request = CallToolRequestParams::new("create_todo");
    request.arguments = json!({ "title": title }).as_object().cloned();
    request
}

#[tokio::test]
async fn a_verifier_whose_clock_is_behind_accepts_a_token_that_was_just_issued() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = "http://localhost:3002/mcp";
    for profile in ["compatible", "strict"] {
        let settings = json!({ "token_profile": profile, "url": format!("{url}/{profile}") });
        let server = operator.mcp_server_with(url, &["a"], settings).await;
        let client = operator.client(&server, &["a"]).await;
        for (behind, accepted) in [("0", true), ("1", true), ("90", true), ("180", false)] {
            let token = client.token(&jeton.url, &[]).await;
            let output = Command::new("node")
                .arg("verify_token.mjs")
                .args([&format!("{}/keys", jeton.url), &jeton.url])
                .args([&format!("{url}/{profile}"), behind])
                .env("TOKEN", &token)
                .current_dir(workspace().join("tests/node"))
                .output()
                .await
                .unwrap();
            let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
            // That jose checks at all shows where the clock is further behind than anybody's is.
            assert_eq!(
                seen["client_id"] == client.client_id.as_str(),
                accepted,
                "{behind}: {seen}"
            );
        }
    }
}

/// It checks `iat`, which RFC 9068 §2.2 requires, and refuses one in the future.
#[tokio::test]
async fn pyjwt_accepts_a_token_and_wants_leeway_where_its_clock_is_behind() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = "http://localhost:3002/mcp";
    let server = operator.mcp_server(url, &["a"]).await;
    let client = operator.client(&server, &["a"]).await;
    for (behind, leeway, accepted) in [
        ("0", "0", true),
        ("30", "0", false),
        ("30", "60", true),
        ("90", "60", false),
    ] {
        let token = client.token(&jeton.url, &[]).await;
        let output = Command::new(python())
            .arg(workspace().join("tests/python/verify_token.py"))
            .args([&format!("{}/keys", jeton.url), &jeton.url])
            .args([url, behind, leeway])
            .env("TOKEN", &token)
            .output()
            .await
            .unwrap();
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_accepted = seen["client_id"] == client.client_id.as_str();
        assert_eq!(is_accepted, accepted, "{behind} {leeway}: {seen}");
    }
}
