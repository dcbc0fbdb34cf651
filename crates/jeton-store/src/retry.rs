//! Trying a write again where others were in its way.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use crate::StoreError;

/// How often a write is tried.
const TRIES: u32 = 5;
/// How long after the first try the second begins, the third after twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(10);

/// Does `write`, a transaction from its beginning to its end, and once more, a few times, where it
/// fails because others were changing the same at that moment: a deadlock, a serialization failure.
/// `write` must change nothing but the database.
///
/// # Errors
///
/// What `write` gives in the end; [`StoreError::Busy`] at its bottom where others were in its way
/// each time.
pub async fn retry_on_conflict<T, E, F>(write: impl Fn() -> F) -> Result<T, E>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut tried = 1;
    loop {
        match write().await {
            Err(error) if tried < TRIES && is_conflict(&error) => {
                tokio::time::sleep(PAUSE * tried).await;
                tried += 1;
            }
            done => return done,
        }
    }
}

/// Whether others were in the way, at the bottom of it.
fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return matches!(error, StoreError::Busy);
    }
    error.source().is_some_and(is_conflict)
}
