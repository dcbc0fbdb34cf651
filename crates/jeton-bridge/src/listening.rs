//! The stream of what a server sends unasked, in revisions before 2026-07-28: requests for sampling,
//! elicitation and roots, pings, and notifications.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::task::AbortHandle;
use tokio::time::{sleep, sleep_until};

use crate::answer::{Broken, EventStream, Refusal, is_stream};
use crate::bridge::{Shared, spawn};
use crate::events::Events;
use crate::message::Message;
use crate::session::Session;

/// The first pause before the stream is asked for again, unless the server names another.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long no other session is opened because of the stream after one was: a server that forgets
/// each session would be given new ones without end.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// The task that listens; it ends with this.
#[derive(Debug)]
pub(crate) struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    /// Listens in `session` instead of in the one before.
    pub(crate) fn start_listening(self: &Arc<Self>, session: Arc<Session>) {
        let task = spawn(listen(Arc::clone(self), session));
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *listening = Some(Listening(task.abort_handle()));
    }
}

async fn listen(shared: Arc<Shared>, session: Arc<Session>) {
    let mut events = Events::default();
    let mut pause = FIRST_PAUSE;
    // Where there never was one, 404 is what servers answer that have no such route.
    let mut has_streamed = false;
    loop {
        let last = events.last_id().map(str::to_owned);
        let asked = shared
            .remote
            .listen(session.headers(None), last.as_deref())
            .await;
        match asked {
            Ok(response) if response.status().is_success() && is_stream(response.headers()) => {
                has_streamed = true;
                let stream = EventStream::new(response, events.resumed());
                let (came, rest) = pass_on(&shared, &session, stream).await;
                events = rest;
                if came {
                    pause = FIRST_PAUSE;
                }
            }
            Ok(response) => {
                let refusal = Refusal::of(response).await;
                if has_streamed && refusal.is_of_session(None) && session.has_id() {
                    if let Some(renewed_at) = shared.sessions.renewed_at() {
                        sleep_until(renewed_at + RENEWAL_PAUSE).await;
                    }
                    // Whoever is first opens another session, and another task listens there.
                    match shared.renew(&session).await {
                        Ok(()) => return,
                        Err(failure) => {
                            tracing::warn!(problem = failure.words(), "no new session yet");
                        }
                    }
                } else if !may_pass(refusal.status) {
                    tracing::debug!(status = %refusal.status, "the MCP server offers no stream of its own");
                    return;
                }
                pause = pause.max(refusal.retry_after.unwrap_or_default());
            }
            Err(error) => {
                tracing::debug!(%error, "the stream of the MCP server is not to be had now");
            }
        }
        sleep(
            events
                .retry()
                .unwrap_or(pause)
                .min(LONGEST_PAUSE)
                .max(pause),
        )
        .await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Passes messages on until the stream ends. Says whether any event came.
async fn pass_on(
    shared: &Shared,
    session: &Arc<Session>,
    mut stream: EventStream,
) -> (bool, Events) {
    let mut came = false;
    loop {
        match stream.next().await {
            Ok(Some(event)) => {
                came = true;
                if !event.is_message() {
                    continue;
                }
                for message in Message::read_all(&event.data).unwrap_or_default() {
                    shared.pass_to_host(&message, Some(session)).await;
                }
            }
            Ok(None) | Err(Broken::Http(_)) => return (came, stream.into_events()),
            Err(Broken::TooLarge) => {
                tracing::warn!("the MCP server sent an event of more than 64 MiB; it was left out");
                return (came, stream.into_events());
            }
        }
    }
}

fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}
