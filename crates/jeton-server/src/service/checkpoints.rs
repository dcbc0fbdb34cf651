//! Checkpoints of the audit log: proving that its end continues what this server remembers, signing it,
//! following what other servers signed.

use jeton_core::{Actor, AuditEvent, AuditKind};
use jeton_jose::{NoteSigner, sign_note};
use jeton_store::{AuditEnd, BrokenLink, Lock, StoredAuditKey, Transaction};

use super::{ServiceError, audit_proof};
use crate::app::App;
use crate::audit::{Checkpoint, Discontinuity, KEPT, Known, Trust, describe, stepped_back, tell};
use crate::config::OnDiscontinuity;
use crate::keys::{AuditKeys, AuditKeysError};

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
    if let Some(key) = super::checkpoint_keys::due(app, &known).await? {
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
        // What could not be kept when it was found is kept when it can be.
        app.audit_memory.write_discontinuity()?;
        return Ok(follow_acknowledgement(app, known).await?.unwrap_or(false));
    }
    known.keys = AuditKeys::open(&app.store, &app.master_keys).await?;
    let before = known.chain.number();
    // Read before the log is: it has to be there.
    let written = app.store.audit_written();
    if let Some(found) = take_over(app, known).await? {
        return match follow_acknowledgement(app, known).await? {
            Some(continues) => Ok(continues),
            None => discontinued(app, found).await,
        };
    }
    if known.chain.number() == 0 {
        return Ok(true);
    }
    if let Some(link) = prove_end(app, known, written).await? {
        let found = describe(&link, app.clock.as_ref());
        return discontinued(app, found).await;
    }
    hand_over(app, known);
    if known.chain.number() != before {
        remember(app, known)?;
    }
    Ok(true)
}

/// Tells the store where the log begins, and what its end has to continue.
fn hand_over(app: &App, known: &Known) {
    if let Some(newest) = known.chain.newest() {
        app.store.begin_audit_after(newest.pruned.seq);
        app.store.audit_continues(&known.proven);
    }
}

/// Adds the checkpoints that other servers signed, if all of them fit.
async fn take_over(app: &App, known: &mut Known) -> Result<Option<Discontinuity>, ServiceError> {
    let broken = |number: i64, expected: String, found: String| Discontinuity {
        found_at: app.clock.now(),
        place: format!("checkpoint {number}"),
        expected,
        found,
    };
    let number = known.chain.number();
    let mut chain = known.chain.clone();
    if number > 0 {
        let own = app.store.audit_notes(number, 1).await?.into_iter().next();
        if !own.as_ref().is_some_and(|row| chain.is_newest(row)) {
            let expected = format!("checkpoint {number}");
            let found = match own {
                Some(row) if row.number == number => "another in its place",
                _ => "no such checkpoint",
            };
            return Ok(Some(broken(number, expected, found.to_owned())));
        }
    }
    let expected = || "checkpoints that continue one another".to_owned();
    loop {
        let rows = app.store.audit_notes(chain.number() + 1, STEP).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if let Err(fault) = chain.push(&row, &known.keys, Trust::Signature) {
                return Ok(Some(broken(row.number, expected(), fault.to_string())));
            }
        }
    }
    if let Some((number, fault)) = chain.fault_at_end() {
        return Ok(Some(broken(number, expected(), fault.to_string())));
    }
    known.chain = chain;
    Ok(None)
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
    for end in written
        .into_iter()
        .chain([newest.end, known.proven.clone()])
    {
        if end.seq <= from.seq {
            earlier.push(end);
        } else {
            later.push(end);
        }
    }
    earlier.sort_by_key(|end| end.seq);
    earlier.dedup();
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

/// Where the log is not the one that this server knows: whether somebody acknowledged at another server that it
/// stepped back, which that one has signed. Nothing where nobody did; else whether the log continues from there.
async fn follow_acknowledgement(
    app: &App,
    known: &mut Known,
) -> Result<Option<bool>, ServiceError> {
    known.keys = AuditKeys::open(&app.store, &app.master_keys).await?;
    let followed = known.followed();
    let Some(chain) = stepped_back(&app.store, &known.keys, &followed).await? else {
        return Ok(None);
    };
    let Some(newest) = chain.newest().cloned() else {
        return Ok(None);
    };
    let before = known.chain.newest().cloned();
    app.store.forget_audit_end();
    (known.chain, known.proven, known.followed) = (chain, newest.end.clone(), None);
    app.audit_memory.forget_discontinuity()?;
    if let Some(link) = prove_end(app, known, None).await? {
        let found = describe(&link, app.clock.as_ref());
        return discontinued(app, found).await.map(Some);
    }
    hand_over(app, known);
    remember(app, known)?;
    app.audit.go_on();
    record_followed(app, &newest, before.as_ref()).await?;
    Ok(Some(true))
}

/// Another server signed that the log stepped back, and this one follows: that is told and recorded.
pub(super) async fn record_followed(
    app: &App,
    newest: &Checkpoint,
    before: Option<&Checkpoint>,
) -> Result<(), ServiceError> {
    tracing::warn!(
        checkpoint = newest.number,
        acknowledged = newest.acknowledges,
        "another server signed that the audit log stepped back; this one follows"
    );
    let mut event = app.event(AuditKind::AuditCheckpointAdopted, Actor::System)?;
    let detail = &mut event.detail;
    detail.insert("checkpoint".into(), newest.number.into());
    detail.insert("seq".into(), newest.end.seq.into());
    detail.insert("epoch".into(), newest.epoch.into());
    if let Some(before) = before {
        detail.insert("from_checkpoint".into(), before.number.into());
        detail.insert("from_seq".into(), before.end.seq.into());
    }
    record(app, event).await
}

/// Says that the log does not continue, in every place where somebody may look. From the first step on
/// nothing is signed, nor issued where the server is to stop; only then is anything written, which may fail.
pub(super) async fn discontinued(app: &App, found: Discontinuity) -> Result<bool, ServiceError> {
    app.audit_memory.set_discontinuity(found.clone());
    if app.audit_memory.on_discontinuity == OnDiscontinuity::Stop {
        app.audit.halt();
    }
    tell(&found);
    app.store.follow_audit_fork();
    let written = app.audit_memory.write_discontinuity();
    record_discontinuity(app, &found).await?;
    written?;
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
    let mut pruned = None;
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
            discontinued(app, found).await?;
            return Ok(());
        }
        after = span.end.seq;
        pruned = pruned.or(Some(span.begin));
        known.proven = span.end;
        if span.is_end {
            break;
        }
    }
    if known.proven.seq == 0 {
        return Ok(());
    }
    let extra = Extra {
        // As the walk began, with a checkpoint that was verified.
        pruned: pruned.filter(|pruned| pruned.seq > 0),
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
    tx.drop_audit_notes(next.number - KEPT, known.chain.kept())
        .await?;
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
    hand_over(app, known);
    remember(app, known)
}

/// Looks at what an append found: whether the log continues what this server wrote.
pub(crate) async fn settle(app: &App) -> Result<(), ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    follow(app, &mut known).await.map(drop)
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
