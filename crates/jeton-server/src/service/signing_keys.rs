//! The life of a signing key: made, published a day before it signs, retired, published until its
//! last token has expired.

use std::sync::Arc;
use std::time::Duration;

use jeton_core::{Actor, AuditEvent, AuditKind, KeyId, KeyState, SigningAlgorithm};
use jeton_store::{Lock, StoredKey, retry_on_conflict};

use super::clock::{self, Trust};
use super::second_factor::one_time_codes;
use super::{Operator, ServiceError, changes};
use crate::app::App;
use crate::keys::{AuditKeys, KeyRing, KeyRingError};

/// Verifiers cache keys for up to a day, and some never ask again before that: a new key is
/// published so long before it signs.
pub(crate) const PUBLISHED_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// A retired key stays published until the last token that it signed has expired: the longest
/// lifetime, and an hour for clocks that are behind.
pub(crate) const PUBLISHED_AFTER: Duration = Duration::from_secs(25 * 60 * 60);

/// The clocks of several servers may differ by so much.
const SKEW: Duration = Duration::from_secs(60 * 60);

/// Makes the next key of an algorithm. It begins to sign a day later, in place of today's.
pub(crate) async fn rotate(
    app: &Arc<App>,
    operator: &Operator,
    algorithm: SigningAlgorithm,
) -> Result<StoredKey, ServiceError> {
    refuse_outside(app, algorithm)?;
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
    let mut key = make(app, algorithm).await?;
    key.activated_at = Some(app.clock.now().plus(PUBLISHED_AHEAD));
    let event = about(operator.event(app, AuditKind::KeyCreated)?, &key);
    publish(app, &key, event).await?;
    Ok(key)
}

/// The key that signs tokens of an algorithm, if any does.
pub(crate) fn signing(keys: &[StoredKey], algorithm: SigningAlgorithm) -> Option<KeyId> {
    let signing = keys
        .iter()
        .filter(|key| key.algorithm == algorithm && key.state == KeyState::Active);
    signing.max_by_key(|key| key.activated_at).map(|key| key.id)
}

/// Makes a key that signs at once, and retires every other of the algorithm at once: for one that
/// somebody else may have. Tokens that those signed are worth nothing from here on, wherever the
/// keys are fetched anew. `seen` is the key that the operator saw signing, or nothing where any is meant: of two
/// operators who replace the same one, the second replaces nothing.
pub(crate) async fn rotate_now(
    app: &Arc<App>,
    operator: &Operator,
    algorithm: SigningAlgorithm,
    seen: Option<KeyId>,
) -> Result<StoredKey, ServiceError> {
    refuse_outside(app, algorithm)?;
    let _in_order = app.rotating.lock().await;
    // Nobody else changes a key from here on.
    let _elsewhere = app.store.lock(Lock::SigningKeys).await?;
    let there = signing(&app.store.signing_keys().await?, algorithm);
    if seen.is_some() && seen != there {
        return Err(ServiceError::Stale);
    }
    let mut key = make(app, algorithm).await?;
    let now = app.clock.now();
    key.state = KeyState::Active;
    key.activated_at = Some(now);
    let emergency = |kind, key: &StoredKey| {
        let mut event = about(operator.event(app, kind)?, key);
        event.detail.insert("emergency".into(), true.into());
        Ok::<_, ServiceError>(event)
    };
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let mut events = Vec::new();
        for old in app.store.signing_keys().await? {
            if old.algorithm != algorithm || !old.is_published(now) {
                continue;
            }
            let from = old.state;
            let retired = StoredKey {
                state: KeyState::Retired,
                retired_at: old.retired_at.or(Some(now)),
                published_until: Some(now),
                ..old
            };
            if tx.update_signing_key(&retired, from).await? {
                let mut event = emergency(AuditKind::KeyRetired, &retired)?;
                note_state(&mut event, Some(from), &retired);
                events.push(event);
            }
        }
        events.push(emergency(AuditKind::KeyCreated, &key)?);
        events.push(emergency(AuditKind::KeyActivated, &key)?);
        tx.insert_signing_key(&key).await?;
        tx.append_audit(&events).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    reload(app).await?;
    Ok(key)
}

