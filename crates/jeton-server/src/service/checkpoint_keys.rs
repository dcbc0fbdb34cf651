//! The keys that sign checkpoints: one follows another, and the one before vouches for nothing after.

use std::time::Duration;

use jeton_core::{Actor, AuditEvent, AuditKind, Timestamp};
use jeton_store::{Lock, StoredAuditKey};

use super::checkpoints::{self, Extra};
use super::clock::{self, Trust};
use super::{Operator, ServiceError};
use crate::app::App;
use crate::audit::{Checkpoint, Known};
use crate::keys::AuditKeys;

/// The clocks of two servers differ by less.
const FUTURE: Duration = Duration::from_secs(60 * 60);

/// A new key, where the current one has signed for as long as signing keys do. No key is retired by a clock
/// that is doubted. One that says to be made in the future, by a clock that was wrong then, has served.
pub(super) async fn due(app: &App, known: &Known) -> Result<Option<StoredAuditKey>, ServiceError> {
    let since = known
        .chain
        .key()
        .and_then(|key| known.keys.find(key))
        .map(|key| key.created_at);
    let (Some(rotation), Some(since)) = (app.key_rotation, since) else {
        return Ok(None);
    };
    let is_due = |now: Timestamp| now >= since.plus(rotation) || since > now.plus(FUTURE);
    if !is_due(app.clock.now()) || clock::look(app).await? == Trust::Doubted {
        return Ok(None);
    }
    make(app).map(Some)
}

fn make(app: &App) -> Result<StoredAuditKey, ServiceError> {
    let (entropy, now) = (app.entropy.as_ref(), app.clock.now());
    Ok(AuditKeys::generate_checkpoint(
        &app.master_keys,
        entropy,
        now,
    )?)
}

/// Lets a new key sign from here on, as is recorded.
pub(super) async fn succeed(
    app: &App,
    known: &mut Known,
    key: StoredAuditKey,
) -> Result<(), ServiceError> {
    let event = app.event(AuditKind::AuditKeyRotated, Actor::System)?;
    succeed_as(app, known, key, (event, false)).await
}

async fn succeed_as(
    app: &App,
    known: &mut Known,
    key: StoredAuditKey,
    (mut event, is_emergency): (AuditEvent, bool),
) -> Result<(), ServiceError> {
    event
        .detail
        .insert("key_id".into(), key.id.to_string().into());
    event.detail.insert("emergency".into(), is_emergency.into());
    let last = known.chain.number();
    event
        .detail
        .insert("retired_after_checkpoint".into(), last.into());
    let extra = Extra {
        key: Some((key, is_emergency)),
        events: vec![event],
        ..Extra::default()
    };
    checkpoints::sign(app, known, extra).await
}

/// How a key is followed by another before it is due.
#[derive(Debug)]
pub(crate) enum Rotation {
    /// The one before signs the change too.
    Orderly,
    /// Somebody else may have it and sign what he likes: it does not sign the change. It is the key that was seen, where
    /// one was: of two who hear of one emergency, the second would retire the key that the first has just made.
    Emergency {
        /// As a verifier names it.
        seen: Option<String>,
    },
}

/// Lets a new key sign from here on.
pub(crate) async fn rotate(
    app: &App,
    operator: &Operator,
    rotation: Rotation,
) -> Result<(Checkpoint, String), ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    let _alone = app.store.lock(Lock::AuditCheckpoints).await?;
    if !checkpoints::follow(app, &mut known).await? || known.chain.number() == 0 {
        return Err(ServiceError::Conflict(
            "the audit log does not continue what this server remembers, or is not signed yet: run jeton audit verify first"
                .into(),
        ));
    }
    let is_emergency = matches!(rotation, Rotation::Emergency { .. });
    if let Rotation::Emergency { seen: Some(seen) } = rotation
        && known.chain.key().is_none_or(|key| key.to_string() != seen)
    {
        return Err(ServiceError::Stale);
    }
    let event = operator.event(app, AuditKind::AuditKeyRotated)?;
    let key = make(app)?;
    succeed_as(app, &mut known, key, (event, is_emergency)).await?;
    match (known.chain.newest(), known.chain.key()) {
        (Some(newest), Some(key)) => Ok((newest.clone(), key.to_string())),
        _ => Err(ServiceError::Stale),
    }
}
