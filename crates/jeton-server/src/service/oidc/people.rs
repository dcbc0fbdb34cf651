//! Who somebody is who comes from the provider: found by issuer and subject, and by e-mail address
//! only the first time.
//!
//! An address may be given to somebody else; a subject never is (`OpenID` Connect Core §2). What the
//! configured lists gave, an address that is no longer on them loses (`standing.rs`).

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
use crate::service::{ServiceError, changes};

/// Whether somebody may sign in.
pub(super) enum Found {
    /// As this admin.
    Admin(Admin),
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
        (Some((admin, _)), listed)
            if admin.role_source == RoleSource::Manual || listed.is_some() =>
        {
            bind(app, context, admin, (identity, listed)).await
        }
        (None, Some(role)) => {
            let name = display_name(claims, &email)?;
            let admin = make(app, context, (name, email, role), identity).await?;
            Ok(Found::Admin(admin))
        }
        (_, None) | (Some(_), Some(_)) => refused(format!("{email} is no admin and on no list")),
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

/// Binds an admin to an account. A role that the lists would not give was set manually.
async fn bind(
    app: &App,
    context: &RequestContext,
    admin: Admin,
    (identity, listed): (ProviderIdentity, Option<Role>),
) -> Result<Found, ServiceError> {
    let mut event = about(app, context, AuditKind::AdminUpdated, admin.id)?;
    describe(&mut event, &identity);
    let bound = retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let admins = tx.admins().await?;
        let Some(mut now) = admins.into_iter().find(|now| now.id == admin.id) else {
            return Ok(None);
        };
        if listed != Some(now.role) {
            now.role_source = RoleSource::Manual;
        }
        if !tx.bind_admin(now.id, &identity, now.role_source).await? {
            return Ok(None);
        }
        let mut event = event.clone();
        changes::note_admin(&mut event, Some(&admin), Some(&now));
        let provider = identity.issuer.as_str();
        changes::note_field(&mut event, "provider", serde_json::Value::Null, provider);
        tx.record(&event).await?;
        tx.commit().await?;
        now.identity = Some(identity.clone());
        Ok::<_, ServiceError>(Some(now))
    })
    .await?;
    Ok(match bound {
        Some(admin) => Found::Admin(admin),
        None => Found::Refused {
            who: admin.email.to_string(),
            reason: format!("{} was bound to another account meanwhile", admin.email),
        },
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
        created_at: now,
        last_sign_in_at: None,
    };
    let mut event = about(app, context, AuditKind::AdminCreated, admin.id)?;
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
