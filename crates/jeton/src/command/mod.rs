//! The commands.

pub(crate) mod admin;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod audit_proof;
pub(crate) mod backup;
pub(crate) mod bridge;
pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod client_grant;
mod client_secret;
pub(crate) mod credentials;
pub(crate) mod implications;
pub(crate) mod key;
pub(crate) mod mcp_server;
pub(crate) mod migrate;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod token;
