//! Admins of the dashboard: the first one, invitations, roles.

use std::time::Duration;

use jeton_core::{
    Actor, Admin, AdminId, AuditKind, DisplayName, EmailAddress, Invitation, InvitationId,
    PlainSecret, Role, RoleSource,
};
use jeton_store::{Lock, StoreError, retry_on_conflict};
use secrecy::SecretString;

use super::password::Queue;
use super::{Operator, OperatorId, ServiceError, changes, oidc, password};
use crate::app::App;
use crate::request_context::RequestContext;

/// How long the link of the first start works.
const FIRST_LINK: Duration = Duration::from_secs(60 * 60);
/// How long an invitation works.
const INVITATION: Duration = Duration::from_secs(3 * 24 * 60 * 60);

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
    let (invitation, link) = make(app, Role::Admin, "first admin", FIRST_LINK)?;
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
    role: Role,
    note: &DisplayName,
) -> Result<(Invitation, PlainSecret), ServiceError> {
    let (invitation, link) = make(app, role, note.as_str(), INVITATION)?;
    let mut event = operator.event(app, AuditKind::AdminInvited)?;
    event
        .detail
        .insert("invitation_id".into(), invitation.id.to_string().into());
    event.detail.insert("role".into(), role.as_str().into());
    event.detail.insert("note".into(), note.as_str().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        require_role(operator, &tx.admins().await?)?;
        tx.insert_admin_invitation(link.digest(), &invitation)
            .await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok((invitation, link))
}

/// The address behind which somebody becomes an admin.
pub(crate) fn link(app: &App, link: &PlainSecret) -> String {
    format!("{}/dashboard/join/{}", app.issuer, link.expose())
}

fn make(
    app: &App,
    role: Role,
    note: &str,
    works_for: Duration,
) -> Result<(Invitation, PlainSecret), ServiceError> {
    let now = app.clock.now();
    let invitation = Invitation {
        id: InvitationId::generate(now, app.entropy.as_ref())?,
        role,
        note: note.to_owned(),
        first: false,
        created_at: now,
        expires_at: now.plus(works_for),
    };
    Ok((invitation, PlainSecret::generate(app.entropy.as_ref())?))
}

/// Cancels an invitation.
pub(crate) async fn revoke_invitation(
    app: &App,
    operator: &Operator,
    id: InvitationId,
) -> Result<(), ServiceError> {
    let mut event = operator.event(app, AuditKind::AdminInvitationRevoked)?;
    event
        .detail
        .insert("invitation_id".into(), id.to_string().into());
    let open = app.store.admin_invitations(app.clock.now()).await?;
    if let Some(invitation) = open.into_iter().find(|open| open.id == id) {
        let detail = &mut event.detail;
        detail.insert("role".into(), invitation.role.as_str().into());
        detail.insert("note".into(), invitation.note.into());
    }
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_admin_invitation(id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// The invitation behind a link, if it still works.
pub(crate) async fn find_invitation(
    app: &App,
    link: &PlainSecret,
) -> Result<Option<Invitation>, ServiceError> {
    let now = app.clock.now();
    Ok(app.store.find_admin_invitation(link.digest(), now).await?)
}

/// Makes an admin of whoever holds a link; the link is used up by it.
pub(crate) async fn accept(
    app: &App,
    context: &RequestContext,
    link: &PlainSecret,
    new: NewAdmin,
) -> Result<Admin, ServiceError> {
    let gone = || {
        ServiceError::Conflict(
            "this link isn't valid: it was already used, or it has expired".into(),
        )
    };
    let invitation = find_invitation(app, link).await?.ok_or_else(gone)?;
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
        created_at: now,
        last_sign_in_at: None,
    };
    let actor = Actor::Authenticated(admin.id.to_string());
    let mut event = context.event(app, AuditKind::AdminCreated, actor)?;
    event
        .detail
        .insert("admin_id".into(), admin.id.to_string().into());
    event
        .detail
        .insert("role".into(), admin.role.as_str().into());
    event
        .detail
        .insert("invitation_id".into(), invitation.id.to_string().into());
    changes::note_admin(&mut event, None, Some(&admin));
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        if !tx.use_admin_invitation(link.digest(), now).await? {
            return Err(gone());
        }
        match tx.insert_admin(&admin, Some(&hash)).await {
            Err(StoreError::Exists) => {
                return Err(ServiceError::Invalid {
                    parameter: "email",
                    detail: "someone with this email address is already an admin".into(),
                });
            }
            inserted => inserted?,
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(admin)
}

/// Changes what an admin may do. `seen` is the role that the operator saw.
pub(crate) async fn set_role(
    app: &App,
    operator: &Operator,
    id: AdminId,
    role: Role,
    seen: Role,
) -> Result<(), ServiceError> {
    let mut event = about(app, operator, AuditKind::AdminUpdated, id)?;
    event.detail.insert("role".into(), role.as_str().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let before = tx.admins().await?;
        require_role(operator, &before)?;
        let admin = before.iter().find(|admin| admin.id == id);
        let admin = admin.ok_or_else(|| ServiceError::not_found("admin", &id))?;
        if seen != admin.role {
            return Err(ServiceError::Stale);
        }
        tx.set_admin_role(id, role).await?;
        require_an_admin(app, &before, &tx.admins().await?)?;
        let changed = Admin {
            role,
            ..admin.clone()
        };
        let mut event = event.clone();
        changes::note_admin(&mut event, Some(admin), Some(&changed));
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Removes an admin; their sessions end at once.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    id: AdminId,
) -> Result<(), ServiceError> {
    if operator.id == OperatorId::Admin(id) {
        return Err(ServiceError::Conflict(
            "this is you; to be removed, ask another admin".into(),
        ));
    }
    let event = about(app, operator, AuditKind::AdminDeleted, id)?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let before = tx.admins().await?;
        require_role(operator, &before)?;
        if tx.delete_admin(id).await? {
            require_an_admin(app, &before, &tx.admins().await?)?;
            let mut event = event.clone();
            let removed = before.iter().find(|admin| admin.id == id);
            changes::note_admin(&mut event, removed, None);
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Changes the operator's own password; every session of theirs ends.
pub(crate) async fn change_password(
    app: &App,
    operator: &Operator,
    old: SecretString,
    new: SecretString,
) -> Result<(), ServiceError> {
    let OperatorId::Admin(id) = operator.id else {
        return Err(ServiceError::Conflict("a client has no password".into()));
    };
    let admin = find(app, id).await?;
    let hash = app
        .store
        .find_admin_by_email(&admin.email)
        .await?
        .and_then(|(_, hash)| hash);
    if password::verify(old, hash, Queue::Known).await != Some(true) {
        return Err(ServiceError::Invalid {
            parameter: "old_password",
            detail: "this is not your password".into(),
        });
    }
    password::check(&new)?;
    let hash = password::hash(new, app.entropy.as_ref()).await?;
    let mut event = about(app, operator, AuditKind::AdminUpdated, id)?;
    event.detail.insert("password".into(), "changed".into());
    changes::note_admin(&mut event, Some(&admin), Some(&admin));
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.set_admin_password(id, &hash).await?;
        tx.delete_admin_sessions_of(id).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

async fn find(app: &App, id: AdminId) -> Result<Admin, ServiceError> {
    app.store
        .find_admin(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("admin", &id))
}

fn about(
    app: &App,
    operator: &Operator,
    kind: AuditKind,
    id: AdminId,
) -> Result<jeton_core::AuditEvent, ServiceError> {
    let mut event = operator.event(app, kind)?;
    event
        .detail
        .insert("admin_id".into(), id.to_string().into());
    Ok(event)
}

/// The operator has to be an admin still: of two who take the role from each other at the same moment, the
/// second has none any more.
fn require_role(operator: &Operator, admins: &[Admin]) -> Result<(), ServiceError> {
    let OperatorId::Admin(id) = operator.id else {
        return Ok(());
    };
    let mut allowed = admins.iter().filter(|admin| admin.role == Role::Admin);
    if allowed.any(|admin| admin.id == id) {
        return Ok(());
    }
    Err(ServiceError::Conflict(
        "you are no longer an admin, so nothing was changed".into(),
    ))
}

/// Somebody has to be left who may change things.
fn require_an_admin(app: &App, before: &[Admin], after: &[Admin]) -> Result<(), ServiceError> {
    if is_one_left(app, before, after) {
        return Ok(());
    }
    Err(ServiceError::Conflict(
        "this is the last admin; make another one first".into(),
    ))
}

/// Whether a change leaves somebody who may change things and may sign in, or there was nobody before.
pub(super) fn is_one_left(app: &App, before: &[Admin], after: &[Admin]) -> bool {
    let any = |admins: &[Admin]| {
        let mut admins = admins.iter();
        admins.any(|admin| admin.role == Role::Admin && oidc::admits(app, admin))
    };
    any(after) || !any(before)
}
