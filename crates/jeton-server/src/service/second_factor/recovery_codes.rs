//! Recovery codes: ten, shown once, each good once.

use jeton_core::{Actor, AdminId, AuditKind, PlainSecret, RecoveryCode, SecretDigest};
use jeton_store::retry_on_conflict;

use super::is_set_up;
use crate::app::App;
use crate::service::confirmation::Asked;
use crate::service::sessions::SignInMethod;
use crate::service::{ServiceError, admins};

/// How many there are.
pub(crate) const NUMBER: usize = 10;

/// New codes on their way to the page that shows them, separated by blanks.
pub(crate) type Shown = PlainSecret;

/// New codes.
pub(super) struct Generated {
    pub(super) digests: Vec<SecretDigest>,
    pub(super) shown: Shown,
}

pub(super) fn generate(app: &App) -> Result<Generated, ServiceError> {
    let mut digests = Vec::with_capacity(NUMBER);
    let mut shown = Vec::with_capacity(NUMBER);
    for _ in 0..NUMBER {
        let code = RecoveryCode::generate(app.entropy.as_ref())?;
        digests.push(code.digest());
        shown.push(code.in_groups());
    }
    Ok(Generated {
        digests,
        shown: PlainSecret::presented(shown.join(" ")),
    })
}

/// Makes new codes; earlier ones no longer work.
pub(crate) async fn renew(app: &App, asked: &Asked<'_>) -> Result<Shown, ServiceError> {
    if !is_set_up(app, asked.admin.id).await? {
        return Err(ServiceError::Conflict(
            "recovery codes go with a second step; set one up first".into(),
        ));
    }
    let mut event = asked
        .operator
        .event(app, AuditKind::AdminRecoveryCodesCreated)?;
    admins::name_in(&mut event, asked.admin);
    let codes = generate(app)?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.replace_recovery_codes(asked.admin.id, &codes.digests)
            .await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(codes.shown)
}

/// Uses a code.
pub(super) async fn redeem(
    app: &App,
    id: AdminId,
    typed: &str,
) -> Result<Result<SignInMethod, &'static str>, ServiceError> {
    let Some(code) = RecoveryCode::read(typed) else {
        return Ok(Err("wrong one-time code"));
    };
    let actor = Actor::Authenticated(id.to_string());
    let event = app.event(AuditKind::AdminRecoveryCodeUsed, actor)?;
    let now = app.clock.now();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if !tx.use_recovery_code(id, code.digest(), now).await? {
            return Ok(Err("wrong or used recovery code"));
        }
        tx.record(&event).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(Ok(SignInMethod::RecoveryCode))
    })
    .await
}
