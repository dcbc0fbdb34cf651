//! A client's Settings tab; disabling, enabling and deleting it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{Client, ClientId, ClientStatus};

use super::consequences::{self, STALE, ask};
use super::form::{ClientForm, fields};
use super::show::assemble;
use super::{ClientView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::view::id;
use crate::dashboard::{
    Change, Confirm, Errors, Page, PageError, PageResult, SignedIn, Toast, html, last_change, toast,
};
use crate::directory::ClientEntry;
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
    let page = settings_page(&app, &signed_in, &entry, form);
    html(StatusCode::OK, &page)
}

/// The fields, sent.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let version = change.form.version()?;
    if change.form.is_given_back() {
        let form = ClientForm::again(&change.form, Vec::new(), Errors::given_back());
        return render_sent(&app, &change, &entry, (form, StatusCode::OK));
    }
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
            let to = format!("{}/settings", path(&id));
            let toast = Toast::new("Settings saved.");
            return toast::redirect(&app, &change.signed_in, &to, toast);
        }
    }
    let form = ClientForm::again(&change.form, Vec::new(), errors);
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    render_sent(&app, &change, &entry, (form, status))
}

/// The form as it was sent, of the version that it was made from: what somebody else saved since is told when it is
/// saved.
fn render_sent(
    app: &App,
    change: &Change,
    entry: &ClientEntry,
    (form, status): (ClientForm, StatusCode),
) -> PageResult {
    let mut page = settings_page(app, &change.signed_in, entry, form);
    page.client.version = change.form.version()?;
    html(status, &page)
}

/// The form as it was sent, beside what somebody else saved.
async fn stale(app: &App, change: &Change, id: ClientId) -> PageResult {
    let client = clients::find(app, id).await?;
    let entry = find(app, &id.to_string()).await?;
    let mut form = ClientForm::again(&change.form, Vec::new(), Errors::default());
    form.note_stale(&client);
    form.errors.changed_by = last_change::of_client(app, id).await?;
    let mut page = settings_page(app, &change.signed_in, &entry, form);
    // Another server may remember it as it was a moment ago.
    page.client.version = client.version;
    html(StatusCode::CONFLICT, &page)
}

/// Asks before it is stopped.
pub(crate) async fn ask_disable(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let confirm = consequences::disabling(&app, &signed_in.zone, &entry).await?;
    ask(&app, &signed_in, &entry, confirm).await
}

/// Stops it, at once.
pub(crate) async fn disable(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    // Taking away is never too late.
    let client = set_status(&app, &id, &change, ClientStatus::Disabled, None).await?;
    let text = format!("{} is disabled and gets no more tokens.", client.name);
    let toast = Toast::new(text).undo(
        format!("{}/enable", path(&id)),
        [("version", client.version.to_string())],
    );
    let to = format!("{}?tokens_of={id}", path(&id));
    toast::redirect(&app, &change.signed_in, &to, toast)
}

/// Lets it go on, if nobody took more away since.
pub(crate) async fn enable(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let version = change.form.version()?;
    let enabled = set_status(&app, &id, &change, ClientStatus::Enabled, Some(version)).await;
    if matches!(enabled, Err(PageError::Service(ServiceError::Stale))) {
        return overtaken(&app, &change, &id).await;
    }
    let toast = Toast::new(format!(
        "{} is enabled and can get tokens again.",
        enabled?.name
    ));
    toast::redirect(&app, &change.signed_in, &path(&id), toast)
}

/// The client's page as it is now, where somebody else was faster.
async fn overtaken(app: &App, change: &Change, id: &str) -> PageResult {
    let entry = find(app, id).await?;
    let mut page = assemble(app, &change.signed_in, &entry).await?;
    let mut text = STALE.to_owned();
    if let Some(who) = last_change::of_client(app, entry.client.id).await? {
        text = format!("{who} {text}");
    }
    page.page.toast = Some(Toast::problem(text));
    html(StatusCode::CONFLICT, &page)
}

