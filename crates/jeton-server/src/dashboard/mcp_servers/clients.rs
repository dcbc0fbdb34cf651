//! A server's Clients tab, with the side sheet that creates a client.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use jeton_core::{ClientId, DisplayName, McpServer, ScopeSet};
use jeton_store::{ClientFilter, PageRequest};

use super::created_client::CreatedClient;
use super::{ServerView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::clients::form::{ClientForm, fields, optional_lifetime, ticked_scopes};
use crate::dashboard::clients::table::{ClientTable, TableQuery, client_table};
use crate::dashboard::format::when;
use crate::dashboard::session::see;
use crate::dashboard::view::scope_choices;
use crate::dashboard::{
    Change, Errors, Page, PageError, PageQuery, PageResult, SignedIn, form_key, html, reveal,
};
use crate::service::clients::{self, NewClient};
use crate::service::grants::ScopeChoice;
use crate::service::{Confirmation, Loss, ServiceError};

#[derive(Template)]
#[template(path = "mcp_server_clients.html")]
pub(super) struct ClientsPage {
    pub(super) page: Page,
    server: ServerView,
    table: ClientTable,
    form: Option<ClientForm>,
    pub(super) created: Option<CreatedClient>,
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
        let mut form = ClientForm::empty(scope_choices(&server, &ScopeSet::empty()));
        let id = ClientId::generate(app.clock.now(), app.entropy.as_ref())?;
        form.key = form_key::make(&app, &signed_in, &id)?;
        page.form = Some(form);
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
    let key: Option<ClientId> = form_key::read(&app, &change);
    if let Some(again) = created_already(&app, &server, key).await? {
        return Ok(again);
    }
    let mut errors = Errors::default();
    if change.form.is_given_back() {
        errors = Errors::given_back();
        let ticked = ticked_scopes(&change.form, &mut errors).unwrap_or_default();
        return again(&app, &change, (&server, &ticked), errors).await;
    }
    let scopes = ticked_scopes(&change.form, &mut errors);
    let expiry = optional_lifetime(&change.form, "secret_expiry", &mut errors);
    let fields = fields(&change.form, &mut errors);
    if let (Some(fields), Some(scopes), Some(secret_expiry)) = (fields, scopes.clone(), expiry) {
        errors.confirmation = same_name(&app, &change, &fields.name).await?;
        let new = NewClient {
            id: key,
            mcp_server_id: server.id,
            scopes: ScopeChoice::These(scopes),
            default_mcp_server: None,
            name: fields.name,
            description: fields.description,
            token_ttl: fields.token_ttl,
            custom_claims: fields.custom_claims,
            secret_expiry,
        };
        if errors.confirmation.is_none() {
            let made = clients::create(&app, &change.signed_in.operator, new).await;
            if matches!(made, Err(ServiceError::Store(_)))
                && let Some(again) = created_already(&app, &server, key).await?
            {
                // Sent twice at the same time.
                return Ok(again);
            }
            if let Some(made) = errors.accept(made)? {
                let client_id = made.client.id.to_string();
                let made_path = created_path(&server, made.client.id);
                let signed_in = &change.signed_in;
                return reveal::redirect(&app, signed_in, &client_id, &made_path, &made.plain);
            }
        }
    }
    again(
        &app,
        &change,
        (&server, &scopes.unwrap_or_default()),
        errors,
    )
    .await
}

/// The sheet with what was typed, and what is wrong with it.
async fn again(
    app: &App,
    change: &Change,
    (server, ticked): (&McpServer, &ScopeSet),
    errors: Errors,
) -> PageResult {
    let query = TableQuery::default();
    let mut page = assemble(app, &change.signed_in, server, &query).await?;
    let status = if change.form.is_given_back() {
        StatusCode::OK
    } else {
        errors.status()
    };
    let mut form = ClientForm::again(&change.form, scope_choices(server, ticked), errors);
    if form.key.is_empty() {
        let id = ClientId::generate(app.clock.now(), app.entropy.as_ref())?;
        form.key = form_key::make(app, &change.signed_in, &id)?;
    }
    page.form = Some(form);
    page.page.has_sheet = true;
    html(status, &page)
}

fn created_path(server: &McpServer, client: ClientId) -> String {
    format!("{}/clients/{client}/created", path(&server.id))
}

/// The answer to a form that has created its client before.
async fn created_already(
    app: &App,
    server: &McpServer,
    key: Option<ClientId>,
) -> Result<Option<Response>, PageError> {
    let Some(id) = key else {
        return Ok(None);
    };
    let there = app.store.find_client(id).await?;
    Ok(there.map(|client| see(&created_path(server, client.id))))
}

/// What has to be confirmed where another client has the name already.
async fn same_name(
    app: &App,
    change: &Change,
    name: &DisplayName,
) -> Result<Option<Confirmation>, PageError> {
    if change.form.is_ticked("confirmed") {
        return Ok(None);
    }
    let newest = PageRequest {
        after: None,
        limit: 1,
    };
    let found = app.store.clients_named(name.as_str(), newest).await?;
    let Some(client) = found.items.into_iter().next() else {
        return Ok(None);
    };
    let created = when(client.created_at, app.clock.now()).words;
    Ok(Some(Confirmation {
        detail: format!("There is a client named {name} already, created {created}."),
        clients: 1,
        losses: vec![Loss {
            client_id: client.id,
            name: client.name.to_string(),
            scopes: ScopeSet::empty(),
        }],
    }))
}

pub(super) async fn assemble(
    app: &App,
    signed_in: &SignedIn,
    server: &McpServer,
    query: &TableQuery,
) -> Result<ClientsPage, PageError> {
    let filter = ClientFilter {
        mcp_server_id: Some(server.id),
        ..ClientFilter::default()
    };
    let table_path = format!("{}/clients", path(&server.id));
    Ok(ClientsPage {
        page: page(signed_in, server),
        table: client_table(app, filter, query, table_path).await?,
        server: ServerView::new(server, Tab::Clients),
        form: None,
        created: None,
    })
}
