//! A client's grants.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{Client, ClientId, McpServerId, ScopeSet};
use serde::Deserialize;

use super::consequences::{self, STALE, ask};
use super::form::required_scopes;
use super::show::{GrantView, assemble};
use super::{find, path};
use crate::app::App;
use crate::dashboard::view::id;
use crate::dashboard::{
    Change, Errors, PageError, PageQuery, PageResult, SignedIn, Toast, html, last_change,
    mcp_servers, toast,
};
use crate::directory::ClientEntry;
use crate::service::ServiceError;
use crate::service::grants::{self, ScopeChoice, Seen};

/// On which server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrantQuery {
    mcp_server: String,
}

/// `/dashboard/clients/{id}/grants/new`: the client's page with the sheet.
pub(crate) async fn new(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<NewGrantQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let server = mcp_servers::find(&app, &query.mcp_server).await?;
    let mut page = assemble(&app, &signed_in, &entry).await?;
    if signed_in.may_change() {
        page.new_grant = Some(GrantView::new(&server, &ScopeSet::empty(), NONE));
        page.page.has_sheet = true;
    }
    html(StatusCode::OK, &page)
}

/// Makes a grant or changes its scopes.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let server_id: McpServerId = id(change.form.text("mcp_server_id"))?;
    let scopes = required_scopes(&change.form)?;
    if change.form.is_given_back() {
        let sent = (&scopes, Errors::given_back());
        return again(&app, &change, (entry.client.id, server_id), sent).await;
    }
    let before = scopes_on(&entry, server_id);
    // What somebody else saved is shown first.
    let there = entry
        .grants
        .iter()
        .find(|grant| grant.mcp_server_id == server_id);
    let version = change.form.version()?;
    let would_lose = there.filter(|grant| grant.version == version);
    if let Some(lost) = would_lose.map(|grant| without(&grant.scopes, &scopes))
        && let Some(errors) = unconfirmed(&app, &change, (&entry.client, server_id), &lost).await?
    {
        let sent = (&scopes, errors);
        return again(&app, &change, (entry.client.id, server_id), sent).await;
    }
    let operator = &change.signed_in.operator;
    let between = (entry.client.id, server_id);
    match grants::put(
        &app,
        operator,
        between,
        ScopeChoice::These(scopes.clone()),
        seen(&change)?,
    )
    .await
    {
        Err(ServiceError::Stale) => stale(&app, &change, between, &scopes).await,
        put => {
            let put = put?;
            let name = server_name(&app, server_id);
            let text = match (&before, put.scopes.is_empty()) {
                (_, true) => format!(
                    "{} has no scopes on {name} and gets no tokens for it.",
                    entry.client.name
                ),
                (Some(_), false) => format!("Scopes on {name} saved: {}.", put.scopes),
                (None, false) => format!("{} can use {name}: {}.", entry.client.name, put.scopes),
            };
            let toast = Toast::new(text);
            let toast = match before {
                Some(before) => toast.undo(
                    format!("{}/grants", path(&client_id)),
                    grant_fields(server_id, put.version, &before),
                ),
                None => toast.undo(
                    format!("{}/grants/{server_id}/delete", path(&client_id)),
                    [("version", put.version.to_string())],
                ),
            };
            toast::redirect(&app, &change.signed_in, &path(&client_id), toast)
        }
    }
}

/// What has to be confirmed before a client loses scopes on a server.
async fn unconfirmed(
    app: &App,
    change: &Change,
    (client, server): (&Client, McpServerId),
    lost: &ScopeSet,
) -> Result<Option<Errors>, PageError> {
    if lost.is_empty() || change.form.is_ticked("confirmed") {
        return Ok(None);
    }
    let on = server_name(app, server);
    let confirmation = consequences::narrowing(app, client, (lost, &on)).await?;
    Ok(confirmation.map(|confirmation| {
        let mut errors = Errors::default();
        errors.confirmation = Some(confirmation);
        errors
    }))
}

fn without(scopes: &ScopeSet, others: &ScopeSet) -> ScopeSet {
    let lost = scopes.iter().filter(|scope| !others.contains(scope));
    lost.cloned().collect()
}

/// The form that gives a grant these scopes, whatever that takes away.
fn grant_fields(
    server: McpServerId,
    version: i64,
    scopes: &ScopeSet,
) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("mcp_server_id", server.to_string()),
        ("version", version.to_string()),
        ("confirmed", "yes".to_owned()),
    ];
    fields.extend(scopes.iter().map(|scope| ("scope", scope.to_string())));
    fields
}

