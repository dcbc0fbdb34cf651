//! What happens around every request: an ID, the source address, headers of every answer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use jeton_core::{ErrorCode, RequestId};

use super::error::OAuthError;
use crate::app::App;
use crate::request_context::RequestContext;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddress(pub(crate) SocketAddr);

/// Gives the request an ID (the caller's, where it sends a sensible one), and the answer the same.
pub(crate) async fn request_context(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let request_id: Arc<str> = match given.filter(|id| is_sensible(id)) {
        Some(id) => id.into(),
        None => match RequestId::generate(app.clock.now(), app.entropy.as_ref()) {
            Ok(id) => id.to_string().into(),
            Err(error) => return OAuthError::internal(&error).into_response(),
        },
    };
    let source = request
        .extensions()
        .get::<PeerAddress>()
        .map(|peer| peer.0.ip());
    let context = RequestContext {
        request_id: Arc::clone(&request_id),
        source,
    };
    request.extensions_mut().insert(context);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn is_sensible(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The answer where a handler panicked: constant, in OAuth's form.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    OAuthError::new(
        ErrorCode::ServerError,
        "the authorization server failed; its log says why",
    )
    .into_response()
}
