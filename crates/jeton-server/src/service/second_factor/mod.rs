//! What a password alone is not enough for: a one-time code of an app or a recovery code after it, or a passkey in its
//! place.
//!
//! It belongs to accounts with a password. Whoever signs in through a provider has what that asks for.

pub(crate) mod one_time_codes;
pub(crate) mod passkeys;
pub(crate) mod recovery_codes;

use jeton_core::{Admin, AdminId, AuditEvent};
use jeton_store::Transaction;

use super::confirmation::Asked;
use super::sessions::SignInMethod;
use super::{ServiceError, admins, oidc};
use crate::app::App;
use crate::config::SecondFactor;

/// Whether an admin has a second factor.
pub(crate) async fn is_set_up(app: &App, id: AdminId) -> Result<bool, ServiceError> {
    Ok(app.store.find_one_time_code(id).await?.is_some()
        || !app.store.passkeys_of(id).await?.is_empty())
}

/// Whether the configuration asks every password for a second factor.
pub(crate) fn is_required(app: &App) -> bool {
    app.second_factor == SecondFactor::Required && oidc::has_passwords(app)
}

/// Whether an admin has to set one up before anything else.
pub(crate) async fn is_missing(app: &App, admin: &Admin) -> Result<bool, ServiceError> {
    Ok(is_required(app) && admin.has_password && !is_set_up(app, admin.id).await?)
}

/// Takes a code that somebody typed who proved to know the password, once. Says what it was, or why it is none.
pub(super) async fn redeem(
    app: &App,
    id: AdminId,
    typed: &str,
) -> Result<Result<SignInMethod, &'static str>, ServiceError> {
    let plain: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let is_one_time = plain.len() == 6 && plain.bytes().all(|byte| byte.is_ascii_digit());
    if is_one_time {
        one_time_codes::redeem(app, id, &plain).await
    } else {
        recovery_codes::redeem(app, id, typed).await
    }
}

/// Removes whatever was set up, where somebody else may have done it or the device is lost. Says so in the event of
/// the change that it belongs to.
pub(crate) async fn clear(
    tx: &mut Transaction,
    id: AdminId,
    event: &mut AuditEvent,
) -> Result<(), ServiceError> {
    tx.delete_recovery_codes(id).await?;
    let had_passkeys = tx.delete_passkeys_of(id).await?;
    if tx.delete_one_time_code(id).await? || had_passkeys {
        let removed = "removed".into();
        event.detail.insert("second_factor".into(), removed);
    }
    Ok(())
}

/// A factor is added: gives the first one's recovery codes, and ends the sessions that were begun without it.
async fn add(
    app: &App,
    tx: &mut Transaction,
    asked: &Asked<'_>,
    (is_first, event): (bool, &mut AuditEvent),
) -> Result<Option<recovery_codes::Shown>, ServiceError> {
    admins::name_in(event, asked.admin);
    if !is_first {
        tx.record(event).await?;
        return Ok(None);
    }
    let (id, session) = (asked.admin.id, asked.session.digest());
    let ended = tx.delete_other_sessions(id, session).await?;
    event.detail.insert("other_sessions".into(), ended.into());
    let codes = recovery_codes::generate(app)?;
    tx.replace_recovery_codes(id, &codes.digests).await?;
    tx.record(event).await?;
    Ok(Some(codes.shown))
}

/// A factor is removed: the last one only where none is required.
async fn remove(
    app: &App,
    tx: &mut Transaction,
    asked: &Asked<'_>,
    (is_last, event): (bool, &mut AuditEvent),
) -> Result<(), ServiceError> {
    if is_last && is_required(app) {
        return Err(ServiceError::Conflict(
            "two-step sign-in is required on this server; set up another second step before you remove this one"
                .into(),
        ));
    }
    if is_last {
        tx.delete_recovery_codes(asked.admin.id).await?;
    }
    admins::name_in(event, asked.admin);
    Ok(tx.record(event).await?)
}

/// Whether somebody may set up a second factor.
fn require_password(app: &App, admin: &Admin) -> Result<(), ServiceError> {
    if admin.has_password && oidc::has_passwords(app) {
        return Ok(());
    }
    Err(ServiceError::Conflict(
        "you sign in through the OpenID Connect provider, which asks for a second step itself"
            .into(),
    ))
}
