//! What `jeton-guard` makes of MCP messages: which tool they call, and whether their headers say the
//! same.

use axum::extract::Request;
use axum::routing::post;
use axum::{Json, Router};
use jeton_guard::{GuardBuilder, GuardLayer};
use jeton_tests::{Answer, Credentials, FastMcp, Jeton, TodoServer, http};
use reqwest::Method;
use serde_json::{Value, json};

/// A protected server that says how much it received.
async fn protected(issuer: &str, change: impl Fn(GuardBuilder) -> GuardBuilder) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let say = |request: Request| async move {
        let body = axum::body::to_bytes(request.into_body(), 8 << 20);
        Json(json!({ "bytes": body.await.unwrap().len() }))
    };
    let guard = change(GuardLayer::builder(&url, issuer)).build().unwrap();
    let router = Router::new().route("/mcp", post(say)).layer(guard);
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A token with these scopes for the server at `url`.
async fn token(jeton: &Jeton, url: &str, scopes: &[&str]) -> (Credentials, String) {
    let operator = jeton.operator().await;
    let server = operator.mcp_server(url, &["read", "write"]).await;
    let client = operator.client(&server, scopes).await;
    let token = client.token(&jeton.url, &[]).await;
    (client, token)
}

async fn send(url: &str, token: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = http()
        .post(url)
        .bearer_auth(token)
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
}

fn call(tool: &str) -> String {
    json!({
        "jsonrpc": "2.0", "id": "seven", "method": "tools/call",
        "params": {
            "name": tool, "arguments": { "title": "x" },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    })
    .to_string()
}

const NEW: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
const CALL: (&str, &str) = ("Mcp-Method", "tools/call");

fn assert_json_rpc_error(answer: &Answer, code: i32, id: &Value) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.body["jsonrpc"], "2.0");
    assert_eq!(answer.body["error"]["code"], code, "{}", answer.body);
    assert!(answer.body["error"]["message"].is_string());
    assert_eq!(&answer.body["id"], id);
}

