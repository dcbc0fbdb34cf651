//! Whether the clock may be trusted with what cannot be undone.
//!
//! One start with the clock a year ahead must not remove the whole audit log, nor retire the signing keys.
//! The store remembers the newest time that a server with a trusted clock has seen. A clock that is far from it
//! has jumped, or all servers were off for as long: until that time has lasted for some hours, or the operator
//! says that it is right, nothing is removed, rotated or forgotten. Whether something has expired is always
//! computed, so that it comes back with the right time.

use std::time::Duration;

use jeton_core::{Timestamp, counted};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ServiceError;
use crate::app::App;

/// A clock that is further ahead of the newest time that is known is doubted.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// The same of one that is behind.
const BEHIND: Duration = Duration::from_secs(60 * 60);
/// A new time is trusted once it has lasted so long.
const LASTING: Duration = Duration::from_secs(6 * 60 * 60);
/// How often the newest time is written.
const CONFIRM_EVERY: Duration = Duration::from_secs(60);

/// What is known of the clock.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    state: Mutex<State>,
}

impl ClockWatch {
    /// Of a server that starts. `known` is the newest time that was known before it wrote anything.
    pub(crate) fn starting_after(known: Option<Timestamp>) -> Self {
        let state = State {
            before_start: known,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    before_start: Option<Timestamp>,
    last: Option<(Instant, Timestamp)>,
    doubt: Option<Doubt>,
}

/// The clock is far from what is known.
#[derive(Debug)]
struct Doubt {
    since: Instant,
    known: Timestamp,
}

/// What somebody who wants to remove something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The time is right, as far as anybody knows.
    Trusted,
    /// It may not be.
    Doubted,
}

fn is_far(known: Timestamp, now: Timestamp) -> bool {
    now > known.plus(AHEAD) || now < known.minus(BEHIND)
}

/// Looks at the clock.
pub(crate) async fn look(app: &App) -> Result<Trust, ServiceError> {
    let mut state = app.clock_watch.state.lock().await;
    let confirmed = app.store.confirmed_time().await?;
    let known = confirmed.or(state.before_start);
    let (at, now) = (Instant::now(), app.clock.now());
    let stepped = state
        .last
        .is_some_and(|(then, time)| is_far(time.plus(at.duration_since(then)), now));
    state.last = Some((at, now));
    let far = known.filter(|known| is_far(*known, now));
    let Some(known) = far else {
        if state.doubt.take().is_some() {
            tracing::info!("the clock agrees with the time that is known again");
        }
        if confirmed.is_none_or(|known| now > known.plus(CONFIRM_EVERY)) {
            app.store.confirm_time(now).await?;
        }
        return Ok(Trust::Trusted);
    };
    match &mut state.doubt {
        None => {
            say(known, now);
            if confirmed.is_none() {
                // The events of this time say nothing of the one before.
                app.store.confirm_time(known).await?;
            }
            state.doubt = Some(Doubt { since: at, known });
        }
        // It jumped again, or another server sees another time.
        Some(doubt) if stepped || doubt.known != known => *doubt = Doubt { since: at, known },
        Some(doubt) if at.duration_since(doubt.since) >= LASTING => {
            tracing::warn!(
                "the clock has lasted for {}, and is trusted from here on",
                counted(hours(LASTING), "hour")
            );
            state.doubt = None;
            app.store.confirm_time(now).await?;
            return Ok(Trust::Trusted);
        }
        Some(_) => {}
    }
    Ok(Trust::Doubted)
}

/// The operator says that the clock is right.
pub(crate) async fn accept(app: &App) -> Result<(), ServiceError> {
    Ok(app.store.confirm_time(app.clock.now()).await?)
}

/// Whether the clock was doubted when it was last looked at.
pub(crate) async fn is_doubted(app: &App) -> bool {
    app.clock_watch.state.lock().await.doubt.is_some()
}

fn say(known: Timestamp, now: Timestamp) {
    let (way, by) = if now > known {
        ("ahead of", now.since(known))
    } else {
        ("behind", known.since(now))
    };
    tracing::error!(
        hours = hours(by),
        known = %known,
        now = %now,
        "the clock is {way} the last time at which a server is known to have run. If every server was off \
         meanwhile, all is well; if the clock is wrong, set it right. Until this time has lasted for {}, \
         or `jeton serve --trust-clock` says that it is right, nothing is removed, rotated or forgotten",
        counted(hours(LASTING), "hour")
    );
}

fn hours(duration: Duration) -> u64 {
    duration.as_secs() / 3_600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_far_from_what_is_known_a_day_ahead_or_an_hour_behind() {
        let known = Timestamp::from_seconds(1_800_000_000);
        let hour = Duration::from_secs(60 * 60);
        for (now, far) in [
            (known, false),
            (known.plus(hour * 23), false),
            (known.plus(hour * 25), true),
            (known.plus(hour * 24 * 365), true),
            (known.minus(hour / 2), false),
            (known.minus(hour * 2), true),
        ] {
            assert_eq!(is_far(known, now), far, "{now}");
        }
    }
}
