//! What happens around every request: an ID, the source address, headers of every answer.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{CONNECTION, HeaderName, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request};
use jeton_core::{ErrorCode, RequestId};
use tower::Service as _;

use super::cors::allow_any_origin;
use super::error::OAuthError;
use super::host;
use super::issuer_path;
use super::proxies::Proxies;
use crate::app::App;
use crate::oauth;
use crate::request_context::RequestContext;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A year, as browsers and their preload lists expect it.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The routes, and what happens around each of them. On the path of a token: no layer of a router, which
/// would cost each request some allocations.
pub(super) struct AppService {
    app: Arc<App>,
    router: Router,
    proxies: Arc<Proxies>,
    serves: Serves,
    has_hsts: bool,
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    Everything,
    /// `/healthz` and `/readyz`, on a listener of their own.
    Health,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// It began with a PROXY header that names nobody: it is the proxy's own, whatever its requests say.
    pub(super) is_unnamed: bool,
    /// All ordinary places are taken: only questions about health are answered.
    pub(super) is_on_reserved_place: bool,
}

/// In an answer: its connection ends with it. HTTP/2 has no header that says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndConnection;

impl AppService {
    pub(super) fn new(app: Arc<App>, router: Router, proxies: Arc<Proxies>) -> Self {
        Self {
            app,
            router,
            proxies,
            serves: Serves::Everything,
            has_hsts: false,
        }
    }

    /// Only `/healthz` and `/readyz`, which `router` has to know.
    pub(super) fn health(app: Arc<App>, router: Router) -> Self {
        Self {
            serves: Serves::Health,
            ..Self::new(app, router, Arc::default())
        }
    }

    /// Tells browsers to come by https alone (RFC 6797).
    pub(super) fn with_hsts(mut self, has_hsts: bool) -> Self {
        self.has_hsts = has_hsts;
        self
    }

    /// Gives the request an ID (the caller's, where it sends a sensible one), and the answer the same.
    /// Should the handler panic, this request alone fails.
    pub(super) async fn answer<B>(&self, peer: Peer, request: Request<B>) -> Response
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
            None => match RequestId::generate(self.app.clock.now(), &self.app.id_entropy) {
                Ok(id) => id.to_string().into(),
                Err(error) => return OAuthError::internal(&error).into_response(),
            },
        };
        let context = RequestContext {
            request_id: Arc::clone(&request_id),
            source: self.proxies.source(peer, request.headers()),
        };
        // What is shared with other requests is locked by locks that survive a panic.
        let (issuer_path, path) = (self.app.issuer.path(), request.uri().path());
        let mut response = if let Err(error) = host::check(&request) {
            host::refusal(issuer_path, path, error)
        } else if peer.is_on_reserved_place && !issuer_path::is_about_health(issuer_path, path) {
            overloaded()
        } else {
            AssertUnwindSafe(self.route(context, request))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| panicked())
        };
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert(REQUEST_ID, value);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.has_hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        response
    }

    async fn route<B>(&self, context: RequestContext, mut request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        // The router would come to the same, with a dozen allocations on the way.
        if self.serves == Serves::Everything
            && request.method() == Method::POST
            && request.uri().path() == self.app.issuer.token_endpoint_path()
        {
            let request = request.map(Body::new);
            let answer = oauth::token::token_at_once(&self.app, context, request).await;
            let mut response = answer.into_response();
            allow_any_origin(response.headers_mut());
            return response;
        }
        let issuer = &self.app.issuer;
        if !issuer.path().is_empty() {
            match issuer_path::route(issuer.path(), request.uri()) {
                Some(route) => *request.uri_mut() = route,
                None => return issuer_path::outside(issuer, request.uri().path()),
            }
        }
        request.extensions_mut().insert(context);
        match self.router.clone().call(request).await {
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

/// The answer where every ordinary place is taken by a request that is being worked on.
fn overloaded() -> Response {
    let error = OAuthError::new(
        ErrorCode::TemporarilyUnavailable,
        "the authorization server has as many connections as it may; try again in a moment",
    );
    let mut response = error.into_response();
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response.extensions_mut().insert(EndConnection);
    response
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
