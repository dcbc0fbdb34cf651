//! Signing in through an `OpenID` Connect provider: to it and back.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::account::{begin, local_path};
use super::error::sentence;
use super::session::{cookie, oidc_cookie, see, set_cookie};
use super::{PageError, PageResult};
use crate::app::App;
use crate::keys::Purpose;
use crate::request_context::RequestContext;
use crate::service::oidc::{self, Callback, OidcError, Pending};

/// What the sealed cookie is for.
const CONTEXT: &str = "jeton dashboard oidc";
/// So long somebody may take at the provider, in seconds.
const PENDING_FOR: u64 = 600;

/// Where to go afterwards.
#[derive(Deserialize)]
pub(crate) struct StartQuery {
    #[serde(default)]
    next: String,
}

/// `/dashboard/oidc/start`
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Query(query): Query<StartQuery>,
) -> PageResult {
    let (url, pending) = oidc::begin(&app, query.next).await?;
    let json =
        serde_json::to_vec(&pending).map_err(|error| PageError::Render(error.to_string()))?;
    let sealed = Purpose::OidcSignIn
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(&json, CONTEXT, app.entropy.as_ref()))
        .map_err(|error| PageError::Render(error.to_string()))?;
    let mut response = see(&url);
    response.headers_mut().append(
        SET_COOKIE,
        set_cookie(&app, &oidc_cookie(&app), &sealed, PENDING_FOR)?,
    );
    Ok(response)
}

/// `/dashboard/oidc/callback`
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    Query(callback): Query<Callback>,
    headers: HeaderMap,
) -> PageResult {
    let sealed = cookie(&headers, &oidc_cookie(&app)).ok_or(OidcError::State)?;
    let json = app
        .master_keys
        .open(Purpose::OidcSignIn, &sealed, CONTEXT)
        .map_err(|_| OidcError::State)?;
    let pending: Pending = serde_json::from_slice(&json).map_err(|_| OidcError::State)?;
    let token = oidc::finish(&app, &context, &pending, callback).await?;
    let mut response = begin(&app, &token, &local_path(&pending.next))?;
    response
        .headers_mut()
        .append(SET_COOKIE, set_cookie(&app, &oidc_cookie(&app), "", 0)?);
    Ok(response)
}

impl From<OidcError> for PageError {
    fn from(error: OidcError) -> Self {
        let status = match error {
            OidcError::NotConfigured => return Self::NotFound,
            OidcError::Service(error) => return Self::Service(error),
            OidcError::State => StatusCode::BAD_REQUEST,
            OidcError::Refused(_) | OidcError::Unknown(_) => StatusCode::FORBIDDEN,
            OidcError::Provider(ref cause) => {
                tracing::error!(cause, "signing in through the provider failed");
                StatusCode::BAD_GATEWAY
            }
        };
        Self::RefusedBecause(status, sentence(&error))
    }
}
