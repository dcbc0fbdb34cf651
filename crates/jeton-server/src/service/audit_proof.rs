//! The proof of the audit log: walking its chain past signed checkpoints and what this server remembers.
//!
//! The chain alone shows that nothing between its ends was altered, and that servers wrote it. A checkpoint
//! signs an end of it, so that everything before it is proven; what a server remembers shows that nothing
//! was put back.

use jeton_jose::{UnverifiedToken, verify_statement};
use jeton_store::{
    AuditCheckpoint, AuditEnd, AuditSpan, AuditWalk, BrokenAudit, BrokenReason, Lock,
};
use serde::Deserialize;

use super::{ServiceError, audit_schema, checkpoints};
use crate::app::App;
use crate::audit::{Known, WHAT_TO_DO, Way, walk};

/// The `typ` of a checkpoint as earlier versions signed it.
const EARLIER_TYP: &str = "jeton-audit-checkpoint+jwt";
/// So many events are walked for one answer.
const SPAN: i64 = 20_000;

/// What such a checkpoint says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct EarlierStatement {
    seq: i64,
    batch_hash: String,
    /// Whether the events up to it were removed.
    pruned: bool,
}

/// Part of the log, walked.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The last event that is proven.
    pub(crate) last: i64,
    /// Events walked.
    pub(crate) events: u64,
    /// Checkpoints verified.
    pub(crate) checkpoints: usize,
    /// Whether it reaches the end of the log.
    pub(crate) is_end: bool,
    /// What does not fit.
    pub(crate) broken: Option<Broken>,
    /// What of the database is not Jeton's, and on which the proof does not depend.
    pub(crate) foreign: Vec<String>,
}

/// What does not fit.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// The first event that is not proven.
    pub(crate) seq: i64,
    /// What is wrong.
    pub(crate) reason: String,
    /// What this server remembers, where it remembers another log.
    pub(crate) expected: Option<String>,
    /// What the database holds instead.
    pub(crate) found: Option<String>,
    /// What to do next.
    pub(crate) next_step: &'static str,
}

/// Where events were altered: who remembers what they were.
const COMPARE: &str = "what comes before is proven; compare the rest with an export, with what was \
     forwarded, or with a backup";

/// Where a row is that nobody is removing.
const BEFORE_BEGIN: &str = "if a server ended in the middle of its retention, the next round removes the rest: \
     run this again in an hour. Otherwise somebody who can write to the database added this row";

impl From<BrokenAudit> for Broken {
    fn from(broken: BrokenAudit) -> Self {
        let next_step = match broken.reason {
            BrokenReason::HiddenToken => {
                "stop the server and run REINDEX audit_event_jti in the database; the events themselves are proven"
            }
            BrokenReason::Hidden | BrokenReason::HiddenTime => {
                "run jeton audit reindex, which makes the list anew; the events themselves are proven"
            }
            BrokenReason::BeforeBegin => BEFORE_BEGIN,
            _ => COMPARE,
        };
        Self {
            seq: broken.seq,
            reason: broken.reason.to_string(),
            next_step,
            ..Self::default()
        }
    }
}

/// What has to be in the log.
struct MustHold {
    known: Vec<AuditEnd>,
    /// Where it begins, and after which event every batch is authenticated, as the newest checkpoint says;
    /// nothing where there is none.
    signed: Option<(AuditEnd, i64)>,
    acknowledged: i64,
}

impl MustHold {
    fn of(app: &App, known: &Known) -> Self {
        let newest = known.chain.newest();
        let pruned = newest.map_or(0, |newest| newest.pruned.seq);
        let ends = newest.map(|newest| newest.end.clone()).into_iter();
        let ends = ends.chain(app.store.audit_written());
        Self {
            known: ends
                .chain([known.proven.clone()])
                .filter(|end| end.seq > pruned)
                .collect(),
            signed: newest.map(|newest| (newest.pruned.clone(), newest.authentic_after)),
            acknowledged: known.chain.acknowledged(),
        }
    }
}

/// Walks the chain on from `after`, and verifies the checkpoints on the way. From the beginning, it also
/// verifies that the checkpoints continue one another, and what this server remembers.
pub(crate) async fn verify(app: &App, after: i64) -> Result<Verified, ServiceError> {
    if after > 0 {
        return verify_events(app, after).await;
    }
    let schema = app.store.check_schema().await?;
    let mut verified = match audit_schema::broken(&schema) {
        Some(broken) => Verified::unwalked(broken),
        None => verify_events(app, after).await?,
    };
    verified.foreign = schema.foreign;
    Ok(verified)
}

async fn verify_events(app: &App, after: i64) -> Result<Verified, ServiceError> {
    // What other servers signed meanwhile is taken over, and what was cut off since is noticed, first.
    let mut must_hold = must_hold(app, after <= 0).await?;
    if after <= 0
        && let Some(broken) = verify_checkpoints(app).await?
    {
        return Ok(Verified::unwalked(broken));
    }
    let span = loop {
        let Some((begin, authentic_after)) = &must_hold.signed else {
            let span = verify_earlier_form(app, after).await?;
            return Ok(verified(span));
        };
        let span = walk_signed(app, after, &must_hold, begin, *authentic_after).await?;
        if span.broken.is_none() {
            break span;
        }
        // Retention may have signed and removed something since the beginning was looked at.
        let now = self::must_hold(app, true).await?;
        if now.signed == must_hold.signed {
            break span;
        }
        must_hold = now;
    };
    let unanswered = span
        .discontinuities
        .iter()
        .copied()
        .find(|seq| *seq > must_hold.acknowledged);
    let mut verified = verified(span);
    if let (None, Some(seq)) = (&verified.broken, unanswered) {
        verified.broken = Some(Broken {
            seq,
            reason: "at this event a server said that the log does not continue what it remembers; the event has the details"
                .to_owned(),
            next_step: WHAT_TO_DO,
            ..Broken::default()
        });
    }
    Ok(verified)
}

