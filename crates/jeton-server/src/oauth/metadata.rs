//! Authorization server metadata (RFC 8414), for the issuer and for each MCP server's own issuer,
//! and the admin API's protected resource metadata (RFC 9728).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use jeton_core::{McpServer, McpServerId, ProtectedResourceMetadata, ScopeSet, ServerMetadata};
use serde::Serialize;

use super::ResourcePath;
use crate::app::App;
use crate::http::OAuthError;
use crate::service::listed_scopes;

/// The issuer's own.
pub(crate) async fn server(State(app): State<Arc<App>>) -> Response {
    let issuer = app.issuer.as_str();
    document(&ServerMetadata::for_issuer(
        issuer,
        issuer,
        &listed_scopes(&app),
    ))
}

/// That of `{issuer}/resources/{res_id}`.
pub(crate) async fn mcp_server(
    State(app): State<Arc<App>>,
    path: ResourcePath,
) -> Result<Response, OAuthError> {
    let server = mcp_server_at(&app, path)?;
    let issuer = server.own_issuer_url(app.issuer.as_str());
    Ok(document(&ServerMetadata::for_issuer(
        &issuer,
        app.issuer.as_str(),
        &server.scope_set(),
    )))
}

/// That of the admin API.
pub(crate) async fn admin_api(State(app): State<Arc<App>>) -> Response {
    let names = |scopes: &ScopeSet| scopes.iter().map(ToString::to_string).collect();
    document(&ProtectedResourceMetadata {
        resource: app.admin_api.url.as_given().to_owned(),
        authorization_servers: vec![app.issuer.to_string()],
        scopes_supported: Some(names(&app.admin_api.scope_set())),
        bearer_methods_supported: vec!["header".to_owned()],
        resource_name: Some(app.admin_api.name.to_string()),
    })
}

/// The MCP server that a `res_…` in a path names.
pub(super) fn mcp_server_at(app: &App, path: ResourcePath) -> Result<Arc<McpServer>, OAuthError> {
    let server = path
        .ok()
        .and_then(|Path(id)| id.parse::<McpServerId>().ok())
        .and_then(|id| app.directory.find_mcp_server(id));
    server.ok_or_else(|| {
        OAuthError::invalid_request(
            StatusCode::NOT_FOUND,
            "there is no MCP server with this ID; the path is /resources/res_...",
        )
    })
}

fn document<T: Serialize>(document: &T) -> Response {
    let mut response = Json(document).into_response();
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    response
}
