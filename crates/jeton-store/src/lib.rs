//! Where Jeton keeps things: the only crate with SQL, speaking the domain's words.
//!
//! [`Store`] reads; [`Transaction`] writes. A change and the audit event that records it are
//! committed together, so that neither can be lost without the other. The store takes digests
//! only: a secret in the clear has no way in.
//!
//! One set of SQL serves both databases, through sqlx's `Any` driver, with `$n` binds and the
//! portable column types of `migrations/`; the few places where they differ are in `dialect.rs`.

mod admin;
mod admin_invitation;
mod admin_session;
mod appender;
mod audit;
mod audit_chain;
mod audit_checkpoint;
mod audit_clock;
mod audit_forward;
mod audit_index;
mod audit_key;
mod audit_links;
mod audit_note;
mod audit_old;
mod audit_proof;
mod audit_retention;
mod audit_search;
mod audit_text;
mod backup;
mod change;
mod change_feed;
mod client;
mod client_list;
mod client_secret;
mod connect;
mod copy;
mod counting;
mod dialect;
mod error;
mod expiry;
mod files;
mod grant;
mod lock;
mod mcp_server;
mod one_time_code;
mod open_fault;
mod open_transaction;
mod page;
mod passkey;
mod recovery_code;
mod retired_url;
mod retry;
mod revoked_token;
mod row;
mod schema;
mod schema_check;
mod search_fill;
mod server_clock;
mod shared_text;
mod signing_key;
mod statement;
mod statistics;
mod store;
mod used_sign_in;
mod void_token;
mod whole_client;

pub use admin_session::{AdminSession, ListedSession, session_handle};
pub use audit::{AppendDoubts, RecordedEvent};
pub use audit_chain::AuditEnd;
pub use audit_checkpoint::AuditCheckpoint;
pub use audit_key::StoredAuditKey;
pub use audit_links::{AuditLinks, BrokenLink};
pub use audit_note::AuditNote;
pub use audit_old::{OldAudit, OldPart, OldStep};
pub use audit_proof::{AuditSpan, AuditWalk, BrokenAudit, BrokenReason};
pub use audit_search::{AuditFilter, AuditSearch};
pub use backup::{BackupError, BackupSummary, back_up_sqlite, verify_sqlite_copy};
pub use change::Change;
pub use change_feed::ChangeFeed;
pub use client_list::{ClientCondition, ClientFilter, ClientSort};
pub use connect::{Database, Postgres};
pub use copy::{Copied, CopyError, copy_everything};
pub use counting::{ClientPart, ClientTallies, Progress, RefusalCount, Tally};
pub use error::StoreError;
pub use expiry::Over;
pub use lock::{Lock, Locked};
pub use one_time_code::StoredOneTimeCode;
pub use open_fault::OpenFault;
pub use page::{Page, PageRequest};
pub use passkey::Passkey;
pub use retired_url::RetiredUrl;
pub use retry::retry_on_conflict;
pub use schema::Upgrade;
pub use schema_check::SchemaCheck;
pub use signing_key::StoredKey;
pub use statistics::{ClientActivity, RefusedClient, TokenCount};
pub use store::{Store, Transaction};
pub use void_token::VoidTokens;
pub use whole_client::WholeClient;
