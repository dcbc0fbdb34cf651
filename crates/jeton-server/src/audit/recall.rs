//! At start: whether the database continues what this server remembers.

use jeton_core::{Clock, hex};
use jeton_jose::{TreeHash, UnverifiedNote};
use jeton_store::{AuditEnd, AuditNote, BrokenLink, Store, StoreError};

use super::checkpoint::{Chain, ChainFault, Checkpoint, Trust};
use super::memory::{Acknowledgement, Discontinuity, Known, MemoryError, MemoryFiles, WrittenEnd};
use crate::keys::AuditKeys;

/// Why the memory cannot be compared with the database.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// The files.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checkpoints read at once.
const STEP: u32 = 2_000;
/// As many ends of checkpoints, or twice as many, are remembered while walking them.
const ENDS: usize = 10_000;

/// What the comparison came to.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) known: Known,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    /// There are no checkpoints, and none are remembered.
    New,
    /// The database continues the memory.
    Continues {
        /// How far this server wrote is not known any more: the file was removed or altered, or a crash
        /// spoiled it.
        is_end_lost: bool,
    },
    /// There was no memory; the newest checkpoint of the database is taken over.
    Adopted,
    /// Another server signed that the log stepped back, which somebody acknowledged there.
    AcknowledgedElsewhere,
    /// Somebody acknowledged here that the log stepped back.
    Acknowledged {
        acknowledgement: Acknowledgement,
        /// The newest checkpoint remembered before.
        remembered: Option<Box<Checkpoint>>,
        /// The first checkpoint that is to go.
        epoch: i64,
    },
    /// It does not continue.
    Broken(Discontinuity),
}

/// The checkpoints of a database, walked.
pub(crate) struct Walked {
    pub(crate) chain: Chain,
    /// The ends of the newest of them, oldest first.
    pub(crate) ends: Vec<AuditEnd>,
    /// The root over the first so many of them as were asked for.
    pub(crate) root: Option<TreeHash>,
    /// The number of the first that does not fit, and why.
    pub(crate) fault: Option<(i64, ChainFault)>,
}

/// Walks all checkpoints. Of the first `trusted` the root alone is to be compared; the others' signatures
/// are verified. Stops after number `until`.
pub(crate) async fn walk(
    store: &Store,
    keys: &AuditKeys,
    trusted: i64,
    until: i64,
) -> Result<Walked, StoreError> {
    let mut walked = Walked {
        chain: Chain::default(),
        ends: Vec::new(),
        root: None,
        fault: None,
    };
    let mut from = 1;
    loop {
        let rows = store.audit_notes(from, STEP).await?;
        for row in &rows {
            if row.number > until {
                return Ok(walked);
            }
            let trust = if row.number <= trusted {
                Trust::LaterRoot
            } else {
                Trust::Signature
            };
            if let Err(fault) = walked.chain.push(row, keys, trust) {
                walked.fault = Some((row.number, fault));
                return Ok(walked);
            }
            if walked.ends.len() >= 2 * ENDS {
                walked.ends.drain(..ENDS);
            }
            walked.ends.push(row.end.clone());
            if row.number == trusted {
                walked.root = Some(walked.chain.root());
            }
        }
        match rows.last() {
            Some(last) => from = last.number + 1,
            None => return Ok(walked),
        }
    }
}

/// Compares.
pub(crate) async fn recall(
    store: &Store,
    keys: AuditKeys,
    files: &MemoryFiles,
    clock: &dyn Clock,
) -> Result<Recalled, RecallError> {
    let comparison = Comparison {
        store,
        keys: &keys,
        clock,
    };
    let (chain, proven, outcome) = comparison.compare(files).await?;
    Ok(Recalled {
        known: Known {
            keys,
            chain,
            proven,
        },
        outcome,
    })
}

struct Comparison<'a> {
    store: &'a Store,
    keys: &'a AuditKeys,
    clock: &'a dyn Clock,
}

type Compared = (Chain, AuditEnd, Outcome);

