//! The audit log: searching it, one event, exporting it.

use std::str::FromStr;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jeton_core::{AuditKind, Timestamp, counted, parse_time};
use jeton_store::{AuditFilter, AuditSearch};
use serde::Deserialize;

use super::page::protect;
use super::query::{search_text, switch};
use super::view::{EventRow, Named, ROWS, actor_name, address, event_rows, id};
use super::{Crumb, Errors, Nav, Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::app::App;
use crate::audit::AuditEventView;

/// The filters, as the form sends them.
#[derive(Deserialize, Default, Clone)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditForm {
    q: String,
    kind: String,
    outcome: String,
    client: String,
    server: String,
    since: String,
    until: String,
    before: String,
    live: Option<String>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    page: Page,
    /// How many days events are kept, where they are not kept indefinitely.
    kept_days: Option<String>,
    form: AuditForm,
    errors: Errors,
    kinds: Vec<&'static str>,
    servers: Vec<Named>,
    events: Vec<EventRow>,
    older: Option<String>,
    searched: bool,
    live: bool,
    live_href: String,
    export_query: String,
}

const SERVER: &str = "Expected an MCP server's ID, res_…";
const CLIENT: &str = "Expected a client's ID, m2m_…";

impl AuditForm {
    /// The events that match, newest first; where anything cannot be read, none.
    fn filter(&self, now: Timestamp, errors: &mut Errors) -> AuditFilter {
        fn chosen<T: FromStr>(
            text: &str,
            (field, expected): (&str, &str),
            errors: &mut Errors,
        ) -> Option<T> {
            let text = text.trim();
            let chosen = (!text.is_empty()).then(|| text.parse().map_err(|_| expected));
            chosen.and_then(|chosen| errors.take(field, chosen))
        }
        let mut filter = AuditFilter {
            kind: chosen(
                &self.kind,
                ("kind", "There is no such kind of event."),
                errors,
            ),
            outcome: chosen(
                &self.outcome,
                ("outcome", "Choose success or refused."),
                errors,
            ),
            mcp_server_id: chosen(&self.server, ("server", SERVER), errors),
            client_id: chosen(&self.client, ("client", CLIENT), errors),
            since: time(&self.since, "since", (now, &mut *errors)),
            until: time(&self.until, "until", (now, &mut *errors)),
            text: errors.take("q", search_text(&self.q)).flatten(),
            ..AuditFilter::default()
        };
        // A token's ID as text leads to its one event by an index.
        if let Some(text) = filter.text.take_if(|text| text.starts_with("tok_")) {
            filter.jti = Some(text);
        }
        filter
    }

    fn query(&self, before: Option<i64>, live: bool) -> String {
        let before = before.map_or_else(String::new, |seq| seq.to_string());
        address(
            "",
            &[
                ("q", self.q.trim()),
                ("kind", &self.kind),
                ("outcome", &self.outcome),
                ("client", self.client.trim()),
                ("server", &self.server),
                ("since", &self.since),
                ("until", &self.until),
                ("before", &before),
                ("live", if live { "yes" } else { "" }),
            ],
        )
    }

    fn narrows(&self) -> bool {
        [
            &self.q,
            &self.kind,
            &self.outcome,
            &self.client,
            &self.server,
        ]
        .iter()
        .any(|text| !text.trim().is_empty())
    }
}

/// A time as the browser's field gives it, `2026-01-31T12:00`, or as a person writes it.
fn time(text: &str, field: &str, (now, errors): (Timestamp, &mut Errors)) -> Option<Timestamp> {
    if text.trim().is_empty() {
        return None;
    }
    errors.take(field, parse_time(text, now))
}

