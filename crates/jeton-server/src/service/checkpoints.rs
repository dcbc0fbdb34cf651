//! Checkpoints of the audit log: proving that its end continues what this server remembers, signing it,
//! following what other servers signed.

use jeton_core::{Actor, AuditEvent, AuditKind};
use jeton_jose::{NoteSigner, sign_note};
use jeton_store::{AuditEnd, BrokenLink, Lock, StoredAuditKey, Transaction};

use super::{ServiceError, audit_proof};
use crate::app::App;
use crate::audit::{Checkpoint, Discontinuity, Known, Trust, describe, is_same, tell, walk};
use crate::config::OnDiscontinuity;
use crate::keys::{AuditKeys, AuditKeysError};

/// Checkpoints whose notes are kept: about a week of them. Of older ones the leaves stay, and with them the
/// proof that a note kept elsewhere is one of this log.
const KEPT: i64 = 10_000;
/// Checkpoints read at once.
const STEP: u32 = 2_000;
/// Where more events than this came since the log was last looked at, the walk begins at the newest
/// checkpoint, up to which another server has proven it.
const LONG: i64 = 500_000;

/// What a checkpoint says besides where the log ends.
#[derive(Default)]
pub(super) struct Extra {
    /// Events up to here are to go.
    pub(super) pruned: Option<AuditEnd>,
    /// Why the log stepped back, and the epoch that begins.
    pub(super) acknowledges: Option<(String, i64)>,
    /// The key that signs from here on, and whether the one before is not to be trusted any more.
    pub(super) key: Option<(StoredAuditKey, bool)>,
    /// What is recorded with it.
    pub(super) events: Vec<AuditEvent>,
    /// Checkpoints after this number go first.
    pub(super) replaces_after: Option<i64>,
    /// What earlier versions signed goes, for this takes its place.
    pub(super) replaces_earlier_form: bool,
}

/// Looks whether the log continues, and signs its end if it moved.
pub(crate) async fn advance(app: &App) -> Result<(), ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    if !follow(app, &mut known).await? {
        return Ok(());
    }
    let Some(alone) = app.store.try_lock(Lock::AuditCheckpoints).await? else {
        return Ok(());
    };
    // Another server may have signed just before it gave the lock back.
    if !follow(app, &mut known).await? {
        return Ok(());
    }
    alone.check().await?;
    if known.chain.number() == 0 {
        return begin(app, &mut known, Extra::default()).await;
    }
    if let Some(key) = super::checkpoint_keys::due(app, &known)? {
        return super::checkpoint_keys::succeed(app, &mut known, key).await;
    }
    let newest = known.chain.newest().map(|newest| &newest.end);
    if newest == Some(&known.proven) {
        return Ok(());
    }
    sign(app, &mut known, Extra::default()).await
}

/// Takes over what other servers signed, and proves that the end of the log continues what is known.
/// Says whether it does.
pub(super) async fn follow(app: &App, known: &mut Known) -> Result<bool, ServiceError> {
    if app.audit_memory.discontinuity().is_some() {
        return follow_acknowledgement(app, known).await;
    }
    known.keys = AuditKeys::open(&app.store, &app.master_keys).await?;
    let before = known.chain.number();
    // Read before the log is: it has to be there.
    let written = app.store.audit_written();
    match take_over(app, known).await? {
        Some(found) if is_newer_epoch(app, known).await? => {
            tracing::debug!(%found, "acknowledged elsewhere");
            return follow_acknowledgement(app, known).await;
        }
        Some(found) => return discontinued(app, found, written).await,
        None => {}
    }
    if known.chain.number() == 0 {
        return Ok(true);
    }
    if let Some(link) = prove_end(app, known, written.clone()).await? {
        let found = describe(&link, app.clock.as_ref());
        return discontinued(app, found, written).await;
    }
    if known.chain.number() != before {
        remember(app, known)?;
    }
    Ok(true)
}

/// Adds the checkpoints that other servers signed.
async fn take_over(app: &App, known: &mut Known) -> Result<Option<Discontinuity>, ServiceError> {
    let broken = |number: i64, expected: String, found: String| Discontinuity {
        found_at: app.clock.now(),
        place: format!("checkpoint {number}"),
        expected,
        found,
    };
    loop {
        let number = known.chain.number();
        let mut rows = app
            .store
            .audit_notes(number.max(1), STEP)
            .await?
            .into_iter();
        if number > 0 {
            let own = rows.next();
            let is_own = match (&own, known.chain.newest()) {
                (Some(row), Some(newest)) => is_same(row, newest),
                _ => false,
            };
            if !is_own {
                let expected = format!("checkpoint {number}");
                let found = match own {
                    Some(row) if row.number == number => "another in its place",
                    _ => "no such checkpoint",
                };
                return Ok(Some(broken(number, expected, found.to_owned())));
            }
        }
        if rows.len() == 0 {
            return Ok(None);
        }
        for row in rows {
            if let Err(fault) = known.chain.push(&row, &known.keys, Trust::Signature) {
                let expected = "checkpoints that continue one another".to_owned();
                return Ok(Some(broken(row.number, expected, fault.to_string())));
            }
        }
    }
}

