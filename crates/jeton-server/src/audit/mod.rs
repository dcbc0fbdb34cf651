//! The audit log: writing it, for there is no token without a record, and what the outside reads.

mod allowance;
mod document;
pub(crate) mod forward;
mod refusals;
mod window;
mod writer;

pub(crate) use document::AuditEventView;
pub(crate) use refusals::Refused;
pub(crate) use writer::{AuditLog, WRITER};
