//! The answer to a request that failed, in OAuth's form (OAuth 2.1 §3.2.4).

use serde::{Deserialize, Serialize};

/// The error codes that Jeton's OAuth endpoints answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// The client could not be authenticated.
    InvalidClient,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// Another grant than those offered.
    UnsupportedGrantType,
    /// Another response type than those offered.
    UnsupportedResponseType,
    /// A scope is unknown, malformed or not granted.
    InvalidScope,
    /// A resource is unknown, malformed or not granted (RFC 8707 §2).
    InvalidTarget,
    /// Another token type than those offered (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    /// The server cannot answer now; try again.
    TemporarilyUnavailable,
    /// Something broke; the log has it.
    ServerError,
}

impl ErrorCode {
    /// The code as it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

/// An error in OAuth's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// What kind of error; a text, so that other servers' codes are read too.
    pub error: String,
    /// What happened and what to change. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}
