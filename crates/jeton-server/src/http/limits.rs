//! How much a request may send, and how long it may take over it.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new connection may take to shake hands for TLS, and then to send the headers of its
/// first request.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle after a request, or take to send the headers of the next: the
/// two are one clock. Pings do not count.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take no part of its answer, or fewer than [`LEAST_PROGRESS`] bytes of it.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take over one part of an answer while it takes other answers (HTTP/2).
pub(super) const LONGEST_STALL: Duration = Duration::from_secs(300);
/// What counts as progress, in bytes.
pub(super) const LEAST_PROGRESS: u64 = 10 * 1024;
/// How long a connection that was asked to end may take while nothing moves.
pub(super) const ENDING_TIMEOUT: Duration = Duration::from_secs(5);
/// The same while its client still takes what it was sent.
pub(super) const LONGEST_ENDING: Duration = Duration::from_secs(300);
/// How long requests under way may take to finish once the server was told to stop.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections beyond the most: while all others are being worked on, these ask for `/healthz` and
/// `/readyz`, and are answered 503 otherwise.
pub(super) const RESERVED_CONNECTIONS: usize = 64;
/// The most connections to the listener for health.
pub(super) const HEALTH_CONNECTIONS: usize = 64;
/// The most bytes of a request's headers, and of an answer that wait to be written (HTTP/1.1).
pub(super) const MAX_HEADERS: usize = 64 * 1024;
/// The most requests at once on one connection (HTTP/2).
pub(super) const MAX_STREAMS: u32 = 100;
/// How many bytes of one body, and of all bodies of a connection, may arrive unread (HTTP/2).
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;
pub(super) const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Compressed, which nothing here unpacks.
    Compressed,
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

/// Whether the body has to be unpacked before it can be read (RFC 9110 §8.4).
fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        let codings = value.as_bytes().split(|byte| *byte == b',');
        codings
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// Reads a body of at most `limit` bytes, and refuses one that is compressed.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, BodyError> {
    if is_compressed(headers) {
        return Err(BodyError::Compressed);
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identity_is_no_compression() {
        for (values, expected) in [
            (&[][..], false),
            (&["identity"], false),
            (&["Identity", ""], false),
            (&["identity, identity"], false),
            (&["gzip"], true),
            (&["identity, br"], true),
            (&["identity", "zstd"], true),
            (&["what"], true),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(is_compressed(&headers), expected, "{values:?}");
        }
    }
}
