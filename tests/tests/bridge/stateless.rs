//! MCP 2026-07-28: no sessions, headers that repeat the body, cancellation by closing the stream.

use std::time::Duration;

use jeton_tests::eventually;
use serde_json::{Value, json};

use crate::host::{Host, stateless};
use crate::remote::{Feed, Remote, document, done, events, status};

const EXTENSION: &str = "io.modelcontextprotocol/oauth-client-credentials";

#[tokio::test]
async fn a_message_arrives_to_the_character_with_the_headers_of_its_revision() {
    let remote = Remote::start(async |asked| {
        document(&asked.result(json!({ "echo": asked.body["params"]["arguments"] })))
    })
    .await;
    let mut host = remote.host();
    let line = r#"{"jsonrpc":"2.0","id":"7","method":"tools/call","params":{"name":"tööl","arguments":{"n":123456789012345678901234567890,"f":1.50},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}},"unknown":true}"#;
    host.write(line).await;
    let answer = host.next().await;
    assert_eq!(answer["id"], "7", "{answer}");
    let [asked] = &remote.asked()[..] else {
        panic!("one request")
    };
    assert_eq!(asked.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(asked.header("mcp-method"), Some("tools/call"));
    assert_eq!(asked.header("mcp-name"), Some("=?base64?dMO2w7Zs?="));
    assert_eq!(asked.header("mcp-session-id"), None);
    assert_eq!(asked.header("authorization"), Some("Bearer token-0"));
    let capabilities = &asked.body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(
        *capabilities,
        json!({ "sampling": {}, "extensions": { EXTENSION: {} } })
    );
    host.hang_up();
    assert_eq!(host.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_method_that_nobody_knows_passes_and_so_does_the_servers_own_refusal() {
    let own = json!({ "code": -32601, "message": "no such thing", "data": [1, 2] });
    let refusal = own.clone();
    let remote = Remote::start(move |asked| {
        let body = json!({ "jsonrpc": "2.0", "id": null, "error": refusal });
        async move {
            let mut answer = document(&body);
            if asked.method() == "some/thing" {
                *answer.status_mut() = axum::http::StatusCode::NOT_FOUND;
            }
            answer
        }
    })
    .await;
    let mut host = remote.host();
    let answer = host.ask(stateless(json!(1), "some/thing", json!({}))).await;
    assert_eq!(answer["error"], own);
}

/// A server that cannot read a request does not know its ID.
#[tokio::test]
async fn an_error_without_an_id_answers_the_request_that_it_came_for() {
    let remote = Remote::start(async |asked| {
        let error = json!({ "code": -32700, "message": "Parse error" });
        let answer = match asked.body["id"].as_i64() {
            Some(1 | 2) => json!({ "jsonrpc": "2.0", "id": null, "error": error }),
            _ => json!({ "jsonrpc": "2.0", "error": error }),
        };
        if asked.body["id"] == 2 {
            events(&[answer])
        } else {
            document(&answer)
        }
    })
    .await;
    let mut host = remote.host();
    for id in 1..4 {
        let call = stateless(json!(id), "tools/call", json!({ "name": "t" }));
        let answer = host.ask(call).await;
        assert_eq!(answer["error"]["code"], -32700, "{answer}");
    }
}

#[tokio::test]
async fn an_id_is_the_same_however_it_is_spelt() {
    for (asked_as, answered_as) in [(r#""a\u002Bb""#, r#""a+b""#), ("7", "7.0"), ("7.0", "7")] {
        let answer = format!(r#"data: {{"jsonrpc":"2.0","id":{answered_as},"result":{{}}}}"#);
        let remote = Remote::start(move |_| {
            let (feed, response) = Feed::new();
            feed.write(&format!("{answer}\n\n"));
            async move { response }
        })
        .await;
        let mut host = remote.host();
        let call = stateless(json!("ID"), "tools/call", json!({ "name": "t" })).to_string();
        host.write(&call.replace(r#""ID""#, asked_as)).await;
        let answer = host.next().await;
        let expected: Value = serde_json::from_str(asked_as).unwrap();
        assert_eq!(answer["id"], expected, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
        // It is not answered again.
        host.hang_up();
        assert_eq!(host.ended().await.last, Vec::<Value>::new(), "{asked_as}");
    }
}

#[tokio::test]
async fn progress_passes_while_it_happens() {
    let (feed, response) = Feed::new();
    let response = std::sync::Mutex::new(Some(response));
    let remote = Remote::start(move |_| {
        let response = response.lock().unwrap().take().unwrap();
        async move { response }
    })
    .await;
    let mut host = remote.host();
    host.send(stateless(json!(5), "tools/call", json!({ "name": "t" })))
        .await;
    for step in 1..4 {
        let progress = json!({
            "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": 5, "progress": step },
        });
        feed.send("", &progress);
        assert_eq!(host.next().await, progress);
    }
    feed.write(": keep-alive\r\n\r\n");
    let result = json!({ "jsonrpc": "2.0", "id": 5, "result": { "done": true } });
    feed.send("", &result);
    assert_eq!(host.next().await, result);
}

#[tokio::test]
async fn cancelling_closes_the_stream_and_nothing_more_comes_of_it() {
    let (feed, response) = Feed::new();
    let response = std::sync::Mutex::new(Some(response));
    let remote = Remote::start(move |asked| {
        let response = if asked.method() == "tools/call" {
            response.lock().unwrap().take().unwrap()
        } else {
            done(&asked)
        };
        async move { response }
    })
    .await;
    let mut host = remote.host();
    host.send(stateless(json!(5), "tools/call", json!({ "name": "t" })))
        .await;
    eventually("it arrived", async || !remote.asked().is_empty()).await;
    host.send(json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 },
    }))
    .await;
    feed.closed().await;
    let other = host.ask(stateless(json!(6), "tools/list", json!({}))).await;
    assert_eq!(other["id"], 6);
    assert!(remote.asked_for("notifications/cancelled").is_empty());
}

#[tokio::test]
async fn a_subscription_goes_on_after_the_server_was_away() {
    let feeds = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let made = std::sync::Arc::clone(&feeds);
    let mut remote = Remote::start(move |asked| {
        let (feed, response) = Feed::new();
        feed.send(
            "",
            &json!({
                "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": { "_meta": { "io.modelcontextprotocol/subscriptionId": asked.body["id"] } },
            }),
        );
        made.lock().unwrap().push(feed);
        async move { response }
    })
    .await;
    let mut host = remote.host_with(&["--wait", "0"]);
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    host.send(stateless(json!("s"), "subscriptions/listen", wanted))
        .await;
    let first = host.next().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    remote.stop().await;
    feeds.lock().unwrap().clear();
    remote.restart().await;
    // The host is not acknowledged twice, and hears that it may have missed something.
    let next = host.next().await;
    assert_eq!(next["method"], "notifications/tools/list_changed", "{next}");
    let id = &next["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(*id, "s");
    // Cancelling it ends it.
    host.send(json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "s" },
    }))
    .await;
    let feed = feeds.lock().unwrap().last().cloned().unwrap();
    let feed: Feed = feed;
    feed.closed().await;
}

#[tokio::test]
async fn arguments_are_repeated_in_headers_where_a_tool_wants_it() {
    let remote = Remote::start(async |asked| {
        let result = match asked.method() {
            "tools/list" => json!({ "tools": [
                { "name": "sql", "inputSchema": { "type": "object", "properties": {
                    "region": { "type": "string", "x-mcp-header": "Region" },
                } } },
                { "name": "bad", "inputSchema": { "type": "object", "properties": {
                    "x": { "type": "number", "x-mcp-header": "X" },
                } } },
            ] }),
            _ => json!({}),
        };
        events(&[asked.result(result)])
    })
    .await;
    let mut host = remote.host();
    let listed = host.ask(stateless(json!(1), "tools/list", json!({}))).await;
    let names: Vec<&Value> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(names, ["sql"]);
    let call = json!({ "name": "sql", "arguments": { "region": "us-west1" } });
    host.ask(stateless(json!(2), "tools/call", call)).await;
    let called = remote.asked_for("tools/call");
    assert_eq!(called[0].header("mcp-param-region"), Some("us-west1"));
}

#[tokio::test]
async fn many_requests_are_under_way_at_once_and_answered_as_they_finish() {
    let (slow, response) = Feed::new();
    let response = std::sync::Mutex::new(Some(response));
    let remote = Remote::start(move |asked| {
        let response = if asked.body["id"] == 1 {
            response.lock().unwrap().take().unwrap()
        } else {
            done(&asked)
        };
        async move { response }
    })
    .await;
    let mut host = remote.host();
    host.send(stateless(json!(1), "tools/call", json!({ "name": "slow" })))
        .await;
    for id in 2..20 {
        host.ask(stateless(
            json!(id),
            "tools/call",
            json!({ "name": "fast" }),
        ))
        .await;
    }
    let late = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    slow.send("", &late);
    assert_eq!(host.next().await, late);
}

#[tokio::test]
async fn a_query_goes_with_each_request_and_not_into_the_resource() {
    let remote = Remote::start(async |asked| done(&asked)).await;
    let url = format!("{}?profile=x&key=very-secret", remote.url());
    let mut host = Host::start(
        &[&url],
        &[
            ("JETON_ISSUER", &remote.origin),
            ("JETON_CLIENT_ID", "m2m_x"),
            ("JETON_CLIENT_SECRET", "jeton_x-secret"),
        ],
    );
    host.ask(stateless(json!(1), "tools/list", json!({}))).await;
    let asked = remote.asked();
    assert_eq!(asked[0].query.as_deref(), Some("profile=x&key=very-secret"));
    let token = &remote.token_requests()[0];
    assert!(
        token.contains("%2Fmcp") && !token.contains("profile"),
        "{token}"
    );
    host.hang_up();
    let exit = host.ended().await;
    assert!(!exit.stderr.contains("very-secret"), "{}", exit.stderr);
}

#[tokio::test]
async fn what_is_under_way_when_the_host_hangs_up_is_answered_and_then_it_ends() {
    let remote = Remote::start(async |asked| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        done(&asked)
    })
    .await;
    let mut host = remote.host();
    host.send(stateless(json!(1), "tools/list", json!({})))
        .await;
    host.hang_up();
    assert_eq!(host.next().await["id"], 1);
    assert_eq!(host.ended().await.code, Some(0));
    // What never ends does not keep it.
    let remote = Remote::start(async |_| std::future::pending().await).await;
    let mut host = remote.host();
    host.send(stateless(json!(1), "tools/list", json!({})))
        .await;
    eventually("it arrived", async || !remote.asked().is_empty()).await;
    host.hang_up();
    assert_eq!(host.ended().await.code, Some(0));
}

#[tokio::test]
async fn signals_end_it() {
    let remote = Remote::start(async |_| status(500)).await;
    for signal in ["TERM", "INT", "HUP"] {
        let mut host = remote.host();
        // Something has to be answered, so that it is known to run.
        host.ask(stateless(json!(1), "tools/call", json!({ "name": "t" })))
            .await;
        host.signal(signal).await;
        assert_eq!(host.ended().await.code, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_signal_ends_it_though_the_host_reads_nothing() {
    let remote = Remote::start(async |_| status(500)).await;
    let mut host = remote.host();
    host.ask(stateless(json!(1), "tools/call", json!({ "name": "t" })))
        .await;
    host.congest().await;
    host.signal("TERM").await;
    host.exited().await;
}
