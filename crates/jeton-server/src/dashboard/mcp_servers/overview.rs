//! A server's first tab: what it is called, and how to protect it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;

use super::{ServerView, Tab, find, page};
use crate::app::App;
use crate::dashboard::format::{When, lifetime, when};
use crate::dashboard::snippet::Snippet;
use crate::dashboard::snippets::protect_server;
use crate::dashboard::{Page, PageResult, SignedIn, html};

#[derive(Template)]
#[template(path = "mcp_server_overview.html")]
struct OverviewPage {
    page: Page,
    server: ServerView,
    issuer: String,
    token_endpoint: String,
    keys: String,
    metadata: String,
    own_metadata: String,
    token_ttl: String,
    signing_alg: &'static str,
    token_profile: &'static str,
    created: When,
    snippets: Vec<Snippet>,
}

/// `/dashboard/mcp-servers/{id}`
pub(crate) async fn overview(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let issuer = app.issuer.as_str();
    let page = OverviewPage {
        page: page(&signed_in, &server),
        issuer: server.token_issuer(issuer),
        token_endpoint: format!("{issuer}/oauth/token"),
        keys: format!("{issuer}/keys"),
        metadata: format!("{issuer}/.well-known/oauth-authorization-server"),
        own_metadata: format!(
            "{issuer}/.well-known/oauth-authorization-server/resources/{}",
            server.id
        ),
        token_ttl: lifetime(server.token_ttl.as_seconds()),
        signing_alg: server.signing_alg.as_str(),
        token_profile: server.token_profile.as_str(),
        created: when(server.created_at, app.clock.now()),
        snippets: protect_server(&server, issuer),
        server: ServerView::new(&server, Tab::Overview),
    };
    html(StatusCode::OK, &page)
}
