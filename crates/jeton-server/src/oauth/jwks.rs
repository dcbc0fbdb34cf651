//! The public keys (RFC 7517 §5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::app::App;

/// `GET /keys`. Verifiers may keep the answer for five minutes, and ask whether it changed.
pub(crate) async fn keys(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let published = app.keys.published();
    let unchanged = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|tags| {
            tags.split(',').any(|tag| {
                let tag = tag.trim().trim_start_matches("W/");
                tag == "*" || tag.as_bytes() == published.etag.as_bytes()
            })
        })
    });
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = published.json.clone().into_response();
        // Stock verifiers expect JSON; application/jwk-set+json confuses some of them.
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, published.etag.clone());
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    response
}