#[tokio::test]
async fn the_body_decides_which_tool_is_called_however_it_is_wrapped() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator.register(&todo).await;
    let reader = operator.client(&server, &["todo:read"]).await;
    let token = reader.token(&jeton.url, &[]).await;
    let (list, create) = (call("list_todos"), call("create_todo"));
    for body in [
        create.clone(),
        format!("[{list},{create}]"),
        call("a_tool_that_is_added_later"),
    ] {
        let refused = send(&todo.url, &token, &[], &body).await;
        assert_eq!(refused.status, 403, "{body}");
    }
    for body in [
        create.replace(r#""name":"#, r#""name":"list_todos","name":"#),
        create.replace(r#""name":"#, r#""name":"list_todos","n\u0061me":"#),
        create.replace(r#""method":"#, r#""method":"tools/list","method":"#),
        create.replace(r#""method":"#, r#""method":"tools/list","\u006dethod":"#),
        create.replace(r#""method":"#, r#""method":"tools/list","Method":"#),
        create.replace(
            r#""params":"#,
            r#""params":{"name":"list_todos"},"PARAMS":"#,
        ),
        create.replace(r#""name":"#, r#""name":"list_todos","NAME":"#),
        create.replace(
            r#""name":"#,
            r#""name":"list_todos","argument\u017f":{},"x":"#,
        ),
    ] {
        let refused = send(&todo.url, &token, &[], &body).await;
        assert_json_rpc_error(&refused, -32600, &json!("seven"));
    }
    let refused = send(&todo.url, &token, &[], "not JSON").await;
    assert_json_rpc_error(&refused, -32700, &Value::Null);
    let encoded = [("Content-Encoding", "gzip")];
    assert_eq!(send(&todo.url, &token, &encoded, &create).await.status, 415);
}

#[tokio::test]
async fn a_request_whose_headers_disagree_with_its_body_is_refused() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator.register(&todo).await;
    let client = operator.client(&server, &["todo:read", "todo:write"]).await;
    let token = client.token(&jeton.url, &[]).await;
    let (list, create) = (call("list_todos"), call("create_todo"));
    let name = |name| ("Mcp-Name", name);
    for (headers, body) in [
        (vec![NEW, CALL, name("list_todos")], &create),
        (vec![CALL, name("list_todos")], &create),
        (
            vec![NEW, ("Mcp-Method", "tools/list"), name("list_todos")],
            &list,
        ),
        (vec![NEW, CALL, name("LIST_TODOS")], &list),
        (vec![NEW, CALL, name("=?base64?Y3JlYXRlX3RvZG8=?=")], &list),
        (vec![NEW, CALL, name("=?base64?%?=")], &list),
        (
            vec![NEW, CALL, name("list_todos"), name("create_todo")],
            &list,
        ),
        (vec![NEW, CALL, CALL, name("list_todos")], &list),
        (vec![NEW, CALL], &list),
        (vec![NEW], &list),
    ] {
        let refused = send(&todo.url, &token, &headers, body).await;
        assert_json_rpc_error(&refused, -32020, &json!("seven"));
    }
    for name in ["list_todos", "=?base64?bGlzdF90b2Rvcw==?="] {
        let headers = [NEW, CALL, ("Mcp-Name", name)];
        let passed = send(&todo.url, &token, &headers, &list).await;
        assert_eq!(passed.status, 200, "{name}: {}", passed.body);
        assert!(passed.body.to_string().contains("todos"), "{}", passed.body);
    }
    let batch = send(&todo.url, &token, &[NEW, CALL], &format!("[{list}]")).await;
    assert_json_rpc_error(&batch, -32020, &Value::Null);
}

#[tokio::test]
async fn headers_are_checked_without_any_rule_and_older_revisions_need_none() {
    let jeton = Jeton::start().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let (_, token) = token(&jeton, &url, &["read"]).await;
    let read = json!({ "jsonrpc": "2.0", "id": 7, "method": "resources/read", "params": { "uri": "file:///é" } });
    let read = read.to_string();
    let method = ("Mcp-Method", "resources/read");
    let headers = [NEW, method, ("Mcp-Name", "file:///other")];
    let refused = send(&url, &token, &headers, &read).await;
    assert_json_rpc_error(&refused, -32020, &json!(7));
    for headers in [
        vec![NEW, method, ("Mcp-Name", "=?base64?ZmlsZTovLy/DqQ==?=")],
        vec![("MCP-Protocol-Version", "2025-11-25")],
        vec![],
    ] {
        let passed = send(&url, &token, &headers, &read).await;
        assert_eq!(passed.status, 200, "{headers:?}");
        assert_eq!(passed.body["bytes"], read.len());
    }
}

#[tokio::test]
async fn tools_and_methods_that_no_rule_names_need_what_the_rest_needs() {
    let jeton = Jeton::start().await;
    let method = |name: &str| json!({ "id": 1, "method": name }).to_string();
    let tools = protected(&jeton.url, |guard| {
        guard
            .require_for_tool("known", ["read"])
            .require_for_other_tools(["write"])
    });
    let methods = protected(&jeton.url, |guard| {
        guard
            .require_for_method("tools/list", ["read"])
            .require_for_tool("known", ["read"])
            .require_for_other_methods(["write"])
    });
    for (url, cases) in [
        (
            tools.await,
            [
                (call("known"), 200),
                (call("Known"), 403),
                (call("forgotten"), 403),
                (method("resources/list"), 200),
            ],
        ),
        (
            methods.await,
            [
                (call("known"), 200),
                (call("forgotten"), 403),
                (method("tools/list"), 200),
                (method("resources/list"), 403),
            ],
        ),
    ] {
        let (client, writer) = token(&jeton, &url, &["read", "write"]).await;
        let reader = client.token(&jeton.url, &[("scope", "read")]).await;
        for (body, status) in cases {
            let answer = send(&url, &reader, &[], &body).await;
            assert_eq!(answer.status, status, "{body}: {}", answer.body);
            assert_eq!(send(&url, &writer, &[], &body).await.status, 200, "{body}");
        }
        // The metadata lists what any of these rules needs.
        let origin = url.strip_suffix("/mcp").unwrap();
        let document = http().get(format!("{origin}/.well-known/oauth-protected-resource"));
        let document = Answer::of(document.send().await.unwrap()).await;
        let mut scopes: Vec<String> =
            serde_json::from_value(document.body["scopes_supported"].clone()).unwrap();
        scopes.sort();
        assert_eq!(scopes, ["read", "write"]);
    }
}

/// Compared pairwise, the members would take hours.
#[tokio::test]
async fn hundreds_of_thousands_of_members_pass_as_arguments_and_are_refused_elsewhere() {
    let jeton = Jeton::start().await;
    let url = protected(&jeton.url, |guard| guard.require_for_other_tools(["read"])).await;
    let (_, token) = token(&jeton, &url, &["read"]).await;
    let members: Vec<String> = (0..300_000).map(|n| format!("\"m{n}\":0")).collect();
    let members = members.join(",");
    let call = |params: String| format!(r#"{{"id":1,"method":"tools/call","params":{params}}}"#);
    let body = call(format!(r#"{{"name":"a","arguments":{{{members}}}}}"#));
    let passed = send(&url, &token, &[], &body).await;
    assert_eq!(passed.status, 200);
    assert_eq!(passed.body["bytes"], body.len());
    for body in [
        format!(r#"{{"id":1,"method":"tools/list",{members}}}"#),
        call(format!(r#"{{"name":"a",{members}}}"#)),
    ] {
        let refused = send(&url, &token, &[], &body).await;
        assert_json_rpc_error(&refused, -32600, &json!(1));
    }
}

/// A request in a session of a revision that has them, and the status of its answer.
async fn in_session(url: &str, method: Method, token: &str, id: &str, body: Option<Value>) -> u16 {
    let mut request = http()
        .request(method, url)
        .bearer_auth(token)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .header("Mcp-Session-Id", id);
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_session_of_the_examples_is_used_by_the_client_that_made_it_alone() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let fastmcp = FastMcp::start(&jeton.url).await;
    for url in [&todo.url, &fastmcp.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        let scopes = ["todo:read", "todo:write"];
        let own = operator.client(&server, &scopes).await;
        let own = own.token(&jeton.url, &[]).await;
        let other = operator.client(&server, &scopes).await;
        let other = other.token(&jeton.url, &[]).await;
        let initialize = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            },
        });
        let begun = send(url, &own, &[], &initialize.to_string()).await;
        assert_eq!(begun.status, 200, "{url}: {}", begun.body);
        let id = begun.headers["mcp-session-id"].to_str().unwrap();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let post = async |token, body: &Value| {
            in_session(url, Method::POST, token, id, Some(body.clone())).await
        };
        assert_eq!(post(&own, &initialized).await, 202, "{url}");
        assert_eq!(post(&own, &list).await, 200, "{url}");
        for body in [&initialized, &list, &initialize] {
            assert_eq!(post(&other, body).await, 404, "{url}: {body}");
        }
        for method in [Method::GET, Method::DELETE] {
            let what = format!("{url}: {method}");
            assert_eq!(
                in_session(url, method, &other, id, None).await,
                404,
                "{what}"
            );
        }
        // It is still there for its owner.
        assert_eq!(post(&own, &list).await, 200, "{url}");
        assert_eq!(
            in_session(url, Method::GET, &own, id, None).await,
            200,
            "{url}"
        );
        let ended = in_session(url, Method::DELETE, &own, id, None).await;
        assert!((200..300).contains(&ended), "{url}: {ended}");
        assert_eq!(post(&own, &list).await, 404, "{url}");
    }
}
