//! `/api/v1/audit-events`: what happened, newest first.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use jeton_core::{Timestamp, parse_time};
use jeton_store::{AuditFilter, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::pages::page_request;
use super::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::audit::AuditEventView;
use crate::http::{ApiQuery, Problem};
use crate::service::{ServiceError, audit_export};

/// Which events; every condition given has to hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// The kind, for example `token.issued`.
    kind: Option<String>,
    /// `success` or `refused`.
    outcome: Option<String>,
    /// The client's ID.
    client_id: Option<String>,
    /// The MCP server's ID.
    mcp_server_id: Option<String>,
    /// The `jti` of the token.
    jti: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// The request's ID.
    request_id: Option<String>,
    /// The source address.
    source: Option<String>,
    /// At or after this time: RFC 3339, a date, or how long ago, like `24h`.
    since: Option<String>,
    /// Before this time: RFC 3339, a date (its beginning, UTC), or how long ago.
    until: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Which part of the log to export.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// The `seq` of the last event that is there already.
    after: Option<i64>,
    /// At or after this time: RFC 3339, a date, or how long ago, like `24h`.
    since: Option<String>,
    /// Before this time: RFC 3339, a date (its beginning, UTC), or how long ago.
    until: Option<String>,
    /// How many at most, 1 to 2000; 1000 if absent.
    #[param(minimum = 1, maximum = 2000)]
    limit: Option<u32>,
}

/// Export audit events as JSON Lines, oldest first, one page of it. Each line is an event as
/// elsewhere, and `batch_hash` where it ends a batch of the chain. The header `X-Next-After` is
/// the `after` of the next page; it is absent at the end.
#[utoipa::path(
    get,
    path = "/api/v1/audit-events/export",
    operation_id = "export_audit_events",
    tag = "Audit log",
    params(ExportQuery),
    security(("oauth2" = ["admin:read"])),
    responses(
        (status = 200, content_type = "application/jsonl", body = String, headers(("X-Next-After" = i64))),
        ReadErrors
    )
)]
pub(crate) async fn export(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<ExportQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(1_000);
    if !(1..=2_000).contains(&limit) {
        let detail = format!("a page has 1 to 2000 events, not {limit}");
        return Err(Problem::invalid("limit", detail));
    }
    let since = time(&app, "since", query.since.as_deref())?;
    let until = time(&app, "until", query.until.as_deref())?;
    let page = audit_export::page(&app, query.after, since, until, limit).await?;
    let mut response = page.lines.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    if let Some(next) = page.next_after {
        headers.insert("x-next-after", HeaderValue::from(next));
    }
    Ok(response)
}

fn time(
    app: &App,
    parameter: &'static str,
    value: Option<&str>,
) -> Result<Option<Timestamp>, Problem> {
    value
        .map(|text| parse_time(text, app.clock.now()))
        .transpose()
        .map_err(|error| Problem::invalid(parameter, error.to_string()))
}

fn parsed<T: FromStr>(
    parameter: &'static str,
    value: Option<&str>,
    expected: &str,
) -> Result<Option<T>, Problem> {
    value
        .map(str::parse)
        .transpose()
        .map_err(|_| Problem::invalid(parameter, format!("expected {expected}")))
}

/// The longest text that an event is compared with, in characters.
const MAX_TEXT: usize = 256;

fn text(parameter: &'static str, value: Option<&str>) -> Result<Option<String>, Problem> {
    let is_bad = |value: &str| value.chars().count() > MAX_TEXT || value.contains('\0');
    if value.is_some_and(is_bad) {
        let detail = format!("expected {MAX_TEXT} characters at most, and no NUL");
        return Err(Problem::invalid(parameter, detail));
    }
    Ok(value.map(ToOwned::to_owned))
}

impl AuditQuery {
    fn filter(&self, app: &App) -> Result<AuditFilter, Problem> {
        let kind = self.kind.as_deref().map(str::parse).transpose();
        Ok(AuditFilter {
            kind: kind.map_err(|error: String| Problem::invalid("kind", error))?,
            outcome: parsed("outcome", self.outcome.as_deref(), "success or refused")?,
            client_id: parsed(
                "client_id",
                self.client_id.as_deref(),
                "a client's ID, m2m_…",
            )?,
            mcp_server_id: parsed(
                "mcp_server_id",
                self.mcp_server_id.as_deref(),
                "an MCP server's ID, res_…",
            )?,
            jti: text("jti", self.jti.as_deref())?,
            actor: text("actor", self.actor.as_deref())?,
            request_id: text("request_id", self.request_id.as_deref())?,
            source: text("source", self.source.as_deref())?,
            since: time(app, "since", self.since.as_deref())?,
            until: time(app, "until", self.until.as_deref())?,
            ..AuditFilter::default()
        })
    }
}

/// How long one page looks for events before it gives those that it found.
const SEARCH_TIME: Duration = Duration::from_secs(2);

/// List audit events, newest first. Where what is asked for is rare in a large log, a page may hold
/// fewer events than `limit`, or none, and still have a `next_cursor`: go on with it.
#[utoipa::path(
    get,
    path = "/api/v1/audit-events",
    operation_id = "list_audit_events",
    tag = "Audit log",
    params(AuditQuery),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<AuditEventView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<Json<PageOf<AuditEventView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let filter = query.filter(&app)?;
    let begin = Instant::now();
    let (mut events, mut before) = (Vec::new(), page.after);
    loop {
        let missing = page
            .limit
            .saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
        let mut found = app
            .store
            .search_audit(&filter, before, missing)
            .await
            .map_err(ServiceError::from)?;
        events.append(&mut found.events);
        before = found.next;
        let is_full = events.len() >= usize::try_from(page.limit).unwrap_or(usize::MAX);
        if before.is_none() || is_full || begin.elapsed() > SEARCH_TIME {
            break;
        }
    }
    let found = Page {
        items: events,
        next: before.map(|before| before.to_string()),
    };
    Ok(Json(PageOf::of(found, AuditEventView::from)))
}
