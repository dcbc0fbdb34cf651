//! Group commit: the events of requests that are under way at the same moment share one commit,
//! and with it one fsync.
//!
//! One task owns the writing. It takes what is queued, waits a few milliseconds at most while
//! other token requests are still on their way, commits, and only then lets the answers leave.
//!
//! While the database is away, requests are told so and nothing is issued; with
//! `audit.durability = "async"`, events wait in memory until it is back, as many as there is room
//! for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jeton_core::{AuditEvent, Clock, Entropy, EventId};
use jeton_store::{AppendDoubts, Store, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::refusals::{Refusals, Refused, Verdict};
use crate::config::AuditDurability;
use crate::job::Jobs;
use crate::telemetry::{Recurring, with_causes};

/// The most events in one commit.
const MAX_BATCH: usize = 256;
/// The most events waiting for the writer; beyond that, requests wait to queue.
const MAX_QUEUE: usize = 4096;
/// The same where nobody waits for the writer; beyond that, nothing is issued.
const MAX_QUEUE_ASYNC: usize = 100_000;
/// How long the writer waits before it tries again to write what nobody waits for.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How long the writer waits until it is known whether the log in the database continues what it wrote.
const MAX_DOUBT: Duration = Duration::from_secs(10);
/// How often it waits for that.
const MAX_DOUBTS: u32 = 3;
/// How long a commit waits for requests that are under way.
const MAX_WAIT: Duration = Duration::from_millis(2);

/// The audit log cannot be written; nothing may be issued.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the audit log cannot be written")]
pub(crate) struct AuditUnavailable;

enum Message {
    Record {
        event: Box<AuditEvent>,
        written: Option<oneshot::Sender<Result<(), AuditUnavailable>>>,
    },
    Flush(oneshot::Sender<()>),
}

/// Where events are handed in. Clones share one writer.
#[derive(Debug, Clone)]
pub(crate) struct AuditLog {
    sender: mpsc::Sender<Message>,
    under_way: Arc<AtomicUsize>,
    durability: AuditDurability,
    last: Arc<LastCommit>,
    refusals: Arc<Refusals>,
    halted: Arc<AtomicBool>,
}

/// The name of the job that writes.
pub(crate) const WRITER: &str = "audit writer";

/// How the last commit ended.
#[derive(Debug)]
struct LastCommit {
    begun: Instant,
    /// In milliseconds from `begun`, plus one, twice; plus one where it failed. 0 before the first.
    at: AtomicU64,
}

impl LastCommit {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            at: AtomicU64::new(0),
        }
    }

    fn ended(&self, failed: bool) {
        let at = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX / 4);
        self.at
            .store((at + 1) * 2 + u64::from(failed), Ordering::Relaxed);
    }

    fn find(&self) -> Option<Written> {
        let at = self.at.load(Ordering::Relaxed);
        let then = Duration::from_millis((at / 2).checked_sub(1)?);
        Some(Written {
            failed: at % 2 == 1,
            age: self.begun.elapsed().saturating_sub(then),
        })
    }
}

/// The outcome of a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) failed: bool,
    pub(crate) age: Duration,
}

/// While it lives, a request is on its way to the log, and a commit may wait for it.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AuditLog {
    pub(crate) fn start(store: Store, durability: AuditDurability, jobs: &Jobs) -> Self {
        let (sender, receiver) = mpsc::channel(match durability {
            AuditDurability::Sync => MAX_QUEUE,
            AuditDurability::Async => MAX_QUEUE_ASYNC,
        });
        let under_way = Arc::new(AtomicUsize::new(0));
        let last = Arc::new(LastCommit::new());
        let halted = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            store,
            receiver,
            under_way: Arc::clone(&under_way),
            durability,
            trouble: Recurring::default(),
            last: Arc::clone(&last),
            halted: Arc::clone(&halted),
        };
        // Should it panic, the next one goes on with the same queue.
        let writer = Arc::new(Mutex::new(writer));
        jobs.supervise(WRITER, move || {
            let writer = Arc::clone(&writer);
            async move { writer.lock().await.run().await }
        });
        Self {
            sender,
            under_way,
            durability,
            last,
            refusals: Arc::default(),
            halted,
        }
    }

    /// From here on nothing is recorded, and therefore nothing issued.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// Ends [`Self::halt`].
    pub(crate) fn go_on(&self) {
        self.halted.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// How the last commit ended, if there was one.
    pub(crate) fn last_written(&self) -> Option<Written> {
        self.last.find()
    }

    /// Announces an event.
    pub(crate) fn under_way(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.under_way))
    }

    /// Records the event of a request that was announced.
    pub(crate) async fn record_after(
        &self,
        under_way: UnderWay,
        event: Box<AuditEvent>,
    ) -> Result<(), AuditUnavailable> {
        let written = self.hand_in(event).await?;
        drop(under_way);
        wait(written).await
    }

    /// Records an event. With `audit.durability = "sync"` it is on disk when this returns.
    pub(crate) async fn record(&self, event: AuditEvent) -> Result<(), AuditUnavailable> {
        wait(self.hand_in(Box::new(event)).await?).await
    }

    /// Records a refusal, or counts it where it repeats others: what is counted is recorded within a
    /// minute. A refusal grants nothing, so one that cannot be recorded now is counted too.
    pub(crate) async fn record_refusal(&self, event: AuditEvent, who: Refused) {
        let Verdict::Record(event) = self.refusals.count(event, who, Instant::now()) else {
            return;
        };
        if self.record(AuditEvent::clone(&event)).await.is_err() {
            self.refusals.count_later(&event, who, Instant::now());
        }
    }

    /// Records the refusals that were counted and are due; where the server stops, all of them.
    pub(crate) async fn record_counted(
        &self,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
        is_end: bool,
    ) -> Result<(), AuditUnavailable> {
        let mut outcome = Ok(());
        for (who, summary) in self.refusals.due(Instant::now(), is_end) {
            let now = clock.now();
            let recorded = match (outcome, EventId::generate(now, entropy)) {
                (Ok(()), Ok(id)) => self.record(summary.event(id, now)).await,
                _ => Err(AuditUnavailable),
            };
            if recorded.is_err() {
                outcome = recorded;
                self.refusals.give_back(summary, who, Instant::now());
            }
        }
        outcome
    }

    /// Keeps the room that is left for tokens and changes: refusals are counted only. Gives whether
    /// that is new.
    pub(crate) fn only_count_refusals(&self, only_counting: bool) -> bool {
        self.refusals.set_only_counting(only_counting)
    }

    /// Queues an event; what is returned tells when it is on disk, where anybody has to wait.
    async fn hand_in(
        &self,
        mut event: Box<AuditEvent>,
    ) -> Result<Option<oneshot::Receiver<Result<(), AuditUnavailable>>>, AuditUnavailable> {
        if self.is_halted() {
            return Err(AuditUnavailable);
        }
        event.limit_reason();
        let (written, outcome) = match self.durability {
            AuditDurability::Sync => {
                let (written, outcome) = oneshot::channel();
                (Some(written), Some(outcome))
            }
            AuditDurability::Async => (None, None),
        };
        let message = Message::Record { event, written };
        match self.durability {
            AuditDurability::Sync => self.send(message).await?,
            AuditDurability::Async => {
                self.sender
                    .try_send(message)
                    .map_err(|_| AuditUnavailable)?;
            }
        }
        Ok(outcome)
    }

    /// Waits until everything handed in before is on disk.
    pub(crate) async fn flush(&self) -> Result<(), AuditUnavailable> {
        let (done, wait) = oneshot::channel();
        self.send(Message::Flush(done)).await?;
        wait.await.map_err(|_| AuditUnavailable)
    }

    async fn send(&self, message: Message) -> Result<(), AuditUnavailable> {
        self.sender
            .send(message)
            .await
            .map_err(|_| AuditUnavailable)
    }
}

