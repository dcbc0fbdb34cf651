//! The chain over audit batches: each batch's hash covers its events and the hash before it, and only
//! servers can link a batch to the one before.
//!
//! An event is hashed as its sequence number and its time, each in 8 bytes, big-endian, and then
//! its texts in the order of the table: 0 where there is none, else 1, the length in 8 bytes and the
//! text. Version 1 of the chain is this form; another form would be a new version.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use jeton_core::hex;
use tokio::sync::watch;

use crate::audit::Columns;

/// The hash before the first batch.
pub(crate) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of a batch.
pub(crate) fn batch_hash<'a>(
    previous: &str,
    events: impl Iterator<Item = (i64, &'a Columns)>,
) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"jeton-audit-v1\n");
    context.update(previous.as_bytes());
    let mut bytes = Vec::with_capacity(512);
    for (seq, columns) in events {
        bytes.clear();
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&columns.at.to_be_bytes());
        for text in &columns.texts {
            match text {
                None => bytes.push(0),
                Some(text) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        context.update(&bytes);
    }
    hex::encode(context.finish().as_ref())
}

/// The end of a batch: a place in the log, and what the chain is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEnd {
    /// The number of the batch's last event; 0 before the first batch.
    pub seq: i64,
    /// The batch's hash, hexadecimal.
    pub hash: String,
}

impl AuditEnd {
    /// Before the first batch.
    pub fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }

    /// From the column: the hash and, after a dot, the authenticator.
    pub(crate) fn of_column(seq: i64, text: &str) -> (Self, Option<&str>) {
        let (hash, authenticator) = match text.split_once('.') {
            Some((hash, authenticator)) => (hash, Some(authenticator)),
            None => (text, None),
        };
        let hash = hash.to_owned();
        (Self { seq, hash }, authenticator)
    }
}

/// The key that authenticates batches: each is bound to the one before by an HMAC, which whoever can only
/// write to the database cannot make. Without the key (a copy that is looked at, a test of the store),
/// batches have none and none is expected.
#[derive(Clone, Default)]
pub(crate) struct BatchKey(Arc<OnceLock<hmac::Key>>);

/// Bytes of an authenticator: 128 bits of HMAC-SHA-256.
const AUTHENTICATOR: usize = 16;

impl BatchKey {
    pub(crate) fn set(&self, key: &[u8]) {
        // A second key would be the same one.
        let _ = self.0.set(hmac::Key::new(hmac::HMAC_SHA256, key));
    }

    fn authenticate(key: &hmac::Key, before: &AuditEnd, end: &AuditEnd) -> [u8; AUTHENTICATOR] {
        let mut context = hmac::Context::with_key(key);
        context.update(b"jeton-batch-v1");
        for end in [before, end] {
            context.update(&end.seq.to_be_bytes());
            context.update(end.hash.as_bytes());
        }
        let tag = context.sign();
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// What the column holds for a batch that follows `before`.
    pub(crate) fn column(&self, before: &AuditEnd, end: &AuditEnd) -> String {
        match self.0.get() {
            Some(key) => {
                let authenticator = hex::encode(&Self::authenticate(key, before, end));
                format!("{}.{authenticator}", end.hash)
            }
            None => end.hash.clone(),
        }
    }

    /// Whether a server wrote `end` after `before`.
    pub(crate) fn is_authentic(
        &self,
        before: &AuditEnd,
        end: &AuditEnd,
        authenticator: Option<&str>,
    ) -> bool {
        let Some(key) = self.0.get() else {
            return true;
        };
        let found = authenticator.and_then(hex::decode::<AUTHENTICATOR>);
        let expected = Self::authenticate(key, before, end);
        found.is_some_and(|found| verify_slices_are_equal(&found, &expected).is_ok())
    }
}

impl std::fmt::Debug for BatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BatchKey([redacted])")
    }
}

/// The end of the chain as the last commit left it, so that an append need not read it first.
///
/// To be trusted only where every append goes through one connection: it is taken at the beginning
/// of an append and put back after its commit, so that after a failure it is read anew. The last end
/// that this process wrote, or proved to continue what it wrote, is remembered apart: whatever the database
/// says later has to continue it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadCache(Arc<Heads>);

#[derive(Debug, Default)]
struct Heads {
    ends: Mutex<Ends>,
    /// The events up to this one were removed: they are no part of the log, whatever the database holds.
    begin: AtomicI64,
    /// How often an append found another log.
    doubted: watch::Sender<u64>,
    /// Up to which of these somebody looked at it.
    settled: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ends {
    known: Option<AuditEnd>,
    written: Option<AuditEnd>,
    /// The database continues another log, as somebody was told: what was written before is kept as it was.
    is_forked: bool,
}

fn is_later(known: Option<&AuditEnd>, end: &AuditEnd) -> bool {
    known.is_none_or(|known| known.seq < end.seq)
}

impl HeadCache {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Option<AuditEnd> {
        self.ends().known.take()
    }

    /// Looks without taking.
    pub(crate) fn peek(&self) -> Option<AuditEnd> {
        self.ends().known.clone()
    }

    /// Keeps the later of two heads: a commit may be told here after the one that followed it. A head is put
    /// here only by who continued one that was here, or that was read and continues what was written.
    pub(crate) fn put(&self, head: AuditEnd) {
        let mut ends = self.ends();
        if !ends.is_forked && is_later(ends.written.as_ref(), &head) {
            ends.written = Some(head.clone());
        }
        if is_later(ends.known.as_ref(), &head) {
            ends.known = Some(head);
        }
    }

    /// This end was proven to continue what was written.
    pub(crate) fn proven(&self, end: AuditEnd) {
        let mut ends = self.ends();
        if end.seq > 0 && !ends.is_forked && is_later(ends.written.as_ref(), &end) {
            ends.written = Some(end);
        }
    }

    pub(crate) fn written(&self) -> Option<AuditEnd> {
        self.ends().written.clone()
    }

    /// What the end of the log that is read from the database has to continue.
    pub(crate) fn must_continue(&self) -> Option<AuditEnd> {
        let ends = self.ends();
        ends.written.clone().filter(|_| !ends.is_forked)
    }

    /// From here on whatever the database says is continued, since somebody was told that it is another log.
    pub(crate) fn fork(&self) {
        let mut ends = self.ends();
        (ends.is_forked, ends.known) = (true, None);
    }

    /// Forgets what was written: the log stepped back, and that is right.
    pub(crate) fn forget(&self) {
        *self.ends() = Ends::default();
    }

    pub(crate) fn begin(&self) -> i64 {
        self.0.begin.load(Ordering::Relaxed)
    }

    pub(crate) fn set_begin(&self, seq: i64) {
        self.0.begin.store(seq, Ordering::Relaxed);
    }

    /// The database does not continue what was written.
    pub(crate) fn doubt(&self) {
        self.0.doubted.send_modify(|doubted| *doubted += 1);
    }

    /// Each doubt, as it comes up.
    pub(crate) fn doubts(&self) -> watch::Receiver<u64> {
        self.0.doubted.subscribe()
    }

    /// Somebody has looked at every doubt up to this one.
    pub(crate) fn settle(&self, doubt: u64) {
        self.0.settled.send_replace(doubt);
    }

    /// Waits until somebody has looked at every doubt that there is.
    pub(crate) async fn settled(&self) {
        let doubt = *self.0.doubted.borrow();
        let mut settled = self.0.settled.subscribe();
        // The sender lives as long as this.
        let _ = settled.wait_for(|settled| *settled >= doubt).await;
    }
}
