//! What wants no answer: the host's notifications, in the order in which it sent them, and its
//! responses to the server.

use std::sync::Arc;
use std::time::Duration;

use jeton_agent::AgentError;
use reqwest::header::HeaderMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::answer::Refusal;
use crate::bridge::Shared;
use crate::exchange::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::failure::{Failure, Reason};
use crate::headers;
use crate::message::{Kind, Message};
use crate::session::Session;

/// How long a notification may take before others are sent.
const NOTIFICATION: Duration = Duration::from_secs(15);

pub(crate) const INITIALIZED: &str = "notifications/initialized";

/// A notification on its way, and who waits until it has arrived.
pub(crate) type Departing = (Message, Option<oneshot::Sender<()>>);

/// Why a message did not arrive.
struct Undelivered {
    failure: Failure,
    may_pass: bool,
    retry_after: Duration,
}

/// Sends notifications in the order in which the host sent them, and after the answer to its
/// `initialize`.
pub(crate) async fn send_notifications(
    shared: Arc<Shared>,
    mut departing: mpsc::UnboundedReceiver<Departing>,
) {
    while let Some((message, arrived)) = departing.recv().await {
        if message.version().is_none() {
            shared.sessions.opened().await;
        }
        shared.deliver(&message).await;
        if let Some(arrived) = arrived {
            let _ = arrived.send(());
        }
    }
}

impl Shared {
    /// Delivers a notification in the session of now, and a response to the server in the one in which
    /// it asked. Where its session is gone, whoever waited for it is gone too.
    pub(crate) async fn deliver(&self, message: &Message) {
        let session = match self.questions.asked_in(message) {
            Some(session) => Some(self.sessions.as_agreed(session)),
            None => self.sessions.current(),
        };
        if let Err(failure) = self.deliver_in(session.as_deref(), message).await {
            tracing::warn!(
                method = message.method(),
                problem = failure.words(),
                "the MCP server did not take a message"
            );
        }
    }

    /// Delivers a message in `session`. One that the server waits for is sent again while the server
    /// is busy or away: it does no harm twice.
    pub(crate) async fn deliver_in(
        &self,
        session: Option<&Session>,
        message: &Message,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + self.wait;
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(undelivered) = self.attempt(session, message).await else {
                return Ok(());
            };
            pause = pause.max(undelivered.retry_after);
            let is_repeated = undelivered.may_pass && is_waited_for(message);
            if !is_repeated || Instant::now() + pause > deadline {
                return Err(undelivered.failure);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(
        &self,
        session: Option<&Session>,
        message: &Message,
    ) -> Result<(), Undelivered> {
        let headers = match (message.version(), session) {
            (Some(version), _) => headers::of_message(message, &version),
            (None, Some(session)) => session.headers(Some(message)),
            (None, None) => HeaderMap::new(),
        };
        let posted = self.remote.post(message.text(), headers);
        let sent = if matches!(message.kind(), Kind::Notification { .. }) {
            timeout(NOTIFICATION, posted)
                .await
                .map_err(|_| Undelivered {
                    failure: Failure::new(Reason::Interrupted, "It did not arrive in time."),
                    may_pass: true,
                    retry_after: Duration::ZERO,
                })?
        } else {
            posted.await
        };
        match sent {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => {
                let refusal = Refusal::of(response).await;
                Err(Undelivered {
                    failure: self.refusal(&refusal).await,
                    may_pass: refusal.is_busy(),
                    retry_after: refusal.retry_after.unwrap_or_default(),
                })
            }
            Err(error) => {
                let failure = Failure::of_agent(&error, self.remote.tokens());
                Err(Undelivered {
                    may_pass: failure.was_not_sent || matches!(error, AgentError::Http(_)),
                    failure,
                    retry_after: Duration::ZERO,
                })
            }
        }
    }
}

/// Whether the server does nothing more before it has it: the end of the handshake, and what it asked
/// the host.
fn is_waited_for(message: &Message) -> bool {
    match message.kind() {
        Kind::Notification { method } => method == INITIALIZED,
        Kind::Response { .. } => true,
        Kind::Request { .. } => false,
    }
}