async fn must_hold(app: &App, follow: bool) -> Result<MustHold, ServiceError> {
    let mut known = app.audit_memory.known.lock().await;
    if follow {
        checkpoints::follow(app, &mut known).await?;
    }
    Ok(MustHold::of(app, &known))
}

/// Walks a span from where the newest checkpoint says that the log begins, or after `after`.
async fn walk_signed(
    app: &App,
    after: i64,
    must_hold: &MustHold,
    begin: &AuditEnd,
    authentic_after: i64,
) -> Result<AuditSpan, ServiceError> {
    let what = AuditWalk {
        begin: Some(begin),
        after,
        limit: SPAN,
        known: &must_hold.known,
        authentic_after: Some(authentic_after),
    };
    let mut span = app.store.walk_audit(&what).await?;
    if span.broken.is_none() {
        span.broken = misled(app, after.max(begin.seq), span.end.seq).await?;
    }
    if span.broken.is_none() && after <= 0 {
        span.broken = before_begin(app, begin.seq).await?;
    }
    Ok(span)
}

/// A row where everything was removed, unless that is still under way. No event has a number below 1.
async fn before_begin(app: &App, begin: i64) -> Result<Option<BrokenAudit>, ServiceError> {
    let found = app.store.audit_event_before(begin).await?;
    if found.as_ref().is_none_or(|found| found.seq <= 0) {
        return Ok(found);
    }
    // Whoever removes holds these from before the checkpoint is signed until the last row is gone.
    let Ok(_pruning) = app.audit_memory.pruning.try_lock() else {
        return Ok(None);
    };
    match app.store.try_lock(Lock::AuditRetention).await? {
        Some(_alone) => Ok(app.store.audit_event_before(begin).await?),
        None => Ok(None),
    }
}

fn verified(span: AuditSpan) -> Verified {
    Verified {
        last: span.end.seq,
        events: span.events,
        checkpoints: span.notes.len() + span.checkpoints.len(),
        is_end: span.is_end,
        broken: span.broken.map(Broken::from),
        foreign: Vec::new(),
    }
}

impl Verified {
    /// What does not fit was found before the first event.
    fn unwalked(broken: Broken) -> Self {
        Self {
            last: 0,
            events: 0,
            checkpoints: 0,
            is_end: false,
            broken: Some(broken),
            foreign: Vec::new(),
        }
    }
}

/// What leads to events and does not lead to all of them.
async fn misled(app: &App, after: i64, last: i64) -> Result<Option<BrokenAudit>, ServiceError> {
    if let Some(hidden) = app.store.hidden_audit_event(after, last).await? {
        return Ok(Some(hidden));
    }
    match app.store.hidden_token_event(after, last).await? {
        Some(hidden) => Ok(Some(hidden)),
        None => Ok(app.store.hidden_clock_step(after, last).await?),
    }
}

/// Whether the checkpoints continue one another, and what this server remembers.
async fn verify_checkpoints(app: &App) -> Result<Option<Broken>, ServiceError> {
    if let Some(found) = app.audit_memory.discontinuity() {
        return Ok(Some(Broken {
            seq: 0,
            reason: format!("the log does not continue: {found}"),
            expected: Some(found.expected.clone()),
            found: Some(found.found.clone()),
            next_step: WHAT_TO_DO,
        }));
    }
    let known = app.audit_memory.known.lock().await;
    let number = known.chain.number();
    let walked = walk(&app.store, &known.keys, Way::past(number)).await?;
    let broken = |number: i64, found: String| Broken {
        seq: ends_before(&walked.ends),
        reason: format!("checkpoint {number}: {found}"),
        expected: Some(format!("checkpoint {number}")),
        found: Some(found),
        next_step: WHAT_TO_DO,
    };
    if let Some((number, fault)) = walked.fault {
        return Ok(Some(broken(number, fault.to_string())));
    }
    let found = match (&walked.at, known.chain.key()) {
        (None, _) if number == 0 => return Ok(None),
        (None, _) => "it is missing",
        (Some((root, _)), _) if *root != known.chain.root() => "another is in its place",
        (_, Some(key)) if !walked.chain.knows_key(key) => "another key signed it",
        _ => return Ok(None),
    };
    Ok(Some(broken(number, found.to_owned())))
}

fn ends_before(ends: &[(i64, AuditEnd)]) -> i64 {
    ends.last().map_or(0, |(_, end)| end.seq) + 1
}

/// Verifies a log as versions before migration 6 wrote it, whose checkpoints were signed with the keys of
/// tokens. They count until the first checkpoint of today's form.
pub(super) async fn verify_earlier_form(app: &App, after: i64) -> Result<AuditSpan, ServiceError> {
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
        span.broken = misled(app, after, span.end.seq).await?;
    }
    Ok(span)
}

fn is_signed(app: &App, checkpoint: &AuditCheckpoint) -> bool {
    let Ok(token) = UnverifiedToken::parse(&checkpoint.signature) else {
        return false;
    };
    let Some(key) = app.keys.ever(token.kid()) else {
        return false;
    };
    verify_statement::<EarlierStatement>(&token, &key, EARLIER_TYP).is_ok_and(|statement| {
        statement.seq == checkpoint.seq
            && statement.batch_hash == checkpoint.batch_hash
            && statement.pruned == checkpoint.pruned_at.is_some()
    })
}
