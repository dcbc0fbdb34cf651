//! How much a request may send, and how long it may take over it.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// How long a client may take to send a body, and to shake hands for TLS.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle, or take to send its headers: the two are one clock.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests under way may take to finish once the server was told to stop.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// The most connections at once.
pub(crate) const MAX_CONNECTIONS: usize = 10_000;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Over the limit.
    TooLarge,
    /// Not in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Whether the body is of this media type, parameters aside (RFC 9110 §8.3.1).
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or("").trim())
        .is_some_and(|essence| essence.eq_ignore_ascii_case(media_type))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, limit).collect()).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}
