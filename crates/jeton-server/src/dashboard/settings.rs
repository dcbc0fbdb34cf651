//! Settings: admins and invitations, the signed-in person, admin API clients, the configuration.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use http::{HeaderMap, StatusCode};
use jeton_core::{Actor, Admin, ClientId, DisplayName, Invitation, InvitationId, Role, RoleSource};
use jeton_store::{ClientFilter, ListedSession, PageRequest, session_handle};

use super::account::leave;
use super::format::{When, when};
use super::new_secret::{self, NewSecret, ShownQuery};
use super::reveal;
use super::session::{OwnChange, see};
use super::view::{ScopeView, chosen_scopes, id};
use super::{
    Change, Confirm, Errors, Nav, Page, PageError, PageResult, SignedIn, html, user_agent,
};
use crate::app::App;
use crate::config::Setting;
use crate::service::confirmation::Asked;
use crate::service::invitations::{self, NewInvitation};
use crate::service::{ServiceError, admins, oidc, second_factor, sessions};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    page: Page,
    errors: Errors,
    note: String,
    email: String,
    admins: Vec<AdminRow>,
    has_provider: bool,
    has_passwords: bool,
    own_sign_in: OwnSignIn,
    sessions: Vec<SessionRow>,
    invitations: Vec<InvitationRow>,
    api: ApiView,
    api_clients: Vec<ApiClient>,
    settings: Vec<Setting>,
}

/// How the signed-in person signs in.
enum OwnSignIn {
    /// Through the provider, or by a link.
    Otherwise,
    /// By a password alone.
    Password,
    /// By a password and more.
    TwoSteps,
}

impl OwnSignIn {
    async fn of(app: &App, admin: &Admin) -> Result<Self, ServiceError> {
        Ok(if !admin.has_password || !oidc::has_passwords(app) {
            Self::Otherwise
        } else if second_factor::is_set_up(app, admin.id).await? {
            Self::TwoSteps
        } else {
            Self::Password
        })
    }

    fn has_password(&self) -> bool {
        !matches!(self, Self::Otherwise)
    }

    fn has_second_factor(&self) -> bool {
        matches!(self, Self::TwoSteps)
    }
}

struct AdminRow {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    is_viewer: bool,
    last_sign_in: Option<When>,
    is_self: bool,
    /// Why they cannot sign in, or what is unusual about the account.
    remark: Option<&'static str>,
    /// Whether a link can give them a new password.
    can_reset: bool,
}

struct SessionRow {
    handle: String,
    device: String,
    source: String,
    begun: When,
    used: When,
    is_this: bool,
}

struct InvitationRow {
    id: String,
    note: String,
    role: &'static str,
    email: Option<String>,
    /// Whether it gives somebody a new password.
    is_reset: bool,
    invited_by: String,
    created: When,
    expires: When,
    /// Whether whoever made it may still invite.
    works: bool,
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
    Query(query): Query<ShownQuery>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let link = reveal::take(&app, &signed_in, &headers, INVITATION);
    let mut page = assemble(&app, &signed_in).await?;
    if let Some(link) = &link {
        let action = "/dashboard/settings/invitations/shown".to_owned();
        let sheet = (new_secret::INVITATION, INVITATION, action);
        let mut sheet = NewSecret::new(&app, &signed_in, sheet, (link, &query))?;
        sheet.secret = invitations::link(&app, link);
        page.page.reveal(sheet);
    }
    reveal::html(&app, link.as_ref(), &page)
}

/// Leaves the sheet with an invitation's link.
pub(crate) async fn leave_invitation(State(app): State<Arc<App>>, change: Change) -> PageResult {
    new_secret::leave(&app, &change, INVITATION, "/dashboard/settings")
}

