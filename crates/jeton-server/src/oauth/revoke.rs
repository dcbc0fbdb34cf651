//! Token revocation (RFC 7009). A revoked token is inactive at introspection and at the admin API;
//! verifiers that only check signatures accept it until it expires, which is why lifetimes are
//! short.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use jeton_core::{AccessTokenClaims, AuditEvent, AuditKind, Timestamp};
use jeton_store::{StoreError, retry_on_conflict};

use super::client_auth::Authenticated;
use super::introspect::{required_token, visible};
use crate::app::App;
use crate::http::OAuthError;
use crate::service::token_standing;

/// `POST /oauth/revoke`. RFC 7009 §2.2: 200 also for a token that is unknown, expired or somebody
/// else's; that one is left as it is.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    authenticated: Authenticated,
) -> Result<Response, OAuthError> {
    let token = required_token(&authenticated)?;
    if let Some(claims) = visible(&app, &authenticated.caller, token) {
        let mut event = authenticated
            .context
            .event(&app, AuditKind::TokenRevoked, authenticated.caller.actor())
            .map_err(|error| OAuthError::internal(&error))?;
        event.client_id = claims.parsed_client_id();
        event.mcp_server_id = token_standing::server_of(&app, &claims).map(|server| server.id);
        event.secret_id = Some(authenticated.secret_id);
        event.scope = Some(claims.scope.clone());
        event.jti = Some(claims.jti.clone());
        revoke_recorded(&app, &claims, event)
            .await
            .map_err(|error| OAuthError::unavailable_because(&error))?;
    }
    let mut response = StatusCode::OK.into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Revokes a token with the event that records it; one that is revoked already stays so.
async fn revoke_recorded(
    app: &App,
    claims: &AccessTokenClaims,
    event: AuditEvent,
) -> Result<(), StoreError> {
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let expires_at = Timestamp::from_seconds(claims.exp);
        if tx
            .revoke_token(&claims.jti, expires_at, app.clock.now())
            .await?
        {
            tx.record(&event).await?;
        }
        tx.commit().await
    })
    .await
}
