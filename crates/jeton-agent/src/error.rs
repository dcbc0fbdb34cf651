//! Why there is no token.

use jeton_jose::{DiscoveryError, FetchError};

use crate::authenticate::TokenError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The MCP server's URL.
    #[error("{0:?} is not the URL of an MCP server: it must be https, or http on this machine")]
    Url(String),
    /// The HTTP client.
    #[error("the HTTP request failed")]
    Http(#[from] reqwest::Error),
    /// No document says how the server is protected.
    #[error(
        "{url} does not say how it is protected: it answered {status} without a challenge, and has no protected resource metadata (RFC 9728)"
    )]
    NotProtected {
        /// The server.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// The protected resource metadata.
    #[error("the protected resource metadata cannot be read")]
    ResourceMetadata(#[source] FetchError),
    /// RFC 9728 §3.3: the document is about something else, so it is not used.
    #[error(
        "the metadata at {metadata_url} is about {found}, which is not {expected} nor a parent of it"
    )]
    ResourceMismatch {
        /// Where the document is.
        metadata_url: String,
        /// The server asked.
        expected: String,
        /// What the document says.
        found: String,
    },
    /// No authorization server is named.
    #[error("the metadata of {0} names no authorization server")]
    NoAuthorizationServer(String),
    /// The credentials belong to another authorization server.
    #[error(
        "{url} takes tokens of {} and not of {issuer}, to which these credentials belong: they are not sent there",
        found.join(", ")
    )]
    OtherIssuer {
        /// The server.
        url: String,
        /// Where the credentials belong.
        issuer: String,
        /// What the server names.
        found: Vec<String>,
    },
    /// The authorization server's metadata.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The token endpoint.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A token must not be sent anywhere but to its resource.
    #[error("the request is for {found}, and the token is for {resource}: it is not sent there")]
    OtherResource {
        /// Where the request goes.
        found: String,
        /// What the token is for.
        resource: String,
    },
    /// A body that can be sent only once.
    #[error("the request's body is a stream, which cannot be sent again after a 401")]
    NotRepeatable,
}
