//! Token introspection (RFC 7662): a client sees its own tokens, an MCP server those meant for it;
//! everything else reads `{"active": false}`. The answer tells what still stands: `scope` is what the client
//! still has of the token's, and a token of which nothing is left is not active.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use jeton_core::{AccessTokenClaims, Audience, ErrorCode};
use serde::Serialize;

use super::client_auth::{Authenticated, Caller};
use crate::app::App;
use crate::http::OAuthError;
use crate::service::token_standing;

/// RFC 7662 §2.2.
#[derive(Debug, Serialize)]
struct Introspection {
    active: bool,
    #[serde(flatten)]
    token: Option<ActiveToken>,
}

#[derive(Debug, Serialize)]
struct ActiveToken {
    scope: String,
    client_id: String,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    sub: String,
    aud: Audience,
    iss: String,
    jti: String,
}

/// `POST /oauth/introspect`.
pub(crate) async fn introspect(
    State(app): State<Arc<App>>,
    authenticated: Authenticated,
) -> Result<Response, OAuthError> {
    let token = required_token(&authenticated)?;
    let claims = visible(&app, &authenticated.caller, token);
    let active = match claims {
        Some(claims) => token_standing::standing_scopes(&app, &claims)
            .await
            .map_err(|error| OAuthError::unavailable_because(&error))?
            .map(|scope| (claims, scope)),
        None => None,
    };
    let mut response = Json(Introspection {
        active: active.is_some(),
        token: active.map(|(claims, scope)| ActiveToken {
            scope: scope.to_string(),
            client_id: claims.client_id,
            token_type: "Bearer",
            exp: claims.exp,
            iat: claims.iat,
            nbf: claims.nbf,
            sub: claims.sub,
            aud: claims.aud,
            iss: claims.iss,
            jti: claims.jti,
        }),
    })
    .into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The `token` parameter, which both endpoints need.
pub(super) fn required_token(authenticated: &Authenticated) -> Result<&str, OAuthError> {
    authenticated.form.value("token").ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidRequest,
            "the parameter token is missing; send the access token in the body",
        )
    })
}

/// A valid token's claims, where the caller may know of it.
pub(super) fn visible(app: &App, caller: &Caller, token: &str) -> Option<AccessTokenClaims> {
    let claims = app.verify_own_token(token).ok()?;
    let visible = match caller {
        Caller::Client(entry) => claims.client_id == entry.client.id.to_string(),
        Caller::McpServer(server) => {
            token_standing::server_of(app, &claims).is_some_and(|at| at.id == server.id)
        }
    };
    visible.then_some(claims)
}
