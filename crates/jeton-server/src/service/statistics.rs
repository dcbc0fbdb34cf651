//! Keeping the counts of the dashboard up to the audit log.

use std::time::Duration;

use jeton_core::ClientSecret;
use jeton_store::{ClientTallies, Lock, Locked, retry_on_conflict};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::ServiceError;
use crate::app::App;

/// So many events are read at once.
const READ: i64 = 10_000;
/// So few rows by client are written as soon as they are there.
const FEW_ROWS: usize = 2_000;
/// As many rows by client are gathered in memory before they are written; about 100 bytes each.
const MANY_ROWS: usize = 200_000;
/// However many there are, they are written after this time.
const GATHER: Duration = Duration::from_secs(2 * 60);
/// How long a page waits for counts that are being made; then it shows those that there are.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is counted by client and not written yet, from one event of the log to another.
#[derive(Debug, Default)]
pub(crate) struct Counting(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    clients: ClientTallies,
    after: i64,
    through: i64,
    since: Option<Instant>,
}

/// Counts for a page what is not counted yet, unless that takes long.
pub(crate) async fn catch_up(app: &App) -> Result<(), ServiceError> {
    let Ok(mut gathered) = timeout(PATIENCE, app.counting.0.lock()).await else {
        return Ok(());
    };
    let Some(_alone) = wait_for_turn(app).await? else {
        return Ok(());
    };
    for _ in 0..2 {
        if gathered.read_on(app).await? {
            break;
        }
    }
    if gathered.clients.len() <= FEW_ROWS {
        gathered.write(app).await?;
    }
    Ok(())
}

/// Waits a little while another server counts, or has just counted: a lock is gone a moment after its
/// work is done.
async fn wait_for_turn(app: &App) -> Result<Option<Locked>, ServiceError> {
    let begin = Instant::now();
    loop {
        let locked = app.store.try_lock(Lock::Statistics).await?;
        if locked.is_some() || begin.elapsed() >= PATIENCE / 2 {
            return Ok(locked);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Puts what is gathered here, and perhaps not written yet, into what was read.
pub(crate) async fn bring_up_to_date(app: &App, secrets: &mut [ClientSecret]) {
    let Ok(gathered) = timeout(PATIENCE, app.counting.0.lock()).await else {
        return;
    };
    for secret in secrets {
        let last = gathered.clients.last_used(secret.id);
        secret.last_used_at = secret.last_used_at.max(last);
    }
}

/// Counts everything that is not counted yet; with many clients, what is counted by client is written
/// now and then only.
pub(crate) async fn count(app: &App) -> Result<(), ServiceError> {
    let mut gathered = app.counting.0.lock().await;
    let Some(alone) = app.store.try_lock(Lock::Statistics).await? else {
        return Ok(());
    };
    loop {
        alone.check().await?;
        let is_all = gathered.read_on(app).await?;
        if gathered.is_ripe() {
            gathered.write(app).await?;
        }
        if is_all {
            return Ok(());
        }
        // Others want to read too.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Gathered {
    /// Reads the next events, and counts them by minute; says whether those were the last.
    async fn read_on(&mut self, app: &App) -> Result<bool, ServiceError> {
        let progress = app.store.counting_progress().await?;
        if self.after != progress.by_client {
            // At the start, or where another server counted meanwhile.
            *self = Self {
                after: progress.by_client,
                through: progress.by_client,
                ..Self::default()
            };
        }
        let from = self.through.min(progress.by_minute);
        let mut to = progress.end.min(from + READ);
        // To the next place where anybody else begins or ends.
        let marks = [self.through, progress.by_minute];
        for mark in marks.into_iter().chain(progress.by_client_until) {
            if from < mark {
                to = to.min(mark);
            }
        }
        if from < to {
            let tallies = app.store.tally(from, to).await?;
            if from == progress.by_minute {
                retry_on_conflict(|| async {
                    let mut tx = app.store.begin().await?;
                    tx.count_minutes(from, to, &tallies).await?;
                    Ok::<_, ServiceError>(tx.commit().await?)
                })
                .await?;
            }
            if from == self.through {
                for tally in &tallies {
                    self.clients.add(tally);
                }
                self.through = to;
                self.since.get_or_insert_with(Instant::now);
            }
        }
        if progress.by_client_until == Some(self.through) {
            self.write(app).await?;
        }
        Ok(to == progress.end)
    }

    fn is_ripe(&self) -> bool {
        let rows = self.clients.len();
        let is_old = self.since.is_some_and(|since| since.elapsed() >= GATHER);
        rows <= FEW_ROWS || rows >= MANY_ROWS || is_old
    }

    /// Writes what was gathered. Where that is interrupted, it is gathered once more and written
    /// again, which changes nothing that was written.
    async fn write(&mut self, app: &App) -> Result<(), ServiceError> {
        let (after, through) = (self.after, self.through);
        let clients = std::mem::take(&mut self.clients);
        // Until all is written, nothing is gathered.
        *self = Self::default();
        if through == after || !app.store.begin_counting_clients(after, through).await? {
            return Ok(());
        }
        let mut parts = clients.into_parts().peekable();
        while let Some(part) = parts.next() {
            app.store.count_part(through, &part).await?;
            if parts.peek().is_some() {
                // Others want to write too.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        app.store.end_counting_clients(through).await?;
        self.after = through;
        self.through = through;
        Ok(())
    }
}
