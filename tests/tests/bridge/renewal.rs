//! When a session is opened in place of another, and when it is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::Response;
use jeton_tests::eventually;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::remote::{Asked, Feed, Remote, document, done, events, status};
use crate::sessions::{Sessions, call};

/// A JSON-RPC error with a status.
fn error(code: u16, id: &Value, words: &str) -> Response {
    let error = json!({ "code": -32000, "message": words });
    let mut answer = document(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

/// The same session, opened with another answer.
fn in_session_of(own: &Response, mut answer: Response) -> Response {
    let id = own.headers()["mcp-session-id"].clone();
    answer.headers_mut().insert("mcp-session-id", id);
    answer
}

fn listened(remote: &Remote, session: &str) -> usize {
    let asked = remote.asked();
    let of_session = |asked: &&Asked| asked.header("mcp-session-id") == Some(session);
    asked
        .iter()
        .filter(|asked| asked.verb == "GET")
        .filter(of_session)
        .count()
}

/// 404 is also what frameworks answer where there is no such route.
#[tokio::test]
async fn a_server_without_a_route_for_the_stream_keeps_its_session() {
    for refusal in [404, 400] {
        let sessions = Sessions::default();
        let answer = move |asked: &Asked, own: Option<Response>| match own {
            _ if asked.verb == "GET" => {
                error(refusal, &Value::Null, "Invalid or missing session ID")
            }
            Some(own) => own,
            None => done(asked),
        };
        let remote = sessions.remote_as(answer).await;
        let mut host = remote.host();
        host.initialize().await;
        eventually("it listens", async || listened(&remote, "session-0") == 1).await;
        for id in 1..10 {
            host.ask(call(id)).await;
        }
        host.hang_up();
        host.ended().await;
        assert_eq!(remote.asked_for("initialize").len(), 1, "{refusal}");
        assert_eq!(listened(&remote, "session-0"), 1, "{refusal}");
    }
}

#[tokio::test]
async fn a_server_that_forgets_every_session_is_not_given_new_ones_without_end() {
    let sessions = Sessions::default();
    let listens = AtomicUsize::new(0);
    let answer = move |asked: &Asked, own: Option<Response>| {
        let is_second = asked.verb == "GET" && listens.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        match own {
            _ if is_second => status(404),
            _ if asked.verb == "GET" => events(&[]),
            Some(own) => own,
            None => done(asked),
        }
    };
    let remote = sessions.remote_as(answer).await;
    let mut host = remote.host();
    host.initialize().await;
    eventually("the second session is forgotten, too", async || {
        listened(&remote, "session-1") == 2
    })
    .await;
    let next = host.next().await;
    assert_eq!(next["method"], "notifications/tools/list_changed");
    for id in 1..10 {
        host.ask(call(id)).await;
    }
    assert_eq!(remote.asked_for("initialize").len(), 2);
}

#[tokio::test]
async fn an_error_with_the_id_of_its_request_is_the_answer() {
    let sessions = Sessions::default();
    let words = "no chat session named x; one record was made before it failed";
    let remote = sessions
        .remote_with(|asked| error(400, &asked.body["id"], words))
        .await;
    let mut host = remote.host();
    host.initialize().await;
    let answer = host.ask(call(1)).await;
    assert_eq!(answer["error"]["code"], -32000, "{answer}");
    assert_eq!(remote.asked_for("tools/call").len(), 1);
    assert_eq!(remote.asked_for("initialize").len(), 1);
}

#[tokio::test]
async fn a_400_is_of_the_session_where_it_says_so_in_the_words_of_the_sdks() {
    for (words, sent) in [
        ("Bad Request: No valid session ID provided", 2),
        ("Bad Request: Server not initialized", 2),
        ("The session data is invalid", 1),
    ] {
        let sessions = Sessions::default();
        let answer = move |asked: &Asked| match asked.header("mcp-session-id") {
            Some("session-0") => error(400, &Value::Null, words),
            _ => done(asked),
        };
        let remote = sessions.remote_with(answer).await;
        let mut host = remote.host();
        host.initialize().await;
        host.send(call(1)).await;
        let answer = loop {
            let message = host.next().await;
            if message["id"] == 1 {
                break message;
            }
        };
        assert_eq!(answer["result"].is_object(), sent == 2, "{answer}");
        assert_eq!(remote.asked_for("tools/call").len(), sent, "{words}");
    }
}

#[tokio::test]
async fn a_server_that_sends_something_before_it_opens_the_session_is_understood() {
    let sessions = Sessions::default();
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} });
    let remote = {
        let note = note.clone();
        let answer = move |asked: &Asked, own: Option<Response>| match own {
            Some(own) if asked.method() == "initialize" => {
                let result = asked.result(json!({ "protocolVersion": "2025-11-25" }));
                in_session_of(&own, events(&[note.clone(), result]))
            }
            Some(own) => own,
            None => done(asked),
        };
        sessions.remote_as(answer).await
    };
    let mut host = remote.host_with(&["--wait", "0"]);
    host.send(crate::host::initialize()).await;
    assert_eq!(host.next().await, note);
    assert!(host.next().await["result"].is_object());
    host.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
        .await;
    host.ask(call(1)).await;
    sessions.forget();
    host.send(call(2)).await;
    assert_eq!(host.next().await, note);
    let answer = host.next().await;
    assert!(answer["result"].is_object(), "{answer}");
}

