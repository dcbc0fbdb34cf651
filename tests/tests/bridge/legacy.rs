//! The revisions before 2026-07-28: sessions, the server's own stream, resumption.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use jeton_tests::eventually;
use serde_json::{Value, json};

use crate::host::initialize;
use crate::remote::{Asked, Feed, Remote, document, done, events, status};
use crate::sessions::{Sessions, call};

/// Its answers name the method.
async fn with_sessions(sessions: &Sessions) -> Remote {
    let answer = |asked: &Asked| document(&asked.result(json!({ "method": asked.method() })));
    sessions.remote_with(answer).await
}

#[tokio::test]
async fn a_session_is_kept_and_ended() {
    let sessions = Sessions::default();
    let remote = with_sessions(&sessions).await;
    let mut host = remote.host();
    let answer = host.initialize().await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    host.ask(call(1)).await;
    sessions.stream(0).await;
    host.hang_up();
    assert_eq!(host.ended().await.code, Some(0));
    let asked = remote.asked();
    let initialize = &asked[0];
    assert_eq!(initialize.header("mcp-session-id"), None);
    let extensions = &initialize.body["params"]["capabilities"]["extensions"];
    assert!(extensions["io.modelcontextprotocol/oauth-client-credentials"].is_object());
    assert_eq!(asked[1].method(), "notifications/initialized");
    for later in &asked[1..] {
        assert_eq!(
            later.header("mcp-session-id"),
            Some("session-0"),
            "{later:?}"
        );
        assert_eq!(
            later.header("mcp-protocol-version"),
            Some("2025-11-25"),
            "{later:?}"
        );
        assert_eq!(later.header("mcp-method"), None, "{later:?}");
    }
    assert_eq!(asked.last().unwrap().verb, "DELETE");
}

#[tokio::test]
async fn what_the_server_asks_the_host_is_answered() {
    let sessions = Sessions::default();
    let remote = with_sessions(&sessions).await;
    let mut host = remote.host();
    host.initialize().await;
    let stream = sessions.stream(0).await;
    for (id, method) in [
        ("1", "ping"),
        ("2", "sampling/createMessage"),
        ("3", "elicitation/create"),
        ("4", "roots/list"),
    ] {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        stream.send("", &request);
        assert_eq!(host.next().await, request);
        let response = json!({ "jsonrpc": "2.0", "id": id, "result": { "of": method } });
        host.send(response.clone()).await;
        eventually("the server has it", async || {
            remote.asked().iter().any(|asked| asked.body == response)
        })
        .await;
    }
}

#[tokio::test]
async fn what_the_host_notifies_of_arrives_in_order() {
    let sessions = Sessions::default();
    let remote = with_sessions(&sessions).await;
    let mut host = remote.host();
    host.initialize().await;
    let notes: Vec<Value> = (0..5)
        .map(|step| json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": step } }))
        .collect();
    for note in &notes {
        host.send(note.clone()).await;
    }
    eventually("all have arrived", async || {
        remote.asked_for("notifications/progress").len() == notes.len()
    })
    .await;
    let arrived = remote.asked_for("notifications/progress");
    for (asked, note) in arrived.iter().zip(&notes) {
        assert_eq!(asked.body, *note);
        assert_eq!(asked.header("mcp-session-id"), Some("session-0"));
    }
}

#[tokio::test]
async fn cancelling_is_told_and_the_stream_is_closed() {
    let (feed, response) = Feed::new();
    let response = Mutex::new(Some(response));
    let sessions = Sessions::default();
    let remote = sessions
        .remote_with(move |_| response.lock().unwrap().take().unwrap())
        .await;
    let mut host = remote.host();
    host.initialize().await;
    host.send(call(1)).await;
    eventually("it arrived", async || {
        !remote.asked_for("tools/call").is_empty()
    })
    .await;
    let cancelled = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": 1, "reason": "enough" },
    });
    host.send(cancelled.clone()).await;
    feed.closed().await;
    eventually("the server is told", async || {
        let told = remote.asked_for("notifications/cancelled");
        told.iter().any(|told| told.body == cancelled)
    })
    .await;
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_anew_without_the_host() {
    let sessions = Sessions::default();
    let remote = with_sessions(&sessions).await;
    let mut host = remote.host();
    host.initialize().await;
    sessions.stream(0).await;
    host.ask(call(1)).await;
    sessions.forget();
    host.send(call(2)).await;
    let (mut answered, mut told) = (false, false);
    while !(answered && told) {
        let message = host.next().await;
        answered |= message["id"] == 2 && message["result"]["method"] == "tools/call";
        told |= message["method"] == "notifications/tools/list_changed";
    }
    let again = remote.asked_for("initialize");
    assert_eq!(again.len(), 2);
    assert_eq!(again[1].body, again[0].body);
    assert_eq!(again[1].header("mcp-session-id"), None);
    // The stream of the new session is listened to.
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} });
    sessions.stream(1).await.send("", &note);
    assert_eq!(host.next().await, note);
    // Several requests at once open one session.
    sessions.forget();
    for id in 10..20 {
        host.send(call(id)).await;
    }
    let mut answers = 0;
    while answers < 10 {
        let message = host.next().await;
        assert!(message["error"].is_null(), "{message}");
        answers += usize::from(!message["id"].is_null());
    }
    assert_eq!(remote.asked_for("initialize").len(), 3);
}

