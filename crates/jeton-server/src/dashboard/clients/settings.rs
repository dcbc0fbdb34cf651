//! A client's Settings tab; disabling, enabling and deleting it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{Client, ClientId, ClientStatus};

use super::form::{ClientForm, fields};
use super::{ClientView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::session::see;
use crate::dashboard::view::id;
use crate::dashboard::{Change, Errors, Page, PageResult, SignedIn, html};
use crate::service::clients::{self, ClientChange};
use crate::service::{ServiceError, void_tokens};

#[derive(Template)]
#[template(path = "client_settings.html")]
struct SettingsPage {
    page: Page,
    client: ClientView,
    form: ClientForm,
}

/// `/dashboard/clients/{id}/settings`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let form = ClientForm::of(&entry.client);
    render(&signed_in, &entry.client, form, StatusCode::OK)
}

/// The fields, sent.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let version = change.form.version()?;
    // Also before the form is shown again with what is wrong: the page would say the version of now.
    if version < entry.client.version {
        return stale(&app, &change, entry.client.id).await;
    }
    let mut errors = Errors::default();
    if let Some(fields) = fields(&change.form, &mut errors) {
        let update = ClientChange {
            name: Some(fields.name),
            description: Some(fields.description),
            status: None,
            token_ttl: Some(fields.token_ttl),
            custom_claims: Some(fields.custom_claims),
            default_mcp_server: None,
        };
        let operator = &change.signed_in.operator;
        let saved = clients::update(&app, operator, entry.client.id, update, Some(version)).await;
        if matches!(saved, Err(ServiceError::Stale)) {
            return stale(&app, &change, entry.client.id).await;
        }
        if errors.accept(saved)?.is_some() {
            return Ok(see(&format!("{}/settings?done=saved", path(&id))));
        }
    }
    let form = ClientForm::again(&change.form, Vec::new(), errors);
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    render(&change.signed_in, &entry.client, form, status)
}

/// The form as it was sent, beside what somebody else saved.
async fn stale(app: &App, change: &Change, id: ClientId) -> PageResult {
    let client = clients::find(app, id).await?;
    let mut form = ClientForm::again(&change.form, Vec::new(), Errors::default());
    form.note_stale(&client);
    render(&change.signed_in, &client, form, StatusCode::CONFLICT)
}

/// Stops it, at once.
pub(crate) async fn disable(app: State<Arc<App>>, id: Path<String>, change: Change) -> PageResult {
    set_status(&app, &id, &change, ClientStatus::Disabled, "disabled").await
}

/// Lets it go on.
pub(crate) async fn enable(app: State<Arc<App>>, id: Path<String>, change: Change) -> PageResult {
    set_status(&app, &id, &change, ClientStatus::Enabled, "enabled").await
}

async fn set_status(
    app: &App,
    id: &str,
    change: &Change,
    status: ClientStatus,
    done: &str,
) -> PageResult {
    let entry = find(app, id).await?;
    let update = ClientChange {
        status: Some(status),
        ..ClientChange::default()
    };
    let operator = &change.signed_in.operator;
    // Taking away is never too late; giving back is, if somebody took it away since.
    let version = match status {
        ClientStatus::Disabled => None,
        ClientStatus::Enabled => Some(change.form.version()?),
    };
    clients::update(app, operator, entry.client.id, update, version).await?;
    Ok(see(&format!("{}?done={done}", path(&id))))
}

/// Chooses the MCP server that a token is for where a request names none.
pub(crate) async fn set_default(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let update = ClientChange {
        default_mcp_server: Some(Some(id(change.form.text("mcp_server_id"))?)),
        ..ClientChange::default()
    };
    let operator = &change.signed_in.operator;
    let version = change.form.version()?;
    clients::update(&app, operator, entry.client.id, update, Some(version)).await?;
    Ok(see(&format!("{}?done=saved", path(&client_id))))
}

/// Revokes all tokens that it got so far.
pub(crate) async fn revoke_tokens(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    void_tokens::of_client(&app, &change.signed_in.operator, id(&client_id)?).await?;
    Ok(see(&format!(
        "{}/settings?done=tokens-revoked",
        path(&client_id)
    )))
}

/// Deletes it, if its name was typed.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let client = &entry.client;
    if change.form.text("confirm").trim() == client.name.as_str() {
        let version = change.form.version()?;
        clients::delete(&app, &change.signed_in.operator, client.id, Some(version)).await?;
        return Ok(see("/dashboard/clients?done=client-deleted"));
    }
    let mut form = ClientForm::of(client);
    let problem = format!("Nothing was deleted: this is not the name {}", client.name);
    form.errors.add("confirm", problem);
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    render(&change.signed_in, client, form, status)
}

fn render(
    signed_in: &SignedIn,
    client: &Client,
    form: ClientForm,
    status: StatusCode,
) -> PageResult {
    let page = SettingsPage {
        page: page(signed_in, client),
        client: ClientView::new(client, Tab::Settings),
        form,
    };
    html(status, &page)
}
