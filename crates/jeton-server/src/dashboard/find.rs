//! Finding anything by its ID or name: MCP servers, clients, events. A page, which the palette of the script also
//! reads.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{
    AdminId, ClientId, EventId, KeyId, McpServerId, SecretId, SecretOwner, TokenId, search_text,
};
use jeton_store::{AuditFilter, ClientFilter, PageRequest};
use serde::Deserialize;

use super::query::search_text as readable;
use super::view::address;
use super::words::kind_words;
use super::{Nav, Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::app::App;

/// So many of a kind are shown.
const SHOWN: u32 = 8;

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    page: Page,
    query: String,
    found: Vec<Found>,
}

/// Something found.
struct Found {
    kind: &'static str,
    name: String,
    hint: String,
    href: String,
}

impl Found {
    fn new(
        kind: &'static str,
        name: impl Into<String>,
        hint: impl Into<String>,
        href: String,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            hint: hint.into(),
            href,
        }
    }
}

/// What is looked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindQuery {
    #[serde(default)]
    q: String,
}

/// `/dashboard/find`
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    PageQuery(query): PageQuery<FindQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let text = readable(&query.q).map_err(|problem| {
        PageError::RefusedBecause(StatusCode::BAD_REQUEST, problem.to_owned())
    })?;
    let found = match text.as_deref() {
        None => Vec::new(),
        Some(text) => match by_id(&app, text).await? {
            Some(found) => vec![found],
            None => by_name(&app, text).await?,
        },
    };
    let page = FindPage {
        page: Page::new(&signed_in, Nav::Overview, "Find"),
        query: text.unwrap_or_default(),
        found,
    };
    html(StatusCode::OK, &page)
}

/// What an ID is the ID of: its prefix says that.
async fn by_id(app: &App, text: &str) -> Result<Option<Found>, PageError> {
    if let Ok(id) = text.parse::<McpServerId>() {
        let server = app.directory.find_mcp_server(id);
        return Ok(server.map(|server| {
            let href = format!("/dashboard/mcp-servers/{id}");
            Found::new(
                "MCP server",
                server.name.to_string(),
                server.url.to_string(),
                href,
            )
        }));
    }
    if let Ok(id) = text.parse::<ClientId>() {
        let entry = app.directory.find_client(id).await?;
        let events = address("/dashboard/audit", &[("client", text)]);
        return Ok(Some(match entry {
            Some(entry) => {
                let href = format!("/dashboard/clients/{id}");
                Found::new("Client", entry.client.name.to_string(), text, href)
            }
            None => Found::new("Events", "Of a client that was deleted", text, events),
        }));
    }
    if let Ok(id) = text.parse::<SecretId>() {
        let owner = app.store.find_secret(id).await?.map(|secret| secret.owner);
        return Ok(owner.map(|owner| {
            let href = match owner {
                SecretOwner::Client(client) => format!("/dashboard/clients/{client}#secrets"),
                SecretOwner::McpServer(server) => {
                    format!("/dashboard/mcp-servers/{server}/settings")
                }
            };
            Found::new(
                "Secret",
                text,
                "Of the client or MCP server it belongs to",
                href,
            )
        }));
    }
    if text.parse::<KeyId>().is_ok() {
        let href = "/dashboard/signing-keys".to_owned();
        return Ok(Some(Found::new("Signing key", text, "", href)));
    }
    if text.parse::<AdminId>().is_ok() {
        let href = address("/dashboard/audit", &[("q", text)]);
        return Ok(Some(Found::new(
            "Events",
            "By or about this admin",
            text,
            href,
        )));
    }
    by_event_id(app, text).await
}

/// A token by its `jti`, an event by its ID or its number.
async fn by_event_id(app: &App, text: &str) -> Result<Option<Found>, PageError> {
    let filter = if text.parse::<TokenId>().is_ok() {
        AuditFilter {
            jti: Some(text.to_owned()),
            ..AuditFilter::default()
        }
    } else if let Ok(id) = text.parse::<EventId>() {
        // The ID says when it was.
        let second = std::time::Duration::from_secs(1);
        AuditFilter {
            text: Some(text.to_owned()),
            since: Some(id.made_at().minus(second)),
            until: Some(id.made_at().plus(second)),
            ..AuditFilter::default()
        }
    } else {
        let Ok(seq) = text.parse::<i64>() else {
            return Ok(None);
        };
        let event = app.store.find_audit_event(seq).await?;
        return Ok(event.map(|recorded| event_found(seq, &recorded.event)));
    };
    let found = app.store.search_audit(&filter, None, 1).await?;
    let event = found.events.into_iter().next();
    Ok(event.map(|recorded| event_found(recorded.seq, &recorded.event)))
}

fn event_found(seq: i64, event: &jeton_core::AuditEvent) -> Found {
    Found::new(
        "Event",
        kind_words(event.kind),
        event.at.to_string(),
        format!("/dashboard/audit/{seq}"),
    )
}

async fn by_name(app: &App, text: &str) -> Result<Vec<Found>, PageError> {
    let folded = search_text(text);
    let holds = |name: &str| search_text(name).contains(&folded);
    let shown = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let mut found: Vec<_> = app
        .directory
        .mcp_servers()
        .iter()
        .filter(|server| holds(server.name.as_str()) || holds(server.url.as_given()))
        .take(shown)
        .map(|server| {
            let href = format!("/dashboard/mcp-servers/{}", server.id);
            Found::new(
                "MCP server",
                server.name.to_string(),
                server.url.to_string(),
                href,
            )
        })
        .collect();
    let filter = ClientFilter {
        text: Some(text.to_owned()),
        ..ClientFilter::default()
    };
    let page = PageRequest {
        after: None,
        limit: SHOWN,
    };
    let clients = app.store.clients(&filter, page).await?.items;
    found.extend(clients.into_iter().map(|client| {
        let href = format!("/dashboard/clients/{}", client.id);
        Found::new(
            "Client",
            client.name.to_string(),
            client.id.to_string(),
            href,
        )
    }));
    let events = address("/dashboard/audit", &[("q", text)]);
    found.push(Found::new(
        "Events",
        format!("Events with “{text}”"),
        "Audit log",
        events,
    ));
    Ok(found)
}
