//! The table of clients, on a server's tab and on the page of all.

use std::time::Duration;

use http::StatusCode;
use jeton_core::{Client, ClientId, ScopeSet};
use jeton_store::ClientFilter;
use serde::Deserialize;

use crate::app::App;
use crate::dashboard::PageError;
use crate::dashboard::format::{When, grouped, when};
use crate::dashboard::query::search_text;
use crate::dashboard::view::{ScopeView, address, chosen_scopes, page_of_rows};
use crate::service::statistics;

/// What is looked for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableQuery {
    pub(super) q: Option<String>,
    pub(super) after: Option<String>,
}

#[derive(Debug)]
pub(crate) struct ClientTable {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) clients: Vec<ClientRow>,
    pub(crate) first: Option<String>,
    pub(crate) next: Option<String>,
}

#[derive(Debug)]
pub(crate) struct ClientRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<ScopeView>,
    pub(crate) last_issued: Option<When>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) issued: String,
    pub(crate) enabled: bool,
}

/// When and why a client was last refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) at: When,
    pub(crate) reason: String,
}

/// A page of the clients that match.
pub(in crate::dashboard) async fn client_table(
    app: &App,
    mut filter: ClientFilter,
    query: &TableQuery,
    path: String,
) -> Result<ClientTable, PageError> {
    statistics::catch_up(app).await?;
    let text = search_text(query.q.as_deref().unwrap_or("")).map_err(|problem| {
        PageError::RefusedBecause(StatusCode::BAD_REQUEST, problem.to_owned())
    })?;
    filter.text.clone_from(&text);
    let text = text.unwrap_or_default();
    let request = page_of_rows::<ClientId>(query.after.as_deref())?;
    let is_first = request.after.is_none();
    let found = app.store.clients(&filter, request).await?;
    let mut clients = Vec::with_capacity(found.items.len());
    for client in found.items {
        clients.push(row(app, &filter, client).await?);
    }
    Ok(ClientTable {
        first: (!is_first).then(|| address(&path, &[("q", &text)])),
        next: found
            .next
            .map(|after| address(&path, &[("q", &text), ("after", &after)])),
        path,
        query: text,
        clients,
    })
}

async fn row(app: &App, filter: &ClientFilter, client: Client) -> Result<ClientRow, PageError> {
    let now = app.clock.now();
    let day = now.minus(Duration::from_secs(24 * 60 * 60));
    let activity = app.store.client_activity(client.id).await?;
    let tokens = app.store.tokens_of_client(client.id, day, now).await?;
    Ok(ClientRow {
        id: client.id.to_string(),
        name: client.name.to_string(),
        scopes: scopes(app, filter, client.id).await?,
        last_issued: activity.last_issued_at.map(|at| when(at, now)),
        // An old refusal, with tokens after it, is of no interest.
        refusal: activity
            .last_refused_at
            .filter(|refused| {
                activity
                    .last_issued_at
                    .is_none_or(|issued| *refused > issued)
            })
            .map(|at| Refusal {
                at: when(at, now),
                reason: activity.last_refusal.unwrap_or_default(),
            }),
        issued: grouped(tokens.issued),
        enabled: client.is_enabled(),
    })
}

/// What the client may do: on the one server, or on all.
async fn scopes(
    app: &App,
    filter: &ClientFilter,
    client: ClientId,
) -> Result<Vec<ScopeView>, PageError> {
    let grants = app.store.grants_of_client(client).await?;
    Ok(grants
        .iter()
        .filter(|grant| {
            filter
                .mcp_server_id
                .is_none_or(|id| id == grant.mcp_server_id)
        })
        .filter_map(|grant| Some((app.directory.find_mcp_server(grant.mcp_server_id)?, grant)))
        .flat_map(|(server, grant)| {
            let granted: &ScopeSet = &grant.scopes;
            chosen_scopes(&server, granted)
        })
        .collect())
}
