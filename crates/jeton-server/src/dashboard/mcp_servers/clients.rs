//! A server's Clients tab, with the side sheet that creates a client.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use jeton_core::{ClientId, McpServer, ScopeSet};
use jeton_store::ClientFilter;

use super::{ServerView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::clients::form::{
    ClientForm, fields, optional_lifetime, required_scopes, ticked_scopes,
};
use crate::dashboard::clients::grants::{seen, stale};
use crate::dashboard::clients::table::{ClientTable, TableQuery, client_table};
use crate::dashboard::reveal;
use crate::dashboard::session::see;
use crate::dashboard::snippet::Snippet;
use crate::dashboard::snippets::get_token;
use crate::dashboard::view::{ScopeView, id, scope_choices};
use crate::dashboard::{Change, Errors, Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::service::clients::{self, NewClient};
use crate::service::{ServiceError, grants};

#[derive(Template)]
#[template(path = "mcp_server_clients.html")]
struct ClientsPage {
    page: Page,
    server: ServerView,
    table: ClientTable,
    form: Option<ClientForm>,
    made: Option<Made>,
}

/// A client just made.
struct Made {
    grant_version: i64,
    id: String,
    name: String,
    secret: Option<String>,
    scopes: Vec<ScopeView>,
    snippets: Vec<Snippet>,
}

/// `/dashboard/mcp-servers/{id}/clients`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<TableQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let page = assemble(&app, &signed_in, &server, &query).await?;
    html(StatusCode::OK, &page)
}

/// `/dashboard/mcp-servers/{id}/clients/new`: the same with the sheet.
pub(crate) async fn new(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let mut page = assemble(&app, &signed_in, &server, &TableQuery::default()).await?;
    if signed_in.may_change() {
        page.form = Some(ClientForm::empty(scope_choices(
            &server,
            &ScopeSet::empty(),
        )));
        page.page.has_sheet = true;
    }
    html(StatusCode::OK, &page)
}

/// The sheet, sent.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    let mut errors = Errors::default();
    let scopes = ticked_scopes(&change.form, &mut errors);
    let expiry = optional_lifetime(&change.form, "secret_expiry", &mut errors);
    let fields = fields(&change.form, &mut errors);
    if let (Some(fields), Some(scopes), Some(secret_expiry)) = (fields, scopes.clone(), expiry) {
        let new = NewClient {
            mcp_server_id: server.id,
            scopes: Some(scopes),
            default_mcp_server: None,
            name: fields.name,
            description: fields.description,
            token_ttl: fields.token_ttl,
            custom_claims: fields.custom_claims,
            secret_expiry,
        };
        let made = clients::create(&app, &change.signed_in.operator, new).await;
        if let Some(made) = errors.accept(made)? {
            let client_id = made.client.id.to_string();
            let made_path = format!("{}/clients/{client_id}/created", path(&server.id));
            let signed_in = &change.signed_in;
            return reveal::redirect(&app, signed_in, &client_id, &made_path, &made.plain);
        }
    }
    let choices = scope_choices(&server, &scopes.unwrap_or_default());
    let query = TableQuery::default();
    let mut page = assemble(&app, &change.signed_in, &server, &query).await?;
    page.form = Some(ClientForm::again(&change.form, choices, errors));
    page.page.has_sheet = true;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `/dashboard/mcp-servers/{id}/clients/{client_id}/created`: the sheet with what was made.
pub(crate) async fn created(
    State(app): State<Arc<App>>,
    Path((id, client_id)): Path<(String, String)>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let entry = app
        .directory
        .find_client(self::id(&client_id)?)
        .await?
        .ok_or(PageError::NotFound)?;
    let grant = entry
        .grants
        .iter()
        .find(|grant| grant.mcp_server_id == server.id);
    let chosen = grant.map(|grant| grant.scopes.clone()).unwrap_or_default();
    let secret = reveal::take(&app, &signed_in, &headers, &client_id);
    let plain = secret.as_ref().map(|secret| secret.expose().to_owned());
    let mut page = assemble(&app, &signed_in, &server, &TableQuery::default()).await?;
    page.page.has_sheet = true;
    page.made = Some(Made {
        grant_version: grant.map_or(0, |grant| grant.version),
        name: entry.client.name.to_string(),
        scopes: scope_choices(&server, &chosen),
        snippets: match &plain {
            Some(plain) => get_token(&server, app.issuer.as_str(), &client_id, plain, &chosen),
            None => Vec::new(),
        },
        id: client_id,
        secret: plain,
    });
    reveal::html(&app, secret.as_ref(), &page)
}

/// Save on that sheet: the scopes.
pub(crate) async fn save_scopes(
    State(app): State<Arc<App>>,
    Path((server_id, client_id)): Path<(String, String)>,
    change: Change,
) -> PageResult {
    let server = find(&app, &server_id).await?;
    let client_id: ClientId = id(&client_id)?;
    let scopes = required_scopes(&change.form)?;
    let operator = &change.signed_in.operator;
    let between = (client_id, server.id);
    match grants::put(&app, operator, between, scopes.clone(), seen(&change)?).await {
        Err(ServiceError::Stale) => return stale(&app, &change, between, &scopes).await,
        put => put?,
    };
    Ok(see(&format!("{}/clients?done=saved", path(&server.id))))
}

async fn assemble(
    app: &App,
    signed_in: &SignedIn,
    server: &McpServer,
    query: &TableQuery,
) -> Result<ClientsPage, PageError> {
    let filter = ClientFilter {
        mcp_server_id: Some(server.id),
        text: None,
    };
    let table_path = format!("{}/clients", path(&server.id));
    Ok(ClientsPage {
        page: page(signed_in, server),
        table: client_table(app, filter, query, table_path).await?,
        server: ServerView::new(server, Tab::Clients),
        form: None,
        made: None,
    })
}
