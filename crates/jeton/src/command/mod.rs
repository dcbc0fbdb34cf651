//! The commands.

pub(crate) mod admin;
pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod key;
pub(crate) mod mcp_server;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod token;
