//! A server's Settings tab: its fields, its own credentials, and deleting it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use http::{HeaderMap, StatusCode};
use jeton_core::{ClientSecret, McpServer, McpServerId, SecretOwner, SecretState, TokensOf};

use super::form::{ServerForm, fields};
use super::{ServerView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::clients::consequences::{STALE, not_stopped};
use crate::dashboard::format::grouped_count;
use crate::dashboard::new_secret::{self, NewSecret, SERVER_SECRET, ShownQuery};
use crate::dashboard::reveal;
use crate::dashboard::view::{SecretRow, secret_rows};
use crate::dashboard::zone::Zone;
use crate::dashboard::{
    Change, Confirm, Errors, Page, PageError, PageResult, SignedIn, Toast, html, last_change, toast,
};
use crate::service::mcp_servers::{self, Consent, McpServerChange};
use crate::service::server_urls::UrlChange;
use crate::service::{ServiceError, secrets, void_tokens};

#[derive(Template)]
#[template(path = "mcp_server_settings.html")]
struct SettingsPage {
    page: Page,
    server: ServerView,
    form: ServerForm,
    own_issuer: String,
    issuer: String,
    secrets: Vec<SecretRow>,
}

/// `/dashboard/mcp-servers/{id}/settings`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<ShownQuery>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let secret = reveal::take(&app, &signed_in, &headers, &id);
    let mut page = assemble(&app, &signed_in, &server, ServerForm::of(&server)).await?;
    if let Some(secret) = &secret {
        let action = format!("{}/secrets/shown", path(&server.id));
        let sheet = (SERVER_SECRET, id.as_str(), action);
        page.page
            .reveal(NewSecret::new(&app, &signed_in, sheet, (secret, &query))?);
    }
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
    if form.is_given_back() {
        let form = ServerForm::again(form, Errors::given_back());
        return render_sent(&app, &change, (&server, form), StatusCode::OK).await;
    }
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
            let to = format!("{}/settings", path(&server.id));
            let toast = Toast::new("Settings saved.");
            return toast::redirect(&app, &change.signed_in, &to, toast);
        }
    }
    let status = match errors.confirmation {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let form = ServerForm::again(form, errors);
    render_sent(&app, &change, (&server, form), status).await
}

/// The form as it was sent, of the version that it was made from: what somebody else saved since is told when it is
/// saved.
async fn render_sent(
    app: &App,
    change: &Change,
    (server, form): (&McpServer, ServerForm),
    status: StatusCode,
) -> PageResult {
    let mut page = assemble(app, &change.signed_in, server, form).await?;
    page.server.version = change.form.version()?;
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
    form.errors.changed_by = last_change::of_mcp_server(app, id).await?;
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
    let to = format!("{}/settings?tokens_of={id}", path(&server.id));
    let toast = Toast::new(format!(
        "All tokens for {} are revoked: they are inactive at introspection.",
        server.name
    ));
    toast::redirect(&app, &change.signed_in, &to, toast)
}

/// Asks before all tokens for the server are revoked.
pub(crate) async fn ask_revoke_tokens(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let confirm = Confirm {
        title: format!("Revoke all tokens for {}?", server.name),
        consequences: vec![
            affected(&app, &server).await?,
            "Introspection refuses every token for it immediately. Clients can get new tokens."
                .into(),
        ],
        not_stopped: not_stopped(
            &app,
            &signed_in.zone,
            ("The", TokensOf::McpServer(server.id)),
        )
        .await?,
        action: format!("{}/revoke-tokens", path(&server.id)),
        button: "Revoke all tokens".into(),
        is_danger: true,
        cancel: format!("{}/settings", path(&server.id)),
        ..Confirm::default()
    };
    ask(&app, &signed_in, &server, confirm).await
}

/// How many clients can use a server.
async fn affected(app: &App, server: &McpServer) -> Result<String, PageError> {
    Ok(match app.store.count_clients(Some(server.id)).await? {
        0 => format!("No client can use {}.", server.name),
        number => format!(
            "{} can use {}.",
            grouped_count(number, "client"),
            server.name
        ),
    })
}

