//! Sending audit events on: to syslog, and as signed webhooks.
//!
//! The log itself is the queue. For each destination the store remembers up to which event it has
//! come; after an interruption it goes on from there, so that every event arrives at least once and
//! in order. A destination that is away holds up nobody but itself.

mod syslog;
mod webhook;

use std::time::{Duration, Instant};

use jeton_core::{Actor, AuditEvent, AuditKind, Entropy, EntropyError, EventId};
use jeton_jose::{TreeHash, UnverifiedNote};
use jeton_store::{AuditNote, Locked, RecordedEvent, Store, StoreError};

use crate::audit::Checkpoint;
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

/// A checkpoint as an event: the same at every attempt, its ID too.
fn checkpoint_event(row: &AuditNote) -> Option<RecordedEvent> {
    let note = row.note.as_ref()?;
    let unverified = UnverifiedNote::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(unverified.unverified_text())?;
    let id = EventId::generate(checkpoint.at, &FromLeaf(checkpoint.leaf())).ok()?;
    let kind = AuditKind::AuditCheckpoint;
    let mut event = AuditEvent::new(id, checkpoint.at, kind, Actor::System);
    event.detail.insert("number".into(), row.number.into());
    event.detail.insert("note".into(), note.as_str().into());
    let seq = checkpoint.end.seq;
    Some(RecordedEvent { seq, event })
}

/// What stands in for randomness in the ID.
#[derive(Debug)]
struct FromLeaf(TreeHash);

impl Entropy for FromLeaf {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for (place, byte) in bytes.iter_mut().zip(self.0) {
            *place = byte;
        }
        Ok(())
    }
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
        })
    }

    /// Sends what is there to send, for a while.
    pub(crate) async fn round(&mut self, store: &Store, alone: &Locked) -> Result<(), StoreError> {
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
        self.forward_checkpoints(store).await?;
        let begin = Instant::now();
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
    async fn forward_checkpoints(&mut self, store: &Store) -> Result<(), StoreError> {
        if !self.forward.kinds.contains(&AuditKind::AuditCheckpoint) {
            return Ok(());
        }
        let name = self.forward.name.clone();
        let done = match store.audit_note_forwarded(&name).await? {
            Some(done) => done,
            None => match store.last_audit_note().await? {
                Some(newest) => newest.number - 1,
                None => return Ok(()),
            },
        };
        for row in store.audit_notes(done + 1, STEP).await? {
            if let Some(event) = checkpoint_event(&row)
                && let Err(error) = self.sender.send(std::slice::from_ref(&event)).await
            {
                self.failed(&error);
                return Ok(());
            }
            store.set_audit_note_forwarded(&name, row.number).await?;
        }
        Ok(())
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
