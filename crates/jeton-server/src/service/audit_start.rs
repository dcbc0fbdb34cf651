//! What a server does at start with what it remembers of the audit log: it says so where that was taken
//! over, acknowledged, or does not fit.

use jeton_core::{Actor, AuditKind};

use super::ServiceError;
use super::checkpoints::{self, Extra};
use crate::app::App;
use crate::audit::{Acknowledgement, Checkpoint, Outcome};

/// A log that is longer is walked behind the tokens when its first checkpoint is signed.
const SHORT: i64 = 50_000;

/// Follows the outcome of the comparison.
pub(crate) async fn begin(app: &App, outcome: Outcome) -> Result<(), ServiceError> {
    match outcome {
        Outcome::New => {
            let end = app.store.audit_end().await?;
            if end.is_none_or(|end| end.seq > SHORT) {
                return Ok(());
            }
        }
        Outcome::Continues { is_end_lost: true } => end_lost(app).await?,
        Outcome::Continues { .. } => {}
        Outcome::Adopted => adopted(app).await?,
        Outcome::AcknowledgedElsewhere { remembered } => {
            let known = app.audit_memory.known.lock().await;
            if let Some(newest) = known.chain.newest() {
                checkpoints::record_followed(app, newest, Some(&remembered)).await?;
            }
            app.audit_memory.files.forget_end()?;
            checkpoints::remember(app, &known)?;
        }
        Outcome::Acknowledged {
            acknowledgement,
            remembered,
            epoch,
        } => return acknowledged(app, acknowledgement, remembered.as_deref(), epoch).await,
        // Told already.
        Outcome::Broken(found) => return checkpoints::record_discontinuity(app, &found).await,
    }
    checkpoints::advance(app).await
}

/// How far this server wrote since its newest checkpoint could not be compared: that is recorded.
async fn end_lost(app: &App) -> Result<(), ServiceError> {
    let known = app.audit_memory.known.lock().await;
    let Some(newest) = known.chain.newest() else {
        return Ok(());
    };
    let mut event = app.event(AuditKind::AuditCheckpointAdopted, Actor::System)?;
    let detail = &mut event.detail;
    detail.insert("checkpoint".into(), newest.number.into());
    detail.insert("seq".into(), newest.end.seq.into());
    detail.insert("lost".into(), "audit-end.json".into());
    checkpoints::record(app, event).await
}

/// There was nothing to compare with: that is said once.
async fn adopted(app: &App) -> Result<(), ServiceError> {
    let known = app.audit_memory.known.lock().await;
    let Some(newest) = known.chain.newest() else {
        return Ok(());
    };
    tracing::warn!(
        checkpoint = newest.number,
        seq = newest.end.seq,
        "this data directory remembers nothing of the audit log: the newest checkpoint of the database is taken over. Compare it with one kept elsewhere, with jeton audit verify --checkpoint"
    );
    let mut event = app.event(AuditKind::AuditCheckpointAdopted, Actor::System)?;
    let detail = &mut event.detail;
    detail.insert("checkpoint".into(), newest.number.into());
    detail.insert("seq".into(), newest.end.seq.into());
    checkpoints::record(app, event).await?;
    checkpoints::remember(app, &known)
}

/// The log stepped back, and somebody who holds the data directory says that this is right: an event and
/// the next checkpoint say so too.
async fn acknowledged(
    app: &App,
    acknowledgement: Acknowledgement,
    remembered: Option<&Checkpoint>,
    epoch: i64,
) -> Result<(), ServiceError> {
    let command = &acknowledgement.command;
    let from = remembered.map_or_else(
        || "nothing".to_owned(),
        |newest| format!("checkpoint {} (event {})", newest.number, newest.end.seq),
    );
    let reason = acknowledgement.reason.as_deref().unwrap_or_default();
    let reason: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    let mut event = app.event(AuditKind::AuditRestored, Actor::System)?;
    let detail = &mut event.detail;
    detail.insert("command".into(), command.as_str().into());
    detail.insert("ran_at".into(), acknowledgement.at.to_string().into());
    detail.insert("remembered".into(), from.as_str().into());
    detail.insert("to_seq".into(), acknowledgement.seq.into());
    if let Some(newest) = remembered {
        detail.insert("from_seq".into(), newest.end.seq.into());
        detail.insert("from_checkpoint".into(), newest.number.into());
    }
    if !reason.is_empty() {
        detail.insert("reason".into(), reason.as_str().into());
    }
    tracing::warn!(
        command,
        remembered = from,
        to_seq = acknowledgement.seq,
        "the audit log stepped back, as was acknowledged"
    );
    let mut known = app.audit_memory.known.lock().await;
    let number = known.chain.number();
    let text = format!(
        "jeton {command} of {}: from {from} to event {}",
        acknowledgement.at, acknowledgement.seq
    );
    app.audit_memory.forget_discontinuity()?;
    checkpoints::record(app, event).await?;
    let links = app.store.prove_audit_links(&known.proven, &[]).await?;
    known.proven = links.end;
    let extra = Extra {
        acknowledges: Some((text, epoch)),
        replaces_after: Some(number),
        ..Extra::default()
    };
    if number == 0 {
        checkpoints::begin(app, &mut known, extra).await?;
    } else {
        checkpoints::sign(app, &mut known, extra).await?;
    }
    Ok(app.audit_memory.files.forget_acknowledgement()?)
}
