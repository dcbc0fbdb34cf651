//! Keeping the counts of the dashboard up to the audit log.

use std::time::Duration;

use jeton_core::{ClientId, Timestamp};
use jeton_store::TokenCount;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ServiceError;
use crate::app::App;

/// So many events are counted in one transaction: a few milliseconds of the database's writer.
const BATCH: i64 = 2_000;

/// Counts what is not counted yet, at most `batches` batches of it; says whether all is counted.
pub(crate) async fn catch_up(app: &App, batches: u32) -> Result<bool, ServiceError> {
    for _ in 0..batches {
        let mut tx = app.store.begin().await?;
        let counted = tx.count_tokens(BATCH).await?;
        if counted > 0 {
            tx.commit().await?;
        }
        if counted < BATCH {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The busiest clients of the last 24 hours. Summing them up takes next to nothing where there are
/// few, and tens of milliseconds where there are many: the result is kept for a thousand times as
/// long as it took, and where that is long, made anew in the background and not by a page.
#[derive(Debug, Default)]
pub(crate) struct BusiestClients(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    clients: Vec<(ClientId, TokenCount)>,
    good_until: Option<Timestamp>,
    took: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What takes less is not done ahead of time.
const SLOW: Duration = Duration::from_millis(20);
const HOW_MANY: u32 = 6;

/// The busiest clients.
pub(crate) async fn busiest_clients(
    app: &App,
) -> Result<Vec<(ClientId, TokenCount)>, ServiceError> {
    let now = app.clock.now();
    let mut known = app.busiest.0.lock().await;
    if known.took < SLOW && known.is_old(now) {
        known.sum(app, now).await?;
    }
    Ok(known.clients.clone())
}

/// Sums them up ahead of time, where that is slow.
pub(crate) async fn refresh_busiest_clients(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let mut known = app.busiest.0.lock().await;
    if known.good_until.is_none() || known.took >= SLOW && known.is_old(now) {
        known.sum(app, now).await?;
    }
    Ok(())
}

impl Known {
    fn is_old(&self, now: Timestamp) -> bool {
        self.good_until.is_none_or(|until| until <= now)
    }

    async fn sum(&mut self, app: &App, now: Timestamp) -> Result<(), ServiceError> {
        let begin = Instant::now();
        self.clients = app.store.busiest_clients(now.minus(DAY), HOW_MANY).await?;
        self.took = begin.elapsed();
        self.good_until = Some(now.plus(self.took * 1_000));
        Ok(())
    }
}
