//! Keeping the counts of the dashboard up to the audit log.

use std::time::Duration;

use jeton_core::{Client, ClientId, Timestamp};
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

/// Who stands out among the clients. Finding them takes next to nothing where there are few, and tens of milliseconds where there are many: the result is kept for a thousand times as
/// long as it took, and where that is long, made anew in the background and not by a page.
#[derive(Debug, Default)]
pub(crate) struct OutstandingClients(Mutex<Known>);

/// Clients that stand out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Found {
    /// Those with the most tokens in the last 24 hours.
    pub(crate) busiest: Vec<(ClientId, TokenCount)>,
    /// Those that are older than a day and never got a token.
    pub(crate) never_used: Vec<Client>,
}

#[derive(Debug, Default)]
struct Known {
    found: Found,
    good_until: Option<Timestamp>,
    took: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What takes less is not done ahead of time.
const SLOW: Duration = Duration::from_millis(20);
const HOW_MANY: u32 = 6;

/// Who stands out.
pub(crate) async fn outstanding_clients(app: &App) -> Result<Found, ServiceError> {
    let now = app.clock.now();
    let mut known = app.outstanding.0.lock().await;
    if known.took < SLOW && known.is_old(now) {
        known.sum(app, now).await?;
    }
    Ok(known.found.clone())
}

/// Finds them ahead of time, where that is slow.
pub(crate) async fn refresh_outstanding_clients(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let mut known = app.outstanding.0.lock().await;
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
        let a_day_ago = now.minus(DAY);
        self.found = Found {
            busiest: app.store.busiest_clients(a_day_ago, HOW_MANY).await?,
            never_used: app.store.clients_never_used(a_day_ago, HOW_MANY).await?,
        };
        self.took = begin.elapsed();
        self.good_until = Some(now.plus(self.took * 1_000));
        Ok(())
    }
}
