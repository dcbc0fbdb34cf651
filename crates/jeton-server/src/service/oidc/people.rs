//! Who somebody is who comes from the provider: found by issuer and subject, and by e-mail address
//! only the first time.
//!
//! An address may be given to somebody else; a subject never is (`OpenID` Connect Core §2). What the
//! configured lists gave, an address that is no longer on them loses (`standing.rs`).
//!
//! Whoever joins by a link may write anybody's address. So an account made that way is handed over only where
//! the configuration or the inviter named the address, and then its password, sessions and invitations go:
//! they may be somebody else's.

use jeton_core::{
    Actor, Admin, AdminId, AuditEvent, AuditKind, DisplayName, EmailAddress, ProviderIdentity,
    Role, RoleSource,
};
use jeton_jose::IdTokenClaims;
use jeton_store::{Lock, StoreError, retry_on_conflict};

use super::standing;
use crate::app::App;
use crate::config::OidcConfig;
use crate::request_context::RequestContext;
use crate::service::{ServiceError, admins, changes, invitations, second_factor};

/// Whether somebody may sign in.
pub(super) enum Found {
    /// As this admin.
    Admin(Admin),
    /// As this admin, who had a password until now.
    HandedOver(Admin),
    /// Not: there is an account with a password, and nobody named its address.
    Unconfirmed(EmailAddress),
    /// Not: who, and why, for the audit log.
    Refused {
        /// What the page calls them.
        who: String,
        /// Why.
        reason: String,
    },
}

/// Finds the admin, or makes or binds one if it is the first sign-in.
pub(super) async fn find(
    app: &App,
    context: &RequestContext,
    config: &OidcConfig,
    claims: &IdTokenClaims,
) -> Result<Found, ServiceError> {
    let identity = ProviderIdentity {
        issuer: config.issuer.clone(),
        subject: claims.sub.clone(),
    };
    // The address counts only if the provider has verified it.
    let email = claims
        .email
        .as_deref()
        .filter(|_| claims.email_verified == Some(true))
        .and_then(|email| email.parse::<EmailAddress>().ok());
    let listed = email.as_ref().and_then(|email| config.role_of(email));
    if let Some(admin) = app.store.find_admin_by_identity(&identity).await? {
        return known(app, context, admin, (email, listed)).await;
    }
    let Some(email) = email else {
        return Ok(Found::Refused {
            who: "Someone without a verified e-mail address".into(),
            reason: "no verified e-mail address".into(),
        });
    };
    let refused = |reason: String| {
        Ok(Found::Refused {
            who: email.to_string(),
            reason,
        })
    };
    match (app.store.find_admin_by_email(&email).await?, listed) {
        (Some((admin, _)), _) if admin.identity.is_some() => refused(format!(
            "{email} is the address of an admin who is bound to another account of a provider"
        )),
        (Some((admin, _)), listed) => bind(app, context, admin, (identity, listed)).await,
        (None, Some(role)) => {
            let name = display_name(claims, &email)?;
            let admin = make(app, context, (name, email, role), identity).await?;
            Ok(Found::Admin(admin))
        }
        (None, None) => refused(format!("{email} is no admin and on no list")),
    }
}

/// Somebody who is bound. Whom the lists made an admin has to be on them still; that a provider leaves the
/// address out says nothing about the lists.
async fn known(
    app: &App,
    context: &RequestContext,
    admin: Admin,
    (email, listed): (Option<EmailAddress>, Option<Role>),
) -> Result<Found, ServiceError> {
    if admin.role_source == RoleSource::Manual {
        return Ok(Found::Admin(admin));
    }
    let who = admin.email.to_string();
    let refused = |reason: String| {
        let who = who.clone();
        Ok(Found::Refused { who, reason })
    };
    let Some(email) = email else {
        return refused("the provider sent no verified e-mail address".into());
    };
    let Some(role) = listed else {
        standing::end_sessions(app, &admin).await?;
        return refused(format!("{email} is not on the lists of [oidc]"));
    };
    if (role, &email) == (admin.role, &admin.email) {
        return Ok(Found::Admin(admin));
    }
    let event = about(app, context, AuditKind::AdminUpdated, admin.id)?;
    match standing::follow(app, admin.id, (role, &email), event).await {
        Ok(Some(admin)) => Ok(Found::Admin(admin)),
        Ok(None) => refused(format!("{who} was removed meanwhile")),
        Err(ServiceError::Store(StoreError::Exists)) => {
            refused(format!("{email} is the address of another admin"))
        }
        Err(error) => Err(error),
    }
}

