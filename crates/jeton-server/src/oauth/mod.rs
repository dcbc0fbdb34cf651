//! The OAuth endpoints.

pub(crate) mod authorize;
mod client_auth;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod metadata;
pub(crate) mod revoke;
pub(crate) mod token;

use http::StatusCode;

use crate::http::OAuthError;

/// The answer to a method that an endpoint does not take; the `Allow` header says which it does.
pub(crate) async fn method_not_allowed() -> OAuthError {
    OAuthError::invalid_request(
        StatusCode::METHOD_NOT_ALLOWED,
        "this endpoint does not take this method; see the Allow header",
    )
}
