//! The life of a signing key: made, published a day before it signs, retired, published until its
//! last token has expired.

use std::sync::Arc;
use std::time::Duration;

use jeton_core::{Actor, AuditEvent, AuditKind, KeyState, SigningAlgorithm};
use jeton_store::{Lock, StoredKey};

use super::{Operator, ServiceError};
use crate::app::App;
use crate::keys::{KeyRing, KeyRingError};

/// Verifiers cache keys for up to a day, and some never ask again before that: a new key is
/// published so long before it signs.
pub(crate) const PUBLISHED_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// A retired key stays published until the last token that it signed has expired: the longest
/// lifetime, and an hour for clocks that are behind.
pub(crate) const PUBLISHED_AFTER: Duration = Duration::from_secs(25 * 60 * 60);

/// Makes the next key of an algorithm. It begins to sign a day later, in place of today's.
pub(crate) async fn rotate(
    app: &Arc<App>,
    operator: &Operator,
    algorithm: SigningAlgorithm,
) -> Result<StoredKey, ServiceError> {
    let _in_order = app.rotating.lock().await;
    let _elsewhere = app.store.lock(Lock::SigningKeys).await?;
    let waiting = app
        .store
        .signing_keys()
        .await?
        .into_iter()
        .find(|key| key.algorithm == algorithm && key.state == KeyState::Pending);
    if let Some(waiting) = waiting {
        let when = waiting
            .activated_at
            .map_or_else(String::new, |at| format!(" at {at}"));
        return Err(ServiceError::Conflict(format!(
            "the next {algorithm} key, {}, is published already and begins to sign{when}",
            waiting.id
        )));
    }
    let making = Arc::clone(app);
    let now = app.clock.now();
    let made = tokio::task::spawn_blocking(move || {
        KeyRing::generate(algorithm, &making.master_key, making.entropy.as_ref(), now)
    })
    .await
    .map_err(|_| ServiceError::Conflict("making the key was interrupted; try again".into()))?;
    let mut key = made?;
    key.activated_at = Some(now.plus(PUBLISHED_AHEAD));
    let event = about(operator.event(app, AuditKind::KeyCreated)?, &key);
    let mut tx = app.store.begin().await?;
    tx.insert_signing_key(&key).await?;
    tx.append_audit(&[event]).await?;
    tx.commit().await?;
    reload(app).await?;
    Ok(key)
}

/// Lets keys begin to sign whose time has come, retires those they follow, and stops publishing
/// those whose last token has expired.
pub(crate) async fn advance(app: &App) -> Result<(), ServiceError> {
    let _in_order = app.rotating.lock().await;
    let Some(_alone) = app.store.try_lock(Lock::SigningKeys).await? else {
        return Ok(());
    };
    let now = app.clock.now();
    let keys = app.store.signing_keys().await?;
    let due = |key: &&StoredKey| {
        key.state == KeyState::Pending && key.activated_at.is_some_and(|at| at <= now)
    };
    let published = keys.iter().filter(|key| key.is_published(now)).count();
    let mut changed = published != app.keys.published_count();
    for next in keys.iter().filter(due) {
        changed = true;
        let mut tx = app.store.begin().await?;
        let mut events = Vec::new();
        let active = keys
            .iter()
            .filter(|key| key.algorithm == next.algorithm && key.state == KeyState::Active);
        for old in active {
            let retired = StoredKey {
                state: KeyState::Retired,
                retired_at: Some(now),
                published_until: Some(now.plus(PUBLISHED_AFTER)),
                ..old.clone()
            };
            if tx.update_signing_key(&retired, KeyState::Active).await? {
                let event = app.event(AuditKind::KeyRetired, Actor::System)?;
                events.push(about(event, &retired));
            }
        }
        let activated = StoredKey {
            state: KeyState::Active,
            activated_at: Some(now),
            ..next.clone()
        };
        if tx.update_signing_key(&activated, KeyState::Pending).await? {
            let event = app.event(AuditKind::KeyActivated, Actor::System)?;
            events.push(about(event, &activated));
        }
        tx.append_audit(&events).await?;
        tx.commit().await?;
    }
    if changed { reload(app).await } else { Ok(()) }
}

async fn reload(app: &App) -> Result<(), ServiceError> {
    app.keys
        .reload(&app.store, &app.master_key, app.clock.now())
        .await
        .map_err(ServiceError::from)
}

fn about(mut event: AuditEvent, key: &StoredKey) -> AuditEvent {
    event
        .detail
        .insert("key_id".into(), key.id.to_string().into());
    event
        .detail
        .insert("algorithm".into(), key.algorithm.as_str().into());
    let (name, at) = match key.state {
        KeyState::Pending | KeyState::Active => ("signs_from", key.activated_at),
        KeyState::Retired => ("published_until", key.published_until),
    };
    if let Some(at) = at {
        event.detail.insert(name.into(), at.to_string().into());
    }
    event
}

impl From<KeyRingError> for ServiceError {
    fn from(error: KeyRingError) -> Self {
        Self::Keys(Box::new(error))
    }
}