/// Makes an invitation.
pub(crate) async fn invite(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let mut errors = Errors::default();
    let note = change.form.parse::<DisplayName>("note", &mut errors);
    let role = change.form.parse::<Role>("role", &mut errors);
    let email = match change.form.text("email").trim() {
        "" => Some(None),
        _ => change.form.parse("email", &mut errors).map(Some),
    };
    let signed_in = &change.signed_in;
    if let (Some(note), Some(role), Some(email)) = (note, role, email) {
        let new = NewInvitation { role, note, email };
        let (_, link) = invitations::invite(&app, &signed_in.operator, new).await?;
        return reveal::redirect(&app, signed_in, INVITATION, "/dashboard/settings", &link);
    }
    let mut page = assemble(&app, signed_in).await?;
    page.note = change.form.text("note").into();
    page.email = change.form.text("email").into();
    page.errors = errors;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Asks before an invitation is cancelled.
pub(crate) async fn ask_revoke_invitation(
    State(app): State<Arc<App>>,
    Path(invitation): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let invitation: InvitationId = id(&invitation)?;
    let open = app.store.admin_invitations(app.clock.now()).await?;
    let mut open = open.iter();
    let found = open.find(|one| one.id == invitation);
    let confirm = cancelling(found.ok_or(PageError::NotFound)?, &signed_in);
    ask(&app, &signed_in, confirm).await
}

/// Before an invitation is cancelled.
fn cancelling(invitation: &Invitation, signed_in: &SignedIn) -> Confirm {
    let note = &invitation.note;
    let consequence = match invitation.resets {
        Some(_) => {
            format!("The link stops working immediately: {note} gets no new password by it.")
        }
        None => format!(
            "The link stops working immediately: {note} can't join as {} with it.",
            invitation.role.as_str()
        ),
    };
    let until = signed_in.zone.date_time(invitation.expires_at);
    Confirm {
        title: format!("Cancel the invitation for {note}?"),
        consequences: vec![
            consequence,
            format!(
                "Otherwise it works until {until}. A link that was used already is not affected: remove the admin \
                 instead."
            ),
        ],
        action: format!("/dashboard/settings/invitations/{}/revoke", invitation.id),
        button: "Cancel invitation".into(),
        is_danger: true,
        cancel: "/dashboard/settings".into(),
        ..Confirm::default()
    }
}

/// Takes an invitation back.
pub(crate) async fn revoke_invitation(
    State(app): State<Arc<App>>,
    Path(invitation): Path<String>,
    change: Change,
) -> PageResult {
    invitations::revoke(&app, &change.signed_in.operator, id(&invitation)?).await?;
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
            Ok(see(match role {
                Role::Viewer => "/dashboard/settings?done=demoted",
                Role::Admin => "/dashboard/settings?done=saved",
            }))
        }
    }
}

/// The page with a question.
pub(super) async fn ask(app: &App, signed_in: &SignedIn, confirm: Confirm) -> PageResult {
    let mut page = assemble(app, signed_in).await?;
    if signed_in.may_change() {
        page.page.ask(confirm);
    }
    html(StatusCode::OK, &page)
}

