//! A server with the sessions of the revisions before 2026-07-28, which a test forgets and resumes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use jeton_tests::eventually;
use serde_json::{Value, json};

use crate::remote::{Asked, Feed, Remote, done, events, status};

/// A server with sessions, which are numbered; those before `valid` are unknown to it.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    opened: Arc<AtomicUsize>,
    valid: Arc<AtomicUsize>,
    /// The streams that were asked for with GET, newest last.
    pub(crate) streams: Arc<Mutex<Vec<Feed>>>,
}

impl Sessions {
    /// A server that answers with an empty result whatever is not about the session.
    pub(crate) async fn remote(&self) -> Remote {
        self.remote_with(done).await
    }

    /// A server whose `answer` is to whatever is not about the session.
    pub(crate) async fn remote_with(
        &self,
        answer: impl Fn(&Asked) -> Response + Send + Sync + 'static,
    ) -> Remote {
        self.remote_as(move |asked, own| own.unwrap_or_else(|| answer(asked)))
            .await
    }

    /// A server whose `answer` is to everything; with it comes what the session's would be.
    pub(crate) async fn remote_as(
        &self,
        answer: impl Fn(&Asked, Option<Response>) -> Response + Send + Sync + 'static,
    ) -> Remote {
        let sessions = self.clone();
        Remote::start(move |asked| {
            let answer = answer(&asked, sessions.answer(&asked));
            async move { answer }
        })
        .await
    }

    /// Deals with the session; what is left to the test gives nothing.
    pub(crate) fn answer(&self, asked: &Asked) -> Option<Response> {
        if asked.method() == "initialize" {
            let number = self.opened.fetch_add(1, Ordering::SeqCst);
            let mut answer = events(&[asked.result(json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "tools": { "listChanged": true } },
                "serverInfo": { "name": "s", "version": "1" },
            }))]);
            let id = format!("session-{number}").parse().unwrap();
            answer.headers_mut().insert("mcp-session-id", id);
            return Some(answer);
        }
        let session = asked.header("mcp-session-id").unwrap_or("none");
        let number: usize = session
            .strip_prefix("session-")
            .unwrap_or("0")
            .parse()
            .unwrap();
        if session == "none" || number < self.valid.load(Ordering::SeqCst) {
            return Some(status(404));
        }
        match (asked.verb.as_str(), asked.method()) {
            ("GET", _) if asked.header("last-event-id").is_none() => {
                let (feed, response) = Feed::new();
                self.streams.lock().unwrap().push(feed);
                Some(response)
            }
            ("DELETE", _) => Some(status(204)),
            ("POST", method) if method.starts_with("notifications/") => Some(status(202)),
            ("POST", "") => Some(status(202)),
            _ => None,
        }
    }

    /// All sessions so far are unknown from now on.
    pub(crate) fn forget(&self) {
        self.valid
            .store(self.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    pub(crate) async fn stream(&self, number: usize) -> Feed {
        eventually("it listens", async || {
            self.streams.lock().unwrap().len() > number
        })
        .await;
        self.streams.lock().unwrap()[number].clone()
    }
}

/// A call of a tool.
pub(crate) fn call(id: u32) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "t" } })
}