#[tokio::test]
async fn a_session_that_an_idle_host_has_lost_is_found_out_by_the_stream() {
    let sessions = Sessions::default();
    let remote = with_sessions(&sessions).await;
    let mut host = remote.host();
    host.initialize().await;
    let stream = sessions.stream(0).await;
    sessions.forget();
    stream.write("retry: 10\n\n");
    drop(stream);
    sessions.streams.lock().unwrap().clear();
    sessions.stream(0).await;
    assert_eq!(remote.asked_for("initialize").len(), 2);
    assert_eq!(
        host.next().await["method"],
        "notifications/tools/list_changed"
    );
}

#[tokio::test]
async fn a_stream_that_broke_is_taken_up_where_it_broke() {
    let sessions = Sessions::default();
    let resumed = Arc::new(Mutex::new(Vec::new()));
    let remote = {
        let resumed = Arc::clone(&resumed);
        let answer = move |asked: &Asked| {
            let (feed, response) = Feed::new();
            match asked.header("last-event-id") {
                None => {
                    feed.write("id: e1\nretry: 10\ndata:\n\n");
                    feed.send("e2", &json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } }));
                }
                Some("e2") => {
                    feed.send("e3", &json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 2 } }));
                }
                Some(_) => {
                    feed.send("e4", &json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
                }
            }
            let last = asked.header("last-event-id").map(str::to_owned);
            resumed.lock().unwrap().push((asked.verb.clone(), last));
            // Each connection ends after what it sent.
            response
        };
        sessions.remote_with(answer).await
    };
    let mut host = remote.host();
    host.initialize().await;
    host.send(call(1)).await;
    for step in 1..3 {
        assert_eq!(host.next().await["params"]["progress"], step);
    }
    assert_eq!(host.next().await["id"], 1);
    let some = |id: &str| Some(id.to_owned());
    assert_eq!(
        *resumed.lock().unwrap(),
        [
            ("POST".to_owned(), None),
            ("GET".to_owned(), some("e2")),
            ("GET".to_owned(), some("e3")),
        ]
    );
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let sessions = Sessions::default();
    let remote = sessions.remote_with(|_| events(&[])).await;
    let mut host = remote.host();
    host.initialize().await;
    let answer = host.ask(call(1)).await;
    let words = answer["error"]["message"].as_str().unwrap();
    assert!(words.contains("ended before it answered"), "{words}");
    assert_eq!(remote.asked_for("tools/call").len(), 1);
    // What only reads is.
    host.ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }))
        .await;
    assert_eq!(remote.asked_for("tools/list").len(), 3);
}

