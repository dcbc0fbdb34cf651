//! The password, asked of somebody who is signed in: before they change it, and before privileges change.
//!
//! A stolen session must not become the password. So wrong ones are slowed down as at sign-in, by the
//! session's own device; each is recorded; and after a few the session ends.

use std::time::Duration;

use jeton_core::{Admin, AuditKind, Outcome, PlainSecret, counted};
use jeton_store::retry_on_conflict;
use secrecy::SecretString;
use tokio::time::Instant;

use super::admins::name_in;
use super::password::Queue;
use super::sign_in_throttle::{Account, Attempt};
use super::{Operator, ServiceError, device, password};
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

/// Checks the password and notes that it was right, so that it is not asked for again for a while.
pub(crate) async fn confirm(
    app: &App,
    asked: &Asked<'_>,
    password: SecretString,
) -> Result<(), ServiceError> {
    verify(app, asked, "current_password", password).await?;
    let now = app.clock.now();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.confirm_admin_session(asked.session.digest(), now)
            .await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
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
    let attempt = Attempt {
        account: Account::Known(asked.admin.id),
        source: asked.operator.context.source.into(),
        device: Some(device::of_session(app, asked.session)?),
    };
    let throttle = &app.sign_in_throttle;
    if let Err(wait) = throttle.begin(&attempt, Instant::now()) {
        let seconds = wait.as_secs().max(1);
        return Err(ServiceError::Invalid {
            parameter,
            detail: format!(
                "too many failed attempts; try again in {}",
                counted(seconds, "second")
            ),
        });
    }
    if password::verify(presented, hash, Queue::Known).await == Some(true) {
        throttle.succeeded(&attempt);
        return Ok(());
    }
    let ended = refuse(app, asked).await?;
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

/// Counts and records a wrong password; says whether it ended the session.
async fn refuse(app: &App, asked: &Asked<'_>) -> Result<bool, ServiceError> {
    let mut refused = asked.operator.event(app, AuditKind::AdminSignInRefused)?;
    refused.outcome = Outcome::Refused;
    refused.reason = Some("wrong current password".into());
    name_in(&mut refused, asked.admin);
    let mut ended = asked.operator.event(app, AuditKind::AdminSignedOut)?;
    name_in(&mut ended, asked.admin);
    let because = format!("{FAILURES} wrong passwords in one session");
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
