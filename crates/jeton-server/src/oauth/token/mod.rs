//! `POST /oauth/token`: the whole story of a token request.
//!
//! The caller is authenticated as [`Authenticated`] says. What it asks for is parsed, the
//! grant decides, and the decision is either issued or refused; both are in the audit log before
//! the answer leaves.

mod client_credentials;
mod decision;
mod granted_scopes;
mod granted_urls;
mod issue;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use jeton_core::{Form, GrantType, McpServer, TokenRequest, TokenRequestError, TokenResponse};

use super::ResourcePath;
use super::client_auth::{Authenticated, Caller};
use super::metadata::mcp_server_at;
use crate::app::App;
use crate::directory::ClientEntry;
use crate::http::OAuthError;
use crate::request_context::RequestContext;
use crate::service::TokenPreview;
use decision::{Decision, Refusal};

/// At the issuer's token endpoint.
pub(crate) async fn token(
    State(app): State<Arc<App>>,
    authenticated: Authenticated,
) -> Result<Response, OAuthError> {
    answer(&app, &authenticated, None).await
}

/// The same without a router in between.
pub(crate) async fn token_at_once(
    app: &App,
    context: RequestContext,
    request: Request,
) -> Result<Response, OAuthError> {
    let authenticated = Authenticated::read(app, context, request).await?;
    answer(app, &authenticated, None).await
}

/// At the token endpoint of one MCP server, which is the resource where none is named.
pub(crate) async fn token_for_mcp_server(
    State(app): State<Arc<App>>,
    path: ResourcePath,
    request: Request,
) -> Result<Response, OAuthError> {
    let server = mcp_server_at(&app, path)?;
    let authenticated = Authenticated::from_request(request, &app).await?;
    answer(&app, &authenticated, Some(&server)).await
}

async fn answer(
    app: &App,
    authenticated: &Authenticated,
    default_server: Option<&Arc<McpServer>>,
) -> Result<Response, OAuthError> {
    let requested = TokenRequest::from_form(&authenticated.form);
    match decide(app, authenticated, &requested, default_server) {
        Ok(issue) => {
            let token = issue::issue(app, authenticated, issue).await?;
            token_response(&token)
        }
        Err(refusal) => {
            Err(Box::pin(issue::refuse(app, authenticated, requested.ok(), refusal)).await)
        }
    }
}

/// What the endpoint would answer to this form from an authenticated client. Nothing is issued.
pub(crate) fn preview(app: &App, client: &Arc<ClientEntry>, form: &[u8]) -> TokenPreview {
    let decided = Form::parse(form)
        .map_err(TokenRequestError::from)
        .and_then(|form| TokenRequest::from_form(&form))
        .map_err(Refusal::Request)
        .and_then(|request| grant(app, client, &request, None));
    let refused = |error: OAuthError| TokenPreview::Refused {
        code: error.code(),
        description: error.description().to_owned(),
    };
    let issue = match decided {
        Ok(_) if !client.client.is_enabled() => {
            return TokenPreview::Refused {
                code: "invalid_client",
                description: "the client is disabled".into(),
            };
        }
        Ok(issue) => issue,
        Err(refusal) => return refused(OAuthError::from(&refusal)),
    };
    issue::preview(app, &issue).unwrap_or_else(refused)
}

fn decide(
    app: &App,
    authenticated: &Authenticated,
    requested: &Result<TokenRequest, jeton_core::TokenRequestError>,
    default_server: Option<&Arc<McpServer>>,
) -> Decision {
    let request = requested
        .as_ref()
        .map_err(|error| Refusal::Request(error.clone()))?;
    let Caller::Client(client) = &authenticated.caller else {
        return Err(Refusal::NotAClient);
    };
    grant(app, client, request, default_server)
}

fn grant(
    app: &App,
    client: &Arc<ClientEntry>,
    request: &TokenRequest,
    default_server: Option<&Arc<McpServer>>,
) -> Decision {
    match request.grant_type {
        GrantType::ClientCredentials => {
            client_credentials::decide(&app.directory, client, request, default_server)
        }
    }
}

/// OAuth 2.1 §3.2.3: never cached.
fn token_response(token: &TokenResponse) -> Result<Response, OAuthError> {
    let body = token
        .to_json()
        .map_err(|error| OAuthError::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    // With what every answer has.
    headers.reserve(10);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}
