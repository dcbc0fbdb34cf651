//! Admins of the dashboard: their roles and passwords.

use jeton_core::{Actor, Admin, AdminId, AuditEvent, AuditKind, Role};
use jeton_store::{Lock, retry_on_conflict};
use secrecy::SecretString;

use super::confirmation::{self, Asked};
use super::leftovers::{self, Mark};
use super::{Operator, OperatorId, ServiceError, changes, invitations, oidc, password};
use crate::app::App;

/// Changes what an admin may do. `seen` is the role that the operator saw. Whoever stops being an admin leaves
/// no open invitation.
pub(crate) async fn set_role(
    app: &App,
    operator: &Operator,
    id: AdminId,
    role: Role,
    seen: Role,
) -> Result<(), ServiceError> {
    let event = operator.event(app, AuditKind::AdminUpdated)?;
    retry_on_conflict(|| async {
        let mut event = event.clone();
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
        note_role(&mut event, admin, role);
        changes::note_admin(&mut event, Some(admin), Some(&changed));
        tx.record(&event).await?;
        if role != Role::Admin {
            invitations::cancel_those_of(app, &mut tx, admin, &event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Removes an admin; their sessions end and their open invitations are cancelled. `seen` is what the operator saw of
/// them.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    id: AdminId,
    seen: &Mark,
) -> Result<(), ServiceError> {
    if operator.id == OperatorId::Admin(id) {
        return Err(ServiceError::Conflict(
            "this is you; to be removed, ask another admin".into(),
        ));
    }
    let event = operator.event(app, AuditKind::AdminDeleted)?;
    retry_on_conflict(|| async {
        let mut event = event.clone();
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let before = tx.admins().await?;
        require_role(operator, &before)?;
        let Some(admin) = before.iter().find(|admin| admin.id == id) else {
            return Ok(());
        };
        let actor = Actor::Authenticated(id.to_string());
        let invitations = tx.admin_invitations_by(&actor, app.clock.now()).await?;
        if *seen != leftovers::mark(admin, &invitations, &before) {
            return Err(ServiceError::Stale);
        }
        if tx.delete_admin(id).await? {
            require_an_admin(app, &before, &tx.admins().await?)?;
            name_in(&mut event, admin);
            let role = admin.role.as_str();
            event.detail.insert("role".into(), role.into());
            changes::note_admin(&mut event, Some(admin), None);
            tx.record(&event).await?;
            invitations::cancel_those_of(app, &mut tx, admin, &event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Changes the operator's own password; every session of theirs ends.
pub(crate) async fn change_password(
    app: &App,
    asked: &Asked<'_>,
    old: SecretString,
    new: SecretString,
) -> Result<(), ServiceError> {
    if !oidc::has_passwords(app) {
        return Err(ServiceError::Conflict(
            "passwords are off (passwords = false in [oidc])".into(),
        ));
    }
    confirmation::verify(app, asked, "old_password", old).await?;
    password::check(&new)?;
    let hash = password::hash(new, app.entropy.as_ref()).await?;
    let mut event = asked.operator.event(app, AuditKind::AdminUpdated)?;
    name_in(&mut event, asked.admin);
    event.detail.insert("password".into(), "changed".into());
    changes::note_admin(&mut event, Some(asked.admin), Some(asked.admin));
    let id = asked.admin.id;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.set_admin_password(id, &hash).await?;
        tx.delete_admin_sessions_of(id).await?;
        tx.delete_resets_of(id).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// An admin who has to be there.
pub(super) async fn find(app: &App, id: AdminId) -> Result<Admin, ServiceError> {
    app.store
        .find_admin(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("admin", &id))
}

/// Says in an event which admin it is about.
pub(crate) fn name_in(event: &mut AuditEvent, admin: &Admin) {
    let detail = &mut event.detail;
    detail.insert("admin_id".into(), admin.id.to_string().into());
    detail.insert("admin_name".into(), admin.name.as_str().into());
    detail.insert("admin_email".into(), admin.email.as_str().into());
}

/// Says in an event whose role is changed, from what to what.
pub(super) fn note_role(event: &mut AuditEvent, admin: &Admin, role: Role) {
    name_in(event, admin);
    let detail = &mut event.detail;
    detail.insert("role_before".into(), admin.role.as_str().into());
    detail.insert("role".into(), role.as_str().into());
}

/// The operator has to be an admin still: of two who take the role from each other at the same moment, the
/// second has none any more.
pub(super) fn require_role(operator: &Operator, admins: &[Admin]) -> Result<(), ServiceError> {
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
        admins.any(|admin| admin.role == Role::Admin && oidc::can_sign_in(app, admin))
    };
    any(after) || !any(before)
}
