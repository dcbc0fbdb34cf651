//! The audit log: writing it, for there is no token without a record, and what the outside reads.

mod document;
pub(crate) mod forward;
mod writer;

pub(crate) use document::AuditEventView;
pub(crate) use writer::{AuditLog, WRITER};
