//! The audit log's writing side: no token without a record.

mod writer;

pub(crate) use writer::{AuditLog, UsedSecret};
