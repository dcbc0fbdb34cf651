//! What a checkpoint says, and whether checkpoints continue one another.
//!
//! A checkpoint is a C2SP `tlog-checkpoint`: origin, size, root, and lines of Jeton's own. The log is that
//! of the checkpoints themselves: the leaf of each is its text but for the root, so that the root of the
//! newest commits to all before it, and a witness that has seen one can tell whether another continues it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{Timestamp, hex};
use jeton_jose::{MerkleTree, NoteVerifier, TreeHash, UnverifiedNote, leaf_hash};
use jeton_store::{AuditEnd, AuditNote};

use crate::keys::AuditKeys;

/// Checkpoints whose notes are kept: about a week of them. Of older ones the leaves stay, and with them the
/// proof that a note kept elsewhere is one of this log.
pub(crate) const KEPT: i64 = 10_000;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The name of the log.
    pub(crate) origin: String,
    /// Its number, from 1: the size of the tree.
    pub(crate) number: i64,
    /// The root of the tree over all checkpoints up to this one.
    pub(crate) root: TreeHash,
    /// The end of the audit log that it covers.
    pub(crate) end: AuditEnd,
    /// Signing time.
    pub(crate) at: Timestamp,
    /// How often somebody acknowledged that the log stepped back.
    pub(crate) epoch: i64,
    /// Every batch after this event is authenticated.
    pub(crate) authentic_after: i64,
    /// Events up to here were removed, as the retention says.
    pub(crate) pruned: AuditEnd,
    /// The key that signed until the checkpoint before, and signs no more.
    pub(crate) succeeds: Option<NoteVerifier>,
    /// Why the log stepped back, where somebody acknowledged that it did.
    pub(crate) acknowledges: Option<String>,
}

impl Checkpoint {
    /// Its own lines, below the three of a `tlog-checkpoint`.
    fn lines(&self) -> String {
        let mut lines = format!(
            "seq {}\nbatch {}\ntime {}\nepoch {}\nauthentic-after {}\n",
            self.end.seq, self.end.hash, self.at, self.epoch, self.authentic_after
        );
        // Writing to a String cannot fail.
        if self.pruned.seq > 0 {
            let _ = writeln!(lines, "pruned {} {}", self.pruned.seq, self.pruned.hash);
        }
        if let Some(key) = &self.succeeds {
            let _ = writeln!(lines, "succeeds {key}");
        }
        if let Some(reason) = &self.acknowledges {
            let _ = writeln!(lines, "acknowledges {reason}");
        }
        lines
    }

    /// The text that is signed.
    pub(crate) fn text(&self) -> String {
        let root = STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n{}", self.origin, self.number, self.lines())
    }

    /// The hash of its leaf.
    pub(crate) fn leaf(&self) -> TreeHash {
        let leaf = format!("{}\n{}\n{}", self.origin, self.number, self.lines());
        leaf_hash(leaf.as_bytes())
    }

    /// Reads what [`Self::text`] wrote, to the character; nothing where it is another text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next()?.to_owned();
        let number = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let mut checkpoint = Self {
            origin,
            number,
            root,
            end: AuditEnd::genesis(),
            at: Timestamp::from_millis(0),
            epoch: 0,
            authentic_after: 0,
            pruned: AuditEnd::genesis(),
            succeeds: None,
            acknowledges: None,
        };
        for line in lines {
            let (name, value) = line.split_once(' ')?;
            match name {
                "seq" => checkpoint.end.seq = value.parse().ok()?,
                "batch" => value.clone_into(&mut checkpoint.end.hash),
                "time" => checkpoint.at = value.parse().ok()?,
                "epoch" => checkpoint.epoch = value.parse().ok()?,
                "authentic-after" => checkpoint.authentic_after = value.parse().ok()?,
                "pruned" => {
                    let (seq, hash) = value.split_once(' ')?;
                    checkpoint.pruned.seq = seq.parse().ok()?;
                    hash.clone_into(&mut checkpoint.pruned.hash);
                }
                "succeeds" => checkpoint.succeeds = Some(value.parse().ok()?),
                "acknowledges" => checkpoint.acknowledges = Some(value.to_owned()),
                _ => return None,
            }
        }
        (checkpoint.text() == text).then_some(checkpoint)
    }

    /// Whether its note is never dropped: keys and epochs change with it.
    fn is_kept(&self) -> bool {
        self.number == 1 || self.succeeds.is_some() || self.acknowledges.is_some()
    }

    /// As the store keeps it.
    pub(crate) fn stored(&self, note: String) -> AuditNote {
        AuditNote {
            number: self.number,
            end: self.end.clone(),
            pruned: self.pruned.clone(),
            leaf: hex::encode(&self.leaf()),
            note: Some(note),
            keep: self.is_kept(),
        }
    }
}

