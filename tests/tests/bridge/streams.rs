//! Streams that break, end too soon, or are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::host::stateless;
use crate::remote::{Asked, Feed, Remote, events, refused, status};
use crate::sessions::{Sessions, call};

#[tokio::test]
async fn an_event_that_broke_off_is_asked_for_again() {
    let sessions = Sessions::default();
    let answer = |asked: &Asked| {
        let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
        let (feed, response) = Feed::new();
        match asked.header("last-event-id") {
            None => {
                feed.write("id: 1\nretry: 10\ndata:\n\n");
                feed.write("id: 2\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"res");
            }
            Some("1") => feed.send("2", &answer),
            Some(_) => return status(405),
        }
        response
    };
    let remote = sessions.remote_with(answer).await;
    let mut host = remote.host();
    host.initialize().await;
    let answer = host.ask(call(1)).await;
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_stream_that_brings_nothing_is_given_up() {
    let sessions = Sessions::default();
    let answer = |asked: &Asked| match asked.header("last-event-id") {
        None => {
            let (feed, response) = Feed::new();
            feed.write("id: 1\nretry: 0\ndata:\n\n");
            response
        }
        Some(_) => events(&[]),
    };
    let remote = sessions.remote_with(answer).await;
    let mut host = remote.host();
    host.initialize().await;
    let answer = host.ask(call(1)).await;
    assert_eq!(answer["error"]["data"]["reason"], "interrupted", "{answer}");
    let resumed = remote.asked();
    let resumed = resumed
        .iter()
        .filter(|asked| asked.header("last-event-id").is_some())
        .count();
    assert!((3..10).contains(&resumed), "{resumed}");
}

#[tokio::test]
async fn a_subscription_that_is_refused_for_good_ends() {
    let count = Arc::new(AtomicUsize::new(0));
    let remote = Remote::start(move |_| {
        let answer = match count.fetch_add(1, Ordering::SeqCst) {
            0 => events(&[json!({
                "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": {},
            })]),
            1 => status(429),
            2 => status(503),
            3 => refused(403, "Basic"),
            _ => status(500),
        };
        async move { answer }
    })
    .await;
    let mut host = remote.host_with(&["--wait", "0"]);
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    host.send(stateless(json!("s"), "subscriptions/listen", wanted))
        .await;
    let first = host.next().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    let last = host.next().await;
    assert_eq!(last["id"], "s", "{last}");
    assert_eq!(last["error"]["data"]["reason"], "refused", "{last}");
    assert_eq!(remote.asked().len(), 4);
    host.hang_up();
    let exit = host.ended().await;
    assert!(exit.stderr.contains("a request failed"), "{}", exit.stderr);
}
