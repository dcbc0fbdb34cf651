//! The stylesheet, the scripts and the icon, as part of the binary.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jeton_core::hex;

static STYLE: LazyLock<String> = LazyLock::new(|| {
    without_comments(concat!(
        include_str!("../../assets/dashboard.css"),
        include_str!("../../assets/log.css"),
    ))
});
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    without_comments(concat!(
        include_str!("../../assets/dashboard.js"),
        include_str!("../../assets/times.js"),
        include_str!("../../assets/keyboard.js"),
    ))
});
/// The script of the pages that ask for a passkey.
static PASSKEYS: LazyLock<String> = LazyLock::new(|| {
    let own = without_comments(include_str!("../../assets/passkeys.js"));
    [SCRIPT.as_str(), &own].concat()
});
const ICON: &str = include_str!("../../assets/icon.svg");

/// Names the assets' content, so that browsers may cache them indefinitely.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all = [STYLE.as_str(), PASSKEYS.as_str(), ICON].concat();
    let hash = digest::digest(&digest::SHA256, all.as_bytes());
    hex::encode(hash.as_ref().get(..6).unwrap_or_default())
});

/// `/dashboard/assets/{version}/{name}`
pub(crate) async fn asset(Path((_, name)): Path<(String, String)>) -> Response {
    let (media_type, content) = match name.as_str() {
        "dashboard.css" => ("text/css; charset=utf-8", STYLE.as_str()),
        "dashboard.js" => ("text/javascript; charset=utf-8", SCRIPT.as_str()),
        "passkeys.js" => ("text/javascript; charset=utf-8", PASSKEYS.as_str()),
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

/// Without indentation, empty lines and lines that are comments. No text that these files hold goes over lines.
fn without_comments(source: &str) -> String {
    let mut short = String::with_capacity(source.len());
    let lines = source.lines().map(str::trim);
    let is_comment = |line: &str| {
        line.is_empty()
            || line.starts_with("//")
            || (line.starts_with("/*") && line.ends_with("*/"))
    };
    for line in lines.filter(|line| !is_comment(line)) {
        short.push_str(line);
        short.push('\n');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_are_left_out_and_nothing_else() {
        assert_eq!(
            without_comments("a {\n  /* b */\n  // c\n\n  d: e; /* f */\n}"),
            "a {\nd: e; /* f */\n}\n"
        );
        for script in [SCRIPT.as_str(), PASSKEYS.as_str()] {
            for line in script.lines() {
                assert_eq!(
                    line.matches('`').count() % 2,
                    0,
                    "a text over lines: {line}"
                );
            }
        }
        assert!(
            !SCRIPT.contains("navigator.credentials") && PASSKEYS.contains("navigator.credentials")
        );
    }
}
