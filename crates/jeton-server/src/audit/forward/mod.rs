//! Sending audit events on: to syslog, and as signed webhooks.
//!
//! The log itself is the queue. For each destination the store remembers up to which event it has
//! come; after an interruption it goes on from there, so that every event arrives at least once and
//! in order. A destination that is away holds up nobody but itself.

mod syslog;
mod webhook;

use std::time::{Duration, Instant};

use jeton_store::{RecordedEvent, Store, StoreError};

use crate::config::{Destination, Forward};
use crate::telemetry::with_causes;
use syslog::Syslog;
use webhook::Webhook;

/// Events read at once.
const STEP: u32 = 200;
/// A round ends after so long, so that the lock of the job is not held for ever.
const ROUND: Duration = Duration::from_secs(4);
/// A destination that failed is tried again after this, then after twice as long, and so on.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(300);

/// Why an event did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("it could not be reached")]
    Io(#[from] std::io::Error),
    #[error("it could not be reached")]
    Http(#[from] jeton_jose::HttpError),
    #[error("it answered {0} where a status of 2xx was expected")]
    Status(u16),
}

/// One destination, on its way through the log.
pub(crate) struct Forwarding {
    forward: Forward,
    sender: Sender,
    failures: u32,
    not_before: Option<Instant>,
}

enum Sender {
    Webhook(Webhook),
    Syslog(Syslog),
}

impl Sender {
    async fn send(&mut self, event: &RecordedEvent) -> Result<(), ForwardError> {
        match self {
            Self::Webhook(webhook) => webhook.send(event).await,
            Self::Syslog(syslog) => syslog.send(event).await,
        }
    }
}

impl Forwarding {
    pub(crate) fn to(forward: &Forward, host: &str) -> Result<Self, reqwest::Error> {
        let sender = match &forward.to {
            Destination::Webhook { url, secret } => {
                Sender::Webhook(Webhook::new(url.clone(), secret.clone())?)
            }
            Destination::SyslogUdp(place) => Sender::Syslog(Syslog::udp(place, host)),
            Destination::SyslogTcp(place) => Sender::Syslog(Syslog::tcp(place, host)),
            Destination::SyslogUnix(path) => Sender::Syslog(Syslog::unix(path, host)),
        };
        Ok(Self {
            forward: forward.clone(),
            sender,
            failures: 0,
            not_before: None,
        })
    }

    /// Sends what is there to send, for a while.
    pub(crate) async fn round(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.not_before.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        let name = &self.forward.name;
        let Some(mut done) = store.audit_forwarded_through(name).await? else {
            // A new destination begins with what happens from now on.
            let end = store.audit_end().await?.map_or(0, |(seq, _)| seq);
            store.set_audit_forwarded(name, end).await?;
            return Ok(());
        };
        let begin = Instant::now();
        while begin.elapsed() < ROUND {
            let events = store.audit_after(done, STEP).await?;
            if events.is_empty() {
                break;
            }
            let before = done;
            let sent = self.send_all(events, &mut done, begin).await;
            if done > before {
                store.set_audit_forwarded(&self.forward.name, done).await?;
            }
            match sent {
                Ok(()) => self.succeeded(),
                Err(error) => {
                    self.failed(&error);
                    break;
                }
            }
        }
        Ok(())
    }

    async fn send_all(
        &mut self,
        events: Vec<(RecordedEvent, Option<String>)>,
        done: &mut i64,
        begin: Instant,
    ) -> Result<(), ForwardError> {
        for (event, _) in events {
            if self.forward.kinds.contains(&event.event.kind) {
                if begin.elapsed() >= ROUND {
                    return Ok(());
                }
                self.sender.send(&event).await?;
            }
            *done = event.seq;
        }
        Ok(())
    }

    fn succeeded(&mut self) {
        if self.failures > 0 {
            tracing::info!(destination = self.forward.name, "audit events arrive again");
        }
        self.failures = 0;
        self.not_before = None;
    }

    fn failed(&mut self, error: &ForwardError) {
        let wait = RETRY_AFTER * 2_u32.saturating_pow(self.failures.min(10));
        let wait = wait.min(RETRY_AFTER_AT_MOST);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + wait);
        tracing::warn!(
            destination = self.forward.name,
            error = with_causes(error),
            retry_after_seconds = wait.as_secs(),
            "an audit event did not arrive; it and those after it are sent again"
        );
    }
}
