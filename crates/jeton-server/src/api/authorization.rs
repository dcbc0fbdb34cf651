//! Who may use the admin API: holders of Jeton's own tokens for `{issuer}/api`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jeton_core::{AccessTokenClaims, Challenge, ProtectedResourceMetadata, ScopeSet};

use crate::app::App;
use crate::http::Problem;
use crate::request_context::RequestContext;
use crate::service::{Operator, OperatorId, ServiceError, token_standing};

/// A caller whose token has `admin:read` or `admin:write`.
#[derive(Debug)]
pub(crate) struct AdminRead;

/// A caller whose token has `admin:write`.
#[derive(Debug)]
pub(crate) struct AdminWrite(pub(crate) Operator);

impl FromRequestParts<Arc<App>> for AdminRead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        authorize(parts, app, &["admin:read", "admin:write"])
            .await
            .map(|_| Self)
    }
}

impl FromRequestParts<Arc<App>> for AdminWrite {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let claims = authorize(parts, app, &["admin:write"]).await?;
        let context = parts.extensions.get::<RequestContext>().cloned();
        match (claims.parsed_client_id(), context) {
            (Some(client_id), Some(context)) => Ok(Self(Operator {
                id: OperatorId::Client(client_id),
                context,
            })),
            _ => Err(refuse(app, "the token names no client of this server")),
        }
    }
}

/// RFC 9068 §4 for this resource, and beyond it what only the authorization server knows: what still
/// stands of the token.
async fn authorize(
    parts: &Parts,
    app: &App,
    any_of: &[&str],
) -> Result<AccessTokenClaims, Problem> {
    let Some(token) = bearer_token(parts) else {
        let challenge = challenge(app, None, any_of);
        return Err(Problem::unauthorized(
            challenge,
            format!(
                "send an access token for {} as Authorization: Bearer",
                app.admin_api.url
            ),
        ));
    };
    let claims = app
        .verify_own_token(token)
        .map_err(|error| refuse(app, &error.to_string()))?;
    // Only tokens for this very resource carry its ID, whatever the issuer is called today.
    if !claims.aud.contains(&app.admin_api.id.to_string()) {
        return Err(refuse(app, "the token is meant for another resource"));
    }
    let standing = token_standing::standing_scopes(app, &claims).await;
    let Some(scope) = standing.map_err(ServiceError::from)? else {
        return Err(refuse(
            app,
            "the token was revoked, or its client is disabled or deleted, or no longer has a grant here",
        ));
    };
    if scope.iter().any(|scope| any_of.contains(&scope.as_str())) {
        Ok(claims)
    } else {
        let needed = any_of.last().copied().unwrap_or_default();
        Err(Problem::insufficient_scope(
            challenge(app, Some("insufficient_scope"), &[needed]),
            format!("this needs the scope {needed}, and the token has: {scope}"),
        ))
    }
}

fn bearer_token(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts
        .headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refuse(app: &App, detail: &str) -> Problem {
    Problem::unauthorized(
        challenge(app, Some("invalid_token"), &["admin:read"]),
        detail,
    )
}

fn challenge(app: &App, error: Option<&str>, scopes: &[&str]) -> String {
    let path = ProtectedResourceMetadata::well_known_path(app.admin_api.url.path());
    let scope: ScopeSet = scopes
        .iter()
        .filter_map(|scope| scope.parse().ok())
        .collect();
    Challenge {
        error: error.map(str::to_owned),
        error_description: None,
        scope: Some(scope),
        resource_metadata: Some(format!("{}{path}", app.issuer.origin())),
    }
    .to_string()
}
