//! The audit log as JSON Lines, oldest first, a page at a time, so that an export can go on where it
//! was interrupted.

use jeton_core::Timestamp;
use jeton_store::RecordedEvent;
use serde::Serialize;

use super::ServiceError;
use crate::app::App;
use crate::audit::AuditEventView;

/// A page of an export.
#[derive(Debug)]
pub(crate) struct ExportPage {
    /// Whole lines.
    pub(crate) lines: String,
    /// After which event the next page begins, if there is one.
    pub(crate) next_after: Option<i64>,
}

/// An event with what is needed to prove the chain elsewhere.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    event: AuditEventView,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_hash: Option<String>,
}

/// The line of an event, without its end.
pub(crate) fn line(event: RecordedEvent, batch_hash: Option<String>) -> String {
    let line = Line {
        event: event.into(),
        batch_hash,
    };
    // An event has a JSON form without exception.
    serde_json::to_string(&line).unwrap_or_default()
}

/// Events after `after` that happened in the time range, among the next `limit`.
pub(crate) async fn page(
    app: &App,
    after: Option<i64>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: u32,
) -> Result<ExportPage, ServiceError> {
    let begin = match since {
        Some(since) => app.store.audit_seq_before(since).await?,
        None => 0,
    };
    let after = after.unwrap_or(0).max(begin);
    let events = app.store.audit_after(after, limit).await?;
    let is_full = u32::try_from(events.len()).is_ok_and(|read| read == limit);
    let mut next_after = None;
    if is_full && let Some((last, _)) = events.last() {
        // Events lie a little out of order of their times: go on for a minute after the end.
        let past_the_end = until.is_some_and(|until| last.event.at >= until.plus(MARGIN));
        next_after = (!past_the_end).then_some(last.seq);
    }
    let mut lines = String::new();
    for (event, batch_hash) in events {
        let at = event.event.at;
        if since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until) {
            lines.push_str(&line(event, batch_hash));
            lines.push('\n');
        }
    }
    Ok(ExportPage { lines, next_after })
}

const MARGIN: std::time::Duration = std::time::Duration::from_secs(60);
