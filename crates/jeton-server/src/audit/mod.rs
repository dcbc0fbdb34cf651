//! The audit log: writing it, for there is no token without a record; what is remembered of it outside the
//! database; what the outside reads.

mod allowance;
mod checkpoint;
mod document;
pub(crate) mod forward;
mod memory;
mod open;
mod recall;
mod refusals;
mod window;
mod writer;

pub(crate) use checkpoint::{Checkpoint, KEPT, Trust};
pub(crate) use document::AuditEventView;
pub use memory::Acknowledgement;
pub(crate) use memory::{AuditMemory, Discontinuity, Known, MemoryError, WHAT_TO_DO, tell};
pub(crate) use open::{OpenAuditError, open_memory};
pub(crate) use recall::{Outcome, Walked, Way, describe, signed, stepped_back, walk};
pub(crate) use refusals::Refused;
pub(crate) use writer::{AuditLog, WRITER};