/// Walks the links between batches from what is proven to the end of the log.
async fn prove_end(
    app: &App,
    known: &mut Known,
    written: Option<AuditEnd>,
) -> Result<Option<BrokenLink>, ServiceError> {
    let Some(newest) = known.chain.newest().cloned() else {
        return Ok(None);
    };
    let mut from = known.proven.clone();
    // What earlier versions wrote has no links.
    if newest.end.seq - from.seq > LONG || from.seq < newest.authentic_after {
        from = newest.end.clone();
    }
    if newest.pruned.seq > from.seq {
        from = newest.pruned.clone();
    }
    let (mut earlier, mut later) = (vec![from.clone()], Vec::new());
    for end in written.into_iter().chain([newest.end]) {
        if end.seq <= from.seq {
            earlier.push(end);
        } else {
            later.push(end);
        }
    }
    for end in earlier {
        // Before the first event, and where events were removed, there is nothing to find.
        if end.seq == 0 || end.seq <= newest.pruned.seq {
            continue;
        }
        let found = app.store.audit_end_at(end.seq).await?;
        if found.as_ref() != Some(&end) {
            return Ok(Some(BrokenLink {
                seq: end.seq,
                expected: Some(end),
                found,
            }));
        }
    }
    later.sort_by_key(|end| end.seq);
    later.dedup();
    let links = app.store.prove_audit_links(&from, &later).await?;
    known.proven = links.end;
    Ok(links.broken)
}

async fn is_newer_epoch(app: &App, known: &Known) -> Result<bool, ServiceError> {
    let walked = walk(&app.store, &known.keys, 0, i64::MAX).await?;
    let ours = known.chain.newest().map_or(0, |newest| newest.epoch);
    let theirs = walked.chain.newest().map_or(0, |newest| newest.epoch);
    Ok(walked.fault.is_none() && theirs > ours)
}

/// Where this server waits for somebody to acknowledge that the log stepped back: whether that was done at
/// another server, which has signed so.
async fn follow_acknowledgement(app: &App, known: &mut Known) -> Result<bool, ServiceError> {
    known.keys = AuditKeys::open(&app.store, &app.master_keys).await?;
    if !is_newer_epoch(app, known).await? {
        return Ok(false);
    }
    let walked = walk(&app.store, &known.keys, 0, i64::MAX).await?;
    let Some(newest) = walked.chain.newest().cloned() else {
        return Ok(false);
    };
    app.store.forget_audit_end();
    (known.chain, known.proven) = (walked.chain, newest.end);
    remember(app, known)?;
    app.audit_memory.forget_discontinuity()?;
    app.audit.go_on();
    tracing::warn!(
        checkpoint = newest.number,
        acknowledged = newest.acknowledges,
        "another server signed that the audit log stepped back; this one follows"
    );
    Ok(prove_end(app, known, None).await?.is_none())
}

/// Says that the log does not continue, in every place where somebody may look.
pub(super) async fn discontinued(
    app: &App,
    found: Discontinuity,
    written: Option<AuditEnd>,
) -> Result<bool, ServiceError> {
    tell(&found);
    if let Some(end) = written {
        app.audit_memory.files.keep_end(end.into())?;
    }
    app.audit_memory.keep_discontinuity(found.clone())?;
    if app.audit_memory.on_discontinuity == OnDiscontinuity::Stop {
        app.audit.halt();
    }
    record_discontinuity(app, &found).await?;
    Ok(false)
}

/// So that other servers' `jeton audit verify` says it too.
pub(super) async fn record_discontinuity(
    app: &App,
    found: &Discontinuity,
) -> Result<(), ServiceError> {
    let mut event = app.event(AuditKind::AuditDiscontinuity, Actor::System)?;
    let detail = &mut event.detail;
    detail.insert("place".into(), found.place.as_str().into());
    detail.insert("expected".into(), found.expected.as_str().into());
    detail.insert("found".into(), found.found.as_str().into());
    Ok(app.store.append_audit(&[event]).await?)
}

/// Signs the first checkpoint: over a log that earlier versions wrote, after walking all of it.
pub(super) async fn begin(app: &App, known: &mut Known, extra: Extra) -> Result<(), ServiceError> {
    let mut after = 0;
    loop {
        let span = audit_proof::verify_earlier_form(app, after).await?;
        if let Some(broken) = span.broken {
            let found = Discontinuity {
                found_at: app.clock.now(),
                place: format!("event {}", broken.seq),
                expected:
                    "a log that is as it was written, over which the first checkpoint is signed"
                        .into(),
                found: broken.reason.to_string(),
            };
            discontinued(app, found, app.store.audit_written()).await?;
            return Ok(());
        }
        after = span.end.seq;
        known.proven = span.end;
        if span.is_end {
            break;
        }
    }
    if known.proven.seq == 0 {
        return Ok(());
    }
    let pruned = app.store.pruned_audit_checkpoint().await?;
    let extra = Extra {
        pruned: pruned.map(|pruned| AuditEnd {
            seq: pruned.seq,
            hash: pruned.batch_hash,
        }),
        replaces_earlier_form: true,
        ..extra
    };
    sign(app, known, extra).await
}

