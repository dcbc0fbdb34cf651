//! Trying a write again where others were in its way, or its connection was dead.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use crate::StoreError;

/// How often a write is tried.
const TRIES: u32 = 5;
/// How long after the first try the second begins, the third after twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(10);

/// Does `write`, a transaction from its beginning to its end, and once more, a few times, where it
/// fails because others were changing the same at that moment (a deadlock, a serialization failure), or
/// because the connection was lost before anything was committed. A write whose commit is in doubt is not
/// done again. `write` must change nothing but the database.
///
/// # Errors
///
/// What `write` gives in the end; [`StoreError::Busy`] at its bottom where others were in its way
/// each time, [`StoreError::Disconnected`] where the connection was lost each time.
pub async fn retry_on_conflict<T, E, F>(write: impl Fn() -> F) -> Result<T, E>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut tried = 1;
    loop {
        match write().await {
            Err(error) if tried < TRIES && left_nothing(&error) => {
                tokio::time::sleep(PAUSE * tried).await;
                tried += 1;
            }
            done => return done,
        }
    }
}

/// Whether, at the bottom of it, nothing was changed and the next try may do better.
fn left_nothing(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return matches!(error, StoreError::Busy | StoreError::Disconnected(_));
    }
    error.source().is_some_and(left_nothing)
}