fn server_name(app: &App, id: McpServerId) -> String {
    app.directory
        .find_mcp_server(id)
        .map_or_else(|| id.to_string(), |server| server.name.to_string())
}

fn scopes_on(entry: &ClientEntry, server: McpServerId) -> Option<ScopeSet> {
    let mut grants = entry.grants.iter();
    let grant = grants.find(|grant| grant.mcp_server_id == server)?;
    Some(grant.scopes.clone())
}

/// The version of a form for a grant that there is not yet.
const NONE: i64 = 0;

/// The grant that the form was made from.
pub(in crate::dashboard) fn seen(change: &Change) -> Result<Seen, PageError> {
    Ok(match change.form.version()? {
        NONE => Seen::Nothing,
        version => Seen::Version(version),
    })
}

/// The client's page with what was ticked: before the session ended, or before it was confirmed.
async fn again(
    app: &App,
    change: &Change,
    (client_id, server_id): (ClientId, McpServerId),
    (ticked, errors): (&ScopeSet, Errors),
) -> PageResult {
    let entry = find(app, &client_id.to_string()).await?;
    let server = mcp_servers::find(app, &server_id.to_string()).await?;
    let mut page = assemble(app, &change.signed_in, &entry).await?;
    let mut view = GrantView::new(&server, ticked, change.form.version()?);
    let status = match errors.confirmation {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::OK,
    };
    view.errors = errors;
    if scopes_on(&entry, server_id).is_some() {
        page.replace_grant(view);
    } else {
        page.new_grant = Some(view);
        page.page.has_sheet = true;
    }
    html(status, &page)
}

/// The client's page with what was ticked, beside what somebody else saved.
pub(in crate::dashboard) async fn stale(
    app: &App,
    change: &Change,
    (client_id, server_id): (ClientId, McpServerId),
    ticked: &ScopeSet,
) -> PageResult {
    let entry = find(app, &client_id.to_string()).await?;
    let server = mcp_servers::find(app, &server_id.to_string()).await?;
    let mut page = assemble(app, &change.signed_in, &entry).await?;
    let there = entry
        .grants
        .iter()
        .find(|grant| grant.mcp_server_id == server_id);
    let mut view = GrantView::new(&server, ticked, there.map_or(NONE, |grant| grant.version));
    let saved = there.map_or_else(
        || "none: the grant was removed".to_owned(),
        |grant| grant.scopes.to_string(),
    );
    view.errors
        .note_stale([("Scopes", ticked.to_string(), saved)]);
    view.errors.changed_by = last_change::of_client(app, client_id).await?;
    if there.is_some() {
        page.replace_grant(view);
    } else {
        page.new_grant = Some(view);
        page.page.has_sheet = true;
    }
    html(StatusCode::CONFLICT, &page)
}

/// Asks before a grant is removed.
pub(crate) async fn ask_delete(
    State(app): State<Arc<App>>,
    Path((client_id, server_id)): Path<(String, String)>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let confirm =
        consequences::removing_access(&app, &signed_in.zone, &entry, id(&server_id)?).await?;
    ask(&app, &signed_in, &entry, confirm).await
}

/// Removes a grant.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path((client_id, server_id)): Path<(String, String)>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let server_id: McpServerId = id(&server_id)?;
    let operator = &change.signed_in.operator;
    let between = (entry.client.id, server_id);
    match grants::delete(&app, operator, between, seen(&change)?).await {
        Err(ServiceError::Stale) => {
            let entry = find(&app, &client_id).await?;
            let mut confirm =
                consequences::removing_access(&app, &change.signed_in.zone, &entry, server_id)
                    .await?;
            confirm.problem = Some(STALE.into());
            return ask(&app, &change.signed_in, &entry, confirm).await;
        }
        deleted => deleted?,
    }
    let name = server_name(&app, server_id);
    let mut toast = Toast::new(format!("{} can no longer use {name}.", entry.client.name));
    if let Some(before) = scopes_on(&entry, server_id) {
        let action = format!("{}/grants", path(&client_id));
        toast = toast.undo(action, grant_fields(server_id, NONE, &before));
    }
    let to = format!("{}?tokens_of={client_id}+{server_id}", path(&client_id));
    toast::redirect(&app, &change.signed_in, &to, toast)
}
