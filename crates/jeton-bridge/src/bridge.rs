//! The bridge as a whole: messages of the host go out, each in a task of its own, until the host's
//! end of the pipe is closed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jeton_agent::TokenSource;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::capabilities::declared;
use crate::delivery::{Departing, INITIALIZED, send_notifications};
use crate::exchange::Exchange;
use crate::failure::{Failure, Reason};
use crate::id::Id;
use crate::in_flight::InFlight;
use crate::listening::Listening;
use crate::message::{Kind, Message};
use crate::questions::Questions;
use crate::remote::Remote;
use crate::session::Sessions;
use crate::stdio::{Host, Input, Line, Output};
use crate::tool_headers::ToolHeaders;

/// How long requests under way may take once the host has closed its end. SDKs kill a server that
/// is still there after two seconds.
const DRAIN: Duration = Duration::from_secs(1);
/// How long ending the session may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// JSON-RPC 2.0 §5.1.
const PARSE_ERROR: i32 = -32_700;
/// JSON-RPC 2.0 §5.1.
const INVALID_REQUEST: i32 = -32_600;

/// Why the bridge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The host closed its end.
    ByHost,
    /// It was asked to stop.
    Stopped,
}

/// What all tasks work with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) remote: Remote,
    pub(crate) host: Host,
    pub(crate) sessions: Sessions,
    pub(crate) tool_headers: ToolHeaders,
    pub(crate) listening: Mutex<Option<Listening>>,
    pub(crate) questions: Questions,
    in_flight: InFlight,
    /// How long a request waits for a server that cannot be reached.
    pub(crate) wait: Duration,
}

impl Shared {
    /// The remote server's URL, fit for everybody's eyes.
    pub(crate) fn url(&self) -> &str {
        self.remote.tokens().resource()
    }
}

/// A bridge between a host and a remote MCP server.
#[derive(Debug)]
pub struct Bridge {
    shared: Arc<Shared>,
    output: Output,
    requests: JoinSet<()>,
    notifications: mpsc::UnboundedSender<Departing>,
    /// Sends them.
    sender: JoinHandle<()>,
}

impl Bridge {
    /// A bridge to the MCP server that `tokens` are for. A request waits `wait` for a server that
    /// cannot be reached before it is answered with an error.
    ///
    /// # Errors
    ///
    /// Where the server's URL cannot be read.
    pub fn new(
        tokens: TokenSource,
        output: Output,
        wait: Duration,
    ) -> Result<Self, url::ParseError> {
        let shared = Arc::new(Shared {
            remote: Remote::new(tokens)?,
            host: output.host(),
            sessions: Sessions::default(),
            tool_headers: ToolHeaders::default(),
            listening: Mutex::default(),
            questions: Questions::default(),
            in_flight: InFlight::default(),
            wait,
        });
        let (notifications, departing) = mpsc::unbounded_channel();
        let sender = spawn(send_notifications(Arc::clone(&shared), departing));
        Ok(Self {
            shared,
            output,
            requests: JoinSet::new(),
            notifications,
            sender,
        })
    }

    /// Works until the host closes its end, or `stop` is done.
    pub async fn run(mut self, mut input: Input, stop: impl Future<Output = ()>) -> Ended {
        let host = self.shared.host.clone();
        let mut stop = std::pin::pin!(stop);
        let ended = loop {
            let line = tokio::select! {
                line = input.next() => match line {
                    Some(line) => line,
                    None => break Ended::ByHost,
                },
                Some(_) = self.requests.join_next() => continue,
                () = host.gone() => break Ended::ByHost,
                () = &mut stop => break Ended::Stopped,
            };
            // A complaint waits for a host that does not read.
            tokio::select! {
                () = self.take(line) => {}
                () = host.gone() => break Ended::ByHost,
                () = &mut stop => break Ended::Stopped,
            }
        };
        drop(host);
        self.end(ended).await;
        ended
    }

    async fn take(&mut self, line: Line) {
        let text = match line {
            Line::Text(text) if text.trim().is_empty() => return,
            Line::Text(text) => text,
            Line::TooLong => {
                let problem = "a message has at most 64 MiB";
                return self.complain(INVALID_REQUEST, problem).await;
            }
            Line::NotText => return self.complain(PARSE_ERROR, "this is not UTF-8").await,
        };
        match Message::read_all(&text) {
            Some(messages) => messages
                .into_iter()
                .for_each(|message| self.forward(message)),
            None if is_json(&text) => {
                self.complain(
                    INVALID_REQUEST,
                    "this is no JSON-RPC message; an ID is a string or a number",
                )
                .await;
            }
            None => self.complain(PARSE_ERROR, "this is no JSON").await,
        }
    }

