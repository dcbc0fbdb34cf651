//! The chain over audit batches: each batch's hash covers its events and the hash before it.
//!
//! An event is hashed as its sequence number and its time, each in 8 bytes, big-endian, and then
//! its texts in the order of the table: 0 where there is none, else 1, the length in 8 bytes and the
//! text. Version 1 of the chain is this form; another form would be a new version.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use jeton_core::hex;

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

/// The end of the chain.
#[derive(Debug, Clone)]
pub(crate) struct ChainHead {
    pub(crate) last_seq: i64,
    pub(crate) hash: String,
}

/// The end of the chain as the last commit left it, so that an append need not read it first.
///
/// To be trusted only where every append goes through one connection: it is taken at the beginning
/// of an append and put back after its commit, so that after a failure it is read anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadCache(Arc<Mutex<Option<ChainHead>>>);

impl HeadCache {
    pub(crate) fn take(&self) -> Option<ChainHead> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Looks without taking.
    pub(crate) fn peek(&self) -> Option<ChainHead> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps the later of two heads: a commit may be told here after the one that followed it.
    pub(crate) fn put(&self, head: ChainHead) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known
            .as_ref()
            .is_none_or(|known| known.last_seq < head.last_seq)
        {
            *known = Some(head);
        }
    }
}
