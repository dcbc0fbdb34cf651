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
use crate::request_context::RequestContext;
use crate::service::oidc::{self, Callback, OidcError, PENDING_FOR};

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
    let (url, pending) = oidc::begin(&app, &local_path(&query.next)).await?;
    let mut response = see(&url);
    let cookie = set_cookie(
        &app,
        &oidc_cookie(&app),
        &pending.cookie,
        PENDING_FOR.as_secs(),
    )?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// `/dashboard/oidc/callback`
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    Query(callback): Query<Callback>,
    headers: HeaderMap,
) -> PageResult {
    let held = cookie(&headers, &oidc_cookie(&app)).ok_or(OidcError::State)?;
    let there = oidc::finish(&app, &context, &held, callback).await?;
    let next = local_path(&there.next);
    let mut response = begin(&app, there.admin.id, &there.token, &next)?;
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
            OidcError::State | OidcError::Code => StatusCode::BAD_REQUEST,
            OidcError::Refused(_) | OidcError::Unknown(_) => StatusCode::FORBIDDEN,
            OidcError::Provider => StatusCode::BAD_GATEWAY,
            OidcError::Busy | OidcError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::RefusedBecause(status, sentence(&error))
    }
}
