//! At start: whether the database continues what this server remembers.

use jeton_core::Clock;
use jeton_jose::{NoteVerifier, TreeHash, UnverifiedNote};
use jeton_store::{AuditEnd, BrokenLink, Store, StoreError};

use super::checkpoint::{Chain, ChainFault, Checkpoint, Trust};
use super::memory::{
    Acknowledgement, Discontinuity, Followed, Known, MemoryError, MemoryFiles, WrittenEnd,
};
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
    AcknowledgedElsewhere {
        /// The newest checkpoint remembered before.
        remembered: Box<Checkpoint>,
    },
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

/// How the checkpoints of a database are walked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// Of those before this number the root alone is to be compared; the signatures of this one and of the
    /// later ones are verified.
    pub(crate) trusted: i64,
    /// What the chain is after this number is wanted.
    pub(crate) at: i64,
    /// The walk ends after this number.
    pub(crate) until: i64,
}

impl Way {
    /// Every signature is verified; what the chain is after `number` is wanted.
    pub(crate) const fn past(number: i64) -> Self {
        Self {
            trusted: 0,
            at: number,
            until: i64::MAX,
        }
    }
}

/// The checkpoints of a database, walked.
pub(crate) struct Walked {
    pub(crate) chain: Chain,
    /// The newest of them whose notes are there, oldest first: their numbers, and the ends of the log that they
    /// cover.
    pub(crate) ends: Vec<(i64, AuditEnd)>,
    /// The root after the number that was asked for, and the key that signed there.
    pub(crate) at: Option<(TreeHash, Option<NoteVerifier>)>,
    /// The number of the first that does not fit, and why.
    pub(crate) fault: Option<(i64, ChainFault)>,
}

