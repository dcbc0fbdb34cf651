//! All clients.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_store::ClientFilter;

use super::table::{ClientTable, TableQuery, client_table};
use crate::app::App;
use crate::dashboard::{Nav, Page, PageQuery, PageResult, SignedIn, html};

#[derive(Template)]
#[template(path = "clients.html")]
struct ListPage {
    page: Page,
    table: ClientTable,
}

/// `/dashboard/clients`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PageQuery(query): PageQuery<TableQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let filter = ClientFilter::default();
    let page = ListPage {
        page: Page::new(&signed_in, Nav::Clients, "Clients"),
        table: client_table(&app, filter, &query, "/dashboard/clients".into()).await?,
    };
    html(StatusCode::OK, &page)
}
