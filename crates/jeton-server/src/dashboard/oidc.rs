//! Signing in through an `OpenID` Connect provider: to it and back.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use jeton_core::PlainSecret;
use serde::Deserialize;

use super::account::{begin, local_path};
use super::error::sentence;
use super::session::{cookie, oidc_cookie, see, session_cookie, set_cookie, user_agent};
use super::{PageError, PageResult};
use crate::app::App;
use crate::request_context::RequestContext;
use crate::service::oidc::{self, Callback, OidcError, PENDING_FOR, SignInPurpose};
use crate::service::sessions;

/// Where to go afterwards.
#[derive(Deserialize)]
pub(crate) struct StartQuery {
    #[serde(default)]
    next: String,
    /// Whether they are signed in, and asked again who they are.
    #[serde(default)]
    confirm: bool,
}

/// `/dashboard/oidc/start`
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Query(query): Query<StartQuery>,
) -> PageResult {
    let purpose = if query.confirm {
        SignInPurpose::Confirm
    } else {
        SignInPurpose::SignIn
    };
    let (url, pending) = oidc::begin(&app, &local_path(&query.next), purpose).await?;
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
    // Whatever comes of it, the answer was taken.
    let spent = set_cookie(&app, &oidc_cookie(&app), "", 0)?;
    let mut response = finish(&app, &context, &headers, callback)
        .await
        .unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().append(SET_COOKIE, spent);
    Ok(response)
}

async fn finish(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    callback: Callback,
) -> PageResult {
    let held = cookie(headers, &oidc_cookie(app)).ok_or(OidcError::State)?;
    let there = oidc::finish(app, context, (&held, user_agent(headers)), callback).await?;
    // A session of theirs in this browser goes on as the new one.
    if let Some(old) = cookie(headers, &session_cookie(app)).map(PlainSecret::presented) {
        sessions::replace(app, &old, there.admin.id).await?;
    }
    let mut next = local_path(&there.next);
    if there.is_handed_over {
        "/dashboard/settings?done=handed-over".clone_into(&mut next);
    }
    begin(app, there.admin.id, &there.token, &next)
}

impl From<OidcError> for PageError {
    fn from(error: OidcError) -> Self {
        let status = match error {
            OidcError::NotConfigured => return Self::NotFound,
            OidcError::Service(error) => return Self::Service(error),
            OidcError::State | OidcError::Code => StatusCode::BAD_REQUEST,
            OidcError::Refused(_)
            | OidcError::Unknown(_)
            | OidcError::Unconfirmed(_)
            | OidcError::NotAsked => StatusCode::FORBIDDEN,
            OidcError::Provider => StatusCode::BAD_GATEWAY,
            OidcError::Busy | OidcError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::RefusedBecause(status, sentence(&error))
    }
}
