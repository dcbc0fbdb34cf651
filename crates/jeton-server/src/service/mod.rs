//! What operators do, whichever way they ask for it: the rules, the change and its audit event in
//! one transaction, then the announcement to the directory.

pub(crate) mod admins;
pub(crate) mod audit_export;
pub(crate) mod audit_index;
pub(crate) mod audit_proof;
pub(crate) mod audit_start;
pub(crate) mod checkpoint_keys;
pub(crate) mod checkpoint_note;
pub(crate) mod checkpoints;
pub(crate) mod clients;
pub(crate) mod clock;
mod default_server;
pub(crate) mod device;
mod error;
pub(crate) mod expiry;
pub(crate) mod grants;
mod listed_scopes;
pub(crate) mod mcp_servers;
pub(crate) mod oidc;
mod operator;
mod password;
pub(crate) mod publication;
pub(crate) mod readiness;
pub(crate) mod retired_urls;
mod scope_change;
mod secret_throttle;
pub(crate) mod secrets;
pub(crate) mod server_urls;
pub(crate) mod sessions;
mod sign_in_throttle;
pub(crate) mod signing_keys;
pub(crate) mod statistics;
mod throttle;
mod token_preview;
pub(crate) mod token_standing;
pub(crate) mod void_tokens;

pub(crate) use error::{Confirmation, Loss, ServiceError};
pub(crate) use listed_scopes::listed_scopes;
pub(crate) use operator::{Operator, OperatorId};
pub(crate) use scope_change::{DeclaredScope, ScopeRename};
pub(crate) use secret_throttle::SecretThrottle;
pub(crate) use sign_in_throttle::SignInThrottle;
pub(crate) use token_preview::{PreviewToken, TokenPreview};
