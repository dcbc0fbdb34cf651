//! Clients that stand out: the busiest, those never used, those that are refused.
//!
//! Finding them takes next to nothing where there are few, and longer where there are many: a result is kept for a
//! multiple of the time it took, within a limit, and where that is long, found anew in the background and not by a page.

use std::time::Duration;

use jeton_core::{Client, ClientId, Timestamp};
use jeton_store::{RefusedClient, TokenCount};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ServiceError;
use super::range::Range;
use crate::app::App;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NotableClients {
    hour: Kept<Vec<(ClientId, TokenCount)>>,
    day: Kept<Vec<(ClientId, TokenCount)>>,
    week: Kept<Vec<(ClientId, TokenCount)>>,
    never_used: Kept<Vec<Client>>,
    refused: Kept<Refused>,
}

/// Who was refused during the last week, and why; counts are for [`Range::begins`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Refused {
    pub(crate) clients: Vec<RefusedClient>,
    pub(crate) reasons: Vec<(String, [i64; 3])>,
}

/// Something that takes a while to find.
#[derive(Debug, Default)]
struct Kept<T>(Mutex<Found<T>>);

#[derive(Debug, Default)]
struct Found<T> {
    value: Option<T>,
    good_until: Option<Timestamp>,
    took: Duration,
    is_wanted: bool,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What takes less is not done ahead of time.
const SLOW: Duration = Duration::from_millis(20);
const HOW_MANY: u32 = 6;
/// Groups of refusals by client and reason.
const REFUSED: u32 = 500;
/// A client that gets tokens as well is listed so long after a refusal.
const LATELY: Duration = Duration::from_secs(3 * 60 * 60);

impl<T: Clone> Found<T> {
    fn is_old(&self, now: Timestamp) -> bool {
        self.good_until.is_none_or(|until| until <= now)
    }

    fn keep(&mut self, value: T, (now, took, keeping): (Timestamp, Duration, Keeping)) {
        self.value = Some(value);
        self.took = took;
        self.good_until = Some(now.plus(keeping.kept_for(took)));
        self.is_wanted = false;
    }
}

/// How long a result is kept.
#[derive(Debug, Clone, Copy)]
struct Keeping {
    /// As a multiple of the time that it took.
    times: u32,
    /// No longer than this, unless finding it would then take more than a tenth of the time: what a busy moment made slow
    /// is not shown for long.
    at_most: Duration,
}

const COUNTED: Keeping = Keeping {
    times: 1_000,
    at_most: Duration::from_secs(60),
};
/// Somebody waits for these: they are found more often.
const REFUSALS: Keeping = Keeping {
    times: 50,
    at_most: Duration::from_secs(5),
};

impl Keeping {
    fn kept_for(self, took: Duration) -> Duration {
        (took * self.times).min(self.at_most.max(took * 10))
    }
}

/// The clients with the most tokens of a range; nothing where that is still being summed.
pub(crate) async fn busiest(
    app: &App,
    range: Range,
) -> Result<Option<Vec<(ClientId, TokenCount)>>, ServiceError> {
    // A week takes some seven times as long as a day.
    let guess = match range {
        Range::Week => app.notable.day.0.lock().await.took * 7,
        Range::Hour | Range::Day => Duration::ZERO,
    };
    let now = app.clock.now();
    let mut found = app.notable.busiest_of(range).0.lock().await;
    found.is_wanted = true;
    let is_quick = found.took < SLOW && (found.value.is_some() || guess < SLOW * 10);
    if is_quick && found.is_old(now) {
        sum_busiest(app, range, &mut found).await?;
    }
    Ok(found.value.clone())
}

/// Enabled clients that are older than a day and never got a token.
pub(crate) async fn never_used(app: &App) -> Result<Vec<Client>, ServiceError> {
    let now = app.clock.now();
    let mut found = app.notable.never_used.0.lock().await;
    if found.took < SLOW && found.is_old(now) {
        find_never_used(app, &mut found).await?;
    }
    Ok(found.value.clone().unwrap_or_default())
}

/// Who was refused during the last week, and why.
pub(crate) async fn refused(app: &App) -> Result<Refused, ServiceError> {
    let now = app.clock.now();
    let mut found = app.notable.refused.0.lock().await;
    if found.took < SLOW && found.is_old(now) {
        find_refused(app, &mut found).await?;
    }
    Ok(found.value.clone().unwrap_or_default())
}

/// Finds them ahead of time, where that is slow.
pub(crate) async fn refresh(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    for range in Range::ALL {
        let mut found = app.notable.busiest_of(range).0.lock().await;
        let is_first = found.value.is_none() && (range == Range::Day || found.is_wanted);
        if is_first || found.is_wanted && found.took >= SLOW && found.is_old(now) {
            sum_busiest(app, range, &mut found).await?;
        }
    }
    let mut found = app.notable.never_used.0.lock().await;
    if found.value.is_none() || found.took >= SLOW && found.is_old(now) {
        find_never_used(app, &mut found).await?;
    }
    drop(found);
    let mut found = app.notable.refused.0.lock().await;
    if found.value.is_none() || found.took >= SLOW && found.is_old(now) {
        find_refused(app, &mut found).await?;
    }
    Ok(())
}

impl NotableClients {
    fn busiest_of(&self, range: Range) -> &Kept<Vec<(ClientId, TokenCount)>> {
        match range {
            Range::Hour => &self.hour,
            Range::Day => &self.day,
            Range::Week => &self.week,
        }
    }
}

async fn sum_busiest(
    app: &App,
    range: Range,
    found: &mut Found<Vec<(ClientId, TokenCount)>>,
) -> Result<(), ServiceError> {
    let (now, begin) = (app.clock.now(), Instant::now());
    let busiest = app
        .store
        .busiest_clients(range.begin(now), HOW_MANY)
        .await?;
    found.keep(busiest, (now, begin.elapsed(), COUNTED));
    Ok(())
}

async fn find_never_used(app: &App, found: &mut Found<Vec<Client>>) -> Result<(), ServiceError> {
    let (now, begin) = (app.clock.now(), Instant::now());
    let clients = app
        .store
        .clients_never_used(now.minus(DAY), HOW_MANY)
        .await?;
    found.keep(clients, (now, begin.elapsed(), COUNTED));
    Ok(())
}

async fn find_refused(app: &App, found: &mut Found<Refused>) -> Result<(), ServiceError> {
    let (now, begin) = (app.clock.now(), Instant::now());
    let times = Range::begins(now);
    let refused = Refused {
        clients: app
            .store
            .refused_clients(times, now.minus(LATELY), REFUSED)
            .await?,
        reasons: app.store.refusals_by_reason(times, REFUSED).await?,
    };
    found.keep(refused, (now, begin.elapsed(), REFUSALS));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_moment_made_slow_is_found_again_soon() {
        let ms = Duration::from_millis;
        for (took, counted, refusals) in [
            (2, 2_000, 100),
            (30, 30_000, 1_500),
            (300, 60_000, 5_000),
            (3_000, 60_000, 30_000),
            (30_000, 300_000, 300_000),
        ] {
            assert_eq!(COUNTED.kept_for(ms(took)), ms(counted), "{took}");
            assert_eq!(REFUSALS.kept_for(ms(took)), ms(refusals), "{took}");
        }
    }
}
