//! Gets an agent its tokens.
//!
//! From the URL of a protected MCP server and the credentials of a client, a [`TokenSource`] finds
//! everything else out: the server's challenge, its protected resource metadata (RFC 9728), the
//! authorization server's metadata (RFC 8414), the token endpoint. It keeps the token, renews it
//! behind its callers before it expires (one request, however many tasks ask), asks for a wider
//! scope when the server says `insufficient_scope`, and tries once more after a 401.
//!
//! Credentials name the authorization server that issued them, and go to no other: an MCP server
//! that names another one gets no token and the agent an [`AgentError::OtherIssuer`]. Nor does a
//! server elsewhere lead the agent to URLs of this machine or its private network, and redirects
//! are not followed. A query in the MCP server's URL is sent with each request, and left out of the
//! `resource` that a token is asked for.
//!
//! - [`TokenSource::send`] sends a [`reqwest`] request with a token.
//! - [`AuthorizedClient`] does the same under `rmcp`'s streamable HTTP client.
//!
//! ```no_run
//! use jeton_agent::{AuthorizedClient, ClientCredentials, TokenSource};
//! use rmcp::ServiceExt as _;
//! use rmcp::transport::StreamableHttpClientTransport;
//! use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = ClientCredentials::new("http://127.0.0.1:8420", "m2m_…", "jeton_…");
//! let tokens = TokenSource::builder("http://localhost:3002/mcp", credentials).build()?;
//! let transport = StreamableHttpClientTransport::with_client(
//!     AuthorizedClient::new(tokens),
//!     StreamableHttpClientTransportConfig::with_uri("http://localhost:3002/mcp"),
//! );
//! let client = ().serve(transport).await?;
//! println!("{:?}", client.list_all_tools().await?);
//! # Ok(())
//! # }
//! ```

mod allowance;
mod authenticate;
mod builder;
mod credentials;
mod declare;
mod discover;
mod error;
mod failure;
mod flight;
mod left_out;
mod mcp_url;
mod resource_metadata;
mod rmcp_client;
mod send;
mod token_cache;
mod token_source;

pub use authenticate::{TokenError, request_token};
pub use builder::TokenSourceBuilder;
pub use credentials::ClientCredentials;
pub use discover::{Discovered, discover};
pub use error::AgentError;
pub use mcp_url::UrlProblem;
pub use rmcp_client::AuthorizedClient;
pub use token_cache::AccessToken;
pub use token_source::TokenSource;
