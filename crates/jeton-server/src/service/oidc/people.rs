//! Who somebody is who comes from the provider: found by issuer and subject, and by e-mail address
//! only the first time.
//!
//! An address may be given to somebody else; a subject never is (`OpenID` Connect Core §2). What the
//! configured lists gave, an address that is no longer on them loses: at the next sign-in, and when
//! a server starts, with all sessions.

use jeton_core::{
    Actor, Admin, AdminId, AuditEvent, AuditKind, DisplayName, EmailAddress, ProviderIdentity,
    Role, RoleSource,
};
use jeton_jose::IdTokenClaims;
use jeton_store::retry_on_conflict;

use crate::app::App;
use crate::config::OidcConfig;
use crate::request_context::RequestContext;
use crate::service::ServiceError;

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
        return known(app, context, admin, email.zip(listed)).await;
    }
    let Some(email) = email else {
        return Ok(Found::Refused {
            who: "Somebody without a verified e-mail address".into(),
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
            bind(app, context, admin, identity).await
        }
        (None, Some(role)) => {
            let name = display_name(claims, &email)?;
            let admin = make(app, context, (name, email, role), identity).await?;
            Ok(Found::Admin(admin))
        }
        (_, None) | (Some(_), Some(_)) => refused(format!("{email} is no admin and on no list")),
    }
}

/// Somebody who is bound. Whom the lists made an admin has to be on them still.
async fn known(
    app: &App,
    context: &RequestContext,
    mut admin: Admin,
    listed: Option<(EmailAddress, Role)>,
) -> Result<Found, ServiceError> {
    if admin.role_source == RoleSource::Manual {
        return Ok(Found::Admin(admin));
    }
    let Some((email, role)) = listed else {
        let event = about(app, context, AuditKind::AdminDeleted, admin.id)?;
        remove(app, &admin, event).await?;
        return Ok(Found::Refused {
            who: admin.email.to_string(),
            reason: format!("{} is no longer on the lists of [oidc]", admin.email),
        });
    };
    if (role, &email) != (admin.role, &admin.email) {
        let mut event = about(app, context, AuditKind::AdminUpdated, admin.id)?;
        event.detail.insert("role".into(), role.as_str().into());
        event.detail.insert("email".into(), email.as_str().into());
        retry_on_conflict(|| async {
            let mut tx = app.store.begin().await?;
            tx.set_listed_admin(admin.id, role, &email).await?;
            tx.record(&event).await?;
            Ok::<_, ServiceError>(tx.commit().await?)
        })
        .await?;
        (admin.role, admin.email) = (role, email);
    }
    Ok(Found::Admin(admin))
}

async fn bind(
    app: &App,
    context: &RequestContext,
    admin: Admin,
    identity: ProviderIdentity,
) -> Result<Found, ServiceError> {
    let mut event = about(app, context, AuditKind::AdminUpdated, admin.id)?;
    describe(&mut event, &identity);
    let bound = retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let bound = tx.bind_admin(admin.id, &identity).await?;
        if bound {
            tx.record(&event).await?;
            tx.commit().await?;
        }
        Ok::<_, ServiceError>(bound)
    })
    .await?;
    Ok(if bound {
        Found::Admin(admin)
    } else {
        Found::Refused {
            who: admin.email.to_string(),
            reason: format!("{} was bound to another account meanwhile", admin.email),
        }
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
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_admin(&admin, None).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(admin)
}

/// Takes away, at the start, what the lists gave to addresses that are no longer on them.
pub(crate) async fn reconcile(app: &App) -> Result<(), ServiceError> {
    let config = app.oidc.as_ref().map(|provider| &provider.config);
    for admin in app.store.admins().await? {
        if admin.role_source == RoleSource::Manual {
            continue;
        }
        let is_of = |config: &&OidcConfig| {
            let identity = admin.identity.as_ref();
            identity.is_none_or(|identity| identity.issuer == config.issuer)
        };
        let listed = config
            .filter(is_of)
            .and_then(|config| config.role_of(&admin.email));
        let event = |kind| -> Result<AuditEvent, ServiceError> {
            let mut event = app.event(kind, Actor::System)?;
            let id = admin.id.to_string();
            event.detail.insert("admin_id".into(), id.into());
            Ok(event)
        };
        match listed {
            None => remove(app, &admin, event(AuditKind::AdminDeleted)?).await?,
            Some(role) if role != admin.role => {
                let mut event = event(AuditKind::AdminUpdated)?;
                event.detail.insert("role".into(), role.as_str().into());
                retry_on_conflict(|| async {
                    let mut tx = app.store.begin().await?;
                    tx.set_listed_admin(admin.id, role, &admin.email).await?;
                    tx.record(&event).await?;
                    Ok::<_, ServiceError>(tx.commit().await?)
                })
                .await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn remove(app: &App, admin: &Admin, mut event: AuditEvent) -> Result<(), ServiceError> {
    let reason = "no longer on the lists of [oidc]";
    event.detail.insert("because".into(), reason.into());
    tracing::warn!(admin = %admin.email, "removed an admin who is no longer on the lists of [oidc]");
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_admin(admin.id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
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
