//! What continues what. A server signs nothing of what is refused here, so only somebody with its key, or a fault
//! of its own, could make some of it.

use jeton_core::Timestamp;
use jeton_jose::{NoteSigner, sign_note};
use jeton_store::{AuditEnd, AuditNote};

use super::{Chain, ChainFault, Checkpoint, KEPT, Trust};
use crate::keys::AuditKeys;

const ORIGIN: &str = "jeton.example/audit-log";

struct Log {
    chain: Chain,
    keys: AuditKeys,
    signer: NoteSigner,
}

fn end(seq: i64) -> AuditEnd {
    AuditEnd {
        seq,
        hash: format!("{seq:064x}"),
    }
}

impl Log {
    /// Three checkpoints, the last of which covers event 30, in epoch 1, with events up to 5 removed.
    fn new() -> Self {
        let pkcs8 = NoteSigner::generate_pkcs8().unwrap();
        let mut log = Self {
            chain: Chain::default(),
            keys: AuditKeys::of_checkpoints(&[&pkcs8]),
            signer: NoteSigner::from_pkcs8(ORIGIN, &pkcs8).unwrap(),
        };
        for seq in [10, 20, 30] {
            let mut next = log.next(seq);
            next.epoch = 1;
            next.pruned = end(5);
            let row = log.sign(&log.chain, next);
            assert_eq!(log.push(&row), Ok(()));
        }
        log
    }

    fn next(&self, seq: i64) -> Checkpoint {
        let at = Timestamp::from_seconds(seq);
        self.chain.next(ORIGIN.to_owned(), end(seq), at)
    }

    /// Signed as if it came after `chain`.
    fn sign(&self, chain: &Chain, mut next: Checkpoint) -> AuditNote {
        next.root = chain.root_with(&next);
        let note = sign_note(&next.text(), &[&self.signer]).unwrap();
        next.stored(note)
    }

    fn signed(&self, change: impl FnOnce(&mut Checkpoint)) -> AuditNote {
        let mut next = self.next(40);
        change(&mut next);
        self.sign(&self.chain, next)
    }

    fn push(&mut self, row: &AuditNote) -> Result<(), ChainFault> {
        self.chain.push(row, &self.keys, Trust::Signature)
    }

    /// What adding a row would come to.
    fn fault(&self, row: &AuditNote) -> Option<ChainFault> {
        let mut chain = self.chain.clone();
        chain.push(row, &self.keys, Trust::Signature).err()
    }
}

#[test]
fn a_checkpoint_continues_the_one_before() {
    let log = Log::new();
    assert_eq!(log.fault(&log.signed(|_| ())), None);
    // What stands still, or is signed anew, steps nowhere.
    assert_eq!(log.fault(&log.signed(|next| next.end = end(30))), None);
}

#[test]
fn no_number_is_left_out_or_comes_twice() {
    let mut log = Log::new();
    let fourth = log.signed(|_| ());
    let before = log.chain.clone();
    log.push(&fourth).unwrap();
    let fifth = log.signed(|next| next.end = end(50));
    assert_eq!(log.fault(&fifth), None);
    assert_eq!(log.fault(&fourth), Some(ChainFault::Missing));
    log.chain = before;
    assert_eq!(log.fault(&fifth), Some(ChainFault::Missing));
    // Of an old one only the leaf may be there.
    let dropped = |number| AuditNote {
        number,
        note: None,
        ..fourth.clone()
    };
    assert_eq!(log.fault(&dropped(4)), None);
    for number in [3, 5] {
        assert_eq!(log.fault(&dropped(number)), Some(ChainFault::Missing));
    }
}

