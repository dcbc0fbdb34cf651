//! Optimistic concurrency: an entity's version as its `ETag`, and `If-Match` (RFC 9110 §13.1.1).

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::http::{ApiQuery, Problem};
use crate::service::grants::Seen;
use crate::service::mcp_servers::Consent;

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

/// What the caller saw of a grant: the version in `If-Match`, or nothing, with `If-None-Match: *`
/// (RFC 9110 §13.1.2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeenGrant(pub(crate) Seen);

impl<S: Send + Sync> FromRequestParts<S> for SeenGrant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match parts.headers.get(IF_NONE_MATCH) {
            Some(value) if value == "*" => return Ok(Self(Seen::Nothing)),
            Some(_) => {
                let detail = "expected *: make the grant only if there is none";
                return Err(Problem::invalid("If-None-Match", detail));
            }
            None => {}
        }
        let IfMatch(version) = IfMatch::from_request_parts(parts, state).await?;
        Ok(Self(version.map_or(Seen::Unsaid, Seen::Version)))
    }
}

/// Whether the caller knows the consequences of a change.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfirmQuery {
    /// true: do it although it has the consequences that the answer 409 with the type
    /// urn:jeton:problem:confirmation-required names.
    #[serde(default)]
    pub(crate) confirm: bool,
}

/// The version that the caller saw, and whether it knows the consequences.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consenting(pub(crate) Consent);

impl<S: Send + Sync> FromRequestParts<S> for Consenting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let IfMatch(expected) = IfMatch::from_request_parts(parts, state).await?;
        let ApiQuery(query) = ApiQuery::<ConfirmQuery>::from_request_parts(parts, state).await?;
        Ok(Self(Consent {
            expected,
            confirmed: query.confirm,
        }))
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