/// Takes back a key that is published and has not signed yet. Nobody has a token that it signed.
pub(crate) async fn withdraw(
    app: &Arc<App>,
    operator: &Operator,
    id: KeyId,
) -> Result<(), ServiceError> {
    let _in_order = app.rotating.lock().await;
    let _elsewhere = app.store.lock(Lock::SigningKeys).await?;
    let keys = app.store.signing_keys().await?;
    let key = keys
        .into_iter()
        .find(|key| key.id == id)
        .ok_or_else(|| ServiceError::not_found("signing key", &id))?;
    refuse_outside(app, key.algorithm)?;
    if key.state != KeyState::Pending {
        return Err(ServiceError::Conflict(format!(
            "{id} is {}: only a key that has not signed yet can be withdrawn",
            match key.state {
                KeyState::Active => "signing",
                KeyState::Pending | KeyState::Retired => "retired",
            }
        )));
    }
    let now = app.clock.now();
    let withdrawn = StoredKey {
        state: KeyState::Retired,
        activated_at: None,
        retired_at: Some(now),
        published_until: Some(now),
        ..key
    };
    let mut event = about(operator.event(app, AuditKind::KeyRetired)?, &withdrawn);
    event.detail.insert("withdrawn".into(), true.into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if !tx.update_signing_key(&withdrawn, KeyState::Pending).await? {
            return Err(ServiceError::Stale);
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    reload(app).await
}

/// Seals every private key under the current master key; gives how many were under the one before.
pub(crate) async fn rewrap(app: &App, operator: &Operator) -> Result<usize, ServiceError> {
    let _in_order = app.rotating.lock().await;
    let _elsewhere = app.store.lock(Lock::SigningKeys).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let mut rewrapped = 0;
        for key in app.store.signing_keys().await? {
            if let Some(sealed) = KeyRing::rewrap(&key, &app.master_keys, app.entropy.as_ref())? {
                tx.reseal_signing_key(key.id, &key.sealed, &sealed).await?;
                rewrapped += 1;
            }
        }
        for key in app.store.audit_keys().await? {
            if let Some(sealed) = AuditKeys::rewrap(&key, &app.master_keys, app.entropy.as_ref())? {
                tx.reseal_audit_key(key.id, &key.sealed, &sealed).await?;
                rewrapped += 1;
            }
        }
        for code in app.store.one_time_codes().await? {
            if let Some(sealed) = one_time_codes::rewrap(app, &code)? {
                tx.reseal_one_time_code(code.admin_id, &code.sealed, &sealed)
                    .await?;
                rewrapped += 1;
            }
        }
        if rewrapped > 0 {
            let mut event = operator.event(app, AuditKind::KeysRewrapped)?;
            event.detail.insert("keys".into(), rewrapped.into());
            tx.record(&event).await?;
            tx.commit().await?;
        }
        Ok(rewrapped)
    })
    .await
}

/// Takes over keys that are managed elsewhere and not known yet: they are published at once, and
/// sign a day later, like every new key.
pub(crate) async fn adopt(app: &App) -> Result<(), ServiceError> {
    if app.outside_keys.is_empty() {
        return Ok(());
    }
    let _elsewhere = app.store.lock(Lock::SigningKeys).await?;
    for outside in &app.outside_keys {
        let known = app.store.signing_keys().await?;
        if KeyRing::knows(outside, &known, &app.master_keys)? {
            continue;
        }
        let now = app.clock.now();
        let sealing = &app.master_keys.current;
        let mut key = KeyRing::adopt(outside, sealing, app.entropy.as_ref(), now)?;
        key.activated_at = Some(now.plus(PUBLISHED_AHEAD));
        let event = about(app.event(AuditKind::KeyCreated, Actor::System)?, &key);
        publish(app, &key, event).await?;
        tracing::info!(
            key = %key.id,
            algorithm = %key.algorithm,
            "a signing key that is managed elsewhere was taken over; it signs a day from now"
        );
    }
    Ok(())
}

fn refuse_outside(app: &App, algorithm: SigningAlgorithm) -> Result<(), ServiceError> {
    if is_outside(app, algorithm) {
        return Err(ServiceError::Conflict(format!(
            "the {algorithm} keys of this server are managed elsewhere: add the next one to signing_keys_file or JETON_SIGNING_KEYS and restart the servers, one after the other"
        )));
    }
    Ok(())
}

fn is_outside(app: &App, algorithm: SigningAlgorithm) -> bool {
    app.outside_keys
        .iter()
        .any(|key| key.algorithm == algorithm)
}

async fn make(app: &Arc<App>, algorithm: SigningAlgorithm) -> Result<StoredKey, ServiceError> {
    let making = Arc::clone(app);
    let now = app.clock.now();
    let made = tokio::task::spawn_blocking(move || {
        let sealing = &making.master_keys.current;
        KeyRing::generate(algorithm, sealing, making.entropy.as_ref(), now)
    })
    .await
    .map_err(|_| ServiceError::Conflict("making the key was interrupted; try again".into()))?;
    Ok(made?)
}

async fn publish(app: &App, key: &StoredKey, event: AuditEvent) -> Result<(), ServiceError> {
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_signing_key(key).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    reload(app).await
}