#[tokio::test]
async fn nothing_is_sent_before_the_server_knows_that_it_is_initialized() {
    let sessions = Sessions::default();
    let ready = Arc::new(AtomicUsize::new(0));
    let remote = {
        let (sessions, ready) = (sessions.clone(), Arc::clone(&ready));
        Remote::start(move |asked| {
            let (sessions, ready) = (sessions.clone(), Arc::clone(&ready));
            async move {
                if asked.method() == "notifications/initialized" {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    ready.store(1, Ordering::SeqCst);
                }
                let early = asked.method() == "tools/call" && ready.load(Ordering::SeqCst) == 0;
                if early {
                    return status(400);
                }
                sessions.answer(&asked).unwrap_or_else(|| done(&asked))
            }
        })
        .await
    };
    let mut host = remote.host();
    host.initialize().await;
    let answer = host.ask(call(1)).await;
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_server_without_sessions_or_a_stream_is_served_as_well() {
    let remote = Remote::start(async |asked| match (asked.verb.as_str(), asked.method()) {
        ("GET", _) => status(405),
        (_, "initialize") => document(&asked.result(json!({ "protocolVersion": "2025-06-18" }))),
        (_, "notifications/initialized") => status(202),
        _ => document(&json!([
            { "jsonrpc": "2.0", "method": "notifications/message", "params": {} },
            asked.result(json!({})),
        ])),
    })
    .await;
    let mut host = remote.host();
    host.initialize().await;
    // A batch, in both directions (2025-03-26).
    host.write(&json!([call(1)]).to_string()).await;
    assert_eq!(host.next().await["method"], "notifications/message");
    assert_eq!(host.next().await["id"], 1);
    let called = &remote.asked_for("tools/call")[0];
    assert_eq!(called.header("mcp-protocol-version"), Some("2025-06-18"));
    host.hang_up();
    assert_eq!(host.ended().await.code, Some(0));
    assert!(remote.asked().iter().all(|asked| asked.verb != "DELETE"));
}

/// A host that does not wait for answers before it writes on.
#[tokio::test]
async fn a_handshake_that_is_written_at_once_arrives_in_its_order() {
    let sessions = Sessions::default();
    let remote = {
        let sessions = sessions.clone();
        Remote::start(move |asked| {
            let sessions = sessions.clone();
            async move {
                if asked.method() == "initialize" {
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                }
                sessions.answer(&asked).unwrap_or_else(|| done(&asked))
            }
        })
        .await
    };
    let mut host = remote.host();
    host.send(initialize()).await;
    host.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
        .await;
    host.send(call(1)).await;
    for id in 0..2 {
        let answer = host.next().await;
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
    }
    let posted: Vec<_> = remote
        .asked()
        .into_iter()
        .filter(|asked| asked.verb == "POST")
        .collect();
    let session = Some("session-0");
    for (asked, (method, id)) in posted.iter().zip([
        ("initialize", None),
        ("notifications/initialized", session),
        ("tools/call", session),
    ]) {
        assert_eq!(
            (asked.method(), asked.header("mcp-session-id")),
            (method, id)
        );
    }
    // What is told last arrives, too.
    host.send(json!({ "jsonrpc": "2.0", "method": "notifications/progress" }))
        .await;
    host.hang_up();
    assert_eq!(host.ended().await.code, Some(0));
    assert_eq!(remote.asked_for("notifications/progress").len(), 1);
}

#[tokio::test]
async fn the_end_of_the_handshake_reaches_a_busy_server() {
    for busy in [429, 502, 503, 504] {
        let sessions = Sessions::default();
        let tries = AtomicUsize::new(0);
        let remote = {
            let answer = move |asked: &Asked, own| {
                let first = asked.method() == "notifications/initialized"
                    && tries.fetch_add(1, Ordering::SeqCst) == 0;
                let early = asked.method() == "tools/call" && tries.load(Ordering::SeqCst) < 2;
                match own {
                    _ if first => status(busy),
                    _ if early => status(400),
                    Some(own) => own,
                    None => done(asked),
                }
            };
            sessions.remote_as(answer).await
        };
        let mut host = remote.host();
        host.initialize().await;
        let answer = host.ask(call(1)).await;
        assert!(answer["result"].is_object(), "{busy}: {answer}");
    }
}

#[tokio::test]
async fn a_response_reaches_a_server_that_was_busy_or_away() {
    let sessions = Sessions::default();
    let is_busy = AtomicUsize::new(1);
    let answer = move |asked: &Asked, own: Option<Response>| {
        let is_busy = asked.body["result"].is_object() && is_busy.swap(0, Ordering::SeqCst) == 1;
        if is_busy { status(503) } else { own.unwrap() }
    };
    let mut remote = sessions.remote_as(answer).await;
    let mut host = remote.host();
    host.initialize().await;
    sessions.stream(0).await;
    let arrived = |remote: &Remote, id: &str| {
        let all = remote.asked();
        all.iter().filter(|asked| asked.body["id"] == id).count()
    };
    host.send(json!({ "jsonrpc": "2.0", "id": "busy", "result": {} }))
        .await;
    eventually("it is sent again", async || arrived(&remote, "busy") == 2).await;
    remote.stop().await;
    host.send(json!({ "jsonrpc": "2.0", "id": "away", "result": {} }))
        .await;
    // It is known to be on its way once the host's next line is answered, which needs no server.
    host.write("{}").await;
    assert_eq!(host.next().await["error"]["code"], -32600);
    remote.restart().await;
    eventually("it arrives", async || arrived(&remote, "away") == 1).await;
}
