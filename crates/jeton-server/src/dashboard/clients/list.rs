//! All clients, and where a new one begins.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_store::ClientFilter;

use super::table::{ClientTable, TableQuery, client_table};
use crate::app::App;
use crate::dashboard::session::see;
use crate::dashboard::view::Named;
use crate::dashboard::{Nav, Page, PageError, PageQuery, PageResult, SignedIn, html, mcp_servers};

#[derive(Template)]
#[template(path = "clients.html")]
struct ListPage {
    page: Page,
    table: ClientTable,
    has_servers: bool,
    /// The MCP servers to choose from, in the sheet.
    choices: Option<Vec<Named>>,
}

/// `/dashboard/clients`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PageQuery(query): PageQuery<TableQuery>,
    signed_in: SignedIn,
) -> PageResult {
    html(StatusCode::OK, &page(&app, &signed_in, &query).await?)
}

/// `/dashboard/clients/new`: a client begins on an MCP server. Where there is one, it is chosen.
pub(crate) async fn new(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    let servers = app.directory.mcp_servers();
    match servers.as_slice() {
        [] => return Ok(see("/dashboard/mcp-servers/new")),
        [only] => {
            let path = mcp_servers::path(&only.id);
            return Ok(see(&format!("{path}/clients/new")));
        }
        _ => {}
    }
    let mut page = page(&app, &signed_in, &TableQuery::default()).await?;
    let mut choices: Vec<_> = servers.iter().map(|server| Named::server(server)).collect();
    choices.sort_by_key(|server| server.name.to_lowercase());
    page.choices = Some(choices);
    page.page.has_sheet = true;
    html(StatusCode::OK, &page)
}

async fn page(app: &App, signed_in: &SignedIn, query: &TableQuery) -> Result<ListPage, PageError> {
    let filter = ClientFilter {
        // Those are in the settings.
        not_only_on: Some(app.admin_api.id),
        ..ClientFilter::default()
    };
    Ok(ListPage {
        page: Page::new(signed_in, Nav::Clients, "Clients"),
        table: client_table(app, filter, query, "/dashboard/clients".into()).await?,
        has_servers: !app.directory.mcp_servers().is_empty(),
        choices: None,
    })
}