/// Makes the next key of every algorithm whose key has signed for so long that, a day from now, it
/// will have signed long enough.
async fn make_scheduled(app: &Arc<App>, rotation: Duration) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let keys = app.store.signing_keys().await?;
    for algorithm in SigningAlgorithm::ALL {
        let of = |state| {
            let keys = keys.iter();
            keys.filter(move |key| key.algorithm == algorithm && key.state == state)
        };
        if is_outside(app, algorithm) || of(KeyState::Pending).next().is_some() {
            continue;
        }
        let since = of(KeyState::Active)
            .filter_map(|key| key.activated_at)
            .max();
        let Some(until) = since.map(|since| since.plus(rotation)) else {
            continue;
        };
        if now.plus(PUBLISHED_AHEAD) < until {
            continue;
        }
        let mut key = make(app, algorithm).await?;
        key.activated_at = Some(until.max(now.plus(PUBLISHED_AHEAD)));
        let event = about(app.event(AuditKind::KeyCreated, Actor::System)?, &key);
        publish(app, &key, event).await?;
        tracing::info!(key = %key.id, %algorithm, "the next signing key is published");
    }
    Ok(())
}

/// Lets keys begin to sign whose time has come, retires those they follow, and stops publishing
/// those whose last token has expired.
pub(crate) async fn advance(app: &Arc<App>) -> Result<(), ServiceError> {
    let _in_order = app.rotating.lock().await;
    let Some(_alone) = app.store.try_lock(Lock::SigningKeys).await? else {
        return Ok(());
    };
    if clock::look(app).await? == Trust::Doubted {
        return Ok(());
    }
    set_right(app).await?;
    erase_private_halves(app).await?;
    if let Some(rotation) = app.key_rotation {
        make_scheduled(app, rotation).await?;
    }
    let now = app.clock.now();
    let keys = app.store.signing_keys().await?;
    let due = |key: &&StoredKey| {
        key.state == KeyState::Pending && key.activated_at.is_some_and(|at| at <= now)
    };
    let published = keys.iter().filter(|key| key.is_published(now)).count();
    let mut changed = published != app.keys.published_count();
    for next in keys.iter().filter(due) {
        changed = true;
        retry_on_conflict(|| async {
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
                    let mut event = about(event, &retired);
                    note_state(&mut event, Some(KeyState::Active), &retired);
                    events.push(event);
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
            Ok::<_, ServiceError>(tx.commit().await?)
        })
        .await?;
    }
    if changed { reload(app).await } else { Ok(()) }
}

/// What was scheduled while the clock was wrong would otherwise wait until that time: nothing is more than a
/// day ahead, and nothing has begun that begins later.
async fn set_right(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    for key in app.store.signing_keys().await? {
        let mut right = key.clone();
        match key.state {
            KeyState::Pending if key.activated_at > Some(now.plus(PUBLISHED_AHEAD + SKEW)) => {
                right.activated_at = Some(now.plus(PUBLISHED_AHEAD));
            }
            KeyState::Active if key.activated_at > Some(now.plus(SKEW)) => {
                right.activated_at = Some(now);
            }
            KeyState::Retired if key.published_until > Some(now.plus(PUBLISHED_AFTER + SKEW)) => {
                right.published_until = Some(now.plus(PUBLISHED_AFTER));
            }
            _ => continue,
        }
        tracing::warn!(key = %key.id, "a signing key was scheduled while the clock was wrong, and is scheduled anew");
        retry_on_conflict(|| async {
            let mut tx = app.store.begin().await?;
            tx.update_signing_key(&right, key.state).await?;
            Ok::<_, ServiceError>(tx.commit().await?)
        })
        .await?;
    }
    Ok(())
}

/// A key that signs no more and is published no more has no use for its private half.
async fn erase_private_halves(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    for key in app.store.signing_keys().await? {
        if key.is_published(now) {
            continue;
        }
        let entropy = app.entropy.as_ref();
        let Some(public) = KeyRing::without_private_half(&key, &app.master_keys, entropy)? else {
            continue;
        };
        let event = about(app.event(AuditKind::KeyErased, Actor::System)?, &key);
        retry_on_conflict(|| async {
            let mut tx = app.store.begin().await?;
            tx.reseal_signing_key(key.id, &key.sealed, &public).await?;
            tx.record(&event).await?;
            Ok::<_, ServiceError>(tx.commit().await?)
        })
        .await?;
    }
    Ok(())
}

async fn reload(app: &App) -> Result<(), ServiceError> {
    app.keys
        .reload(&app.store, &app.master_keys, app.clock.now())
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
    match event.kind {
        AuditKind::KeyCreated => note_state(&mut event, None, key),
        AuditKind::KeyActivated => note_state(&mut event, Some(KeyState::Pending), key),
        _ => {}
    }
    event
}

fn note_state(event: &mut AuditEvent, before: Option<KeyState>, key: &StoredKey) {
    let before = before.map(KeyState::as_str);
    changes::note_field(event, "state", before, key.state.as_str());
}

impl From<KeyRingError> for ServiceError {
    fn from(error: KeyRingError) -> Self {
        Self::Keys(Box::new(error))
    }
}
