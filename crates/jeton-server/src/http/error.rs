//! The one place where a protocol error becomes a response (OAuth 2.1 §3.2.4).

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use jeton_core::{ErrorCode, ErrorResponse, in_whole_seconds, redact, whole_seconds};

/// An error of an OAuth endpoint.
#[derive(Debug, Clone)]
pub(crate) struct OAuthError {
    code: ErrorCode,
    description: String,
    status: StatusCode,
    challenge: bool,
    retry_after: Option<Duration>,
}

impl OAuthError {
    /// An error with the status that its code has.
    pub(crate) fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        let status = match code {
            ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        // Somebody may have sent a secret as a scope or a resource, which the text then names.
        let description = redact(&description.into()).into_owned();
        Self {
            code,
            description,
            status,
            challenge: false,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE)
                .then_some(Duration::from_secs(1)),
        }
    }

    /// A malformed request with a status of its own: too large, too slow, wrong method.
    pub(crate) fn invalid_request(status: StatusCode, description: &str) -> Self {
        Self {
            status,
            ..Self::new(ErrorCode::InvalidRequest, description)
        }
    }

    /// Client authentication failed again and again (RFC 6585 §4): 429, with the error that it is.
    pub(crate) fn too_many_failures(wait: Duration) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(wait),
            ..Self::new(
                ErrorCode::InvalidClient,
                format!(
                    "client authentication failed too often; try again in {}. The right secret works at any time",
                    in_whole_seconds(wait)
                ),
            )
        }
    }

    /// The audit log cannot be written, or the database does not answer: try again.
    pub(crate) fn unavailable() -> Self {
        Self::new(
            ErrorCode::TemporarilyUnavailable,
            "the authorization server cannot record tokens now and issues none; try again in a moment",
        )
    }

    /// The same, with the cause in the log.
    pub(crate) fn unavailable_because(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "the store failed");
        Self::unavailable()
    }

    /// Something broke. The detail goes to the log, the body is constant.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "an OAuth endpoint failed");
        Self::new(
            ErrorCode::ServerError,
            "the authorization server failed; its log says why",
        )
    }

    /// Challenges for the `Authorization: Basic` header (OAuth 2.1 §3.2.4).
    #[must_use]
    pub(crate) fn with_basic_challenge(mut self, challenge: bool) -> Self {
        self.challenge = challenge;
        self
    }

    /// The `error`.
    pub(crate) fn code(&self) -> &'static str {
        self.code.as_str()
    }

    /// The `error_description`.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// What the audit log notes as the reason.
    pub(crate) fn reason(&self) -> String {
        format!("{}: {}", self.code.as_str(), self.description)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = ErrorResponse {
            error: self.code.as_str().to_owned(),
            error_description: Some(self.description),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.challenge {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Basic realm="jeton", charset="UTF-8""#),
            );
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // RFC 9110 §15.5.16: what would have been taken.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}
