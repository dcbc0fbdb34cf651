//! A stream that broke is taken up where it broke (MCP 2025-11-25, *Resumability and Redelivery*).

use std::time::Duration;

use jeton_jose::retry_after;
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, sleep};

use crate::answer::{EventStream, is_stream};
use crate::bridge::Shared;
use crate::events::Events;
use crate::exchange::{LONGEST_PAUSE, LONGEST_RESUME_PAUSE};
use crate::session::Session;

/// The pause before a broken stream is asked for again, unless the server names another.
const RESUME_PAUSE: Duration = Duration::from_millis(500);
/// The shortest pause before a stream is asked for again that brought nothing; each further one is
/// twice as long.
const SHORTEST_RESUME_PAUSE: Duration = Duration::from_millis(100);
/// How often in a row a stream may be taken up again that ends at once and brings nothing.
const EMPTY_RESUMPTIONS: u32 = 6;
/// A stream that was open so long did not end at once, and a server that asks for a pause of this
/// length wants to be asked again and again.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What came of taking up a stream again, since the last message.
#[derive(Default)]
pub(crate) struct Idle {
    /// Streams in a row that ended at once and brought no message.
    quiet: u32,
    /// Those of them, in a row, that brought no event either.
    empty: u32,
}

impl Idle {
    /// The pause before the next one, if there is to be one.
    pub(crate) fn pause(&self, asked_for: Option<Duration>) -> Option<Duration> {
        if self.empty >= EMPTY_RESUMPTIONS {
            return None;
        }
        let shortest = SHORTEST_RESUME_PAUSE * 2_u32.saturating_pow(self.quiet.min(16));
        let pause = asked_for.unwrap_or(RESUME_PAUSE).min(LONGEST_RESUME_PAUSE);
        Some(pause.max(shortest.min(LONGEST_PAUSE)))
    }

    /// One more ended. A server that asks for a real pause is one that wants to be asked again and
    /// again.
    pub(crate) fn ended(&mut self, resumed: &Resumed, asked_for: Option<Duration>) {
        let paces = asked_for.is_some_and(|pause| pause >= AT_ONCE);
        if paces || resumed.at.elapsed() >= AT_ONCE {
            *self = Self::default();
            return;
        }
        self.quiet += 1;
        self.empty = if resumed.had_event { 0 } else { self.empty + 1 };
    }
}

/// A stream that was taken up again.
pub(crate) struct Resumed {
    at: Instant,
    pub(crate) had_event: bool,
}

impl Resumed {
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            had_event: false,
        }
    }
}

impl Shared {
    /// Asks for the rest of a stream (MCP 2025-11-25, *Resumability and Redelivery*).
    pub(crate) async fn resume(
        &self,
        events: Events,
        session: &Session,
        mut pause: Duration,
    ) -> Option<EventStream> {
        let last = events.last_id()?.to_owned();
        let deadline = Instant::now() + self.wait;
        loop {
            sleep(pause).await;
            let asked = match self.remote.listen(session.headers(None), Some(&last)).await {
                Ok(response) if is_resumed(&response) => {
                    return Some(EventStream::new(response, events.resumed()));
                }
                Ok(response) if !may_be_there_later(response.status()) => return None,
                Ok(response) => retry_after(response.headers(), LONGEST_RESUME_PAUSE),
                Err(_) => None,
            };
            pause = pause.max(asked.unwrap_or_default());
            if Instant::now() + pause > deadline {
                return None;
            }
            pause = (pause * 2)
                .min(LONGEST_PAUSE)
                .max(asked.unwrap_or_default());
        }
    }
}

fn is_resumed(response: &Response) -> bool {
    response.status() == StatusCode::OK && is_stream(response.headers())
}

fn may_be_there_later(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}
