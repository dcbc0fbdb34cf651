//! Optimistic concurrency: an entity's version as its `ETag`, and `If-Match` (RFC 9110 §13.1.1).

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::http::Problem;

/// The version that the caller saw, if it said so. Without `If-Match`, or with `*`, the last one
/// to write wins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatch(pub(crate) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(IF_MATCH) else {
            return Ok(Self(None));
        };
        if value == "*" {
            return Ok(Self(None));
        }
        let version = value
            .to_str()
            .ok()
            .and_then(|tag| tag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok())
            .ok_or_else(|| {
                Problem::invalid(
                    "If-Match",
                    "expected one ETag as this API sends it, like \"v3\"",
                )
            })?;
        Ok(Self(Some(version)))
    }
}

/// A JSON answer with its version as `ETag`.
#[derive(Debug)]
pub(crate) struct Tagged<T> {
    pub(crate) status: StatusCode,
    pub(crate) version: i64,
    pub(crate) body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"v{}\"", self.version)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}
