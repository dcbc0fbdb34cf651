//! Exporting what the filter finds: exactly the events that match, all of them, newest first.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::filter::AuditForm;
use crate::app::App;
use crate::audit::AuditEventView;
use crate::dashboard::page::protect;
use crate::dashboard::{Errors, PageError, PageQuery, PageResult, SignedIn};

/// How many events an export reads at once.
const EXPORT_CHUNK: u32 = 1_000;

/// In which form events are exported.
#[derive(Clone, Copy)]
enum Export {
    JsonLines,
    Csv,
}

/// `/dashboard/audit/export.jsonl`
pub(crate) async fn export_json_lines(
    app: State<Arc<App>>,
    PageQuery(form): PageQuery<AuditForm>,
    signed_in: SignedIn,
) -> PageResult {
    export(&app, &signed_in, &form, Export::JsonLines).await
}

/// `/dashboard/audit/export.csv`
pub(crate) async fn export_csv(
    app: State<Arc<App>>,
    PageQuery(form): PageQuery<AuditForm>,
    signed_in: SignedIn,
) -> PageResult {
    export(&app, &signed_in, &form, Export::Csv).await
}

/// Everything that matches, newest first, as it is read: however much it is, little of it is in
/// memory.
async fn export(
    app: &Arc<App>,
    signed_in: &SignedIn,
    form: &AuditForm,
    export: Export,
) -> PageResult {
    let mut errors = Errors::default();
    let filter = form.filter(app, &signed_in.zone, &mut errors).await?;
    if !form.before.is_empty() || form.live.is_some() {
        errors.add("before", "An export has no page, and follows nothing.");
    }
    if let Some((field, problem)) = errors.first() {
        let text = format!("Nothing was exported, because {field} cannot be used. {problem}");
        return Err(PageError::RefusedBecause(StatusCode::BAD_REQUEST, text));
    }
    let app = Arc::clone(app);
    let first = (Some(None), true);
    let chunks = stream::unfold(first, move |(before, is_first)| {
        let (app, filter) = (Arc::clone(&app), filter.clone());
        async move {
            let before: Option<i64> = before?;
            let found = app.store.search_audit(&filter, before, EXPORT_CHUNK).await;
            let mut text = String::new();
            if is_first && matches!(export, Export::Csv) {
                text.push_str(CSV_HEAD);
            }
            // A failure breaks the download off, so that nobody takes a part for the whole.
            let found = match found {
                Ok(found) => found,
                Err(error) => return Some((Err(error), (None, false))),
            };
            for event in found.events {
                let event = AuditEventView::from(event);
                match export {
                    Export::JsonLines => {
                        text.push_str(&serde_json::to_string(&event).unwrap_or_default());
                        text.push('\n');
                    }
                    Export::Csv => csv_line(&mut text, event),
                }
            }
            Some((Ok(Bytes::from(text)), (found.next.map(Some), false)))
        }
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    let (media_type, file) = match export {
        Export::JsonLines => (
            "application/jsonl",
            "attachment; filename=\"jeton-audit.jsonl\"",
        ),
        Export::Csv => (
            "text/csv; charset=utf-8",
            "attachment; filename=\"jeton-audit.csv\"",
        ),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(file));
    protect(headers);
    Ok(response)
}

const CSV_HEAD: &str = "seq,id,at,kind,outcome,reason,actor,client_id,mcp_server_id,secret_id,\
                        scope,resource,jti,source,request_id,detail\r\n";

/// RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe.
fn csv_line(text: &mut String, event: AuditEventView) {
    let cells = [
        event.seq.to_string(),
        event.id,
        event.at.to_string(),
        event.kind.to_owned(),
        event.outcome.to_owned(),
        event.reason.unwrap_or_default(),
        event.actor,
        event.client_id.unwrap_or_default(),
        event.mcp_server_id.unwrap_or_default(),
        event.secret_id.unwrap_or_default(),
        event.scope.unwrap_or_default(),
        event.resource.unwrap_or_default(),
        event.jti.unwrap_or_default(),
        event.source.unwrap_or_default(),
        event.request_id.unwrap_or_default(),
        serde_json::to_string(&event.detail).unwrap_or_default(),
    ];
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        if is_formula || cell.contains([',', '"', '\n', '\r']) {
            text.push('"');
            if is_formula {
                text.push('\'');
            }
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(cell);
        }
    }
    text.push_str("\r\n");
}