/// The answers of the host to the request 9.
fn answers(remote: &Remote) -> Vec<Asked> {
    let mut asked = remote.asked();
    asked.retain(|asked| asked.body["id"] == 9);
    asked
}

fn answer_to_9() -> Value {
    json!({ "jsonrpc": "2.0", "id": 9, "result": {} })
}

#[tokio::test]
async fn what_a_server_asks_while_it_opens_a_session_is_answered_in_that_session() {
    let sessions = Sessions::default();
    let opening = Arc::new(Mutex::new(None));
    let remote = {
        let opening = Arc::clone(&opening);
        let answer = move |asked: &Asked, own: Option<Response>| match own {
            Some(own) if asked.method() == "initialize" => {
                let (feed, stream) = Feed::new();
                feed.send("", &json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" }));
                let result = asked.result(json!({ "protocolVersion": "2025-11-25" }));
                *opening.lock().unwrap() = Some((feed, result));
                in_session_of(&own, stream)
            }
            Some(own) => own,
            None => done(asked),
        };
        sessions.remote_as(answer).await
    };
    let mut host = remote.host();
    host.send(crate::host::initialize()).await;
    for number in 0..2 {
        assert_eq!(host.next().await["method"], "ping");
        host.send(answer_to_9()).await;
        eventually("it is answered", async || answers(&remote).len() > number).await;
        let session = format!("session-{number}");
        let answer = &answers(&remote)[number];
        assert_eq!(answer.header("mcp-session-id"), Some(session.as_str()));
        let (feed, result) = opening.lock().unwrap().take().unwrap();
        feed.send("", &result);
        assert!(host.next().await["result"].is_object());
        if number == 0 {
            host.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
                .await;
            host.ask(call(1)).await;
            sessions.forget();
            host.send(call(2)).await;
        }
    }
}

/// Servers number what they ask anew in each session.
#[tokio::test]
async fn what_was_asked_in_a_session_that_is_gone_is_not_answered_in_another() {
    let sessions = Sessions::default();
    let remote = sessions.remote().await;
    let mut host = remote.host();
    host.initialize().await;
    let question = json!({ "jsonrpc": "2.0", "id": 9, "method": "roots/list" });
    sessions.stream(0).await.send("", &question);
    assert_eq!(host.next().await["method"], "roots/list");
    sessions.forget();
    host.send(call(1)).await;
    while host.next().await["id"] != 1 {}
    host.send(answer_to_9()).await;
    eventually("it is answered", async || answers(&remote).len() == 1).await;
    assert_eq!(
        answers(&remote)[0].header("mcp-session-id"),
        Some("session-0")
    );
}

/// A server whose second session is greeted when the test says so, and that refuses calls before.
async fn with_slow_greeting(sessions: &Sessions, may_greet: &watch::Sender<bool>) -> Remote {
    let (sessions, may_greet) = (sessions.clone(), may_greet.subscribe());
    let (greeted, _) = watch::channel(false);
    let greeted = Arc::new(greeted);
    Remote::start(move |asked| {
        let (sessions, mut may_greet) = (sessions.clone(), may_greet.clone());
        let greeted = Arc::clone(&greeted);
        async move {
            let is_new = asked.header("mcp-session-id") == Some("session-1");
            if is_new && asked.method() == "notifications/initialized" {
                may_greet.wait_for(|may| *may).await.unwrap();
                greeted.send_replace(true);
            }
            let is_early = is_new && !*greeted.borrow();
            match sessions.answer(&asked) {
                Some(answer) => answer,
                None if is_early => error(200, &asked.body["id"], "not initialized"),
                None => done(&asked),
            }
        }
    })
    .await
}

async fn until_it_greets(remote: &Remote) {
    eventually("the second session is greeted", async || {
        remote.asked_for("notifications/initialized").len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_new_session_is_used_once_it_is_greeted() {
    let (sessions, may_greet) = (Sessions::default(), watch::Sender::new(false));
    let remote = with_slow_greeting(&sessions, &may_greet).await;
    let mut host = remote.host();
    host.initialize().await;
    host.ask(call(1)).await;
    sessions.forget();
    host.send(call(2)).await;
    until_it_greets(&remote).await;
    host.send(call(3)).await;
    eventually("it is sent", async || {
        remote.asked_for("tools/call").len() == 3
    })
    .await;
    may_greet.send_replace(true);
    let mut answered = 0;
    while answered < 2 {
        let message = host.next().await;
        assert!(message["error"].is_null(), "{message}");
        answered += usize::from(message["result"].is_object());
    }
}

#[tokio::test]
async fn a_request_that_is_cancelled_leaves_no_session_ungreeted() {
    let (sessions, may_greet) = (Sessions::default(), watch::Sender::new(false));
    let remote = with_slow_greeting(&sessions, &may_greet).await;
    let mut host = remote.host();
    host.initialize().await;
    host.ask(call(1)).await;
    sessions.forget();
    host.send(call(2)).await;
    until_it_greets(&remote).await;
    host.send(json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2 },
    }))
    .await;
    eventually("it is cancelled", async || {
        !remote.asked_for("notifications/cancelled").is_empty()
    })
    .await;
    may_greet.send_replace(true);
    host.send(call(3)).await;
    loop {
        let message = host.next().await;
        assert!(message["error"].is_null(), "{message}");
        if message["id"] == 3 {
            break;
        }
    }
}
