//! What happens around every request: an ID, the source address, headers of every answer.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request};
use jeton_core::{ErrorCode, RequestId};
use tower::Service as _;

use super::cors::allow_any_origin;
use super::error::OAuthError;
use super::proxies::Proxies;
use super::router::TOKEN_ENDPOINT;
use crate::app::App;
use crate::oauth;
use crate::request_context::RequestContext;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The routes, and what happens around each of them. On the path of a token: no layer of a router, which
/// would cost each request some allocations.
#[derive(Clone)]
pub(super) struct AppService {
    app: Arc<App>,
    router: Router,
    proxies: Arc<Proxies>,
}

impl AppService {
    pub(super) fn new(app: Arc<App>, router: Router, proxies: Arc<Proxies>) -> Self {
        Self {
            app,
            router,
            proxies,
        }
    }

    /// Gives the request an ID (the caller's, where it sends a sensible one), and the answer the same.
    /// Should the handler panic, this request alone fails.
    pub(super) async fn answer<B>(mut self, peer: SocketAddr, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let given = request
            .headers()
            .get(&REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        let request_id: Arc<str> = match given.filter(|id| is_sensible(id)) {
            Some(id) => id.into(),
            None => match RequestId::generate(self.app.clock.now(), self.app.entropy.as_ref()) {
                Ok(id) => id.to_string().into(),
                Err(error) => return OAuthError::internal(&error).into_response(),
            },
        };
        let context = RequestContext {
            request_id: Arc::clone(&request_id),
            source: self.proxies.source(peer.ip(), request.headers()),
        };
        // What is shared with other requests is locked by locks that survive a panic.
        let answering = AssertUnwindSafe(self.route(context, request));
        let mut response = answering
            .catch_unwind()
            .await
            .unwrap_or_else(|_| panicked());
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert(REQUEST_ID, value);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn route<B>(&mut self, context: RequestContext, mut request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        // The router would come to the same, with a dozen allocations on the way.
        if request.method() == Method::POST && request.uri().path() == TOKEN_ENDPOINT {
            let request = request.map(Body::new);
            let answer = oauth::token::token_at_once(&self.app, context, request).await;
            let mut response = answer.into_response();
            allow_any_origin(response.headers_mut());
            return response;
        }
        request.extensions_mut().insert(context);
        match self.router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn is_sensible(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The answer where a handler panicked: constant, in OAuth's form.
fn panicked() -> Response {
    tracing::error!("a request handler panicked");
    OAuthError::new(
        ErrorCode::ServerError,
        "the authorization server failed; its log says why",
    )
    .into_response()
}
