//! A client's secrets: adding, rotating, revoking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{ClientSecret, PlainSecret, SecretId, SecretOwner};

use super::consequences::{self, GRACE, ask};
use super::form::optional_lifetime;
use super::show::{SecretForm, assemble};
use super::{find, path};
use crate::app::App;
use crate::dashboard::reveal;
use crate::dashboard::view::id;
use crate::dashboard::{
    Change, Errors, PageError, PageResult, SignedIn, Toast, html, mcp_servers, toast,
};
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

/// Asks how long the secrets of now may keep working.
pub(crate) async fn ask_rotate(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let confirm = consequences::rotating(&app, &entry, "24h").await?;
    ask(&app, &signed_in, &entry, confirm).await
}

/// Makes a new one, and lets those that work now expire after a while.
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let chosen = change.form.text("grace");
    let mut known = GRACE.iter();
    let Some((_, grace, _, _)) = known.find(|(value, ..)| *value == chosen) else {
        let problem = "Choose how long the current secrets keep working. Nothing was rotated.";
        return rotate_again(&app, &change, &client_id, (problem, true)).await;
    };
    let operator = &change.signed_in.operator;
    let seen: Vec<SecretId> = change
        .form
        .all("seen")
        .filter_map(|id| id.parse().ok())
        .collect();
    let grace = grace.map(Duration::from_secs);
    match secrets::rotate(&app, operator, entry.client.id, grace, Some(&seen)).await {
        Err(ServiceError::Stale) => {
            let problem = "Someone else created a secret after you opened the page, and rotating would make it \
                           expire. Nothing was rotated; rotate again if that is what you want.";
            rotate_again(&app, &change, &client_id, (problem, false)).await
        }
        rotated => show(&app, &change, &client_id, &rotated?.1),
    }
}

async fn rotate_again(
    app: &App,
    change: &Change,
    client_id: &str,
    (problem, is_mistake): (&str, bool),
) -> PageResult {
    let entry = find(app, client_id).await?;
    let form = &change.form;
    let mut confirm = consequences::rotating(app, &entry, form.text("grace")).await?;
    if is_mistake {
        // Another secret may be there now, which was not seen.
        confirm.fields = form.all("seen").map(|id| ("seen", id.to_owned())).collect();
    }
    confirm.problem = Some(problem.to_owned());
    let mut answer = ask(app, &change.signed_in, &entry, confirm).await?;
    *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(answer)
}

fn show(app: &App, change: &Change, client_id: &str, plain: &PlainSecret) -> PageResult {
    let path = path(&client_id);
    reveal::redirect(app, &change.signed_in, client_id, &path, plain)
}

async fn again(app: &App, change: &Change, client_id: &str, errors: Errors) -> PageResult {
    let entry = find(app, client_id).await?;
    let mut page = assemble(app, &change.signed_in, &entry).await?;
    let text = |name, otherwise: String| match change.form.all(name).next() {
        Some(given) => given.to_owned(),
        None => otherwise,
    };
    let empty = SecretForm::empty();
    page.form = SecretForm {
        expiry: text("expiry", empty.expiry),
        expiry_unit: text("expiry_unit", empty.expiry_unit),
        errors,
    };
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Asks before one is revoked, of a client or of an MCP server.
pub(crate) async fn ask_revoke(
    State(app): State<Arc<App>>,
    Path(secret_id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let secret = find_secret(&app, &secret_id).await?;
    match secret.owner {
        SecretOwner::Client(owner) => {
            let entry = find(&app, &owner.to_string()).await?;
            let confirm = consequences::revoking(&app, &signed_in.zone, &entry, secret.id).await?;
            ask(&app, &signed_in, &entry, confirm).await
        }
        SecretOwner::McpServer(owner) => {
            mcp_servers::settings::ask_revoke(&app, &signed_in, owner, &secret).await
        }
    }
}

/// Revokes one, of a client or of an MCP server.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Path(secret_id): Path<String>,
    change: Change,
) -> PageResult {
    let secret = find_secret(&app, &secret_id).await?;
    let with_tokens = change.form.is_ticked("revoke_tokens");
    secrets::revoke(&app, &change.signed_in.operator, secret.id, with_tokens).await?;
    let back = match secret.owner {
        SecretOwner::Client(id) => format!("{}?tokens_of={}", path(&id), secret.id),
        SecretOwner::McpServer(id) => format!("{}/settings", mcp_servers::path(&id)),
    };
    let tokens = if with_tokens {
        " Tokens issued with it were revoked too."
    } else {
        ""
    };
    let toast = Toast::new(format!(
        "Secret …{} was revoked. It no longer works.{tokens}",
        secret.suffix
    ));
    toast::redirect(&app, &change.signed_in, &back, toast)
}

async fn find_secret(app: &App, secret_id: &str) -> Result<ClientSecret, PageError> {
    let secret_id: SecretId = id(secret_id)?;
    let found = app.store.find_secret(secret_id).await?;
    Ok(found.ok_or_else(|| ServiceError::not_found("secret", &secret_id))?)
}
