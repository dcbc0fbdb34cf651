//! Health from the first moment on: until the server is ready, that it is alive, and what it is doing.

use std::sync::{Arc, OnceLock};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header::X_CONTENT_TYPE_OPTIONS};

use super::host::{self, HostError};
use super::middleware::AppService;
use super::router::{ALIVE, READY};
use crate::api;
use crate::starting::Starting;

/// Answers `/healthz` and `/readyz`.
#[derive(Clone)]
pub(super) struct HealthService {
    starting: Starting,
    ready: Arc<OnceLock<AppService>>,
}

impl HealthService {
    pub(super) fn new(starting: Starting) -> Self {
        Self {
            starting,
            ready: Arc::default(),
        }
    }

    /// From here on, `service` answers.
    pub(super) fn begin(&self, service: AppService) {
        // A server begins once.
        let _ = self.ready.set(service);
    }

    /// What answers once the server is ready.
    pub(super) fn ready(&self) -> Option<&AppService> {
        self.ready.get()
    }

    /// The answer until then. The issuer's path may come first, as it may later.
    pub(super) async fn answer(&self, path: &str, host: Result<(), HostError>) -> Response {
        let mut response = if let Err(error) = host {
            host::refusal("", path, error)
        } else if path.ends_with(ALIVE) {
            api::health::alive().await
        } else if path.ends_with(READY) {
            api::health::starting(&self.starting)
        } else {
            StatusCode::NOT_FOUND.into_response()
        };
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
