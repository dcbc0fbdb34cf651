//! The stylesheet, the script and the icon, as part of the binary.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jeton_core::hex;

const STYLE: &str = concat!(
    include_str!("../../assets/dashboard.css"),
    include_str!("../../assets/log.css"),
);
const SCRIPT: &str = concat!(
    include_str!("../../assets/dashboard.js"),
    include_str!("../../assets/times.js"),
    include_str!("../../assets/keyboard.js"),
    include_str!("../../assets/passkeys.js"),
);
const ICON: &str = include_str!("../../assets/icon.svg");

/// Names the assets' content, so that browsers may cache them indefinitely.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all = [STYLE, SCRIPT, ICON].concat();
    let hash = digest::digest(&digest::SHA256, all.as_bytes());
    hex::encode(hash.as_ref().get(..6).unwrap_or_default())
});

/// `/dashboard/assets/{version}/{name}`
pub(crate) async fn asset(Path((_, name)): Path<(String, String)>) -> Response {
    let (media_type, content) = match name.as_str() {
        "dashboard.css" => ("text/css; charset=utf-8", STYLE),
        "dashboard.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    response
}