impl Comparison<'_> {
    fn broken(&self, place: String, expected: String, found: String) -> Outcome {
        Outcome::Broken(Discontinuity {
            found_at: self.clock.now(),
            place,
            expected,
            found,
        })
    }

    async fn compare(&self, files: &MemoryFiles) -> Result<Compared, RecallError> {
        let note = files.note()?;
        let written = files.end()?;
        let remembered = note.as_deref().and_then(|note| signed(note, self.keys));
        let trusted = remembered.as_ref().map_or(0, |newest| newest.number);
        let walked = walk(self.store, self.keys, trusted, i64::MAX).await?;
        if let Some(acknowledgement) = files.acknowledgement()? {
            return self.acknowledged(walked, acknowledgement, remembered).await;
        }
        let lost = |outcome| Ok((walked.chain.clone(), AuditEnd::genesis(), outcome));
        if let Some(remembered) = &remembered
            && walked.fault.is_none()
            && walked
                .chain
                .newest()
                .is_some_and(|newest| newest.epoch > remembered.epoch)
        {
            let chain = walked.chain.clone();
            return self
                .continues(chain, None, Outcome::AcknowledgedElsewhere)
                .await;
        }
        if let Some(found) = written.as_ref().and_then(|end| end.discontinuity.clone()) {
            return lost(Outcome::Broken(found));
        }
        let remembered = match (note, remembered) {
            (Some(_), None) => {
                return lost(self.broken(
                    "its newest checkpoint".into(),
                    "one that is signed with a checkpoint key of this installation".into(),
                    "no such key, or the file audit-checkpoint.txt was altered".into(),
                ));
            }
            (_, remembered) => remembered,
        };
        if let Some(outcome) = self.compare_checkpoints(&walked, remembered.as_ref()) {
            return lost(outcome);
        }
        let outcome = match (&remembered, walked.chain.newest()) {
            (Some(_), _) => Outcome::Continues {
                is_end_lost: written.is_none(),
            },
            (None, Some(_)) => Outcome::Adopted,
            // There is nothing yet that the log would have to continue but what was written.
            (None, None) => Outcome::New,
        };
        let known = remembered.map(|remembered| remembered.end).into_iter();
        let written = written
            .filter(|written| written.seq > 0)
            .map(|written| AuditEnd {
                seq: written.seq,
                hash: written.batch_hash,
            });
        let known: Vec<_> = known.chain(written).collect();
        for end in &known {
            if let Some(outcome) = self.misses(&walked.chain, end).await? {
                return lost(outcome);
            }
        }
        self.continues(walked.chain, Some(known), outcome).await
    }

    /// What of the checkpoints does not fit.
    fn compare_checkpoints(
        &self,
        walked: &Walked,
        remembered: Option<&Checkpoint>,
    ) -> Option<Outcome> {
        if let Some(remembered) = remembered {
            let number = remembered.number;
            let place = format!("checkpoint {number}");
            let expected = format!("{place}, signed {}", remembered.at);
            match walked.root {
                Some(root) if root == remembered.root => {}
                Some(_) => {
                    let found = "another in its place".to_owned();
                    return Some(self.broken(place, expected, found));
                }
                None => {
                    let found = match (walked.chain.number(), walked.fault) {
                        (0, _) => "no checkpoints".to_owned(),
                        (newest, None) => format!("checkpoints up to number {newest}"),
                        (_, Some((number, fault))) => format!("checkpoint {number}: {fault}"),
                    };
                    return Some(self.broken(place, expected, found));
                }
            }
        }
        let (number, fault) = walked.fault?;
        let expected = "checkpoints that continue one another".to_owned();
        Some(self.broken(format!("checkpoint {number}"), expected, fault.to_string()))
    }

    /// Whether the log lacks a batch that is known to be in it.
    async fn misses(&self, chain: &Chain, end: &AuditEnd) -> Result<Option<Outcome>, StoreError> {
        if chain
            .newest()
            .is_some_and(|newest| newest.pruned.seq >= end.seq)
        {
            return Ok(None);
        }
        let found = self.store.audit_end_at(end.seq).await?;
        if found.as_ref() == Some(end) {
            return Ok(None);
        }
        let link = BrokenLink {
            seq: end.seq,
            expected: Some(end.clone()),
            found,
        };
        Ok(Some(Outcome::Broken(describe(&link, self.clock))))
    }

    /// Whether the log continues the newest checkpoint.
    async fn continues(
        &self,
        chain: Chain,
        known: Option<Vec<AuditEnd>>,
        outcome: Outcome,
    ) -> Result<Compared, RecallError> {
        let Some(newest) = chain.newest().cloned() else {
            return Ok((chain, AuditEnd::genesis(), outcome));
        };
        if let Some(outcome) = self.misses(&chain, &newest.end).await? {
            return Ok((chain, newest.end, outcome));
        }
        let mut known = known.unwrap_or_default();
        known.retain(|end| end.seq > newest.end.seq);
        let links = self.store.prove_audit_links(&newest.end, &known).await?;
        match links.broken {
            Some(link) => {
                let outcome = Outcome::Broken(describe(&link, self.clock));
                Ok((chain, links.end, outcome))
            }
            None => Ok((chain, links.end, outcome)),
        }
    }

    /// Takes the newest checkpoint of the database that is whole and whose place the log has.
    async fn acknowledged(
        &self,
        walked: Walked,
        acknowledgement: Acknowledgement,
        remembered: Option<Checkpoint>,
    ) -> Result<Compared, RecallError> {
        let end = AuditEnd {
            seq: acknowledgement.seq,
            hash: acknowledgement.batch_hash.clone(),
        };
        let newest_epoch = walked.chain.newest().map_or(0, |newest| newest.epoch);
        let epoch = remembered.as_ref().map_or(0, |newest| newest.epoch);
        // Where something was remembered, its root is not compared: nothing of it is trusted.
        let walked = walk(self.store, self.keys, 0, i64::MAX).await?;
        let mut number = 0;
        for (place, candidate) in walked.ends.iter().rev().zip(0..) {
            if self.misses(&walked.chain, place).await?.is_none() {
                number = walked.chain.number() - candidate;
                break;
            }
        }
        let walked = walk(self.store, self.keys, 0, number).await?;
        if end.seq > 0
            && let Some(outcome) = self.misses(&walked.chain, &end).await?
        {
            return Ok((walked.chain, end, outcome));
        }
        let outcome = Outcome::Acknowledged {
            acknowledgement,
            remembered: remembered.map(Box::new),
            epoch: epoch.max(newest_epoch) + 1,
        };
        Ok((walked.chain, end, outcome))
    }
}

