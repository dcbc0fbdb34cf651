//! Why there is no token.

use std::time::Duration;

use jeton_jose::{DiscoveryError, FetchError, HttpError};

use crate::authenticate::TokenError;
use crate::mcp_url::UrlProblem;

/// Why there is no token, or why a request was not sent. No secret, no token and no
/// password of a URL is in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AgentError {
    /// The MCP server's URL cannot be used.
    #[error("{url} cannot be used as the URL of an MCP server: {problem}")]
    Url {
        /// The URL, without what may be secret in it.
        url: String,
        /// What is wrong with it.
        problem: UrlProblem,
    },
    /// The HTTP client could not be made, or the MCP server did not answer.
    #[error("the HTTP request failed")]
    Http(#[from] HttpError),
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
    /// The protected resource metadata cannot be read at its well-known address.
    #[error("the protected resource metadata cannot be read")]
    ResourceMetadata(#[source] FetchError),
    /// Nor can it where the server says that it is.
    #[error(
        "the protected resource metadata of {url} cannot be read where its challenge says, and its well-known addresses have none"
    )]
    AdvertisedMetadata {
        /// The MCP server.
        url: String,
        /// What is wrong with the address in the challenge.
        #[source]
        source: FetchError,
    },
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
    /// The server calls itself by a parent's URL, and a token for that was not allowed.
    #[error(
        "the authorization server knows no {url}, and the MCP server there says that its resource is {parent}: a token for that works for every server below it, so it is asked for only where you allow it (allow_parent_resource)"
    )]
    ParentResource {
        /// The server asked.
        url: String,
        /// The resource that its metadata names.
        parent: String,
        /// What the authorization server said.
        #[source]
        source: Box<TokenError>,
    },
    /// No authorization server is named.
    #[error("the metadata of {0} names no authorization server")]
    NoAuthorizationServer(String),
    /// The credentials belong to another authorization server.
    #[error(
        "the credentials belong to {issuer}, but {url} takes tokens of {}: nothing was sent there. If that server issued the credentials, name it as their issuer; otherwise get credentials from it, or ask who runs the MCP server",
        found.join(", ")
    )]
    OtherIssuer {
        /// The MCP server.
        url: String,
        /// Where the credentials belong.
        issuer: String,
        /// What the MCP server names.
        found: Vec<String>,
    },
    /// The authorization server's metadata cannot be used.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// An endpoint that must not be used.
    #[error(transparent)]
    Endpoint(FetchError),
    /// The token endpoint gave no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It took too long.
    #[error("no token for {url} within {}", jeton_core::in_seconds(*limit))]
    TimedOut {
        /// The MCP server.
        url: String,
        /// The time limit.
        limit: Duration,
    },
    /// The runtime stopped before a token came.
    #[error("the runtime stopped while a token was asked for")]
    Interrupted,
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

impl From<reqwest::Error> for AgentError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.into())
    }
}
