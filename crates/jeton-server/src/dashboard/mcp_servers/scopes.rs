//! A server's Scopes tab.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;

use super::form::{ServerForm, scopes};
use super::{ServerView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::session::see;
use crate::dashboard::{Change, Errors, Page, PageResult, SignedIn, html};
use crate::service::mcp_servers::{self, McpServerChange};

#[derive(Template)]
#[template(path = "mcp_server_scopes.html")]
struct ScopesPage {
    page: Page,
    server: ServerView,
    form: ServerForm,
}

/// `/dashboard/mcp-servers/{id}/scopes`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let page = ScopesPage {
        page: page(&signed_in, &server),
        form: ServerForm::of(&server),
        server: ServerView::new(&server, Tab::Scopes),
    };
    html(StatusCode::OK, &page)
}

/// The form, sent.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    let mut errors = Errors::default();
    if let Some(scopes) = scopes(&change.form, &mut errors) {
        let update = McpServerChange {
            scopes: Some(scopes),
            ..McpServerChange::default()
        };
        let operator = &change.signed_in.operator;
        let version = change.form.text("version").parse().ok();
        let saved = mcp_servers::update(&app, operator, server.id, update, version).await;
        if errors.accept(saved)?.is_some() {
            return Ok(see(&format!("{}/scopes?done=saved", path(&server.id))));
        }
    }
    let page = ScopesPage {
        page: page(&change.signed_in, &server),
        form: ServerForm::again(&change.form, errors),
        server: ServerView::new(&server, Tab::Scopes),
    };
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
