//! Todos over MCP, protected by `jeton-guard`.
//!
//! `todo:read` lists and gets, `todo:write` creates, updates and deletes. Who lacks a scope is told
//! so with 403 `insufficient_scope` before the tool is reached. Todos live in memory and belong to
//! the client that made them, and so do the sessions of MCP revisions that have them.

mod sessions;
mod store;
mod tools;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use jeton_guard::{BuildError, GuardLayer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use sessions::{Owners, bind};
use store::Todos;
use tools::TodoServer;

/// How the server is protected.
#[derive(Debug, Clone)]
pub struct Protection {
    /// The URL of the MCP endpoint, as clients know it and as it is registered.
    pub resource: String,
    /// The issuer of the tokens.
    pub issuer: String,
    /// A further audience to accept, for example the `res_…` ID.
    pub audience: Option<String>,
    /// Whether the issuer may be plain http on another machine.
    pub insecure_http: bool,
}

/// The guard: this is all that protects the server.
///
/// # Errors
///
/// [`BuildError`] where a URL cannot be used.
pub fn guard(protection: &Protection) -> Result<GuardLayer, BuildError> {
    let mut guard = GuardLayer::builder(&protection.resource, &protection.issuer)
        .insecure_http(protection.insecure_http)
        .resource_name("Todo")
        .scopes_supported(["todo:read", "todo:write"])
        .challenge_scope(["todo:read"])
        .require_for_tool("list_todos", ["todo:read"])
        .require_for_tool("get_todo", ["todo:read"])
        // Those that create, update and delete todos, and any that is added later.
        .require_for_other_tools(["todo:write"]);
    if let Some(audience) = &protection.audience {
        guard = guard.audience(audience);
    }
    guard.build()
}

/// The whole server: MCP at `/mcp`, and the protected resource metadata.
///
/// # Errors
///
/// [`BuildError`] where a URL cannot be used.
pub fn router(protection: &Protection) -> Result<Router, BuildError> {
    let todos = Arc::new(Todos::default());
    let sessions = Arc::new(LocalSessionManager::default());
    let owners = Owners::of(Arc::clone(&sessions));
    let service = StreamableHttpService::new(
        move || Ok(TodoServer::new(Arc::clone(&todos))),
        sessions,
        StreamableHttpServerConfig::default(),
    );
    Ok(Router::new()
        .nest_service("/mcp", service)
        .layer(from_fn_with_state(owners, bind))
        .layer(guard(protection)?))
}