/// Signs a checkpoint over what is proven. The database has it before this server remembers it: what it
/// remembers is never missing by accident.
pub(super) async fn sign(app: &App, known: &mut Known, extra: Extra) -> Result<(), ServiceError> {
    let mut next = known
        .chain
        .next(origin(app), known.proven.clone(), app.clock.now());
    let mut signers = Vec::new();
    let current = match known.chain.key() {
        Some(key) => known.keys.find(key),
        None => known.keys.checkpoint.last(),
    };
    let current = current.ok_or(ServiceError::Stale)?.signer(&next.origin)?;
    let opened;
    match &extra.key {
        None => signers.push(&current),
        Some((stored, is_emergency)) => {
            next.succeeds = Some(current.verifier().clone());
            opened = open_new(app, stored, &next.origin)?;
            signers.push(&opened);
            // Whoever knows the old key alone can follow, unless it is not to be trusted.
            if !is_emergency {
                signers.push(&current);
            }
        }
    }
    if let Some(pruned) = extra.pruned {
        next.pruned = pruned;
    }
    if let Some((reason, epoch)) = extra.acknowledges {
        next.acknowledges = Some(reason);
        next.epoch = epoch;
    }
    next.root = known.chain.root_with(&next);
    let stored = next.stored(sign_note(&next.text(), &signers)?);
    let mut tx = app.store.begin().await?;
    if let Some(number) = extra.replaces_after {
        tx.delete_audit_notes_after(number).await?;
    }
    if extra.replaces_earlier_form {
        tx.delete_audit_checkpoints().await?;
    }
    if let Some((key, _)) = &extra.key {
        tx.insert_audit_key(key).await?;
    }
    tx.insert_audit_note(&stored).await?;
    tx.drop_audit_notes(next.number - KEPT).await?;
    tx.append_audit(&extra.events).await?;
    tx.commit().await?;
    if extra.key.is_some() {
        known.keys = AuditKeys::open(&app.store, &app.master_keys).await?;
    }
    let pushed = known.chain.push(&stored, &known.keys, Trust::Signature);
    if let Err(fault) = pushed {
        tracing::error!(%fault, "the checkpoint that was just signed does not continue");
        return Err(ServiceError::Stale);
    }
    remember(app, known)
}

fn open_new(
    app: &App,
    stored: &StoredAuditKey,
    origin: &str,
) -> Result<NoteSigner, AuditKeysError> {
    AuditKeys::signer_of(stored, &app.master_keys, origin)
}

/// The name of a new log: the issuer without its scheme.
fn origin(app: &App) -> String {
    let issuer = app.issuer.as_str();
    let place = issuer.split_once("://").map_or(issuer, |(_, place)| place);
    let name: String = place
        .chars()
        .map(|c| {
            if c.is_whitespace() || c == '+' {
                '_'
            } else {
                c
            }
        })
        .collect();
    format!("{}/audit-log", name.trim_end_matches('/'))
}

/// Keeps the newest checkpoint outside the database.
pub(super) fn remember(app: &App, known: &Known) -> Result<(), ServiceError> {
    match known.chain.note() {
        Some(note) => Ok(app.audit_memory.files.keep_note(note)?),
        None => Ok(()),
    }
}

/// Notes how far this server wrote, if that moved since `before`.
pub(crate) fn keep_end(app: &App, before: &mut Option<AuditEnd>) -> Result<(), ServiceError> {
    if app.audit_memory.discontinuity().is_some() {
        return Ok(());
    }
    let written = app.store.audit_written();
    if written == *before {
        return Ok(());
    }
    if let Some(end) = &written {
        app.audit_memory.files.keep_end(end.clone().into())?;
    }
    *before = written;
    Ok(())
}

/// Appends the events of a step that nobody else waits for.
pub(super) async fn record(app: &App, event: AuditEvent) -> Result<(), ServiceError> {
    let mut tx: Transaction = app.store.begin().await?;
    tx.record(&event).await?;
    Ok(tx.commit().await?)
}

/// What the newest checkpoint is.
pub(crate) async fn newest(app: &App) -> Option<(Checkpoint, String, String)> {
    let known = app.audit_memory.known.lock().await;
    let newest = known.chain.newest()?.clone();
    let key = known.chain.key()?.to_string();
    Some((newest, known.chain.note()?.to_owned(), key))
}
