//! A client's secrets: adding, rotating, revoking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{PlainSecret, SecretId, SecretOwner};

use super::form::optional_lifetime;
use super::show::{SecretForm, ShowPage, assemble};
use super::{find, path};
use crate::app::App;
use crate::dashboard::reveal;
use crate::dashboard::session::see;
use crate::dashboard::view::id;
use crate::dashboard::{Change, Errors, PageError, PageResult, html, mcp_servers};
use crate::service::{ServiceError, secrets};

/// Adds one.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let mut errors = Errors::default();
    let Some(expiry) = optional_lifetime(&change.form, "expiry", &mut errors) else {
        return again(&app, &change, &client_id, errors).await;
    };
    let owner = SecretOwner::Client(entry.client.id);
    let operator = &change.signed_in.operator;
    let (_, plain) = secrets::create(&app, operator, owner, expiry).await?;
    show(&app, &change, &client_id, &plain)
}

/// Makes a new one, and lets those that work now expire after a while.
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let mut errors = Errors::default();
    let grace = match change.form.text("grace").trim() {
        "0" => Some(None),
        _ => optional_lifetime(&change.form, "grace", &mut errors),
    };
    let seen: Vec<SecretId> = change
        .form
        .all("seen")
        .filter_map(|id| id.parse().ok())
        .collect();
    let Some(grace) = grace else {
        let mut page = page_again(&app, &change, &client_id, errors).await?;
        // Another secret may be there now, which was not seen.
        page.seen_secrets = seen.iter().map(ToString::to_string).collect();
        return html(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let grace = grace.unwrap_or(Duration::ZERO);
    let operator = &change.signed_in.operator;
    match secrets::rotate(&app, operator, entry.client.id, grace, Some(&seen)).await {
        Err(ServiceError::Stale) => {
            errors.add(
                "grace",
                "Nothing was rotated: someone else created a secret after you opened the page, and rotating \
                 would make it expire. It is in the list above; rotate again if that is meant.",
            );
            again(&app, &change, &client_id, errors).await
        }
        rotated => show(&app, &change, &client_id, &rotated?.1),
    }
}

fn show(app: &App, change: &Change, client_id: &str, plain: &PlainSecret) -> PageResult {
    let path = path(&client_id);
    reveal::redirect(app, &change.signed_in, client_id, &path, plain)
}

async fn again(app: &App, change: &Change, client_id: &str, errors: Errors) -> PageResult {
    let page = page_again(app, change, client_id, errors).await?;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The client's page with the form as it was sent.
async fn page_again(
    app: &App,
    change: &Change,
    client_id: &str,
    errors: Errors,
) -> Result<ShowPage, PageError> {
    let entry = find(app, client_id).await?;
    let mut page = assemble(app, &change.signed_in, &entry).await?;
    let text = |name, otherwise: String| match change.form.all(name).next() {
        Some(given) => given.to_owned(),
        None => otherwise,
    };
    let empty = SecretForm::empty();
    page.form = SecretForm {
        grace: text("grace", empty.grace),
        grace_unit: text("grace_unit", empty.grace_unit),
        expiry: text("expiry", empty.expiry),
        expiry_unit: text("expiry_unit", empty.expiry_unit),
        errors,
    };
    Ok(page)
}

/// Revokes one, of a client or of an MCP server.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Path(secret_id): Path<String>,
    change: Change,
) -> PageResult {
    let secret_id: SecretId = id(&secret_id)?;
    let secret = app
        .store
        .find_secret(secret_id)
        .await?
        .ok_or_else(|| ServiceError::not_found("secret", &secret_id))?;
    let with_tokens = change.form.is_ticked("revoke_tokens");
    secrets::revoke(&app, &change.signed_in.operator, secret_id, with_tokens).await?;
    Ok(see(&match secret.owner {
        SecretOwner::Client(id) => format!("{}?done=revoked", path(&id)),
        SecretOwner::McpServer(id) => {
            format!("{}/settings?done=revoked", mcp_servers::path(&id))
        }
    }))
}
