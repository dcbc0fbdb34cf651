//! URLs of MCP servers that were deleted or moved away: for these nobody gets tokens, until they are
//! released.

use jeton_core::{AuditKind, ResourceUri, Timestamp};
use jeton_store::{RetiredUrl, retry_on_conflict};

use super::{Operator, ServiceError, server_urls};
use crate::app::App;

/// All of them, newest first.
pub(crate) async fn list(app: &App) -> Result<Vec<RetiredUrl>, ServiceError> {
    Ok(app.store.retired_urls().await?)
}

/// Releases one: from then on it belongs to the MCP server whose URL covers it, if there is one. `retired_at` is
/// what the operator saw, or nothing where any is meant: one that was retired again since is another one.
pub(crate) async fn release(
    app: &App,
    operator: &Operator,
    url: &ResourceUri,
    retired_at: Option<Timestamp>,
) -> Result<(), ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let retired = list(app).await?;
    let Some(found) = retired.iter().find(|retired| retired.url == *url) else {
        return Err(ServiceError::not_found("retired URL", url));
    };
    if retired_at.is_some_and(|seen| seen != found.retired_at) {
        return Err(ServiceError::Stale);
    }
    let mut event = operator.event(app, AuditKind::McpServerUrlReleased)?;
    event.mcp_server_id = Some(found.mcp_server_id);
    event.resource = Some(found.url.as_given().to_owned());
    let void = server_urls::tokens_of(app, url).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.release_retired(found).await? {
            void.extend(&mut tx).await?;
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.url_released(url);
    Ok(())
}
