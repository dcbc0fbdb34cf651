//! One event: what changed, what is known of it, and the whole as JSON.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{AdminId, AuditEvent, ClientId, McpServerId, Timestamp};
use jeton_store::StoreError;
use serde_json::{Map, Value};

use crate::app::App;
use crate::audit::AuditEventView;
use crate::dashboard::events::{About, Names};
use crate::dashboard::format::{When, lifetime, when};
use crate::dashboard::view::{address, id};
use crate::dashboard::words::{kind_words, reason_words};
use crate::dashboard::{Crumb, Nav, Page, PageError, PageResult, SignedIn, html};
use crate::service::changes::CHANGES;

#[derive(Template)]
#[template(path = "audit_event.html")]
struct EventPage {
    page: Page,
    kind: &'static str,
    code: &'static str,
    refused: bool,
    reason: Option<String>,
    id: String,
    at: When,
    at_text: String,
    changes: Vec<ChangeRow>,
    facts: Vec<Fact>,
    json: String,
    older: Option<String>,
    newer: Option<String>,
}

/// A field, as it was and as it is.
struct ChangeRow {
    field: String,
    before: Shown,
    after: Shown,
}

impl ChangeRow {
    fn sides(&self) -> [&Shown; 2] {
        [&self.before, &self.after]
    }
}

/// A value for people.
#[derive(Default)]
struct Shown {
    /// Nothing where there is none.
    text: String,
    href: Option<String>,
}

/// Something known of the event.
struct Fact {
    name: String,
    text: String,
    href: Option<String>,
    /// Of who did it, the events of everything they did.
    others: Option<String>,
    mono: bool,
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
    let event = recorded.event.clone();
    let newer = seq.saturating_add(1);
    let has_newer = app.store.find_audit_event(newer).await?.is_some();
    let mut names = Names::new(&app);
    let view = AuditEventView::from(recorded);
    let page = EventPage {
        page: Page::new(&signed_in, Nav::AuditLog, kind_words(event.kind))
            .under([Crumb::new("Audit log", "/dashboard/audit")]),
        kind: kind_words(event.kind),
        code: event.kind.as_str(),
        refused: event.outcome == jeton_core::Outcome::Refused,
        reason: event.reason.as_deref().map(|reason| reason_words(reason).0),
        id: view.id.clone(),
        at: when(event.at, app.clock.now()),
        at_text: signed_in.zone.date_time(event.at),
        changes: changes(&mut names, &event.detail).await?,
        json: serde_json::to_string_pretty(&view).unwrap_or_default(),
        facts: facts(&mut names, seq, event).await?,
        older: (seq > 1).then(|| format!("/dashboard/audit/{}", seq - 1)),
        newer: has_newer.then(|| format!("/dashboard/audit/{newer}")),
    };
    html(StatusCode::OK, &page)
}

async fn changes(
    names: &mut Names<'_>,
    detail: &Map<String, Value>,
) -> Result<Vec<ChangeRow>, StoreError> {
    let mut rows = Vec::new();
    let Some(Value::Object(changes)) = detail.get(CHANGES) else {
        return Ok(rows);
    };
    for (field, change) in changes {
        let shown = |side| change.get(side).unwrap_or(&Value::Null);
        rows.push(ChangeRow {
            field: words(field),
            before: show(names, field, shown("before")).await?,
            after: show(names, field, shown("after")).await?,
        });
    }
    Ok(rows)
}

/// A name of the record in words: `token_ttl`, `Token lifetime`.
fn words(field: &str) -> String {
    let known = match field {
        "token_ttl" => "Token lifetime",
        "default_mcp_server_id" => "Default MCP server",
        "url" => "URL",
        "signing_alg" => "Signing algorithm",
        "own_issuer" => "Separate issuer",
        "custom_claims" => "Custom claims",
        "admin_id" => "Admin",
        "key_id" => "Signing key",
        "expires_at" => "Expires",
        "jti" => "Token (jti)",
        "not_granted" => "Asked for, not granted",
        "token_bytes" => "Token size in bytes",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let text = field.replace('_', " ");
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

async fn show(names: &mut Names<'_>, field: &str, value: &Value) -> Result<Shown, StoreError> {
    let plain = |text: String| Shown { text, href: None };
    Ok(match value {
        Value::Null => Shown::default(),
        Value::Bool(true) => plain("yes".to_owned()),
        Value::Bool(false) => plain("no".to_owned()),
        Value::Number(number) => match number.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(seconds) if field == "token_ttl" => plain(lifetime(seconds)),
            _ => plain(number.to_string()),
        },
        Value::String(text) => {
            let About { text, href } = named(names, text).await?;
            Shown { text, href }
        }
        Value::Array(values) if values.iter().all(Value::is_string) => {
            let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            plain(texts.join("\n"))
        }
        other => plain(serde_json::to_string_pretty(other).unwrap_or_default()),
    })
}

/// What an ID stands for, if it is one.
async fn named(names: &mut Names<'_>, text: &str) -> Result<About, StoreError> {
    if let Ok(id) = text.parse::<ClientId>() {
        return names.client(id, None).await;
    }
    if let Ok(id) = text.parse::<McpServerId>() {
        return Ok(names.server(id, None));
    }
    if text.parse::<AdminId>().is_ok() {
        let name = names.actor(text).await?;
        return Ok(About::new(name, Some("/dashboard/settings".to_owned())));
    }
    Ok(About::new(text, None))
}

async fn facts(names: &mut Names<'_>, seq: i64, event: AuditEvent) -> Result<Vec<Fact>, PageError> {
    let known = [
        ("By", Some(event.actor.as_str().to_owned())),
        ("Client", event.client_id.map(|id| id.to_string())),
        ("MCP server", event.mcp_server_id.map(|id| id.to_string())),
        ("Secret", event.secret_id.map(|id| id.to_string())),
        ("Scopes", event.scope.map(|scope| scope.to_string())),
        ("Resource", event.resource),
        ("Token (jti)", event.jti),
        ("Reason, as recorded", event.reason),
        ("Source address", event.source),
        ("Request", event.request_id),
        ("Number in the log", Some(seq.to_string())),
    ];
    let mut facts = Vec::new();
    for (name, value) in known {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        let others = (name == "By").then(|| address("/dashboard/audit", &[("actor", &value)]));
        facts.push(Fact {
            others,
            ..fact(names, name.to_owned(), value).await?
        });
    }
    for (name, value) in event.detail {
        let value = match value {
            Value::String(text) => text,
            Value::Object(_) if name == CHANGES => continue,
            other => other.to_string(),
        };
        let fact = fact(names, words(&name), value).await?;
        // What is told above already.
        if facts.iter().all(|told: &Fact| told.text != fact.text) {
            facts.push(fact);
        }
    }
    Ok(facts)
}

async fn fact(names: &mut Names<'_>, name: String, value: String) -> Result<Fact, StoreError> {
    let about = named(names, &value).await?;
    let is_named = about.text != value;
    Ok(Fact {
        mono: !is_named && value.parse::<Timestamp>().is_err(),
        text: about.text,
        href: about.href,
        others: None,
        name,
    })
}