#[test]
fn no_checkpoint_steps_back_behind_the_one_before() {
    let log = Log::new();
    let step_back = Some(ChainFault::StepBack);
    assert_eq!(log.fault(&log.signed(|next| next.end = end(29))), step_back);
    assert_eq!(log.fault(&log.signed(|next| next.epoch = 0)), step_back);
    let earlier = log.signed(|next| next.pruned = end(4));
    assert_eq!(log.fault(&earlier), step_back);
    let lower_epoch = log.signed(|next| {
        next.epoch = 0;
        next.end = end(50);
    });
    assert_eq!(log.fault(&lower_epoch), step_back);
    // But for what somebody acknowledged, which begins another epoch.
    let acknowledged = log.signed(|next| {
        next.epoch = 2;
        next.end = end(12);
        next.acknowledges = Some("jeton restore".to_owned());
    });
    assert_eq!(log.fault(&acknowledged), None);
}

#[test]
fn what_the_columns_say_is_what_was_signed() {
    let log = Log::new();
    let row = log.signed(|_| ());
    let altered = [
        AuditNote {
            end: end(41),
            ..row.clone()
        },
        AuditNote {
            end: AuditEnd {
                seq: row.end.seq,
                ..end(41)
            },
            ..row.clone()
        },
        AuditNote {
            pruned: end(6),
            ..row.clone()
        },
        AuditNote {
            leaf: "ab".repeat(32),
            ..row.clone()
        },
        AuditNote {
            leaf: "no hash".to_owned(),
            ..row.clone()
        },
        AuditNote {
            note: row
                .note
                .clone()
                .map(|note| note.replace("seq 40", "seq 39")),
            ..row.clone()
        },
    ];
    for row in altered {
        assert_eq!(log.fault(&row), Some(ChainFault::Altered), "{row:?}");
    }
}

#[test]
fn a_checkpoint_after_others_continues_none_of_these() {
    let log = Log::new();
    let mut other = Log::new();
    other.chain = Chain::default();
    for seq in [11, 20, 30] {
        let next = other.next(seq);
        let row = other.sign(&other.chain, next);
        other.push(&row).unwrap();
    }
    let row = log.sign(&other.chain, log.next(40));
    assert_eq!(log.fault(&row), Some(ChainFault::Root));
}

#[test]
fn only_the_key_of_that_time_signs() {
    let log = Log::new();
    let other = Log::new();
    let foreign = other.sign(&log.chain, log.next(40));
    assert_eq!(log.fault(&foreign), Some(ChainFault::Signature));
    // Where a later root is compared, the signature is not; but for those that may change the key.
    let mut chain = log.chain.clone();
    let trusted = chain.push(&foreign, &log.keys, Trust::LaterRoot);
    assert_eq!(trusted, Ok(()));
    let mut acknowledges = log.next(40);
    acknowledges.acknowledges = Some("nothing".to_owned());
    let foreign = other.sign(&log.chain, acknowledges);
    let kept = log
        .chain
        .clone()
        .push(&foreign, &log.keys, Trust::LaterRoot);
    assert_eq!(kept, Err(ChainFault::Signature));
    assert!(chain.key().unwrap().is_same_key(log.signer.verifier()));
}

/// The same checkpoint after its note was dropped.
fn dropped(row: &AuditNote) -> AuditNote {
    AuditNote {
        note: None,
        keep: false,
        ..row.clone()
    }
}

#[test]
fn only_old_checkpoints_have_no_note() {
    let mut log = Log::new();
    let first = log.sign(
        &Chain::default(),
        Chain::default().next(ORIGIN.to_owned(), end(1), Timestamp::from_seconds(1)),
    );
    let fault = Chain::default().push(&dropped(&first), &log.keys, Trust::LaterRoot);
    assert_eq!(fault, Err(ChainFault::Note), "the first is kept");
    assert_eq!(log.chain.fault_at_end(), None);
    let fourth = log.signed(|_| ());
    log.push(&dropped(&fourth)).unwrap();
    assert_eq!(log.chain.newest(), None);
    let lacks_fourth = Some((4, ChainFault::Note));
    assert_eq!(log.chain.fault_at_end(), lacks_fourth);
    while log.chain.number() < KEPT + 4 {
        let next = log.next(50);
        let row = log.sign(&log.chain, next);
        log.push(&row).unwrap();
        assert_eq!(log.chain.fault_at_end(), lacks_fourth);
    }
    let next = log.next(50);
    let row = log.sign(&log.chain, next);
    log.push(&row).unwrap();
    assert_eq!(log.chain.fault_at_end(), None);
}