    /// JSON-RPC 2.0 §5.1: what cannot be read is answered without an ID.
    async fn complain(&self, code: i32, problem: &str) {
        tracing::warn!(problem, "the host sent something else than a message");
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"jeton bridge: {problem}"}}}}"#
        );
        if let Some(message) = Message::read(&text) {
            self.shared.host.send(&message).await;
        }
    }

    fn forward(&mut self, message: Message) {
        let message = declared(message);
        match message.kind().clone() {
            Kind::Request { id, .. } => self.request(message, id),
            Kind::Notification { method } if method == "notifications/cancelled" => {
                self.cancel(message);
            }
            Kind::Notification { method } if method == INITIALIZED => {
                self.shared.sessions.set_greeted(false);
                self.initialized(message);
            }
            Kind::Notification { .. } => {
                let _ = self.notifications.send((message, None));
            }
            Kind::Response { .. } => {
                let shared = Arc::clone(&self.shared);
                self.requests
                    .spawn(async move { shared.deliver(&message).await });
            }
        }
    }

    fn request(&mut self, message: Message, id: Id) {
        let version = message.version();
        let opening =
            (message.method() == Some("initialize")).then(|| self.shared.sessions.begin(&message));
        let shared = Arc::clone(&self.shared);
        let is_stateless = version.is_some();
        let number = shared.in_flight.number();
        let (go, may_go) = oneshot::channel::<()>();
        let request_id = id.clone();
        let task = self.requests.spawn(async move {
            // Until it can be cancelled.
            let _ = may_go.await;
            let exchange = Exchange::new(Arc::clone(&shared), message, request_id.clone(), version);
            exchange.run().await;
            shared.in_flight.remove(number, &request_id);
            drop(opening);
        });
        self.shared.in_flight.add(number, id, is_stateless, task);
        let _ = go.send(());
    }

    /// In MCP 2026-07-28, closing the stream cancels a request, and no notification is sent.
    fn cancel(&self, message: Message) {
        let cancelled = message
            .cancelled()
            .and_then(|id| self.shared.in_flight.cancel(&id));
        let has_session = self.shared.sessions.current().is_some();
        if has_session && cancelled != Some(true) {
            let _ = self.notifications.send((message, None));
        }
    }

    /// Requests wait until the server knows that it is initialized: some refuse what comes before.
    fn initialized(&mut self, message: Message) {
        let (arrive, arrived) = oneshot::channel();
        let _ = self.notifications.send((message, Some(arrive)));
        let shared = Arc::clone(&self.shared);
        self.requests.spawn(async move {
            let _ = arrived.await;
            shared.sessions.set_greeted(true);
            if let Some(session) = shared.sessions.current() {
                shared.start_listening(session);
            }
        });
    }

    async fn end(mut self, ended: Ended) {
        drop(self.notifications);
        if ended == Ended::ByHost {
            let drained = timeout(DRAIN, async {
                while self.requests.join_next().await.is_some() {}
                let _ = (&mut self.sender).await;
            });
            let _ = drained.await;
        }
        self.requests.shutdown().await;
        self.sender.abort();
        let listening = &self.shared.listening;
        drop(
            listening
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        if let Some(session) = self
            .shared
            .sessions
            .current()
            .filter(|session| session.has_id())
        {
            let _ = timeout(FAREWELL, self.shared.remote.end(session.headers(None))).await;
        }
        drop(self.shared);
        let _ = timeout(FAREWELL, self.output.finish()).await;
    }
}

/// Answers every request with `problem`: for a bridge that cannot work, because a host shows its
/// user the answer and seldom what a program that ended has written.
pub async fn refuse(mut input: Input, output: Output, problem: &str) {
    let failure = Failure::new(Reason::Configuration, problem);
    let host = output.host();
    while let Some(line) = input.next().await {
        let Line::Text(text) = line else { continue };
        for message in Message::read_all(&text).unwrap_or_default() {
            if let Kind::Request { id, .. } = message.kind()
                && let Some(response) = failure.response(id)
            {
                host.send(&response).await;
            }
        }
    }
    drop(host);
    let _ = timeout(FAREWELL, output.finish()).await;
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is spawned here is aborted with the bridge or ends with it"
)]
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task)
}
