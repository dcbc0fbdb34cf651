//! The dashboard: by a real browser, and by those who send what no browser would.

mod admins;
mod attention;
mod audit_log;
mod browser;
mod changes;
mod forms;
mod keyboard;
mod last_token;
mod log;
mod oidc;
mod operating;
mod overview;
mod paging;
mod passkeys;
mod provider;
mod search;
mod second_factor;
mod sessions;
mod sheets;
mod snippets;
mod try_it;
mod world;