#[test]
fn where_somebody_acknowledged_a_step_back_the_numbers_before_begin_elsewhere() {
    let mut log = Log::new();
    let fourth = log.signed(|_| ());
    log.push(&dropped(&fourth)).unwrap();
    let mut next = log.next(12);
    next.epoch = 2;
    next.acknowledges = Some("jeton restore".to_owned());
    let row = log.sign(&log.chain, next);
    log.push(&row).unwrap();
    assert_eq!(log.chain.fault_at_end(), None);
}

#[test]
fn the_newest_checkpoint_is_the_one_that_was_added_with_its_note() {
    let mut log = Log::new();
    let fourth = log.signed(|_| ());
    log.push(&fourth).unwrap();
    assert!(log.chain.clone().is_newest(&fourth));
    let others = [
        AuditNote {
            pruned: end(6),
            ..fourth.clone()
        },
        AuditNote {
            keep: true,
            ..fourth.clone()
        },
        AuditNote {
            note: fourth
                .note
                .clone()
                .map(|note| note + "\u{2014} nobody eHh4\n"),
            ..fourth.clone()
        },
    ];
    for other in others {
        assert!(!log.chain.clone().is_newest(&other), "{other:?}");
    }
    // Should it be dropped, it is old.
    let mut chain = log.chain.clone();
    assert!(chain.is_newest(&dropped(&fourth)));
    assert_eq!(chain.fault_at_end(), Some((4, ChainFault::Note)));
}

/// The key of a log, and one that succeeds it.
struct Keys {
    all: AuditKeys,
    first: NoteSigner,
    second: NoteSigner,
}

impl Keys {
    fn new() -> Self {
        let (first, second) = (
            NoteSigner::generate_pkcs8().unwrap(),
            NoteSigner::generate_pkcs8().unwrap(),
        );
        Self {
            all: AuditKeys::of_checkpoints(&[&first, &second]),
            first: NoteSigner::from_pkcs8(ORIGIN, &first).unwrap(),
            second: NoteSigner::from_pkcs8(ORIGIN, &second).unwrap(),
        }
    }

    /// Adds a checkpoint that `signer` signs and that says which key it succeeds.
    fn push(
        &self,
        chain: &mut Chain,
        signer: &NoteSigner,
        succeeds: Option<&NoteSigner>,
        trust: Trust,
    ) -> Result<(), ChainFault> {
        let seq = 10 * (chain.number() + 1);
        let mut next = chain.next(ORIGIN.to_owned(), end(seq), Timestamp::from_seconds(seq));
        next.succeeds = succeeds.map(|old| old.verifier().clone());
        next.root = chain.root_with(&next);
        let note = sign_note(&next.text(), &[signer]).unwrap();
        chain.push(&next.stored(note), &self.all, trust)
    }
}

#[test]
fn a_key_is_followed_by_one_that_was_never_retired() {
    for trust in [Trust::Signature, Trust::LaterRoot] {
        let keys = Keys::new();
        let (first, second) = (&keys.first, &keys.second);
        let mut chain = Chain::default();
        let signature = Err(ChainFault::Signature);
        let begins = keys.push(&mut chain, first, Some(second), trust);
        assert_eq!(begins, signature, "the first succeeds none");
        keys.push(&mut chain, first, None, trust).unwrap();
        assert_eq!(
            keys.push(&mut chain, second, Some(second), trust),
            signature
        );
        assert_eq!(keys.push(&mut chain, first, Some(second), trust), signature);
        assert!(chain.knows_key(first.verifier()) && !chain.knows_key(second.verifier()));
        keys.push(&mut chain, second, Some(first), trust).unwrap();
        assert!(chain.knows_key(first.verifier()) && chain.knows_key(second.verifier()));
        assert!(chain.key().unwrap().is_same_key(second.verifier()));
        assert_eq!(keys.push(&mut chain, first, Some(second), trust), signature);
        assert_eq!(chain.kept(), [1, 2]);
    }
}