/// Why a checkpoint does not continue those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainFault {
    #[error("checkpoints before it are missing")]
    Missing,
    #[error("its signed note is missing")]
    Note,
    #[error("it was altered")]
    Altered,
    #[error("it does not continue the checkpoints before it")]
    Root,
    #[error("it is not signed with the checkpoint key of that time")]
    Signature,
    #[error("it steps back behind the checkpoint before it")]
    StepBack,
}

/// How a checkpoint comes to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its signature is verified.
    Signature,
    /// The root of a later one, which is trusted already, will be compared. Where keys or epochs change, the
    /// signature is verified all the same.
    LaterRoot,
}

/// Checkpoints from the first on, walked one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    tree: MerkleTree,
    newest: Option<(Checkpoint, String)>,
    key: Option<NoteVerifier>,
    retired: Vec<NoteVerifier>,
    acknowledged: Option<(AuditEnd, Timestamp)>,
    acknowledgement: Option<String>,
    /// The numbers of those whose notes are never dropped.
    kept: Vec<i64>,
    /// The last one whose note was dropped.
    dropped: i64,
    /// The last one that says that somebody acknowledged a step back.
    stepped_back: i64,
}

impl Chain {
    /// The number of the last checkpoint; 0 where there is none.
    pub(crate) fn number(&self) -> i64 {
        i64::try_from(self.tree.size()).unwrap_or(i64::MAX)
    }

    /// The root over all of them.
    pub(crate) fn root(&self) -> TreeHash {
        self.tree.root()
    }

    /// The last checkpoint, where its note is there.
    pub(crate) fn newest(&self) -> Option<&Checkpoint> {
        let (newest, _) = self.newest.as_ref()?;
        (newest.number == self.number()).then_some(newest)
    }

    /// Its signed note.
    pub(crate) fn note(&self) -> Option<&str> {
        self.newest()?;
        self.newest.as_ref().map(|(_, note)| note.as_str())
    }

    /// The key that signs now.
    pub(crate) fn key(&self) -> Option<&NoteVerifier> {
        self.key.as_ref()
    }

    /// Whether this key signed part of it: it signs now, or others followed it.
    pub(crate) fn knows_key(&self, key: &NoteVerifier) -> bool {
        let is_current = self.key.as_ref().is_some_and(|own| own.is_same_key(key));
        is_current || self.is_retired(key)
    }

    /// The numbers of those whose notes are never dropped.
    pub(crate) fn kept(&self) -> &[i64] {
        &self.kept
    }

    /// What is missing where these are all: the newest has a note, and only old ones have none. Where
    /// somebody acknowledged that the log stepped back, the numbers before begin at another place.
    pub(crate) fn fault_at_end(&self) -> Option<(i64, ChainFault)> {
        let number = self.number();
        if number > 0 && self.newest().is_none() {
            return Some((number, ChainFault::Note));
        }
        let may_lack = (number - KEPT).max(self.stepped_back);
        (self.dropped > 0 && self.dropped >= may_lack).then_some((self.dropped, ChainFault::Note))
    }

    /// Whether a row is still the newest checkpoint as it was added; its note may have been dropped since.
    pub(crate) fn is_newest(&mut self, row: &AuditNote) -> bool {
        let Some((newest, note)) = &self.newest else {
            return false;
        };
        let mut own = newest.stored(note.clone());
        if row.note.is_none() && !own.keep {
            own.note = None;
            self.dropped = self.dropped.max(own.number);
        }
        newest.number == self.number() && *row == own
    }

