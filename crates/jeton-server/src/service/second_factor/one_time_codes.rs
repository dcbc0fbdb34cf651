//! One-time codes of an authenticator app (RFC 6238): set up by a first code, each taken once.

use jeton_core::{AdminId, AuditKind, OneTimeSecret};
use jeton_store::{Lock, StoreError, StoredOneTimeCode, retry_on_conflict};
use zeroize::Zeroizing;

use super::recovery_codes::Shown;
use super::{add, remove, require_password};
use crate::app::App;
use crate::keys::{KeyRingError, MasterKeys, Purpose};
use crate::service::ServiceError;
use crate::service::confirmation::Asked;
use crate::service::sessions::SignInMethod;

/// What the events call it.
const METHOD: &str = "one-time code";

fn context(id: AdminId) -> String {
    format!("jeton one-time code {id}")
}

fn sealed_error(error: jeton_jose::SealError) -> ServiceError {
    KeyRingError::from(error).into()
}

/// Sets codes up with a secret that was shown, once a code proves that an app knows it. Gives the recovery codes,
/// where it is the first second factor.
pub(crate) async fn set_up(
    app: &App,
    asked: &Asked<'_>,
    (secret, code): (&OneTimeSecret, &str),
) -> Result<Option<Shown>, ServiceError> {
    require_password(app, asked.admin)?;
    let now = app.clock.now();
    let plain: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(step) = secret.find_step(&plain, now) else {
        return Err(ServiceError::Invalid {
            parameter: "code",
            detail: "this code doesn't match; type the one that the app shows now, and check that the device's clock is right"
                .into(),
        });
    };
    let id = asked.admin.id;
    let sealed = Purpose::OneTimeCodes
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(secret.expose(), &context(id), app.entropy.as_ref()))
        .map_err(sealed_error)?;
    let stored = StoredOneTimeCode {
        admin_id: id,
        sealed,
        // The code that was just typed is taken by this.
        last_step: step,
        created_at: now,
        last_used_at: None,
    };
    let mut event = asked.operator.event(app, AuditKind::AdminFactorAdded)?;
    event.detail.insert("method".into(), METHOD.into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        match tx.insert_one_time_code(&stored).await {
            Err(StoreError::Exists) => {
                return Err(ServiceError::Conflict(
                    "one-time codes are set up already; remove them first to use another app"
                        .into(),
                ));
            }
            inserted => inserted?,
        }
        let is_first = tx.count_passkeys(id).await? == 0;
        let codes = add(app, &mut tx, asked, (is_first, &mut event.clone())).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(codes)
    })
    .await
}

/// Removes them.
pub(crate) async fn remove_own(app: &App, asked: &Asked<'_>) -> Result<(), ServiceError> {
    let mut event = asked.operator.event(app, AuditKind::AdminFactorRemoved)?;
    event.detail.insert("method".into(), METHOD.into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        if !tx.delete_one_time_code(asked.admin.id).await? {
            return Ok(());
        }
        let is_last = tx.count_passkeys(asked.admin.id).await? == 0;
        remove(app, &mut tx, asked, (is_last, &mut event.clone())).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Takes the code of a step: whoever saw it typed cannot use it again, on no replica.
pub(super) async fn redeem(
    app: &App,
    id: AdminId,
    code: &str,
) -> Result<Result<SignInMethod, &'static str>, ServiceError> {
    let Some(stored) = app.store.find_one_time_code(id).await? else {
        return Ok(Err("wrong one-time code"));
    };
    let secret = open(&app.master_keys, &stored)?;
    let now = app.clock.now();
    let Some(step) = secret.find_step(code, now) else {
        return Ok(Err("wrong one-time code"));
    };
    let is_new = retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let is_new = tx.use_one_time_code(id, step, now).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(is_new)
    })
    .await?;
    Ok(if is_new {
        Ok(SignInMethod::OneTimeCode)
    } else {
        Err("a one-time code that was used already")
    })
}

fn open(
    master_keys: &MasterKeys,
    stored: &StoredOneTimeCode,
) -> Result<OneTimeSecret, ServiceError> {
    let opened = master_keys.open(
        Purpose::OneTimeCodes,
        &stored.sealed,
        &context(stored.admin_id),
    );
    let bytes: Zeroizing<Vec<u8>> = opened.map_err(sealed_error)?;
    Ok(OneTimeSecret::from_bytes(bytes))
}

/// The same secret, sealed under the current master key; nothing where it is already.
pub(crate) fn rewrap(
    app: &App,
    stored: &StoredOneTimeCode,
) -> Result<Option<String>, ServiceError> {
    let sealing = Purpose::OneTimeCodes
        .sealing_key(&app.master_keys.current)
        .map_err(sealed_error)?;
    let context = context(stored.admin_id);
    if sealing.open(&stored.sealed, &context).is_ok() {
        return Ok(None);
    }
    let secret = open(&app.master_keys, stored)?;
    let sealed = sealing.seal(secret.expose(), &context, app.entropy.as_ref());
    sealed.map(Some).map_err(sealed_error)
}
