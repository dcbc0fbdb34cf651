//! Extractors of the admin API, whose refusals name the member or parameter that is wrong.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::limits::{BodyError, has_media_type, read_body};
use super::plain_words::PlainWords;
use super::problem::Problem;

/// The largest JSON body, in bytes.
const MAX_JSON: usize = 256 * 1024;

/// A JSON body.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !has_media_type(request.headers(), "application/json") {
            return Err(Problem::unreadable(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send a JSON body with Content-Type: application/json",
            ));
        }
        let (parts, body) = request.into_parts();
        let body =
            read_body(&parts.headers, body, MAX_JSON)
                .await
                .map_err(|error| match error {
                    BodyError::Compressed => Problem::unreadable(
                        StatusCode::UNSUPPORTED_MEDIA_TYPE,
                        "the body is compressed (Content-Encoding); send it uncompressed",
                    ),
                    BodyError::TooLarge => Problem::unreadable(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "the body is over 256 KiB",
                    ),
                    BodyError::TooSlow => Problem::unreadable(
                        StatusCode::REQUEST_TIMEOUT,
                        "the body did not arrive in time",
                    ),
                    BodyError::Broken => Problem::unreadable(
                        StatusCode::BAD_REQUEST,
                        "the body did not arrive whole",
                    ),
                })?;
        let mut deserializer = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            if error.inner().is_data() {
                let path = error.path().to_string();
                let words = PlainWords::of(&path, &error.inner().to_string());
                return Problem::invalid(&words.parameter, words.detail);
            }
            not_json(error.inner())
        })?;
        deserializer.end().map_err(|error| not_json(&error))?;
        Ok(Self(value))
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::invalid("", format!("the body is not valid JSON: {error}"))
}

/// Parameters of the path.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::not_found(path_words(&rejection))),
        }
    }
}

/// What is wrong with the path, without axum's words around it.
fn path_words(rejection: &PathRejection) -> String {
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection {
        match failed.kind() {
            ErrorKind::DeserializeError { message, .. } | ErrorKind::Message(message) => {
                return message.clone();
            }
            _ => {}
        }
    }
    rejection.body_text()
}

/// Parameters of the query; unknown ones are refused, for a typing error would otherwise be a
/// filter that does nothing.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

/// What is wrong with the query: `parameter: reason`, within axum's words.
fn query_problem(rejection: &QueryRejection) -> Problem {
    let cause = std::error::Error::source(rejection)
        .map_or_else(|| rejection.body_text(), ToString::to_string);
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let (path, message) = match cause.split_once(": ") {
        Some((name, message)) if is_name(name) => (name, message),
        _ => ("", &*cause),
    };
    let words = PlainWords::of(path, message);
    Problem::invalid(&words.parameter, words.detail)
}
