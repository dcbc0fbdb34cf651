//! The authorization endpoint, which exists to refuse: Jeton serves machines, and metadata without
//! an `authorization_endpoint` is refused by the official MCP SDKs.

use jeton_core::ErrorCode;

use crate::http::OAuthError;

/// OAuth 2.1 §4.1.2.1. There is no registered redirect URI that the error could be sent to.
pub(crate) async fn authorize() -> OAuthError {
    OAuthError::new(
        ErrorCode::UnsupportedResponseType,
        "this authorization server signs no users in; a machine gets its token at the token_endpoint with grant_type=client_credentials",
    )
}
