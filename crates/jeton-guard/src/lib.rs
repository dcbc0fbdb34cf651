//! Protects an MCP server with access tokens.
//!
//! [`GuardLayer`] is a [`tower::Layer`] for any axum, hyper or rmcp server. It
//!
//! - serves the protected resource metadata (RFC 9728) at the well-known path, with and without
//!   the path of the MCP endpoint inserted;
//! - answers requests without a token with 401 and a challenge that says where that document is
//!   and which scopes are needed;
//! - verifies tokens as RFC 9068 §4 says, with keys that are fetched, cached, refreshed in the
//!   background, and kept while the authorization server is down;
//! - answers tokens with too little scope with 403 `insufficient_scope`, for the server as a whole,
//!   for an MCP method or for a single tool;
//! - refuses messages that two readers could read differently, and requests whose `Mcp-Method` or
//!   `Mcp-Name` header disagrees with the body (MCP 2026-07-28), with 400 and a JSON-RPC error;
//! - puts the [`VerifiedToken`] into the request's extensions.
//!
//! It knows requests, not sessions. Where the server has sessions (MCP revisions before 2026-07-28), the server
//! itself has to bind each to the client that made it, or any client with a token can use a session whose ID it
//! knows: compare [`VerifiedToken`]'s `sub`, and answer 404 to others, as `examples/todo-server/src/sessions.rs` does.
//!
//! It accepts tokens for exactly its own resource identifier and the audiences it was told: a token
//! for a parent path is not a token for this server.
//!
//! ```
//! use axum::{Router, routing::post};
//! use jeton_guard::GuardLayer;
//! use tower::ServiceExt as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = GuardLayer::builder("http://localhost:3002/mcp", "http://127.0.0.1:8420")
//!     .scopes_supported(["todo:read", "todo:write"])
//!     .require(["todo:read"])
//!     .require_for_tool("list_todos", ["todo:read"])
//!     .require_for_other_tools(["todo:write"])
//!     .build()?;
//! let app = Router::new().route("/mcp", post(|| async { "todos" })).layer(guard);
//!
//! // Refused: no token.
//! let request = http::Request::post("/mcp").body(axum::body::Body::empty())?;
//! let response = app.clone().oneshot(request).await?;
//! assert_eq!(response.status(), 401);
//! assert_eq!(
//!     response.headers()["www-authenticate"],
//!     "Bearer resource_metadata=\"http://localhost:3002/.well-known/oauth-protected-resource/mcp\", \
//!      scope=\"todo:read\"",
//! );
//!
//! // Served to everybody: how it is protected.
//! let request = http::Request::get("/.well-known/oauth-protected-resource/mcp")
//!     .body(axum::body::Body::empty())?;
//! let response = app.clone().oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```

mod answer;
mod builder;
mod future;
mod guard;
mod layer;
mod mcp_message;
mod policy;
mod request_headers;
mod service;

pub use builder::{BuildError, GuardBuilder};
pub use future::ResponseFuture;
pub use guard::VerifiedToken;
pub use jeton_core::{AccessTokenClaims, Scope, ScopeSet, SigningAlgorithm};
pub use layer::GuardLayer;
pub use service::Guard;

/// The body of what the guard hands on and answers.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;
/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