/// With which role an admin may be bound, if they may.
fn binding(admin: &Admin, listed: Option<Role>) -> Option<(Role, RoleSource)> {
    let source_of = |role| {
        if role == admin.role {
            RoleSource::Provider
        } else {
            RoleSource::Manual
        }
    };
    match (admin.role_source, listed) {
        // Who came through the provider before accounts were bound: a role that the lists would not give was
        // set manually.
        (RoleSource::Provider, listed) => listed.map(|role| (admin.role, source_of(role))),
        (RoleSource::Manual, _) if admin.email_named || !admin.has_password => {
            Some((admin.role, RoleSource::Manual))
        }
        // The role was given to whoever joined. The address has what the lists give it, unless that is less:
        // then an admin has to say which of the two is meant.
        (RoleSource::Manual, Some(role)) if role == admin.role || role == Role::Admin => {
            Some((role, RoleSource::Provider))
        }
        (RoleSource::Manual, _) => None,
    }
}

/// Binds an admin to an account, and takes away what whoever joined by a link may still hold.
async fn bind(
    app: &App,
    context: &RequestContext,
    admin: Admin,
    (identity, listed): (ProviderIdentity, Option<Role>),
) -> Result<Found, ServiceError> {
    let refused = |reason: &str| Found::Refused {
        who: admin.email.to_string(),
        reason: format!("{} {reason}", admin.email),
    };
    if binding(&admin, listed).is_none() {
        return Ok(match admin.role_source {
            RoleSource::Provider => refused("is no admin and on no list"),
            RoleSource::Manual => Found::Unconfirmed(admin.email),
        });
    }
    let now = app.clock.now();
    let event = about(app, context, AuditKind::AdminUpdated, admin.id)?;
    let bound = retry_on_conflict(|| async {
        let mut event = event.clone();
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let admins = tx.admins().await?;
        let found = admins.into_iter().find(|now| now.id == admin.id);
        let Some((found, role)) =
            found.and_then(|found| binding(&found, listed).map(|role| (found, role)))
        else {
            return Ok(None);
        };
        if !tx.bind_admin(found.id, &identity, role).await? {
            return Ok(None);
        }
        admins::note_role(&mut event, &found, role.0);
        describe(&mut event, &identity);
        if found.has_password {
            event.detail.insert("password".into(), "removed".into());
            event.detail.insert("sessions".into(), "ended".into());
            second_factor::clear(&mut tx, found.id, &mut event).await?;
            tx.delete_admin_sessions_of(found.id).await?;
            tx.forget_browsers_of(found.id, now).await?;
            tx.delete_resets_of(found.id).await?;
            invitations::cancel_those_of(app, &mut tx, &found, &event).await?;
        }
        let bound = Admin {
            role: role.0,
            ..found.clone()
        };
        changes::note_admin(&mut event, Some(&found), Some(&bound));
        let provider = identity.issuer.as_str();
        changes::note_field(&mut event, "provider", serde_json::Value::Null, provider);
        tx.record(&event).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(Some(found.has_password))
    })
    .await?;
    let now = app.store.find_admin(admin.id).await?;
    Ok(match (bound, now) {
        (Some(true), Some(admin)) => Found::HandedOver(admin),
        (Some(false), Some(admin)) => Found::Admin(admin),
        _ => refused("was bound to another account meanwhile"),
    })
}

async fn make(
    app: &App,
    context: &RequestContext,
    (name, email, role): (DisplayName, EmailAddress, Role),
    identity: ProviderIdentity,
) -> Result<Admin, ServiceError> {
    let now = app.clock.now();
    let admin = Admin {
        id: AdminId::generate(now, app.entropy.as_ref())?,
        name,
        email,
        role,
        role_source: RoleSource::Provider,
        identity: Some(identity.clone()),
        has_password: false,
        invited_by: None,
        email_named: false,
        browsers_forgotten_at: None,
        created_at: now,
        last_sign_in_at: None,
    };
    let mut event = about(app, context, AuditKind::AdminCreated, admin.id)?;
    admins::name_in(&mut event, &admin);
    event.detail.insert("role".into(), role.as_str().into());
    describe(&mut event, &identity);
    changes::note_admin(&mut event, None, Some(&admin));
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_admin(&admin, None).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(admin)
}

fn about(
    app: &App,
    context: &RequestContext,
    kind: AuditKind,
    id: AdminId,
) -> Result<AuditEvent, ServiceError> {
    let mut event = context.event(app, kind, Actor::Authenticated(id.to_string()))?;
    let id = id.to_string();
    event.detail.insert("admin_id".into(), id.into());
    Ok(event)
}

fn describe(event: &mut AuditEvent, identity: &ProviderIdentity) {
    let detail = &mut event.detail;
    detail.insert("provider".into(), identity.issuer.as_str().into());
    detail.insert("subject".into(), identity.subject.as_str().into());
}

fn display_name(claims: &IdTokenClaims, email: &EmailAddress) -> Result<DisplayName, ServiceError> {
    let given = claims.name.as_deref().and_then(|name| name.parse().ok());
    if let Some(name) = given {
        return Ok(name);
    }
    let name: String = email.as_str().chars().take(100).collect();
    name.parse()
        .map_err(|error| ServiceError::Conflict(format!("{email}: {error}")))
}