/// `/dashboard/audit`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PageQuery(form): PageQuery<AuditForm>,
    signed_in: SignedIn,
) -> PageResult {
    let mut errors = Errors::default();
    let filter = form.filter(app.clock.now(), &mut errors);
    let before = match form.before.as_str() {
        "" => None,
        before => errors.take(
            "before",
            before.parse::<i64>().map_err(|_| "Not a place in the log."),
        ),
    };
    let (status, found) = if errors.is_empty() {
        let found = app.store.search_audit(&filter, before, ROWS).await?;
        (StatusCode::OK, found)
    } else {
        (StatusCode::BAD_REQUEST, AuditSearch::default())
    };
    let live = switch("live", form.live.as_deref())? && before.is_none();
    let page = AuditPage {
        page: Page::new(&signed_in, Nav::AuditLog, "Audit log"),
        kept_days: app
            .audit_retention
            .map(|kept| counted(kept.as_secs() / 86_400, "day")),
        kinds: AuditKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        servers: app
            .directory
            .mcp_servers()
            .iter()
            .map(|server| Named::server(server))
            .collect(),
        events: event_rows(&app, found.events).await?,
        older: found
            .next
            .map(|seq| format!("/dashboard/audit{}", form.query(Some(seq), false))),
        searched: form.narrows(),
        live,
        live_href: format!("/dashboard/audit{}", form.query(None, !live)),
        export_query: form.query(None, false),
        errors,
        form,
    };
    html(status, &page)
}

#[derive(Template)]
#[template(path = "audit_event.html")]
struct EventPage {
    page: Page,
    kind: &'static str,
    id: String,
    facts: Vec<(String, String, Option<String>)>,
    previous: Option<String>,
    next: String,
}

/// `/dashboard/audit/{seq}`: the stable address of one event.
pub(crate) async fn event(
    State(app): State<Arc<App>>,
    Path(seq): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let seq: i64 = id(&seq)?;
    let recorded = app
        .store
        .find_audit_event(seq)
        .await?
        .ok_or(PageError::NotFound)?;
    let event = AuditEventView::from(recorded);
    let page = EventPage {
        page: Page::new(&signed_in, Nav::AuditLog, event.kind)
            .under([Crumb::new("Audit log", "/dashboard/audit")]),
        kind: event.kind,
        id: event.id.clone(),
        previous: (seq > 1).then(|| format!("/dashboard/audit/{}", seq - 1)),
        next: format!("/dashboard/audit/{}", seq.saturating_add(1)),
        facts: facts(&app, event).await?,
    };
    html(StatusCode::OK, &page)
}

async fn facts(
    app: &App,
    event: AuditEventView,
) -> Result<Vec<(String, String, Option<String>)>, PageError> {
    let actor = actor_name(app, &event.actor).await?;
    let actor = if actor == event.actor {
        actor
    } else {
        format!("{actor} ({})", event.actor)
    };
    let client = event
        .client_id
        .as_ref()
        .map(|id| format!("/dashboard/clients/{id}"));
    let server = event
        .mcp_server_id
        .as_ref()
        .map(|id| format!("/dashboard/mcp-servers/{id}"));
    let known = [
        ("Number", Some(event.seq.to_string()), None),
        ("Time", Some(event.at.to_string()), None),
        ("Outcome", Some(event.outcome.to_owned()), None),
        ("Reason", event.reason, None),
        ("By", Some(actor), None),
        ("Client", event.client_id, client),
        ("MCP server", event.mcp_server_id, server),
        ("Secret", event.secret_id, None),
        ("Scopes", event.scope, None),
        ("Resource", event.resource, None),
        ("Token (jti)", event.jti, None),
        ("Source", event.source, None),
        ("Request", event.request_id, None),
    ];
    let mut facts: Vec<_> = known
        .into_iter()
        .filter_map(|(name, value, href)| Some((name.to_owned(), value?, href)))
        .collect();
    for (name, value) in event.detail {
        let value = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        facts.push((name, value, None));
    }
    Ok(facts)
}

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
    _: SignedIn,
) -> PageResult {
    export(&app, &form, Export::JsonLines, "application/jsonl", "jsonl")
}

/// `/dashboard/audit/export.csv`
pub(crate) async fn export_csv(
    app: State<Arc<App>>,
    PageQuery(form): PageQuery<AuditForm>,
    _: SignedIn,
) -> PageResult {
    export(&app, &form, Export::Csv, "text/csv; charset=utf-8", "csv")
}

/// Everything that matches, newest first, as it is read: however much it is, little of it is in
/// memory.
fn export(
    app: &Arc<App>,
    form: &AuditForm,
    export: Export,
    media_type: &'static str,
    extension: &str,
) -> PageResult {
    let mut errors = Errors::default();
    let filter = form.filter(app.clock.now(), &mut errors);
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
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) =
        HeaderValue::try_from(format!("attachment; filename=\"jeton-audit.{extension}\""))
    {
        headers.insert(CONTENT_DISPOSITION, value);
    }
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
