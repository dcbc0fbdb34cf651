//! The agent against servers that the real Jeton and the real todo server cannot be made into:
//! hostile, slow, broken.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod declared;
mod fallbacks;
mod issuers;
mod limits;
mod links;
mod passwords;
mod probes;
mod renewal;
mod resources;
mod scopes;
mod support;
