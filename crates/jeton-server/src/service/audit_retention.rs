//! Removing what is old from the audit log, without breaking the proof of the rest.
//!
//! What is to go is walked first, hash by hash, as in a proof: the time of an event is a column that whoever can
//! write to the database can alter, and what is removed and signed for can never be proven again.

use std::time::Duration;

use jeton_core::{Actor, AuditEvent, AuditKind, Timestamp};
use jeton_store::{AuditEnd, BrokenAudit, Lock, Locked, OldPart, OldStep};

use super::checkpoints::{self, Extra};
use super::clock::{self, Trust};
use super::{ServiceError, statistics};
use crate::app::App;
use crate::audit::{Checkpoint, Discontinuity};

/// Others want to read too.
const PAUSE: Duration = Duration::from_millis(20);
/// What earlier versions wrote is proven as a whole only. Where that is long, it is not walked for a few events.
const LONG: i64 = 100_000;
/// Then, at least this part of it has to be old.
const WORTHWHILE: i64 = 20;

/// Removes events that are older than `retention`: they are proven, then a signed checkpoint says where the
/// chain begins from then on, then they go a part at a time. Where the log does not continue what this
/// server remembers, or is not as it was written, nothing is removed.
pub(crate) async fn prune(
    app: &App,
    retention: Duration,
    alone: &Locked,
) -> Result<(), ServiceError> {
    if clock::look(app).await? == Trust::Doubted {
        return Ok(());
    }
    let _pruning = app.audit_memory.pruning.lock().await;
    let before = app.clock.now().minus(retention);
    // What is not counted yet is kept.
    statistics::count(app).await?;
    let Some(through) = prune_signed(app, before, alone).await? else {
        return Ok(());
    };
    if through > 0 {
        while app.store.delete_pruned_audit(through, alone).await? {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Removes what a checkpoint says is removed and is still there: a server may have ended in the middle of
/// that, and not every server has a retention.
pub(crate) async fn finish(app: &App, alone: &Locked) -> Result<(), ServiceError> {
    let _pruning = app.audit_memory.pruning.lock().await;
    let begin = {
        let mut known = app.audit_memory.known.lock().await;
        if !checkpoints::follow(app, &mut known).await? {
            return Ok(());
        }
        known.chain.newest().map_or(0, |newest| newest.pruned.seq)
    };
    while begin > 0 && app.store.delete_pruned_audit(begin, alone).await? {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What was known of the log before it was walked.
struct Before {
    newest: Checkpoint,
    begin: AuditEnd,
    known: Vec<AuditEnd>,
}

/// Nothing where the log does not continue, or there is no checkpoint yet.
async fn known_before(app: &App, before: Timestamp) -> Result<Option<Before>, ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    if !checkpoints::follow(app, &mut known).await? {
        return Ok(None);
    }
    let Some(newest) = known.chain.newest().cloned() else {
        return Ok(None);
    };
    let mut begin = newest.pruned.clone();
    // What somebody accepted as it was, and is old by the time of that signature, needs no proof to go.
    let accepted = known.chain.acknowledged_before(before);
    if let Some(accepted) = accepted.filter(|accepted| accepted.seq > begin.seq) {
        begin = accepted.clone();
    }
    let ends = [newest.end.clone(), known.proven.clone()].into_iter();
    let ends = ends.chain(app.store.audit_written());
    Ok(Some(Before {
        known: ends.filter(|end| end.seq > begin.seq).collect(),
        newest,
        begin,
    }))
}

/// Gives the last event that may go, as the newest checkpoint says; nothing where it may say nothing.
async fn prune_signed(
    app: &App,
    before: Timestamp,
    alone: &Locked,
) -> Result<Option<i64>, ServiceError> {
    let Some(found) = known_before(app, before).await? else {
        return Ok(None);
    };
    let done = found.newest.pruned.seq;
    let prunable = prunable(app, before).await?;
    let Some(end) = prunable.filter(|end| end.seq > done && found.is_worthwhile(end.seq)) else {
        return Ok(Some(done));
    };
    match walk(app, &found, end.seq, before, alone).await? {
        Ok(Some(end)) => sign(app, &found, end, before).await,
        Ok(None) => Ok(Some(done)),
        Err(broken) => refuse(app, &found, &broken).await.map(|()| None),
    }
}

impl Before {
    fn is_worthwhile(&self, through: i64) -> bool {
        let earlier = self.newest.authentic_after - self.begin.seq;
        through > self.newest.authentic_after
            || earlier < LONG
            || (through - self.begin.seq) * WORTHWHILE >= earlier
    }
}

/// Walks what is to go. Nobody waits for it: it reads, a part at a time.
async fn walk(
    app: &App,
    found: &Before,
    through: i64,
    before: Timestamp,
    alone: &Locked,
) -> Result<Result<Option<AuditEnd>, BrokenAudit>, ServiceError> {
    let accepted = Some(found.begin.clone()).filter(|begin| *begin != found.newest.pruned);
    if through <= found.begin.seq {
        return Ok(Ok(accepted.filter(|accepted| accepted.seq == through)));
    }
    let mut old = app.store.begin_old_audit(OldPart {
        begin: found.begin.clone(),
        through,
        before,
        authentic_after: found.newest.authentic_after,
        known: found.known.clone(),
    });
    loop {
        let step = app.store.prove_old_audit(&mut old).await?;
        alone.check().await?;
        match step {
            OldStep::More => tokio::time::sleep(PAUSE).await,
            OldStep::Proven(end) => return Ok(Ok(end.or(accepted))),
            OldStep::Broken(broken) => return Ok(Err(broken)),
        }
    }
}

/// Signs that the chain begins after `end`, which is proven.
async fn sign(
    app: &App,
    found: &Before,
    end: AuditEnd,
    before: Timestamp,
) -> Result<Option<i64>, ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    let _alone = app.store.lock(Lock::AuditCheckpoints).await?;
    if !checkpoints::follow(app, &mut known).await? {
        return Ok(None);
    }
    let Some(newest) = known.chain.newest() else {
        return Ok(None);
    };
    let done = newest.pruned.seq;
    if newest.pruned != found.newest.pruned || end.seq > known.proven.seq {
        return Ok(Some(done));
    }
    let mut event = app.event(AuditKind::AuditPruned, Actor::System)?;
    event.detail.insert("through_seq".into(), end.seq.into());
    event
        .detail
        .insert("older_than".into(), before.to_string().into());
    let through = end.seq;
    let mut events = skipped(app, through).await?;
    for event in &events {
        tracing::warn!(detail = ?event.detail, "retention removes events that a destination has not received");
    }
    events.push(event);
    let extra = Extra {
        pruned: Some(end),
        events,
        ..Extra::default()
    };
    checkpoints::sign(app, &mut known, extra).await?;
    let mut tx = app.store.begin().await?;
    tx.skip_audit_forwards(through).await?;
    tx.commit().await?;
    Ok(Some(through))
}

/// Says that what is to go is not as it was written, and removes nothing.
async fn refuse(app: &App, found: &Before, broken: &BrokenAudit) -> Result<(), ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    if !checkpoints::follow(app, &mut known).await? {
        return Ok(());
    }
    let is_same = known.chain.newest().is_some_and(|newest| {
        newest.pruned == found.newest.pruned && newest.epoch == found.newest.epoch
    });
    if !is_same {
        // The log was pruned or acknowledged elsewhere meanwhile.
        return Ok(());
    }
    if broken.seq <= known.chain.acknowledged() {
        tracing::warn!(
            seq = broken.seq,
            reason = %broken.reason,
            "retention removes nothing: the log is not as it was written at this event, which was acknowledged. It goes when the acknowledgement is as old as the retention"
        );
        return Ok(());
    }
    let discontinuity = Discontinuity {
        found_at: app.clock.now(),
        place: format!("event {}", broken.seq),
        expected: "events as they were written, which retention may remove".to_owned(),
        found: broken.reason.to_string(),
    };
    checkpoints::discontinued(app, discontinuity).await?;
    Ok(())
}

/// What is old enough, counted for the dashboard, and forwarded where it is to be, unless a destination has been
/// away for too long.
async fn prunable(app: &App, before: Timestamp) -> Result<Option<AuditEnd>, ServiceError> {
    let Some(end) = app.store.audit_batch_end_at(before).await? else {
        return Ok(None);
    };
    let waited = app
        .store
        .audit_batch_end_at(before.minus(app.audit_forward_wait));
    let waited = waited.await?.map_or(0, |end| end.seq);
    let used = app.store.audit_used_through(waited).await?;
    if end.seq <= used {
        return Ok(Some(end));
    }
    Ok(app.store.audit_batch_end(used + 1).await?)
}

/// The destinations that have not received everything through `seq`, each as an event.
async fn skipped(app: &App, seq: i64) -> Result<Vec<AuditEvent>, ServiceError> {
    let mut events = Vec::new();
    for (destination, received) in app.store.audit_forwards_behind(seq).await? {
        let mut event = app.event(AuditKind::AuditForwardSkipped, Actor::System)?;
        event
            .detail
            .insert("destination".into(), destination.into());
        event.detail.insert("after_seq".into(), received.into());
        event.detail.insert("through_seq".into(), seq.into());
        events.push(event);
    }
    Ok(events)
}
