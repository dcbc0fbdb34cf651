//! What MCP 2026-07-28 wants repeated in headers, and how a value is written there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::message::Message;

pub(crate) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The headers of a message in `version`, 2026-07-28 or later.
pub(crate) fn of_message(message: &Message, version: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let all = [
        (VERSION, Some(version.to_owned())),
        (METHOD, message.method().map(str::to_owned)),
        (NAME, message.name()),
    ];
    for (header, value) in all {
        if let Some(value) = value.as_deref().and_then(written) {
            headers.insert(header, value);
        }
    }
    headers
}

/// A value as a header can carry it: as it is, or in Base64 with the marks that say so.
pub(crate) fn written(value: &str) -> Option<HeaderValue> {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim() == value
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if plain {
        HeaderValue::from_str(value).ok()
    } else {
        HeaderValue::from_str(&format!("=?base64?{}?=", STANDARD.encode(value))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_specification_shows() {
        for (value, expected) in [
            ("us-west1", "us-west1"),
            ("a b", "a b"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(written(value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn a_message_says_in_headers_what_it_says_in_its_body() {
        let message = Message::read(
            r#"{"id":1,"method":"resources/read","params":{"name":"no","uri":"file:///é"}}"#,
        )
        .unwrap();
        let headers = of_message(&message, "2026-07-28");
        assert_eq!(headers[VERSION], "2026-07-28");
        assert_eq!(headers[METHOD], "resources/read");
        assert_eq!(headers[NAME], "=?base64?ZmlsZTovLy/DqQ==?=");
        let listed = Message::read(r#"{"id":1,"method":"tools/list"}"#).unwrap();
        assert!(!of_message(&listed, "2026-07-28").contains_key(NAME));
    }
}
