//! Sending audit events on: to syslog, and as signed webhooks.
//!
//! The log itself is the queue. For each destination the store remembers up to which event it has
//! come; after an interruption it goes on from there, so that every event arrives at least once and
//! in order. A destination that is away holds up nobody but itself.

mod checkpoints;
mod syslog;
mod webhook;

use std::time::{Duration, Instant};

use jeton_core::AuditKind;
use jeton_store::{Locked, RecordedEvent, Store, StoreError};
use tokio::sync::Mutex;

use super::Known;
use crate::config::{Destination, Forward};
use crate::telemetry::with_causes;
use syslog::Syslog;
use webhook::Webhook;

/// Events read at once.
const STEP: u32 = 200;
/// The longest that a round takes, so that others get the lock of the job.
const ROUND: Duration = Duration::from_secs(4);
/// A destination that failed is tried again after this, then after twice as long, and so on.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(300);
/// All checkpoints are read to find out whether they fit: not again so soon where they do not.
const DOUBTED: Duration = Duration::from_secs(60);

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
    /// The database has other checkpoints than this server knows: when to look again.
    doubted_until: Option<Instant>,
}

enum Sender {
    Webhook(Webhook),
    Syslog(Syslog),
}

impl Sender {
    async fn send(&mut self, events: &[RecordedEvent]) -> Result<(), ForwardError> {
        match self {
            Self::Webhook(webhook) => webhook.send(events).await,
            Self::Syslog(syslog) => {
                for event in events {
                    syslog.send(event).await?;
                }
                Ok(())
            }
        }
    }
}

impl Forwarding {
    pub(crate) fn to(forward: &Forward, host: &str) -> Result<Self, reqwest::Error> {
        let sender = match &forward.to {
            Destination::Webhook { url, secret } => {
                let is_batched = forward.batch.is_some();
                Sender::Webhook(Webhook::new(url.clone(), secret.clone(), is_batched)?)
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
            doubted_until: None,
        })
    }

    /// Sends what is there to send, for a while.
    pub(crate) async fn round(
        &mut self,
        (store, known): (&Store, &Mutex<Known>),
        alone: &Locked,
    ) -> Result<(), StoreError> {
        if self.not_before.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        let name = &self.forward.name;
        let Some(mut done) = store.audit_forwarded_through(name).await? else {
            // A new destination begins with what happens from now on.
            let end = store.audit_end().await?.map_or(0, |end| end.seq);
            store.set_audit_forwarded(name, end).await?;
            return Ok(());
        };
        let begin = Instant::now();
        self.forward_checkpoints(store, known, begin).await?;
        while begin.elapsed() < ROUND {
            alone.check().await?;
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

    /// Sends the checkpoints that were signed since, so that they are kept where nobody who can write to
    /// the database can write. A new destination begins with the newest.
    async fn forward_checkpoints(
        &mut self,
        store: &Store,
        known: &Mutex<Known>,
        begin: Instant,
    ) -> Result<(), StoreError> {
        if !self.forward.kinds.contains(&AuditKind::AuditCheckpoint) {
            return Ok(());
        }
        if self.doubted_until.is_some_and(|at| at > begin) {
            return Ok(());
        }
        let name = self.forward.name.clone();
        let done = store.audit_note_forwarded(&name).await?;
        let found = {
            let known = known.lock().await;
            // Where the log stepped back, so do the numbers.
            let newest = known.chain.number();
            let done = done.unwrap_or(newest - 1).min(newest);
            checkpoints::known_after(store, &known, done).await?
        };
        self.doubt(found.is_none());
        for row in found.into_iter().flatten() {
            if begin.elapsed() >= ROUND {
                break;
            }
            if let Some(event) = checkpoints::event_of(&row)
                && let Err(error) = self.sender.send(std::slice::from_ref(&event)).await
            {
                self.failed(&error);
                return Ok(());
            }
            store.set_audit_note_forwarded(&name, row.number).await?;
        }
        Ok(())
    }

    fn doubt(&mut self, is_doubted: bool) {
        if is_doubted && self.doubted_until.is_none() {
            tracing::error!(
                destination = self.forward.name,
                "the database holds other checkpoints than this server signed or verified; none are sent on. Run jeton audit verify"
            );
        }
        self.doubted_until = is_doubted.then(|| Instant::now() + DOUBTED);
    }

    async fn send_all(
        &mut self,
        events: Vec<(RecordedEvent, Option<String>)>,
        done: &mut i64,
        begin: Instant,
    ) -> Result<(), ForwardError> {
        let most = self.forward.batch.unwrap_or(1);
        let mut together = Vec::new();
        let mut through = *done;
        for (event, _) in events {
            through = event.seq;
            if self.forward.kinds.contains(&event.event.kind) {
                together.push(event);
            }
            if together.len() >= most {
                if begin.elapsed() >= ROUND {
                    return Ok(());
                }
                self.sender.send(&together).await?;
                together.clear();
            }
            if together.is_empty() {
                *done = through;
            }
        }
        if !together.is_empty() {
            self.sender.send(&together).await?;
        }
        *done = through;
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
