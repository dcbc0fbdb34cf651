//! What the guard answers itself.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE,
    HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use jeton_core::{Challenge, ErrorResponse};

use crate::Body;

pub(crate) fn json(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    let body = Full::new(Bytes::from(json))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Browsers may read how a server is protected, and its challenges: the MCP Inspector does.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("WWW-Authenticate"),
    );
    response
}

/// RFC 6750 §3: 401 or 403 with the challenge, and the same in words.
pub(crate) fn challenge(status: StatusCode, challenge: &Challenge, words: &str) -> Response<Body> {
    let mut response = error(
        status,
        challenge.error.as_deref().unwrap_or("unauthorized"),
        words,
    );
    if let Ok(value) = HeaderValue::try_from(challenge.to_string()) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

pub(crate) fn error(status: StatusCode, code: &str, words: &str) -> Response<Body> {
    let body = ErrorResponse {
        error: code.to_owned(),
        error_description: Some(words.to_owned()),
    };
    let mut response = json(status, serde_json::to_vec(&body).unwrap_or_default());
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// JSON-RPC 2.0 §5.1: an error about the message itself, with the JSON text of its ID.
pub(crate) fn json_rpc_error(code: i32, words: &str, id: Option<&str>) -> Response<Body> {
    let message = serde_json::to_string(words).unwrap_or_default();
    let id = id.unwrap_or("null");
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#);
    let mut response = json(StatusCode::BAD_REQUEST, body.into_bytes());
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// The protected resource metadata (RFC 9728 §3.2).
pub(crate) fn document(document: &Bytes) -> Response<Body> {
    let mut response = json(StatusCode::OK, document.to_vec());
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    headers.insert(
        HeaderName::from_static("access-control-allow-headers"),
        HeaderValue::from_static("mcp-protocol-version"),
    );
    response
}
