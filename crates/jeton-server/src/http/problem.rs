//! The one place where an error of the admin API becomes a response: RFC 9457 problem details.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use jeton_core::redact;
use jeton_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::service::{Confirmation, Loss, ServiceError};
use crate::telemetry::with_causes;

/// An RFC 9457 problem.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// What kind of problem: a URN that programs compare.
    #[serde(rename = "type")]
    #[schema(example = "urn:jeton:problem:invalid")]
    pub(crate) kind: String,
    /// The same in words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened here and what to do next.
    pub(crate) detail: String,
    /// The member or parameter that is wrong, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// How many clients would lose scopes, where that has to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clients: Option<usize>,
    /// What the first of them would lose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) losses: Vec<LossDocument>,
}

/// What a client would lose.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Loss)]
pub(crate) struct LossDocument {
    /// The client's ID.
    pub(crate) client_id: String,
    /// The client's name.
    pub(crate) name: String,
    /// The scopes that it would lose.
    pub(crate) scopes: Vec<String>,
}

/// An error of the admin API.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    document: Box<ProblemDocument>,
    status: StatusCode,
    challenge: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            document: Box::new(ProblemDocument {
                kind: format!("urn:jeton:problem:{kind}"),
                title: title.to_owned(),
                status: status.as_u16(),
                // Somebody may have sent a secret, or a URL with a password, which the text then names.
                detail: redact(&detail.into()).into_owned(),
                parameter: None,
                clients: None,
                losses: Vec::new(),
            }),
            status,
            challenge: None,
        }
    }

    /// A member or parameter that cannot be used.
    pub(crate) fn invalid(parameter: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "The request is not valid",
            detail,
        );
        problem.document.parameter = Some(parameter.to_owned()).filter(|name| !name.is_empty());
        problem
    }

    /// A change with consequences that nobody has confirmed yet.
    fn unconfirmed(confirmation: Confirmation) -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "confirmation-required",
            "The change has to be confirmed: send the request again with confirm=true",
            confirmation.detail,
        );
        let document = &mut problem.document;
        document.clients = Some(confirmation.clients).filter(|clients| *clients > 0);
        document.losses = confirmation.losses.into_iter().map(Into::into).collect();
        problem
    }

    /// A request that cannot be read, with a status of its own.
    pub(crate) fn unreadable(status: StatusCode, detail: &str) -> Self {
        Self::new(status, "unreadable", "The request cannot be read", detail)
    }

    /// No token, or one that does not count.
    pub(crate) fn unauthorized(challenge: String, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "The admin API needs an access token",
            detail,
        );
        problem.challenge = Some(challenge);
        problem
    }

    /// A token that may not do this.
    pub(crate) fn insufficient_scope(challenge: String, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            "insufficient-scope",
            "The token's scope is not enough",
            detail,
        );
        problem.challenge = Some(challenge);
        problem
    }

    /// Nothing there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no such thing",
            detail,
        )
    }

    /// A change that does not say which version it is meant for (RFC 6585 §3).
    pub(crate) fn precondition_required(detail: &str) -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "The request has to say which version it changes",
            detail,
        )
    }

    /// The resource is there, the method is not.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not allowed here",
            "see the Allow header, or /api/openapi.json",
        )
    }
}

impl From<Loss> for LossDocument {
    fn from(loss: Loss) -> Self {
        Self {
            client_id: loss.client_id.to_string(),
            name: loss.name,
            scopes: loss.scopes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound { .. } => Self::not_found(error.to_string()),
            ServiceError::Invalid { parameter, detail } => Self::invalid(parameter, detail),
            ServiceError::Conflict(detail) => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "It cannot be done as things are",
                detail,
            ),
            ServiceError::Unconfirmed(confirmation) => Self::unconfirmed(*confirmation),
            ServiceError::Stale => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed-meanwhile",
                "It was changed since it was read",
                "somebody changed it after you read it: read it again, and repeat your change with what you read (the \
                 new ETag in If-Match; seen_secret_ids; retired_at)",
            ),
            ServiceError::Store(StoreError::InDoubt(_)) => {
                tracing::error!(error = with_causes(&error), "the admin API failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "in-doubt",
                    "The database was lost in the middle of the change",
                    "it may have been made: look before you try again. The server's log says why",
                )
            }
            ServiceError::Store(_)
            | ServiceError::Keys(_)
            | ServiceError::Audit(_)
            | ServiceError::Entropy(_) => {
                tracing::error!(error = with_causes(&error), "the admin API failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "The server cannot do this now",
                    "nothing was changed; try again in a moment. The server's log says why",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self.document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(challenge) = self
            .challenge
            .and_then(|text| HeaderValue::try_from(text).ok())
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