/// The checkpoint of a note that one of the keys signed.
pub(crate) fn signed(note: &str, keys: &AuditKeys) -> Option<Checkpoint> {
    let unverified = UnverifiedNote::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(unverified.unverified_text())?;
    keys.checkpoint.iter().find_map(|key| {
        let named = key.verifier.named(&checkpoint.origin).ok()?;
        unverified.verify(&named).ok()
    })?;
    Some(checkpoint)
}

/// Whether a row is a checkpoint's.
pub(crate) fn is_same(row: &AuditNote, checkpoint: &Checkpoint) -> bool {
    row.number == checkpoint.number && row.leaf == hex::encode(&checkpoint.leaf())
}

/// What does not continue, for people.
pub(crate) fn describe(link: &BrokenLink, clock: &dyn Clock) -> Discontinuity {
    let batch = |end: &AuditEnd| {
        let hash = end.hash.get(..16).unwrap_or(&end.hash);
        format!("a batch that ends with event {} (hash {hash}…)", end.seq)
    };
    let expected = match &link.expected {
        Some(end) => batch(end),
        None => "a batch that a server of this installation wrote after the one before".to_owned(),
    };
    let found = match &link.found {
        Some(end) if link.expected.is_some() => batch(end),
        Some(end) => format!("{}, which none wrote", batch(end)),
        None => "no such batch".to_owned(),
    };
    Discontinuity {
        found_at: clock.now(),
        place: format!("event {}", link.seq),
        expected,
        found,
    }
}

impl From<AuditEnd> for WrittenEnd {
    fn from(end: AuditEnd) -> Self {
        Self {
            seq: end.seq,
            batch_hash: end.hash,
            discontinuity: None,
        }
    }
}