/// Walks the checkpoints, from the first.
pub(crate) async fn walk(store: &Store, keys: &AuditKeys, way: Way) -> Result<Walked, StoreError> {
    let mut walked = Walked {
        chain: Chain::default(),
        ends: Vec::new(),
        at: None,
        fault: None,
    };
    let mut from = 1;
    loop {
        let rows = store.audit_notes(from, STEP).await?;
        for row in &rows {
            if row.number > way.until {
                return Ok(walked);
            }
            let trust = if row.number < way.trusted {
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
            if row.note.is_some() {
                walked.ends.push((row.number, row.end.clone()));
            }
            if row.number == way.at {
                walked.at = Some((walked.chain.root(), walked.chain.key().cloned()));
            }
        }
        match rows.last() {
            Some(last) => from = last.number + 1,
            None => break,
        }
    }
    walked.fault = walked.chain.fault_at_end();
    Ok(walked)
}

/// The checkpoints of the database where they say, each signed with the key of its time, that somebody
/// acknowledged a step back since what is followed: another epoch began, and the key of what is followed signed
/// it, or one that succeeds that key.
pub(crate) async fn stepped_back(
    store: &Store,
    keys: &AuditKeys,
    followed: &Followed,
) -> Result<Option<Chain>, StoreError> {
    let (epoch, key) = match followed {
        Followed::Nobody => return Ok(None),
        Followed::Anybody => (0, None),
        Followed::Signed { epoch, key } => (*epoch, Some(key)),
    };
    // Most often there is none, as the newest says by itself.
    let newest = store.last_audit_note().await?;
    let newest = newest.and_then(|row| unverified(&row.note?));
    if newest.is_none_or(|newest| newest.epoch <= epoch) {
        return Ok(None);
    }
    let Walked { chain, fault, .. } = walk(store, keys, Way::past(0)).await?;
    let follows = fault.is_none()
        && chain.newest().is_some_and(|newest| newest.epoch > epoch)
        && key.is_none_or(|key| chain.knows_key(key));
    Ok(follows.then_some(chain))
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
    let note = files.note()?;
    let (chain, proven, outcome) = comparison.compare(files, note.as_deref()).await?;
    // What the database holds is not what this server remembers: nothing of it is known.
    let known = match &outcome {
        Outcome::Broken(_) => Known {
            followed: Some(
                match (&note, note.as_deref().and_then(|n| signed(n, &keys))) {
                    (_, Some(signed)) => Followed::Signed {
                        epoch: signed.checkpoint.epoch,
                        key: signed.key,
                    },
                    (Some(_), None) => Followed::Nobody,
                    (None, None) => Followed::Anybody,
                },
            ),
            keys,
            chain: Chain::default(),
            proven: AuditEnd::genesis(),
        },
        _ => Known {
            followed: None,
            keys,
            chain,
            proven,
        },
    };
    Ok(Recalled { known, outcome })
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

    async fn compare(
        &self,
        files: &MemoryFiles,
        note: Option<&str>,
    ) -> Result<Compared, RecallError> {
        let written = files.end()?;
        let remembered = note.and_then(|note| signed(note, self.keys));
        if let Some(acknowledgement) = files.acknowledgement()? {
            let epoch = note.and_then(unverified).map_or(0, |newest| newest.epoch);
            let remembered = remembered.map(|signed| signed.checkpoint);
            return self.acknowledged(acknowledgement, remembered, epoch).await;
        }
        let lost = |outcome| Ok((Chain::default(), AuditEnd::genesis(), outcome));
        if let Some(signed) = &remembered
            && let Some((chain, outcome)) = self.acknowledged_elsewhere(signed).await?
        {
            return self.continues(chain, None, outcome).await;
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
        let number = remembered
            .as_ref()
            .map_or(0, |signed| signed.checkpoint.number);
        let way = Way {
            trusted: number,
            ..Way::past(number)
        };
        let walked = walk(self.store, self.keys, way).await?;
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
        let known = remembered.map(|signed| signed.checkpoint.end).into_iter();
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

    /// The checkpoints of another epoch, which another server began. Nothing of them is trusted for what is
    /// remembered: they stand by their own signatures.
    async fn acknowledged_elsewhere(
        &self,
        remembered: &Signed,
    ) -> Result<Option<(Chain, Outcome)>, StoreError> {
        let followed = Followed::Signed {
            epoch: remembered.checkpoint.epoch,
            key: remembered.key.clone(),
        };
        let chain = stepped_back(self.store, self.keys, &followed).await?;
        Ok(chain.map(|chain| {
            let remembered = Box::new(remembered.checkpoint.clone());
            (chain, Outcome::AcknowledgedElsewhere { remembered })
        }))
    }

    /// What of the checkpoints does not fit.
    fn compare_checkpoints(&self, walked: &Walked, remembered: Option<&Signed>) -> Option<Outcome> {
        if let Some(Signed { checkpoint, key }) = remembered {
            let number = checkpoint.number;
            let place = format!("checkpoint {number}");
            let expected = format!("{place}, signed {}", checkpoint.at);
            let found = match &walked.at {
                Some((root, _)) if *root != checkpoint.root => "another in its place".to_owned(),
                Some((_, Some(signer))) if signer.is_same_key(key) => String::new(),
                Some(_) => "one that another key signed".to_owned(),
                None => match (walked.chain.number(), walked.fault) {
                    (_, Some((number, fault))) => format!("checkpoint {number}: {fault}"),
                    (0, None) => "no checkpoints".to_owned(),
                    (newest, None) => format!("checkpoints up to number {newest}"),
                },
            };
            if !found.is_empty() {
                return Some(self.broken(place, expected, found));
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
        acknowledgement: Acknowledgement,
        remembered: Option<Checkpoint>,
        epoch: i64,
    ) -> Result<Compared, RecallError> {
        let end = AuditEnd {
            seq: acknowledgement.seq,
            hash: acknowledgement.batch_hash.clone(),
        };
        // Where something was remembered, its root is not compared: nothing of it is trusted.
        let walked = walk(self.store, self.keys, Way::past(0)).await?;
        let newest = walked.chain.newest().map_or(0, |newest| newest.epoch);
        let mut until = 0;
        for (number, place) in walked.ends.iter().rev() {
            if self.misses(&walked.chain, place).await?.is_none() {
                until = *number;
                break;
            }
        }
        let way = Way {
            until,
            ..Way::past(0)
        };
        let walked = walk(self.store, self.keys, way).await?;
        if end.seq > 0
            && let Some(outcome) = self.misses(&walked.chain, &end).await?
        {
            return Ok((walked.chain, end, outcome));
        }
        let outcome = Outcome::Acknowledged {
            acknowledgement,
            remembered: remembered.map(Box::new),
            epoch: self.epoch_after(epoch.max(newest)),
        };
        Ok((walked.chain, end, outcome))
    }

    /// Another server may remember a later epoch than this one and the database do: the time is above all of
    /// them.
    fn epoch_after(&self, known: i64) -> i64 {
        known.saturating_add(1).max(self.clock.now().as_millis())
    }
}

/// A checkpoint, and the key that signed it.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) key: NoteVerifier,
}

/// The checkpoint of a note that one of the keys signed; not only the one that it says is retired.
pub(crate) fn signed(note: &str, keys: &AuditKeys) -> Option<Signed> {
    let unverified = UnverifiedNote::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(unverified.unverified_text())?;
    let key = keys.checkpoint.iter().find_map(|key| {
        let named = key.verifier.named(&checkpoint.origin).ok()?;
        let is_retired = |old: &NoteVerifier| old.is_same_key(&named);
        let vouches = !checkpoint.succeeds.as_ref().is_some_and(is_retired);
        (vouches && unverified.verify(&named).is_ok()).then_some(named)
    })?;
    Some(Signed { checkpoint, key })
}

/// What a note says, whoever signed it.
fn unverified(note: &str) -> Option<Checkpoint> {
    let unverified = UnverifiedNote::parse(note).ok()?;
    Checkpoint::parse(unverified.unverified_text())
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