async fn wait(
    written: Option<oneshot::Receiver<Result<(), AuditUnavailable>>>,
) -> Result<(), AuditUnavailable> {
    match written {
        Some(outcome) => outcome.await.map_err(|_| AuditUnavailable)?,
        None => Ok(()),
    }
}

#[derive(Default)]
struct Batch {
    events: Vec<AuditEvent>,
    written: Vec<oneshot::Sender<Result<(), AuditUnavailable>>>,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn push(&mut self, message: Message) {
        match message {
            Message::Record { event, written } => {
                self.events.push(*event);
                self.written.extend(written);
            }
            Message::Flush(done) => self.flushed.push(done),
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= MAX_BATCH
    }
}

struct Writer {
    store: Store,
    receiver: mpsc::Receiver<Message>,
    under_way: Arc<AtomicUsize>,
    durability: AuditDurability,
    trouble: Recurring,
    last: Arc<LastCommit>,
    halted: Arc<AtomicBool>,
}

impl Writer {
    async fn run(&mut self) {
        while let Some(first) = self.receiver.recv().await {
            let mut batch = Batch::default();
            batch.push(first);
            self.gather(&mut batch).await;
            let outcome = self.commit(&batch).await;
            for written in batch.written {
                // A caller that is gone needs no answer.
                let _ = written.send(outcome);
            }
            for done in batch.flushed {
                let _ = done.send(());
            }
        }
    }

    /// Takes everything that is queued or about to be.
    async fn gather(&mut self, batch: &mut Batch) {
        let deadline = Instant::now() + MAX_WAIT;
        self.take_queued(batch);
        // Requests that this thread has already received run before this goes on, and join.
        tokio::task::yield_now().await;
        loop {
            self.take_queued(batch);
            let nobody_is_coming = self.under_way.load(Ordering::Relaxed) == 0;
            if batch.is_full() || !batch.flushed.is_empty() || nobody_is_coming {
                return;
            }
            match timeout_at(deadline, self.receiver.recv()).await {
                Ok(Some(message)) => batch.push(message),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn take_queued(&mut self, batch: &mut Batch) {
        while !batch.is_full()
            && let Ok(message) = self.receiver.try_recv()
        {
            batch.push(message);
        }
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), AuditUnavailable> {
        // An attempt whose outcome was not heard may have succeeded: the next one looks.
        let mut doubts = AppendDoubts::default();
        let mut doubted = 0;
        loop {
            // What was queued before the log was found not to continue is issued no more.
            if self.halted.load(Ordering::Relaxed) {
                return Err(AuditUnavailable);
            }
            let appended = self
                .store
                .append_audit_once(&batch.events, &mut doubts)
                .await;
            self.last.ended(appended.is_err());
            let Err(error) = appended else {
                if self.trouble.worked() {
                    tracing::info!("the audit log is written again");
                }
                return Ok(());
            };
            if matches!(error, StoreError::Discontinued) && doubted < MAX_DOUBTS {
                doubted += 1;
                // Either it continues after all, or that it does not is known now, and told.
                let _ = tokio::time::timeout(MAX_DOUBT, self.store.audit_settled()).await;
                continue;
            }
            if self.trouble.failed() {
                tracing::error!(error = with_causes(&error), "writing the audit log failed");
            }
            if self.durability == AuditDurability::Sync {
                return Err(AuditUnavailable);
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}