async fn set_status(
    app: &App,
    id: &str,
    change: &Change,
    status: ClientStatus,
    version: Option<i64>,
) -> Result<Client, PageError> {
    let entry = find(app, id).await?;
    let update = ClientChange {
        status: Some(status),
        ..ClientChange::default()
    };
    let operator = &change.signed_in.operator;
    Ok(clients::update(app, operator, entry.client.id, update, version).await?)
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
    let updated = clients::update(&app, operator, entry.client.id, update, Some(version));
    let toast = match updated.await {
        Err(ServiceError::Stale) => return overtaken(&app, &change, &client_id).await,
        updated => made_default(&app, &entry.client, &updated?),
    };
    toast::redirect(&app, &change.signed_in, &path(&client_id), toast)
}

fn made_default(app: &App, before: &Client, after: &Client) -> Toast {
    let server = after.default_mcp_server;
    let server = server.and_then(|id| app.directory.find_mcp_server(id));
    let name = server.map_or_else(String::new, |server| server.name.to_string());
    let toast = Toast::new(format!(
        "{name} is the default: requests that name no resource are for it."
    ));
    match before.default_mcp_server {
        Some(before) => toast.undo(
            format!("{}/default-mcp-server", path(&after.id)),
            [
                ("mcp_server_id", before.to_string()),
                ("version", after.version.to_string()),
            ],
        ),
        None => toast,
    }
}

/// Asks before all its tokens are revoked.
pub(crate) async fn ask_revoke_tokens(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let confirm = consequences::revoking_tokens(&app, &signed_in.zone, &entry).await?;
    ask_on_settings(&app, &signed_in, &entry, confirm)
}

/// Revokes all tokens that it got so far.
pub(crate) async fn revoke_tokens(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    void_tokens::of_client(&app, &change.signed_in.operator, entry.client.id).await?;
    let to = format!("{}/settings?tokens_of={client_id}", path(&client_id));
    let toast = Toast::new(format!(
        "The tokens of {} are revoked: they are inactive at introspection.",
        entry.client.name
    ));
    toast::redirect(&app, &change.signed_in, &to, toast)
}

/// Asks before it is deleted.
pub(crate) async fn ask_delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let zone = &signed_in.zone;
    let confirm = consequences::deleting(&app, zone, &entry).await?;
    ask_on_settings(&app, &signed_in, &entry, confirm)
}

/// Deletes it, if its name was typed.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let (client, zone) = (&entry.client, &change.signed_in.zone);
    let problem = if change.form.text("confirm").trim() == client.name.as_str() {
        let version = change.form.version()?;
        match clients::delete(&app, &change.signed_in.operator, client.id, Some(version)).await {
            Err(ServiceError::Stale) => {
                let entry = find(&app, &id).await?;
                let mut confirm = consequences::deleting(&app, zone, &entry).await?;
                confirm.problem = Some(STALE.into());
                let mut answer = ask_on_settings(&app, &change.signed_in, &entry, confirm)?;
                *answer.status_mut() = StatusCode::CONFLICT;
                return Ok(answer);
            }
            deleted => {
                deleted?;
                let toast = Toast::new(format!(
                    "{} was deleted with its secrets and grants.",
                    client.name
                ));
                let to = format!("/dashboard/clients?tokens_of={}", client.id);
                return toast::redirect(&app, &change.signed_in, &to, toast);
            }
        }
    } else {
        format!("Nothing was deleted: this is not the name {}.", client.name)
    };
    let entry = find(&app, &id).await?;
    let mut confirm = consequences::deleting(&app, zone, &entry).await?;
    confirm.problem = Some(problem);
    ask_on_settings(&app, &change.signed_in, &entry, confirm)
}

fn ask_on_settings(
    app: &App,
    signed_in: &SignedIn,
    entry: &ClientEntry,
    confirm: Confirm,
) -> PageResult {
    let status = match confirm.problem {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut page = settings_page(app, signed_in, entry, ClientForm::of(&entry.client));
    if signed_in.may_change() {
        page.page.ask(confirm);
    }
    html(status, &page)
}

fn settings_page(
    app: &App,
    signed_in: &SignedIn,
    entry: &ClientEntry,
    form: ClientForm,
) -> SettingsPage {
    SettingsPage {
        page: page(signed_in, &entry.client),
        client: ClientView::of(app, entry, Tab::Settings),
        form,
    }
}
