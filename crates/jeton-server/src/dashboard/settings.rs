//! Settings: admins and invitations, the signed-in person, admin API clients, the configuration.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use jeton_core::{DisplayName, Role, RoleSource};
use jeton_store::{ClientFilter, PageRequest};

use super::account::leave;
use super::format::{When, when};
use super::reveal;
use super::session::{OwnChange, see};
use super::view::{ScopeView, chosen_scopes, id};
use super::{Change, Errors, Nav, Page, PageError, PageResult, SignedIn, html};
use crate::app::App;
use crate::config::Setting;
use crate::service::{ServiceError, admins, oidc};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    page: Page,
    errors: Errors,
    note: String,
    invitation_link: Option<String>,
    admins: Vec<AdminRow>,
    has_provider: bool,
    invitations: Vec<InvitationRow>,
    api: ApiView,
    api_clients: Vec<ApiClient>,
    settings: Vec<Setting>,
}

struct AdminRow {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    other_role: &'static str,
    last_sign_in: Option<When>,
    is_self: bool,
    has_access: bool,
    follows_lists: bool,
}

struct InvitationRow {
    id: String,
    note: String,
    role: &'static str,
    expires: When,
}

struct ApiView {
    id: String,
    url: String,
}

struct ApiClient {
    id: String,
    name: String,
    scopes: Vec<ScopeView>,
}

/// What an invitation's link belongs to, for showing it once.
const INVITATION: &str = "invitation";

/// `/dashboard/settings`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let link = reveal::take(&app, &signed_in, &headers, INVITATION);
    let mut page = assemble(&app, &signed_in).await?;
    page.invitation_link = link.as_ref().map(|link| admins::link(&app, link));
    reveal::html(&app, link.as_ref(), &page)
}

/// Makes an invitation.
pub(crate) async fn invite(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let mut errors = Errors::default();
    let note = change.form.parse::<DisplayName>("note", &mut errors);
    let role = change.form.parse::<Role>("role", &mut errors);
    let signed_in = &change.signed_in;
    if let (Some(note), Some(role)) = (note, role) {
        let (_, link) = admins::invite(&app, &signed_in.operator, role, &note).await?;
        return reveal::redirect(&app, signed_in, INVITATION, "/dashboard/settings", &link);
    }
    let mut page = assemble(&app, signed_in).await?;
    page.note = change.form.text("note").into();
    page.errors = errors;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Takes an invitation back.
pub(crate) async fn revoke_invitation(
    State(app): State<Arc<App>>,
    Path(invitation): Path<String>,
    change: Change,
) -> PageResult {
    admins::revoke_invitation(&app, &change.signed_in.operator, id(&invitation)?).await?;
    Ok(see("/dashboard/settings?done=invitation-revoked"))
}

/// Changes an admin's role.
pub(crate) async fn set_role(
    State(app): State<Arc<App>>,
    Path(admin): Path<String>,
    change: Change,
) -> PageResult {
    let role = change
        .form
        .parse::<Role>("role", &mut Errors::default())
        .ok_or(PageError::Refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "A role is admin or viewer.",
        ))?;
    let seen = change.form.seen("was")?;
    let operator = &change.signed_in.operator;
    match admins::set_role(&app, operator, id(&admin)?, role, seen).await {
        Err(ServiceError::Stale) => {
            let mut page = assemble(&app, &change.signed_in).await?;
            let problem = "Someone else changed this role after you opened the page. Nothing was changed; \
                           the roles below are those of now.";
            page.errors.add("", problem);
            html(StatusCode::CONFLICT, &page)
        }
        changed => {
            changed?;
            Ok(see("/dashboard/settings?done=saved"))
        }
    }
}

/// Removes an admin.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(admin): Path<String>,
    change: Change,
) -> PageResult {
    admins::delete(&app, &change.signed_in.operator, id(&admin)?).await?;
    Ok(see("/dashboard/settings?done=admin-removed"))
}

/// Changes the signed-in person's password.
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    OwnChange(change): OwnChange,
) -> PageResult {
    let (old, new) = (
        change.form.secret("old_password"),
        change.form.secret("password"),
    );
    let operator = &change.signed_in.operator;
    let changed = admins::change_password(&app, operator, old, new).await;
    let mut errors = Errors::default();
    if errors.accept(changed)?.is_some() {
        return leave(&app, "password");
    }
    let mut page = assemble(&app, &change.signed_in).await?;
    page.errors = errors;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn assemble(app: &App, signed_in: &SignedIn) -> Result<SettingsPage, PageError> {
    let now = app.clock.now();
    let admins = app.store.admins().await?;
    let invitations = app.store.admin_invitations(now).await?;
    Ok(SettingsPage {
        page: Page::new(signed_in, Nav::Settings, "Settings"),
        errors: Errors::default(),
        note: String::new(),
        invitation_link: None,
        has_provider: app.oidc.is_some(),
        admins: admins
            .into_iter()
            .map(|admin| AdminRow {
                has_access: oidc::admits(app, &admin),
                follows_lists: admin.role_source == RoleSource::Provider,
                id: admin.id.to_string(),
                name: admin.name.to_string(),
                email: admin.email.to_string(),
                role: admin.role.as_str(),
                other_role: match admin.role {
                    Role::Admin => Role::Viewer.as_str(),
                    Role::Viewer => Role::Admin.as_str(),
                },
                last_sign_in: admin.last_sign_in_at.map(|at| when(at, now)),
                is_self: admin.id == signed_in.admin.id,
            })
            .collect(),
        invitations: invitations
            .into_iter()
            .map(|invitation| InvitationRow {
                id: invitation.id.to_string(),
                note: invitation.note,
                role: invitation.role.as_str(),
                expires: when(invitation.expires_at, now),
            })
            .collect(),
        api: ApiView {
            id: app.admin_api.id.to_string(),
            url: app.admin_api.url.to_string(),
        },
        api_clients: api_clients(app).await?,
        settings: app.settings.clone(),
    })
}

async fn api_clients(app: &App) -> Result<Vec<ApiClient>, PageError> {
    let filter = ClientFilter {
        mcp_server_id: Some(app.admin_api.id),
        ..ClientFilter::default()
    };
    let request = PageRequest {
        after: None,
        limit: 50,
    };
    let mut clients = Vec::new();
    for client in app.store.clients(&filter, request).await?.items {
        let grants = app.store.grants_of_client(client.id).await?;
        let granted = grants
            .iter()
            .find(|grant| grant.mcp_server_id == app.admin_api.id);
        clients.push(ApiClient {
            id: client.id.to_string(),
            name: client.name.to_string(),
            scopes: granted
                .map(|grant| chosen_scopes(&app.admin_api, &grant.scopes))
                .unwrap_or_default(),
        });
    }
    Ok(clients)
}
