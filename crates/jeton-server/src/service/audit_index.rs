//! Making anew what leads to events by client and by time.

use std::time::Duration;

use jeton_core::AuditKind;
use jeton_store::Lock;

use super::{Operator, ServiceError};
use crate::app::App;

/// Discards it. Until it is made anew, behind the tokens, searches read the log itself and take longer.
pub(crate) async fn rebuild(app: &App, operator: &Operator) -> Result<(), ServiceError> {
    let event = operator.event(app, AuditKind::AuditReindexed)?;
    let _indexing = app.audit_memory.indexing.lock().await;
    let alone = app.store.lock(Lock::AuditIndex).await?;
    app.store.discard_audit_index().await?;
    while app.store.delete_audit_index(&alone).await? {
        // Others want to write too.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    app.store.append_audit(&[event]).await?;
    Ok(())
}
