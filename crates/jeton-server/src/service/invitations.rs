//! Links that make an admin, or give one a new password. A link works once, and only as long as whoever
//! made it may still invite: nobody comes back by a link of their own.

use std::time::Duration;

use jeton_core::{
    Actor, Admin, AdminId, AuditEvent, AuditKind, ClientId, ClientStatus, DisplayName,
    EmailAddress, Invitation, InvitationId, PlainSecret, Role, RoleSource, Timestamp,
};
use jeton_store::{Lock, StoreError, Transaction, retry_on_conflict};
use secrecy::SecretString;

use super::admins::{find, name_in, require_role};
use super::{Operator, OperatorId, ServiceError, changes, oidc, password, second_factor};
use crate::app::App;
use crate::request_context::RequestContext;

/// How long the link of the first start works.
const FIRST_LINK: Duration = Duration::from_secs(60 * 60);
/// How long an invitation works.
const INVITATION: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long a link for a new password works.
const RESET: Duration = Duration::from_secs(24 * 60 * 60);

/// Whom to invite.
#[derive(Debug)]
pub(crate) struct NewInvitation {
    pub(crate) role: Role,
    pub(crate) note: DisplayName,
    /// The address they have to join with.
    pub(crate) email: Option<EmailAddress>,
}

/// Somebody who follows a link.
#[derive(Debug)]
pub(crate) struct NewAdmin {
    pub(crate) name: DisplayName,
    pub(crate) email: EmailAddress,
    pub(crate) password: SecretString,
}

/// Makes the link of the first start, where there is no admin yet; those of earlier starts stop
/// working.
pub(crate) async fn make_first_link(app: &App) -> Result<Option<PlainSecret>, ServiceError> {
    if !app.store.admins().await?.is_empty() {
        return Ok(None);
    }
    let (invitation, link) = make(app, Actor::System, (Role::Admin, "first admin"), FIRST_LINK)?;
    let invitation = Invitation {
        first: true,
        ..invitation
    };
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.delete_first_invitations().await?;
        tx.insert_admin_invitation(link.digest(), &invitation)
            .await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(Some(link))
}

/// Makes an invitation and its link.
pub(crate) async fn invite(
    app: &App,
    operator: &Operator,
    new: NewInvitation,
) -> Result<(Invitation, PlainSecret), ServiceError> {
    require_passwords(app)?;
    let about = (new.role, new.note.as_str());
    let (mut invitation, link) = make(app, operator.actor(), about, INVITATION)?;
    invitation.email = new.email;
    keep(app, operator, &invitation, &link).await?;
    Ok((invitation, link))
}

/// Makes a link by which another admin gets a new password.
pub(crate) async fn reset_access(
    app: &App,
    operator: &Operator,
    id: AdminId,
) -> Result<PlainSecret, ServiceError> {
    require_passwords(app)?;
    if operator.id == OperatorId::Admin(id) {
        return Err(ServiceError::Conflict(
            "this is you: change your password instead".into(),
        ));
    }
    let admin = find(app, id).await?;
    if admin.identity.is_some() {
        return Err(ServiceError::Conflict(format!(
            "{} signs in through the OpenID Connect provider and has no password",
            admin.email
        )));
    }
    let about = (admin.role, admin.name.as_str());
    let (mut invitation, link) = make(app, operator.actor(), about, RESET)?;
    invitation.resets = Some(id);
    keep(app, operator, &invitation, &link).await?;
    Ok(link)
}

fn require_passwords(app: &App) -> Result<(), ServiceError> {
    if oidc::has_passwords(app) {
        return Ok(());
    }
    Err(ServiceError::Conflict(
        "passwords are off (passwords = false in [oidc]), so nobody can join by a link; add the address to the lists of [oidc]"
            .into(),
    ))
}

