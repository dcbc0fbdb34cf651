//! Whether what the configured lists gave still holds.
//!
//! It is asked with every page, so that no server grants more than its own configuration says, and nobody
//! is deleted for what a configuration lacks: who is back on the lists is back.

use jeton_core::{Actor, Admin, AdminId, AuditEvent, AuditKind, EmailAddress, Role, RoleSource};
use jeton_store::{Lock, retry_on_conflict};

use crate::app::App;
use crate::config::OidcConfig;
use crate::service::{ServiceError, admins, changes, invitations};

/// Whether this admin may use the dashboard: a role that the lists gave holds as long as they give one.
pub(crate) fn admits(app: &App, admin: &Admin) -> bool {
    admin.role_source == RoleSource::Manual || listed(config(app), admin).is_some()
}

/// Whether there is a way to sign in for this admin, as things are configured.
pub(crate) fn can_sign_in(app: &App, admin: &Admin) -> bool {
    let by_password = admin.has_password && has_passwords(app);
    let by_provider = match (config(app), &admin.identity) {
        (Some(config), Some(identity)) => identity.issuer == config.issuer,
        // The first sign-in binds them.
        (Some(config), None) => admin.email_named || config.role_of(&admin.email).is_some(),
        (None, _) => false,
    };
    admits(app, admin) && (by_password || by_provider)
}

/// Whether the configuration lets anybody sign in by password.
pub(crate) fn has_passwords(app: &App) -> bool {
    config(app).is_none_or(|config| config.passwords)
}

fn config(app: &App) -> Option<&OidcConfig> {
    app.oidc.as_ref().map(|provider| &provider.config)
}

/// What the lists give this admin, whom another provider's accounts do not concern.
fn listed(config: Option<&OidcConfig>, admin: &Admin) -> Option<Role> {
    let config = config?;
    let identity = admin.identity.as_ref();
    if identity.is_some_and(|identity| identity.issuer != config.issuer) {
        return None;
    }
    config.role_of(&admin.email)
}

/// At the start: ends the sessions of those who are no longer admitted, and brings the roles up to the
/// lists that are there. Nobody is removed.
pub(crate) async fn reconcile(app: &App) -> Result<(), ServiceError> {
    for admin in app.store.admins().await? {
        if admin.role_source == RoleSource::Manual {
            continue;
        }
        match listed(config(app), &admin) {
            None => end_sessions(app, &admin).await?,
            // Who was here before accounts were bound may have the role from another admin.
            Some(role) if role != admin.role && admin.identity.is_some() => {
                let event = app.event(AuditKind::AdminUpdated, Actor::System)?;
                follow(app, admin.id, (role, &admin.email), event).await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Gives an admin the role and address that the lists and the provider say, unless nobody would be left who
/// may change things. Gives the admin as they are then, if they are still there.
///
/// # Errors
///
/// [`StoreError::Exists`](jeton_store::StoreError::Exists) where the address is another admin's.
pub(super) async fn follow(
    app: &App,
    id: AdminId,
    (role, email): (Role, &EmailAddress),
    event: AuditEvent,
) -> Result<Option<Admin>, ServiceError> {
    retry_on_conflict(|| async {
        let mut event = event.clone();
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let before = tx.admins().await?;
        tx.set_listed_admin(id, role, email).await?;
        let after = tx.admins().await?;
        if !admins::is_one_left(app, &before, &after) {
            tracing::warn!(
                admin = %email,
                "kept the role of the last admin; [oidc] lists no other: add one to its admins"
            );
            return Ok(before.into_iter().find(|admin| admin.id == id));
        }
        let is_this = |admin: &&Admin| admin.id == id;
        let (was, is) = (before.iter().find(is_this), after.iter().find(is_this));
        changes::note_admin(&mut event, was, is);
        if let Some(admin) = before.iter().find(|admin| admin.id == id) {
            admins::note_role(&mut event, admin, role);
            event.detail.insert("email".into(), email.as_str().into());
            if role != Role::Admin {
                invitations::cancel_those_of(app, &mut tx, admin, &event).await?;
            }
        }
        tx.record(&event).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(after.into_iter().find(|admin| admin.id == id))
    })
    .await
}

/// Ends the sessions of somebody who is no longer admitted.
pub(super) async fn end_sessions(app: &App, admin: &Admin) -> Result<(), ServiceError> {
    let mut event = app.event(AuditKind::AdminSignedOut, Actor::System)?;
    admins::name_in(&mut event, admin);
    let detail = &mut event.detail;
    detail.insert("everywhere".into(), true.into());
    detail.insert("because".into(), "not on the lists of [oidc]".into());
    changes::note_admin(&mut event, Some(admin), Some(admin));
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_admin_sessions_of(admin.id).await? {
            tx.record(&event).await?;
            tx.commit().await?;
            tracing::warn!(admin = %admin.email, "signed out: not on the lists of [oidc]");
        }
        Ok::<_, ServiceError>(())
    })
    .await
}