    /// The event up to which somebody acknowledged that the log stepped back; 0 where nobody did.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.acknowledged.as_ref().map_or(0, |(end, _)| end.seq)
    }

    /// The end of the log that somebody acknowledged before this time.
    pub(crate) fn acknowledged_before(&self, time: Timestamp) -> Option<&AuditEnd> {
        let (end, at) = self.acknowledged.as_ref()?;
        (*at < time).then_some(end)
    }

    /// Why the log last stepped back.
    pub(crate) fn last_acknowledgement(&self) -> Option<&str> {
        self.acknowledgement.as_deref()
    }

    /// The next checkpoint over the log up to `end`; its root is still missing.
    pub(crate) fn next(&self, origin: String, end: AuditEnd, at: Timestamp) -> Checkpoint {
        let before = self.newest.as_ref().map(|(before, _)| before);
        Checkpoint {
            origin: before.map_or(origin, |before| before.origin.clone()),
            number: self.number() + 1,
            root: [0; 32],
            authentic_after: before.map_or(end.seq, |before| before.authentic_after),
            end,
            at,
            epoch: before.map_or(0, |before| before.epoch),
            pruned: before.map_or_else(AuditEnd::genesis, |before| before.pruned.clone()),
            succeeds: None,
            acknowledges: None,
        }
    }

    /// The root of the tree with this checkpoint.
    pub(crate) fn root_with(&self, next: &Checkpoint) -> TreeHash {
        let mut tree = self.tree.clone();
        tree.push(next.leaf());
        tree.root()
    }

    /// Adds the next checkpoint as the database has it.
    pub(crate) fn push(
        &mut self,
        row: &AuditNote,
        keys: &AuditKeys,
        trust: Trust,
    ) -> Result<(), ChainFault> {
        if row.number != self.number() + 1 {
            return Err(ChainFault::Missing);
        }
        let leaf = hex::decode(&row.leaf).ok_or(ChainFault::Altered)?;
        let mut tree = self.tree.clone();
        tree.push(leaf);
        let Some(note) = &row.note else {
            if row.keep || row.number == 1 {
                return Err(ChainFault::Note);
            }
            self.tree = tree;
            self.dropped = row.number;
            return Ok(());
        };
        let unverified = UnverifiedNote::parse(note).map_err(|_| ChainFault::Altered)?;
        let checkpoint =
            Checkpoint::parse(unverified.unverified_text()).ok_or(ChainFault::Altered)?;
        // No column counts but for what is signed.
        if checkpoint.stored(note.clone()) != *row {
            return Err(ChainFault::Altered);
        }
        if checkpoint.root != tree.root() {
            return Err(ChainFault::Root);
        }
        let is_kept = checkpoint.is_kept();
        let signer = if trust == Trust::LaterRoot && !is_kept {
            None
        } else {
            Some(self.signer(&checkpoint, &unverified, keys)?)
        };
        if let Some((before, _)) = &self.newest
            && (checkpoint.epoch < before.epoch
                || (checkpoint.end.seq < before.end.seq && checkpoint.epoch == before.epoch)
                || checkpoint.pruned.seq < before.pruned.seq)
        {
            return Err(ChainFault::StepBack);
        }
        self.tree = tree;
        if let Some(old) = &checkpoint.succeeds {
            self.retired.push(old.clone());
        }
        if signer.is_some() {
            self.key = signer;
        }
        if is_kept {
            self.kept.push(checkpoint.number);
        }
        if checkpoint.acknowledges.is_some() {
            self.stepped_back = checkpoint.number;
            self.acknowledged = Some((checkpoint.end.clone(), checkpoint.at));
            self.acknowledgement.clone_from(&checkpoint.acknowledges);
        }
        self.newest = Some((checkpoint, note.clone()));
        Ok(())
    }

    /// The key that signed it, which has to be the one of that time: the one before, or one that was
    /// never retired and says which it succeeds. The first checkpoint succeeds none.
    fn signer(
        &self,
        checkpoint: &Checkpoint,
        note: &UnverifiedNote,
        keys: &AuditKeys,
    ) -> Result<NoteVerifier, ChainFault> {
        let is_current = |key: &NoteVerifier| match (&checkpoint.succeeds, &self.key) {
            (None, Some(current)) => key.is_same_key(current),
            (None, None) => true,
            (Some(old), Some(current)) => {
                current.is_same_key(old) && !key.is_same_key(old) && !self.is_retired(key)
            }
            (Some(_), None) => false,
        };
        let signed = keys.checkpoint.iter().rev().find_map(|key| {
            let named = key.verifier.named(&checkpoint.origin).ok()?;
            (is_current(&named) && note.verify(&named).is_ok()).then_some(named)
        });
        signed.ok_or(ChainFault::Signature)
    }

    fn is_retired(&self, key: &NoteVerifier) -> bool {
        self.retired.iter().any(|retired| retired.is_same_key(key))
    }
}

#[cfg(test)]
mod tests;
