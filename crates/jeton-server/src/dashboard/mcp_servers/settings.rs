//! A server's Settings tab: its fields, its own credentials, and deleting it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use jeton_core::{McpServer, McpServerId, SecretOwner};

use super::form::{ServerForm, fields};
use super::{ServerView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::format::grouped;
use crate::dashboard::reveal;
use crate::dashboard::session::see;
use crate::dashboard::view::{Named, SecretRow, secret_rows};
use crate::dashboard::{Change, Errors, Page, PageError, PageResult, SignedIn, html};
use crate::service::mcp_servers::{self, Consent, McpServerChange};
use crate::service::server_urls::UrlChange;
use crate::service::{ServiceError, secrets, void_tokens};

#[derive(Template)]
#[template(path = "mcp_server_settings.html")]
struct SettingsPage {
    page: Page,
    /// The MCP server to which the URL would belong without this one.
    parent: Option<Named>,
    server: ServerView,
    form: ServerForm,
    own_issuer: String,
    clients: String,
    secrets: Vec<SecretRow>,
    secret: Option<String>,
}

/// `/dashboard/mcp-servers/{id}/settings`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let secret = reveal::take(&app, &signed_in, &headers, &id);
    let mut page = assemble(&app, &signed_in, &server, ServerForm::of(&server)).await?;
    page.secret = secret.as_ref().map(|secret| secret.expose().to_owned());
    reveal::html(&app, secret.as_ref(), &page)
}

/// The fields, sent.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    let form = &change.form;
    let consent = consent(&change)?;
    // Also before the form is shown again with what is wrong: the page would say the version of now.
    if consent.is_older_than(server.version) {
        return stale(&app, &change, server.id).await;
    }
    let mut errors = Errors::default();
    let token_profile = form.parse("token_profile", &mut errors);
    if let (Some(fields), Some(token_profile)) =
        (fields(form, Some(&server), &mut errors), token_profile)
    {
        let update = McpServerChange {
            name: Some(fields.name),
            description: Some(fields.description),
            urls: UrlChange {
                url: Some(fields.url),
                aliases: fields.aliases,
                ..UrlChange::default()
            },
            token_ttl: Some(fields.token_ttl),
            signing_alg: Some(fields.signing_alg),
            token_profile: Some(token_profile),
            own_issuer: Some(form.is_ticked("own_issuer")),
            ..McpServerChange::default()
        };
        let operator = &change.signed_in.operator;
        let saved = mcp_servers::update(&app, operator, server.id, update, consent).await;
        if matches!(saved, Err(ServiceError::Stale)) {
            return stale(&app, &change, server.id).await;
        }
        if errors.accept_with_conflict("", saved)?.is_some() {
            return Ok(see(&format!("{}/settings?done=saved", path(&server.id))));
        }
    }
    let status = match errors.confirmation {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let form = ServerForm::again(form, errors);
    let page = assemble(&app, &change.signed_in, &server, form).await?;
    html(status, &page)
}

/// The version that the form was made from, and whether its consequences are confirmed.
pub(super) fn consent(change: &Change) -> Result<Consent, PageError> {
    Ok(Consent {
        expected: Some(change.form.version()?),
        confirmed: change.form.is_ticked("confirmed"),
    })
}

/// The form as it was sent, beside what somebody else saved.
async fn stale(app: &App, change: &Change, id: McpServerId) -> PageResult {
    let saved = app.directory.read_mcp_server(id).await?;
    let saved = saved.ok_or(PageError::NotFound)?;
    let mut form = ServerForm::again(&change.form, Errors::default());
    form.note_stale(&saved);
    let page = assemble(app, &change.signed_in, &saved, form).await?;
    html(StatusCode::CONFLICT, &page)
}

/// Revokes all tokens that were issued for the server so far.
pub(crate) async fn revoke_tokens(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    void_tokens::of_mcp_server(&app, &change.signed_in.operator, server.id).await?;
    Ok(see(&format!(
        "{}/settings?done=tokens-revoked",
        path(&server.id)
    )))
}

/// New credentials of the server's own.
pub(crate) async fn create_secret(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    let owner = SecretOwner::McpServer(server.id);
    let signed_in = &change.signed_in;
    let (_, plain) = secrets::create(&app, &signed_in.operator, owner, None).await?;
    let path = format!("{}/settings", path(&server.id));
    reveal::redirect(&app, signed_in, &server.id.to_string(), &path, &plain)
}

/// Deletes the server, if its name was typed.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    if change.form.text("confirm").trim() == server.name.as_str() {
        let consent = consent(&change)?;
        mcp_servers::delete(&app, &change.signed_in.operator, server.id, consent).await?;
        return Ok(see("/dashboard/mcp-servers?done=server-deleted"));
    }
    let mut form = ServerForm::of(&server);
    let problem = format!("Nothing was deleted: this is not the name {}", server.name);
    form.errors.add("confirm", problem);
    let page = assemble(&app, &change.signed_in, &server, form).await?;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn assemble(
    app: &App,
    signed_in: &SignedIn,
    server: &McpServer,
    form: ServerForm,
) -> Result<SettingsPage, PageError> {
    let owner = SecretOwner::McpServer(server.id);
    let parent = app.directory.covering_besides(server.id, &server.url);
    Ok(SettingsPage {
        page: page(signed_in, server),
        parent: parent.map(|parent| Named::server(&parent)),
        form,
        own_issuer: server.own_issuer_url(app.issuer.as_str()),
        clients: grouped(app.store.count_clients(Some(server.id)).await?),
        secrets: secret_rows(secrets::list(app, owner).await?, app.clock.now()),
        secret: None,
        server: ServerView::new(server, Tab::Settings),
    })
}
