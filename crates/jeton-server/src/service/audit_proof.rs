//! The proof of the audit log: signed checkpoints, walking the chain, and removing what is old.
//!
//! The chain alone shows that nothing between its ends was altered; whoever can write to the
//! database could compute it anew, though. A checkpoint signs an end of it with a key that only
//! Jeton can open, so that everything before it is proven.

use std::time::Duration;

use jeton_core::{Actor, AuditKind, SigningAlgorithm, Timestamp};
use jeton_jose::{UnverifiedToken, sign_statement, verify_statement};
use jeton_store::{AuditCheckpoint, AuditSpan, BrokenAudit, BrokenReason, retry_on_conflict};
use serde::{Deserialize, Serialize};

use super::{ServiceError, statistics};
use crate::app::App;
use crate::keys::KeyRingError;

/// The `typ` of a checkpoint.
const TYP: &str = "jeton-audit-checkpoint+jwt";
/// So many events are walked for one answer.
const SPAN: i64 = 20_000;
/// Checkpoints that are kept: the newest vouches for all before it, the others say roughly where
/// something was altered.
const KEPT: i64 = 1_000_000;

/// What a checkpoint says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    iss: String,
    seq: i64,
    batch_hash: String,
    /// In seconds.
    iat: i64,
    /// Whether the events up to it were removed.
    pruned: bool,
}

/// Walks the chain on from `after`, and verifies the checkpoints on the way.
pub(crate) async fn verify(app: &App, after: i64) -> Result<AuditSpan, ServiceError> {
    let mut span = app.store.verify_audit(after, SPAN).await?;
    let unsigned = span
        .checkpoints
        .iter()
        .find(|checkpoint| !is_signed(app, checkpoint));
    if let Some(checkpoint) = unsigned {
        // Where it is forged, whatever else does not fit follows from it.
        span.broken = Some(BrokenAudit {
            seq: checkpoint.seq,
            reason: BrokenReason::Signature,
        });
    }
    if span.broken.is_none() {
        span.broken = app.store.hidden_audit_event(after, span.last).await?;
    }
    Ok(span)
}

/// The issuer may have moved since; everything else has to be as signed.
fn is_signed(app: &App, checkpoint: &AuditCheckpoint) -> bool {
    let Ok(token) = UnverifiedToken::parse(&checkpoint.signature) else {
        return false;
    };
    let Some(key) = app.keys.ever(token.kid()) else {
        return false;
    };
    verify_statement::<Statement>(&token, &key, TYP).is_ok_and(|statement| {
        statement.seq == checkpoint.seq
            && statement.batch_hash == checkpoint.batch_hash
            && statement.pruned == checkpoint.pruned_at.is_some()
    })
}

/// Signs the end of the log, if it moved.
pub(crate) async fn sign_end(app: &App) -> Result<(), ServiceError> {
    let Some((seq, batch_hash)) = app.store.audit_end().await? else {
        return Ok(());
    };
    let last = app.store.last_audit_checkpoint().await?;
    if last.is_some_and(|last| last.seq >= seq) {
        return Ok(());
    }
    let checkpoint = signed(app, seq, batch_hash, false)?;
    let pruned = app.store.pruned_audit_checkpoint().await?;
    let kept_from = pruned.map_or(seq - KEPT, |pruned| {
        pruned.seq.max(seq - KEPT).min(pruned.seq)
    });
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.put_audit_checkpoint(&checkpoint).await?;
        tx.delete_audit_checkpoints(kept_from).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

fn signed(
    app: &App,
    seq: i64,
    batch_hash: String,
    pruned: bool,
) -> Result<AuditCheckpoint, ServiceError> {
    let now = app.clock.now();
    let statement = Statement {
        iss: app.issuer.to_string(),
        seq,
        batch_hash,
        iat: now.as_seconds(),
        pruned,
    };
    let key = app.keys.active(SigningAlgorithm::Es256)?;
    let signature = sign_statement(&key, TYP, &statement).map_err(KeyRingError::from)?;
    Ok(AuditCheckpoint {
        seq,
        batch_hash: statement.batch_hash,
        at: now,
        signature,
        pruned_at: pruned.then_some(now),
    })
}

/// Removes events that are older than `retention`: first a signed checkpoint says so, from which the
/// chain begins from then on, then they go a part at a time.
pub(crate) async fn prune(app: &App, retention: Duration) -> Result<(), ServiceError> {
    let before = app.clock.now().minus(retention);
    // What is not counted yet is kept.
    statistics::count(app).await?;
    let pruned = app.store.pruned_audit_checkpoint().await?;
    let done = pruned.as_ref().map_or(0, |pruned| pruned.seq);
    let mut through = done;
    if let Some((seq, batch_hash)) = prunable(app, before).await?
        && seq > done
    {
        let checkpoint = signed(app, seq, batch_hash, true)?;
        let mut event = app.event(AuditKind::AuditPruned, Actor::System)?;
        event.detail.insert("through_seq".into(), seq.into());
        event
            .detail
            .insert("older_than".into(), before.to_string().into());
        retry_on_conflict(|| async {
            let mut tx = app.store.begin().await?;
            tx.put_audit_checkpoint(&checkpoint).await?;
            tx.delete_audit_checkpoints(seq).await?;
            tx.record(&event).await?;
            Ok::<_, ServiceError>(tx.commit().await?)
        })
        .await?;
        through = seq;
    }
    if through > 0 {
        while app.store.delete_pruned_audit(through).await? {
            // Others want to write too.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// What is old enough, counted for the dashboard, and forwarded where it is to be.
async fn prunable(app: &App, before: Timestamp) -> Result<Option<(i64, String)>, ServiceError> {
    let Some((seq, hash)) = app.store.audit_batch_end_at(before).await? else {
        return Ok(None);
    };
    let used = app.store.audit_used_through().await?;
    if seq <= used {
        return Ok(Some((seq, hash)));
    }
    Ok(app.store.audit_batch_end(used + 1).await?)
}
