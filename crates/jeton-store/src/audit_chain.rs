//! The chain over audit batches: each batch's hash covers its events and the hash before it.
//!
//! An event is hashed as one line of JSON: an array of its sequence number and its columns in the
//! order of the table. Version 1 of the chain is this form; another form would be a new version.

use aws_lc_rs::digest::{Context, SHA256};
use jeton_core::hex;

use crate::audit::Columns16;

/// The hash before the first batch.
pub(crate) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of a batch.
pub(crate) fn batch_hash<'a>(
    previous: &str,
    events: impl Iterator<Item = (i64, &'a Columns16)>,
) -> Result<String, serde_json::Error> {
    let mut context = Context::new(&SHA256);
    context.update(b"jeton-audit-v1\n");
    context.update(previous.as_bytes());
    let mut line = Vec::with_capacity(512);
    for (seq, columns) in events {
        line.clear();
        line.push(b'\n');
        serde_json::to_writer(&mut line, &(seq, columns.at, &columns.texts))?;
        context.update(&line);
    }
    Ok(hex::encode(context.finish().as_ref()))
}
