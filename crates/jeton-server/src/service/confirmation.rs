//! The password, asked of somebody who is signed in: before they change it, and before privileges change.
//!
//! A stolen session must not become the password. So wrong ones are slowed down as at sign-in, by the
//! session's own device; each is recorded; and after a few the session ends.

use std::time::Duration;

use jeton_core::{Admin, AuditKind, Outcome, PlainSecret, in_whole_seconds};
use jeton_store::retry_on_conflict;
use secrecy::SecretString;
use tokio::time::Instant;

use super::admins::name_in;
use super::password::Queue;
use super::sign_in_throttle::{Account, Attempt};
use super::{Operator, ServiceError, device, password, second_factor};
use crate::app::App;

/// Whoever proved who they are is not asked again for so long.
pub(crate) const GRACE: Duration = Duration::from_secs(10 * 60);
/// Wrong passwords that end a session.
const FAILURES: i64 = 5;

/// Whose password is asked for, in which session.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) admin: &'a Admin,
    pub(crate) operator: &'a Operator,
    pub(crate) session: &'a PlainSecret,
}

/// Whether this session's admin proved who they are a moment ago.
pub(crate) async fn is_recent(app: &App, session: &PlainSecret) -> Result<bool, ServiceError> {
    let found = app.store.find_admin_session(session.digest()).await?;
    let now = app.clock.now();
    Ok(found.is_some_and(|found| {
        now.since(found.confirmed_at) < GRACE && found.confirmed_at <= now.plus(GRACE)
    }))
}

/// Checks the password, and the code where the admin has a second factor, and notes that both were right, so that they
/// are not asked for again for a while.
pub(crate) async fn confirm(
    app: &App,
    asked: &Asked<'_>,
    (password, code): (SecretString, &str),
) -> Result<(), ServiceError> {
    verify(app, asked, "current_password", password).await?;
    if second_factor::is_set_up(app, asked.admin.id).await? {
        verify_code(app, asked, code).await?;
    }
    note_confirmed(app, asked).await
}

async fn note_confirmed(app: &App, asked: &Asked<'_>) -> Result<(), ServiceError> {
    let now = app.clock.now();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.confirm_admin_session(asked.session.digest(), now)
            .await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// The same with one of the admin's own passkeys, which verified them.
pub(crate) async fn confirm_by_passkey(
    app: &App,
    asked: &Asked<'_>,
    presented: (&str, &str),
) -> Result<(), ServiceError> {
    let attempt = begin_attempt(app, asked, "")?;
    let Err(reason) = second_factor::passkeys::confirm(app, asked, presented).await? else {
        app.sign_in_throttle.succeeded(&attempt);
        return note_confirmed(app, asked).await;
    };
    let ended = refuse(app, asked, &reason).await?;
    let detail = if ended {
        "this passkey doesn't work; after too many failures, this session has ended"
    } else {
        "this passkey doesn't work here, or it took too long; try again"
    };
    Err(ServiceError::Invalid {
        parameter: "",
        detail: detail.into(),
    })
}

/// Checks the password that a form holds in `parameter`.
pub(super) async fn verify(
    app: &App,
    asked: &Asked<'_>,
    parameter: &'static str,
    presented: SecretString,
) -> Result<(), ServiceError> {
    let found = app.store.find_admin_by_email(&asked.admin.email).await?;
    let hash = found
        .filter(|(admin, _)| admin.id == asked.admin.id)
        .and_then(|(_, hash)| hash);
    let attempt = begin_attempt(app, asked, parameter)?;
    let throttle = &app.sign_in_throttle;
    if password::verify(presented, hash, Queue::Known).await == Some(true) {
        throttle.succeeded(&attempt);
        return Ok(());
    }
    let ended = refuse(app, asked, "wrong current password").await?;
    let detail = if ended {
        "this is not your password; after too many wrong ones, this session has ended"
    } else {
        "this is not your password"
    };
    Err(ServiceError::Invalid {
        parameter,
        detail: detail.into(),
    })
}

/// Checks the code that goes with the password, slowed down and counted as wrong passwords are.
async fn verify_code(app: &App, asked: &Asked<'_>, code: &str) -> Result<(), ServiceError> {
    let attempt = begin_attempt(app, asked, "current_code")?;
    let Err(reason) = second_factor::redeem(app, asked.admin.id, code).await? else {
        app.sign_in_throttle.succeeded(&attempt);
        return Ok(());
    };
    let ended = refuse(app, asked, reason).await?;
    let detail = if ended {
        "this code doesn't work; after too many wrong ones, this session has ended"
    } else {
        "this code doesn't work: it is wrong, too old, or was used already"
    };
    Err(ServiceError::Invalid {
        parameter: "current_code",
        detail: detail.into(),
    })
}

/// Begins an attempt by the session's own device, which counts as a failure until it succeeds.
fn begin_attempt(
    app: &App,
    asked: &Asked<'_>,
    parameter: &'static str,
) -> Result<Attempt, ServiceError> {
    let attempt = Attempt {
        account: Account::Known(asked.admin.id),
        source: asked.operator.context.source.into(),
        device: Some(device::of_session(app, asked.session)?),
    };
    let Err(wait) = app.sign_in_throttle.begin(&attempt, Instant::now()) else {
        return Ok(attempt);
    };
    Err(ServiceError::Invalid {
        parameter,
        detail: format!(
            "too many failed attempts; try again in {}",
            in_whole_seconds(wait)
        ),
    })
}

/// Counts and records a wrong password or code; says whether it ended the session.
async fn refuse(app: &App, asked: &Asked<'_>, reason: &str) -> Result<bool, ServiceError> {
    let mut refused = asked.operator.event(app, AuditKind::AdminSignInRefused)?;
    refused.outcome = Outcome::Refused;
    refused.reason = Some(reason.into());
    name_in(&mut refused, asked.admin);
    let mut ended = asked.operator.event(app, AuditKind::AdminSignedOut)?;
    name_in(&mut ended, asked.admin);
    let because = format!("{FAILURES} wrong passwords or codes in one session");
    ended.detail.insert("because".into(), because.into());
    let digest = asked.session.digest();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let is_over = tx.count_session_failure(digest).await? >= FAILURES;
        tx.record(&refused).await?;
        if is_over {
            tx.delete_admin_session(digest).await?;
            tx.record(&ended).await?;
        }
        tx.commit().await?;
        Ok::<_, ServiceError>(is_over)
    })
    .await
}
