//! What every store has to do, whatever database is under it.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod admin;
mod audit;
mod audit_search;
mod audit_walk;
mod counting;
mod directory;
mod old_audit;
mod revoked_token;
mod samples;
mod schema;
mod search_text;
mod upgrade;
mod upkeep;
mod world;