/// Makes a link by which another admin gets a new password.
pub(crate) async fn reset_access(
    State(app): State<Arc<App>>,
    Path(admin): Path<String>,
    change: Change,
) -> PageResult {
    let signed_in = &change.signed_in;
    let link = invitations::reset_access(&app, &signed_in.operator, id(&admin)?).await?;
    reveal::redirect(&app, signed_in, INVITATION, "/dashboard/settings", &link)
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
    let asked = Asked {
        admin: &change.signed_in.admin,
        operator: &change.signed_in.operator,
        session: &change.signed_in.token,
    };
    let changed = admins::change_password(&app, &asked, old, new).await;
    let mut errors = Errors::default();
    if errors.accept(changed)?.is_some() {
        return leave(&app, "password");
    }
    let mut page = assemble(&app, &change.signed_in).await?;
    page.errors = errors;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn assemble(app: &App, signed_in: &SignedIn) -> Result<SettingsPage, PageError> {
    let admins = app.store.admins().await?;
    let has_passwords = oidc::has_passwords(app);
    Ok(SettingsPage {
        page: Page::new(signed_in, Nav::Settings, "Settings"),
        errors: Errors::default(),
        note: String::new(),
        email: String::new(),
        has_provider: app.oidc.is_some(),
        has_passwords,
        own_sign_in: OwnSignIn::of(app, &signed_in.admin).await?,
        invitations: invitation_rows(app, &admins).await?,
        sessions: session_rows(app, signed_in).await?,
        admins: admins
            .into_iter()
            .map(|admin| admin_row(app, signed_in, &admin))
            .collect(),
        api: ApiView {
            id: app.admin_api.id.to_string(),
            url: app.admin_api.url.to_string(),
        },
        api_clients: api_clients(app).await?,
        settings: app.settings.clone(),
    })
}

fn admin_row(app: &App, signed_in: &SignedIn, admin: &Admin) -> AdminRow {
    let is_self = admin.id == signed_in.admin.id;
    let has_passwords = oidc::has_passwords(app);
    AdminRow {
        remark: remark(app, admin),
        can_reset: has_passwords && !is_self && admin.identity.is_none(),
        id: admin.id.to_string(),
        name: admin.name.to_string(),
        email: admin.email.to_string(),
        role: admin.role.as_str(),
        is_viewer: admin.role == Role::Viewer,
        last_sign_in: admin.last_sign_in_at.map(|at| when(at, app.clock.now())),
        is_self,
    }
}

fn remark(app: &App, admin: &Admin) -> Option<&'static str> {
    if !oidc::admits(app, admin) {
        Some("no access: not on the lists of [oidc]")
    } else if !oidc::can_sign_in(app, admin) {
        Some("no way to sign in")
    } else if admin.role_source == RoleSource::Provider {
        Some("from the lists of [oidc]")
    } else if app.oidc.is_some() && admin.identity.is_none() && !admin.email_named {
        Some("address not confirmed")
    } else {
        None
    }
}

async fn invitation_rows(app: &App, admins: &[Admin]) -> Result<Vec<InvitationRow>, PageError> {
    let now = app.clock.now();
    let mut rows = Vec::new();
    for invitation in app.store.admin_invitations(now).await? {
        rows.push(InvitationRow {
            works: invitations::may_invite(app, &invitation.invited_by, admins).await?,
            invited_by: maker(app, &invitation.invited_by, admins).await?,
            id: invitation.id.to_string(),
            note: invitation.note,
            role: invitation.role.as_str(),
            email: invitation.email.map(|email| email.to_string()),
            is_reset: invitation.resets.is_some(),
            created: when(invitation.created_at, now),
            expires: when(invitation.expires_at, now),
        });
    }
    Ok(rows)
}

/// Whoever made an invitation, by name.
async fn maker(app: &App, actor: &Actor, admins: &[Admin]) -> Result<String, PageError> {
    let id = actor.as_str();
    if let Some(admin) = admins.iter().find(|admin| admin.id.to_string() == id) {
        return Ok(admin.name.to_string());
    }
    let client = match id.parse::<ClientId>() {
        Ok(id) => app.store.find_client(id).await?,
        Err(_) => None,
    };
    Ok(match (actor, client) {
        (_, Some(client)) => client.name.to_string(),
        (Actor::System, None) => "the command line".to_owned(),
        (_, None) => id.to_owned(),
    })
}

async fn session_rows(app: &App, signed_in: &SignedIn) -> Result<Vec<SessionRow>, PageError> {
    let now = app.clock.now();
    let this = session_handle(signed_in.token.digest());
    let sessions = sessions::list(app, signed_in.admin.id).await?;
    Ok(sessions
        .into_iter()
        .map(|ListedSession { handle, session }| SessionRow {
            is_this: handle == this,
            handle,
            device: user_agent::words(session.user_agent.as_deref()),
            source: session.source.unwrap_or_default(),
            begun: when(session.created_at, now),
            used: when(session.seen_at, now),
        })
        .collect())
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
