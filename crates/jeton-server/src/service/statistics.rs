//! Keeping the counts of the dashboard up to the audit log.

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
