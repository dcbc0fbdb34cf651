//! Whether a checkpoint that was kept elsewhere is one of this log.

use jeton_core::hex;
use jeton_jose::{NoteVerifier, TreeHash, UnverifiedNote, consistency_proof};

use super::ServiceError;
use crate::app::App;
use crate::audit::{Checkpoint, Walked, Way, signed, walk};

/// What a kept checkpoint proves.
#[derive(Debug)]
pub(crate) struct NoteProof {
    pub(crate) checkpoint: Checkpoint,
    /// Why it is none of this log; nothing where it is one.
    pub(crate) reason: Option<String>,
}

/// Verifies a note's signature, with `key` or with a checkpoint key of this installation, and looks for what
/// it says in the checkpoints and in the log.
pub(crate) async fn verify(
    app: &App,
    note: &str,
    key: Option<&str>,
) -> Result<NoteProof, ServiceError> {
    let invalid = |parameter, detail: String| ServiceError::Invalid { parameter, detail };
    let (keys, number) = {
        let mut known = app.audit_memory.known.lock().await;
        super::checkpoints::follow(app, &mut known).await?;
        let keys = crate::keys::AuditKeys::open(&app.store, &app.master_keys).await?;
        (keys, known.chain.number())
    };
    let checkpoint = match key {
        Some(key) => {
            let key: NoteVerifier = key
                .parse()
                .map_err(|error: jeton_jose::NoteError| invalid("key", error.to_string()))?;
            let unverified =
                UnverifiedNote::parse(note).map_err(|error| invalid("note", error.to_string()))?;
            let text = unverified
                .verify(&key)
                .map_err(|error| invalid("note", error.to_string()))?;
            Checkpoint::parse(text)
        }
        None => signed(note, &keys).map(|signed| signed.checkpoint),
    };
    let checkpoint = checkpoint.ok_or_else(|| {
        invalid(
            "note",
            "it is no checkpoint that a key of this installation signed; expected what jeton audit checkpoint prints, unchanged".to_owned(),
        )
    })?;
    let walked = walk(&app.store, &keys, Way::past(checkpoint.number)).await?;
    let reason = match contradiction(&walked, &checkpoint, number) {
        Some(reason) => Some(explain(app, reason, &checkpoint).await?),
        None => missing(app, &checkpoint).await?,
    };
    Ok(NoteProof { checkpoint, reason })
}

/// What the checkpoints say instead.
fn contradiction(walked: &Walked, checkpoint: &Checkpoint, newest: i64) -> Option<String> {
    if let Some((number, fault)) = walked.fault {
        return Some(format!("checkpoint {number} of the database: {fault}"));
    }
    if walked.chain.number() < checkpoint.number {
        return Some(format!(
            "it is checkpoint {}, and the newest of the database is {}",
            checkpoint.number,
            newest.min(walked.chain.number())
        ));
    }
    let is_there = walked
        .at
        .as_ref()
        .is_some_and(|(root, _)| *root == checkpoint.root);
    (!is_there).then(|| format!("the database has another checkpoint {}", checkpoint.number))
}

/// Tells an honest step back from a theft.
async fn explain(
    app: &App,
    reason: String,
    checkpoint: &Checkpoint,
) -> Result<String, ServiceError> {
    let known = app.audit_memory.known.lock().await;
    let newest = known.chain.newest();
    let stepped_back = newest.is_some_and(|newest| newest.epoch > checkpoint.epoch);
    if app.audit_memory.discontinuity().is_none()
        && stepped_back
        && let Some(why) = known.chain.last_acknowledgement()
    {
        return Ok(format!(
            "{reason}. The log stepped back since, which was acknowledged: {why}"
        ));
    }
    Ok(format!(
        "{reason}. Nobody acknowledged that the log stepped back: events that this checkpoint covers were removed or replaced"
    ))
}

/// Whether the log lacks what the checkpoint covers.
async fn missing(app: &App, checkpoint: &Checkpoint) -> Result<Option<String>, ServiceError> {
    let pruned = {
        let known = app.audit_memory.known.lock().await;
        known.chain.newest().map_or(0, |newest| newest.pruned.seq)
    };
    if checkpoint.end.seq <= pruned {
        return Ok(None);
    }
    let found = app.store.audit_end_at(checkpoint.end.seq).await?;
    Ok((found.as_ref() != Some(&checkpoint.end)).then(|| {
        format!(
            "the log has another batch, or none, that ends with event {}",
            checkpoint.end.seq
        )
    }))
}

/// Proves to a witness that has seen checkpoint `old` that the newest continues it (RFC 6962 §2.1.2).
pub(crate) async fn prove_consistency(
    app: &App,
    old: i64,
    newest: i64,
) -> Result<Vec<TreeHash>, ServiceError> {
    let mut leaves = Vec::new();
    let mut from = 1;
    while from <= newest {
        let rows = app.store.audit_notes(from, 2_000).await?;
        let Some(last) = rows.last() else {
            break;
        };
        from = last.number + 1;
        for row in rows.iter().filter(|row| row.number <= newest) {
            leaves.push(hex::decode(&row.leaf).ok_or(ServiceError::Stale)?);
        }
    }
    Ok(consistency_proof(
        &leaves,
        usize::try_from(old).unwrap_or(0),
    ))
}