/// Asks before a secret of the server's own is revoked.
pub(in crate::dashboard) async fn ask_revoke(
    app: &App,
    signed_in: &SignedIn,
    id: McpServerId,
    secret: &ClientSecret,
) -> PageResult {
    let server = find(app, &id.to_string()).await?;
    let now = app.clock.now();
    let all = secrets::list(app, SecretOwner::McpServer(id)).await?;
    let others = all
        .iter()
        .filter(|one| one.id != secret.id && one.state(now) == SecretState::Active);
    let consequence = match others.count() {
        0 => format!(
            "It is the only working secret of {}: the server can no longer introspect or revoke tokens.",
            server.name
        ),
        1 => "Requests with it will be refused immediately. 1 other secret keeps working.".into(),
        number => format!(
            "Requests with it will be refused immediately. {number} other secrets keep working."
        ),
    };
    let confirm = Confirm {
        title: format!("Revoke secret …{}?", secret.suffix),
        consequences: vec![consequence],
        action: format!("/dashboard/secrets/{}/revoke", secret.id),
        button: format!("Revoke …{}", secret.suffix),
        is_danger: true,
        cancel: format!("{}/settings", path(&server.id)),
        ..Confirm::default()
    };
    ask(app, signed_in, &server, confirm).await
}

/// The page with a question.
async fn ask(app: &App, signed_in: &SignedIn, server: &McpServer, confirm: Confirm) -> PageResult {
    let status = match confirm.problem {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut page = assemble(app, signed_in, server, ServerForm::of(server)).await?;
    if signed_in.may_change() {
        page.page.ask(confirm);
    }
    html(status, &page)
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

/// Leaves the sheet with a new secret.
pub(crate) async fn leave_secret(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    let settings = format!("{}/settings", path(&server.id));
    new_secret::leave(&app, &change, &id, &settings)
}

/// Asks before the server is deleted.
pub(crate) async fn ask_delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let confirm = deleting(&app, &signed_in.zone, &server).await?;
    ask(&app, &signed_in, &server, confirm).await
}

async fn deleting(app: &App, zone: &Zone, server: &McpServer) -> Result<Confirm, PageError> {
    let mut consequences = vec![
        format!(
            "{} They get no more tokens for it, and introspection refuses those issued before. Its scopes, grants and \
             credentials are permanently deleted; the audit log keeps what happened.",
            affected(app, server).await?
        ),
        "Its URL is retired: nobody gets tokens for it until you release it on the MCP Servers page or register it \
         again."
            .into(),
    ];
    let mut fields = vec![("version", server.version.to_string())];
    if let Some(parent) = app.directory.covering_besides(server.id, &server.url) {
        consequences.push(format!(
            "It lies under the URL of {}. If you release it while something still runs there, clients of {} can get \
             tokens for it.",
            parent.name, parent.name
        ));
        fields.push(("confirmed", "yes".to_owned()));
    }
    Ok(Confirm {
        title: format!("Delete {}?", server.name),
        consequences,
        not_stopped: not_stopped(app, zone, ("The", TokensOf::McpServer(server.id))).await?,
        action: format!("{}/delete", path(&server.id)),
        fields,
        typed: Some(server.name.to_string()),
        button: format!("Delete {}", server.name),
        is_danger: true,
        cancel: format!("{}/settings", path(&server.id)),
        ..Confirm::default()
    })
}

/// Deletes the server, if its name was typed.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let server = find(&app, &id).await?;
    let problem = if change.form.text("confirm").trim() == server.name.as_str() {
        let consent = consent(&change)?;
        let operator = &change.signed_in.operator;
        match mcp_servers::delete(&app, operator, server.id, consent).await {
            Err(ServiceError::Stale) => {
                let server = find(&app, &id).await?;
                let mut confirm = deleting(&app, &change.signed_in.zone, &server).await?;
                confirm.problem = Some(STALE.into());
                let mut answer = ask(&app, &change.signed_in, &server, confirm).await?;
                *answer.status_mut() = StatusCode::CONFLICT;
                return Ok(answer);
            }
            deleted => {
                deleted?;
                let toast = Toast::new(format!(
                    "{} was deleted with its grants. Its URL is retired.",
                    server.name
                ));
                let to = format!("/dashboard/mcp-servers?tokens_of={}", server.id);
                return toast::redirect(&app, &change.signed_in, &to, toast);
            }
        }
    } else {
        format!("Nothing was deleted: this is not the name {}.", server.name)
    };
    let server = find(&app, &id).await?;
    let mut confirm = deleting(&app, &change.signed_in.zone, &server).await?;
    confirm.problem = Some(problem);
    ask(&app, &change.signed_in, &server, confirm).await
}

async fn assemble(
    app: &App,
    signed_in: &SignedIn,
    server: &McpServer,
    form: ServerForm,
) -> Result<SettingsPage, PageError> {
    let owner = SecretOwner::McpServer(server.id);
    Ok(SettingsPage {
        page: page(signed_in, server),
        form,
        own_issuer: server.own_issuer_url(app.issuer.as_str()),
        issuer: app.issuer.to_string(),
        secrets: secret_rows(secrets::list(app, owner).await?, app.clock.now()),
        server: ServerView::new(server, Tab::Settings),
    })
}
