//! Where Jeton keeps things: the only crate with SQL, speaking the domain's words.
//!
//! [`Store`] reads; [`Transaction`] writes. A change and the audit event that records it are
//! committed together, so that neither can be lost without the other. The store takes digests
//! only: a secret in the clear has no way in.
//!
//! One set of SQL serves every database, through sqlx's `Any` driver, with `$n` binds and the
//! portable column types of `migrations/`.

mod admin;
mod admin_invitation;
mod admin_session;
mod audit;
mod audit_chain;
mod client;
mod client_secret;
mod error;
mod grant;
mod mcp_server;
mod page;
mod revoked_token;
mod row;
mod schema;
mod signing_key;
mod statistics;
mod store;

pub use admin_session::AdminSession;
pub use audit::{AuditFilter, AuditSearch, RecordedEvent};
pub use client::ClientFilter;
pub use error::StoreError;
pub use page::{Page, PageRequest};
pub use signing_key::StoredKey;
pub use statistics::{ClientActivity, TokenCount};
pub use store::{Store, Transaction};