async fn keep(
    app: &App,
    operator: &Operator,
    invitation: &Invitation,
    link: &PlainSecret,
) -> Result<(), ServiceError> {
    let mut event = operator.event(app, AuditKind::AdminInvited)?;
    describe(&mut event, invitation);
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        require_role(operator, &tx.admins().await?)?;
        tx.insert_admin_invitation(link.digest(), invitation)
            .await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

fn describe(event: &mut AuditEvent, invitation: &Invitation) {
    let detail = &mut event.detail;
    detail.insert("invitation_id".into(), invitation.id.to_string().into());
    detail.insert("role".into(), invitation.role.as_str().into());
    detail.insert("note".into(), invitation.note.as_str().into());
    if let Some(email) = &invitation.email {
        detail.insert("email".into(), email.as_str().into());
    }
    if let Some(id) = invitation.resets {
        detail.insert("resets".into(), id.to_string().into());
    }
}

/// The address behind which somebody becomes an admin.
pub(crate) fn link(app: &App, link: &PlainSecret) -> String {
    format!("{}/dashboard/join/{}", app.issuer, link.expose())
}

fn make(
    app: &App,
    invited_by: Actor,
    (role, note): (Role, &str),
    works_for: Duration,
) -> Result<(Invitation, PlainSecret), ServiceError> {
    let now = app.clock.now();
    let invitation = Invitation {
        id: InvitationId::generate(now, app.entropy.as_ref())?,
        role,
        note: note.to_owned(),
        invited_by,
        email: None,
        resets: None,
        first: false,
        created_at: now,
        expires_at: now.plus(works_for),
    };
    Ok((invitation, PlainSecret::generate(app.entropy.as_ref())?))
}

/// Cancels an invitation.
pub(crate) async fn revoke(
    app: &App,
    operator: &Operator,
    id: InvitationId,
) -> Result<(), ServiceError> {
    let mut event = operator.event(app, AuditKind::AdminInvitationRevoked)?;
    event
        .detail
        .insert("invitation_id".into(), id.to_string().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_admin_invitation(id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Cancels the open invitations of an admin who may no longer invite, each with an event like `cause`.
pub(super) async fn cancel_those_of(
    app: &App,
    tx: &mut Transaction,
    maker: &Admin,
    cause: &AuditEvent,
) -> Result<(), ServiceError> {
    let actor = Actor::Authenticated(maker.id.to_string());
    for invitation in tx.admin_invitations_by(&actor, app.clock.now()).await? {
        let kind = AuditKind::AdminInvitationRevoked;
        let mut event = app.event(kind, cause.actor.clone())?;
        event.source.clone_from(&cause.source);
        event.request_id.clone_from(&cause.request_id);
        describe(&mut event, &invitation);
        let detail = &mut event.detail;
        detail.insert("invited_by".into(), actor.as_str().into());
        let because = format!("{} may no longer invite", maker.email);
        detail.insert("because".into(), because.into());
        tx.delete_admin_invitation(invitation.id).await?;
        tx.record(&event).await?;
    }
    Ok(())
}

/// The invitation behind a link, if it still works.
pub(crate) async fn find_by_link(
    app: &App,
    link: &PlainSecret,
) -> Result<Option<Invitation>, ServiceError> {
    let now = app.clock.now();
    let found = app.store.find_admin_invitation(link.digest(), now).await?;
    let Some(invitation) = found else {
        return Ok(None);
    };
    // Where passwords are off, only the links of the first start and of a recovery give one.
    if !oidc::has_passwords(app) && invitation.invited_by != Actor::System {
        return Ok(None);
    }
    let admins = app.store.admins().await?;
    Ok(may_invite(app, &invitation.invited_by, &admins)
        .await?
        .then_some(invitation))
}

/// Whether whoever made an invitation may still invite.
pub(crate) async fn may_invite(
    app: &App,
    maker: &Actor,
    admins: &[Admin],
) -> Result<bool, ServiceError> {
    Ok(is_admin(app, maker, admins) || is_admin_client(app, maker).await?)
}

fn is_admin(app: &App, maker: &Actor, admins: &[Admin]) -> bool {
    let may = |admin: &Admin| admin.role == Role::Admin && oidc::can_sign_in(app, admin);
    match maker {
        Actor::System => true,
        Actor::Anonymous => false,
        Actor::Authenticated(id) => admins
            .iter()
            .any(|admin| admin.id.to_string() == *id && may(admin)),
    }
}

async fn is_admin_client(app: &App, maker: &Actor) -> Result<bool, ServiceError> {
    let Ok(id) = maker.as_str().parse::<ClientId>() else {
        return Ok(false);
    };
    let client = app.store.find_client(id).await?;
    if client.is_none_or(|client| client.status != ClientStatus::Enabled) {
        return Ok(false);
    }
    let grants = app.store.grants_of_client(id).await?;
    Ok(grants.iter().any(|grant| {
        let mut scopes = grant.scopes.iter();
        grant.mcp_server_id == app.admin_api.id
            && scopes.any(|scope| scope.as_str() == "admin:write")
    }))
}

fn gone() -> ServiceError {
    ServiceError::Conflict("this link isn't valid: it was used, cancelled, or has expired".into())
}

/// Makes an admin of whoever holds a link; the link is used up by it.
pub(crate) async fn accept(
    app: &App,
    context: &RequestContext,
    link: &PlainSecret,
    new: NewAdmin,
) -> Result<Admin, ServiceError> {
    let invitation = find_by_link(app, link).await?.ok_or_else(gone)?;
    if invitation
        .email
        .as_ref()
        .is_some_and(|named| *named != new.email)
    {
        return Err(ServiceError::Invalid {
            parameter: "email",
            detail: "this invitation is for another address; ask for one for yours".into(),
        });
    }
    password::check(&new.password)?;
    let hash = password::hash(new.password, app.entropy.as_ref()).await?;
    let now = app.clock.now();
    let admin = Admin {
        id: AdminId::generate(now, app.entropy.as_ref())?,
        name: new.name,
        email: new.email,
        role: invitation.role,
        role_source: RoleSource::Manual,
        identity: None,
        has_password: true,
        invited_by: Some(invitation.invited_by.clone()),
        email_named: invitation.email.is_some(),
        browsers_forgotten_at: None,
        created_at: now,
        last_sign_in_at: None,
    };
    let actor = Actor::Authenticated(admin.id.to_string());
    let mut event = context.event(app, AuditKind::AdminCreated, actor)?;
    name_in(&mut event, &admin);
    let detail = &mut event.detail;
    detail.insert("role".into(), admin.role.as_str().into());
    detail.insert("invitation_id".into(), invitation.id.to_string().into());
    detail.insert("invited_by".into(), invitation.invited_by.as_str().into());
    changes::note_admin(&mut event, None, Some(&admin));
    let change = Change {
        of: Of::NewAdmin(&admin),
        hash: &hash,
        event: &event,
    };
    use_up(app, link, &invitation, change).await?;
    Ok(admin)
}

/// Gives the admin whom a link is for a new password. Their sessions end, and their browsers are forgotten.
pub(crate) async fn accept_reset(
    app: &App,
    context: &RequestContext,
    link: &PlainSecret,
    password: SecretString,
) -> Result<Admin, ServiceError> {
    let invitation = find_by_link(app, link).await?.ok_or_else(gone)?;
    let id = invitation.resets.ok_or_else(gone)?;
    let admin = find(app, id).await?;
    password::check(&password)?;
    let hash = password::hash(password, app.entropy.as_ref()).await?;
    let actor = Actor::Authenticated(id.to_string());
    let mut event = context.event(app, AuditKind::AdminUpdated, actor)?;
    name_in(&mut event, &admin);
    let detail = &mut event.detail;
    detail.insert("password".into(), "reset".into());
    detail.insert("invitation_id".into(), invitation.id.to_string().into());
    detail.insert("invited_by".into(), invitation.invited_by.as_str().into());
    let change = Change {
        of: Of::Password(id),
        hash: &hash,
        event: &event,
    };
    use_up(app, link, &invitation, change).await?;
    find(app, id).await
}

/// What a link is used for.
struct Change<'a> {
    of: Of<'a>,
    hash: &'a SecretString,
    event: &'a AuditEvent,
}

enum Of<'a> {
    NewAdmin(&'a Admin),
    Password(AdminId),
}

impl Change<'_> {
    async fn make(&self, tx: &mut Transaction, now: Timestamp) -> Result<(), ServiceError> {
        let mut event = self.event.clone();
        match self.of {
            Of::NewAdmin(admin) => match tx.insert_admin(admin, Some(self.hash)).await {
                Err(StoreError::Exists) => {
                    return Err(ServiceError::Invalid {
                        parameter: "email",
                        detail: "someone with this email address is already an admin".into(),
                    });
                }
                inserted => inserted?,
            },
            Of::Password(id) => {
                // Since the link was made, they may have begun to sign in through the provider.
                let admins = tx.admins().await?;
                let mut admins = admins.iter();
                if !admins.any(|now| now.id == id && now.identity.is_none()) {
                    return Err(gone());
                }
                tx.set_admin_password(id, self.hash).await?;
                tx.delete_admin_sessions_of(id).await?;
                tx.forget_browsers_of(id, now).await?;
                tx.delete_resets_of(id).await?;
                second_factor::clear(tx, id, &mut event).await?;
            }
        }
        Ok(tx.record(&event).await?)
    }
}

/// Uses a link, with the change that it is for, if its maker may still invite.
async fn use_up(
    app: &App,
    link: &PlainSecret,
    invitation: &Invitation,
    change: Change<'_>,
) -> Result<(), ServiceError> {
    let by_client = is_admin_client(app, &invitation.invited_by).await?;
    let now = app.clock.now();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let by_admin = is_admin(app, &invitation.invited_by, &tx.admins().await?);
        if !(by_client || by_admin) || !tx.use_admin_invitation(link.digest(), now).await? {
            return Err(gone());
        }
        change.make(&mut tx, now).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}
