//! Clients that stand out: the busiest, those never used, those that are refused.
//!
//! Finding them takes next to nothing where there are few, and longer where there are many: a result is kept for a
//! multiple of the time it took, and where that is long, found anew in the background and not by a page.

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

    fn keep(&mut self, value: T, (now, took, times): (Timestamp, Duration, u32)) {
        self.value = Some(value);
        self.took = took;
        self.good_until = Some(now.plus(took * times));
        self.is_wanted = false;
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
    found.keep(busiest, (now, begin.elapsed(), 1_000));
    Ok(())
}

async fn find_never_used(app: &App, found: &mut Found<Vec<Client>>) -> Result<(), ServiceError> {
    let (now, begin) = (app.clock.now(), Instant::now());
    let clients = app
        .store
        .clients_never_used(now.minus(DAY), HOW_MANY)
        .await?;
    found.keep(clients, (now, begin.elapsed(), 1_000));
    Ok(())
}

/// Somebody waits for these: they are found more often.
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
    found.keep(refused, (now, begin.elapsed(), 50));
    Ok(())
}
