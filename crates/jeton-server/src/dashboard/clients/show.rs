//! A client's first tab: its grants, its secrets, how it is doing.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use http::HeaderMap;
use jeton_core::{McpServer, ScopeSet};

use super::table::Refusal;
use super::{ClientView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::format::{When, grouped, when};
use crate::dashboard::host_snippets::hosts;
use crate::dashboard::new_secret::{self, CLIENT_SECRET, NewSecret, ShownQuery};
use crate::dashboard::reveal;
use crate::dashboard::snippet::Snippet;
use crate::dashboard::view::{
    Named, ScopeView, SecretRow, chosen_scopes, scope_choices, secret_rows,
};
use crate::dashboard::{Change, Errors, Page, PageError, PageResult, SignedIn};
use crate::directory::ClientEntry;
use crate::service::{secrets, statistics};

#[derive(Template)]
#[template(path = "client_overview.html")]
pub(super) struct ShowPage {
    pub(super) page: Page,
    pub(super) client: ClientView,
    issued: String,
    refused: String,
    last_issued: Option<When>,
    refusal: Option<Refusal>,
    grants: Vec<GrantView>,
    /// The MCP server that a token is for where a request names none.
    default_server: Option<String>,
    other_servers: Vec<Named>,
    secrets: Vec<SecretRow>,
    pub(super) form: SecretForm,
    pub(super) new_grant: Option<GrantView>,
}

impl ShowPage {
    /// Shows a grant's form as it was sent.
    pub(super) fn replace_grant(&mut self, view: GrantView) {
        let mut grants = self.grants.iter_mut();
        if let Some(grant) = grants.find(|grant| grant.server_id == view.server_id) {
            *grant = GrantView {
                is_default: grant.is_default,
                ..view
            };
        }
    }
}

/// What the forms for secrets hold.
pub(super) struct SecretForm {
    pub(super) expiry: String,
    pub(super) expiry_unit: String,
    pub(super) errors: Errors,
}

impl SecretForm {
    pub(super) fn empty() -> Self {
        Self {
            expiry: String::new(),
            expiry_unit: "days".into(),
            errors: Errors::default(),
        }
    }
}

/// A grant, or one to be made.
pub(super) struct GrantView {
    server_id: String,
    server_name: String,
    url: String,
    is_default: bool,
    scopes: Vec<ScopeView>,
    chips: Vec<ScopeView>,
    version: i64,
    /// How programs that start MCP servers are configured.
    hosts: Vec<Snippet>,
    pub(super) errors: Errors,
}

impl GrantView {
    pub(super) fn new(server: &McpServer, granted: &ScopeSet, version: i64) -> Self {
        Self {
            server_id: server.id.to_string(),
            server_name: server.name.to_string(),
            url: server.url.to_string(),
            is_default: false,
            scopes: scope_choices(server, granted),
            chips: chosen_scopes(server, granted),
            version,
            hosts: Vec::new(),
            errors: Errors::default(),
        }
    }

    /// With configurations for hosts, in which `secret` stands for the client's secret.
    fn with_hosts(mut self, server: &McpServer, issuer: &str, id: &str, secret: &str) -> Self {
        self.hosts = hosts(server, issuer, id, secret);
        self
    }
}

/// `/dashboard/clients/{id}`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<ShownQuery>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let secret = reveal::take(&app, &signed_in, &headers, &id);
    let mut page = assemble(&app, &signed_in, &entry).await?;
    if let Some(secret) = &secret {
        let action = format!("{}/secrets/shown", path(&id));
        let sheet = (CLIENT_SECRET, id.as_str(), action);
        page.page
            .reveal(NewSecret::new(&app, &signed_in, sheet, (secret, &query))?);
    }
    reveal::html(&app, secret.as_ref(), &page)
}

/// Leaves the sheet with a new secret.
pub(crate) async fn leave(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &id).await?;
    new_secret::leave(&app, &change, &id, &path(&entry.client.id))
}

pub(super) async fn assemble(
    app: &App,
    signed_in: &SignedIn,
    entry: &ClientEntry,
) -> Result<ShowPage, PageError> {
    statistics::catch_up(app).await?;
    let (client, now) = (&entry.client, app.clock.now());
    let day = now.minus(Duration::from_secs(24 * 60 * 60));
    let tokens = app.store.tokens_of_client(client.id, day, now).await?;
    let activity = app.store.client_activity(client.id).await?;
    let default = client.granted_default(&entry.grants);
    let granted = |id| entry.grants.iter().any(|grant| grant.mcp_server_id == id);
    // Read from the store: the last use is not in the directory's view.
    let secrets = secrets::list(app, jeton_core::SecretOwner::Client(client.id)).await?;
    Ok(ShowPage {
        page: page(signed_in, client),
        client: ClientView::of(app, entry, Tab::Overview),
        issued: grouped(tokens.issued),
        refused: grouped(tokens.refused),
        last_issued: activity.last_issued_at.map(|at| when(at, now)),
        refusal: activity.last_refused_at.map(|at| {
            let reason = activity.last_refusal.unwrap_or_default();
            Refusal::new(when(at, now), reason)
        }),
        grants: entry
            .grants
            .iter()
            .filter_map(|grant| {
                let server = app.directory.find_mcp_server(grant.mcp_server_id)?;
                let view = GrantView::new(&server, &grant.scopes, grant.version);
                let (issuer, id) = (app.issuer.as_str(), client.id.to_string());
                Some(GrantView {
                    is_default: default == Some(server.id),
                    ..view.with_hosts(&server, issuer, &id, "jeton_...")
                })
            })
            .collect(),
        default_server: default
            .and_then(|id| app.directory.find_mcp_server(id))
            .map(|server| server.name.to_string()),
        other_servers: app
            .directory
            .mcp_servers()
            .iter()
            .filter(|server| !granted(server.id))
            .map(|server| Named::server(server))
            .collect(),
        secrets: secret_rows(secrets, now),
        form: SecretForm::empty(),
        new_grant: None,
    })
}
