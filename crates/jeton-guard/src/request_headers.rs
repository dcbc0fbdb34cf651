//! The `Mcp-Method` and `Mcp-Name` headers (MCP 2026-07-28, Request Metadata): what proxies route
//! and log by. A request whose headers say something else than its body is refused, so that nobody
//! on the way is deceived.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use crate::mcp_message::{Body, Call, name_member};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The first revision that requires the headers.
const REQUIRED_SINCE: &str = "2026-07-28";

/// Why the headers do not fit the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderMismatch {
    #[error("the header {0} was sent more than once")]
    Repeated(&'static str),
    #[error("the header {0} has characters that are not allowed")]
    Characters(&'static str),
    #[error("the header {0} is missing")]
    Missing(&'static str),
    #[error("the header Mcp-Method does not match the body's method")]
    Method,
    #[error("the header Mcp-Name does not match the body's params.{0}")]
    Name(&'static str),
    #[error("the header Mcp-Name was sent, and the body names nothing")]
    NoName,
    #[error("the header Mcp-Name is not valid Base64")]
    Encoding,
    #[error("a batch cannot have Mcp-Method and Mcp-Name headers; send one message a request")]
    Batch,
}

/// Whether the request says in its headers what it calls, or has to.
pub(crate) fn are_expected(headers: &HeaderMap) -> bool {
    headers.contains_key(METHOD)
        || headers.contains_key(NAME)
        || headers.get_all(PROTOCOL_VERSION).iter().any(requires)
}

/// Checks the headers against the body. Revisions before 2026-07-28 do not know the headers: there
/// they may be absent, but not wrong.
pub(crate) fn check(headers: &HeaderMap, body: &Body<'_>) -> Result<(), HeaderMismatch> {
    let version = single(headers, &PROTOCOL_VERSION, "MCP-Protocol-Version")?;
    let method = single(headers, &METHOD, "Mcp-Method")?;
    let name = single(headers, &NAME, "Mcp-Name")?;
    let is_required = version.is_some_and(|version| version >= REQUIRED_SINCE);
    if body.is_batch {
        return match (is_required, method, name) {
            (false, None, None) => Ok(()),
            _ => Err(HeaderMismatch::Batch),
        };
    }
    let Some(call) = body.calls.first() else {
        return match (method, name) {
            (Some(_), _) => Err(HeaderMismatch::Method),
            (None, Some(_)) => Err(HeaderMismatch::NoName),
            (None, None) => Ok(()),
        };
    };
    // Notifications have no required headers. `initialize` comes before a revision is agreed on.
    let is_required = is_required && call.is_request && call.method != "initialize";
    match method {
        Some(method) if method != call.method => return Err(HeaderMismatch::Method),
        None if is_required => return Err(HeaderMismatch::Missing("Mcp-Method")),
        _ => {}
    }
    check_name(call, name, is_required)
}

fn check_name(
    call: &Call<'_>,
    header: Option<&str>,
    is_required: bool,
) -> Result<(), HeaderMismatch> {
    let Some(member) = name_member(&call.method) else {
        // What an extension's method puts there cannot be compared.
        let is_nameless = header.is_some() && is_of_the_specification(&call.method);
        return if is_nameless {
            Err(HeaderMismatch::NoName)
        } else {
            Ok(())
        };
    };
    let Some(header) = header else {
        let methods = ["tools/call", "prompts/get", "resources/read"];
        return if is_required && call.name.is_some() && methods.contains(&&*call.method) {
            Err(HeaderMismatch::Missing("Mcp-Name"))
        } else {
            Ok(())
        };
    };
    if call.name.as_deref() == Some(&*decode(header)?) {
        Ok(())
    } else {
        Err(HeaderMismatch::Name(member))
    }
}

/// Whether the specification, and no extension, defines a method of this name.
fn is_of_the_specification(method: &str) -> bool {
    const FAMILIES: [&str; 11] = [
        "completion",
        "elicitation",
        "initialize",
        "logging",
        "notifications",
        "ping",
        "prompts",
        "resources",
        "roots",
        "server",
        "tools",
    ];
    let family = method.split('/').next().unwrap_or(method);
    FAMILIES.contains(&family)
}

/// Names that a header cannot carry are sent as `=?base64?…?=`, markers in lower case (Value
/// Encoding).
fn decode(header: &str) -> Result<Cow<'_, str>, HeaderMismatch> {
    let encoded = header
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    let Some(encoded) = encoded else {
        return Ok(Cow::Borrowed(header));
    };
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|_| HeaderMismatch::Encoding)?;
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| HeaderMismatch::Encoding)
}

/// The value of a header that may stand once.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    written: &'static str,
) -> Result<Option<&'a str>, HeaderMismatch> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(HeaderMismatch::Repeated(written));
    }
    let value = value
        .to_str()
        .map_err(|_| HeaderMismatch::Characters(written))?;
    Ok(Some(value.trim_matches([' ', '\t'])))
}

fn requires(version: &http::HeaderValue) -> bool {
    version.as_bytes().trim_ascii() >= REQUIRED_SINCE.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp_message;

    fn checked(headers: &[(&str, &str)], body: &str) -> Result<(), HeaderMismatch> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(
                name,
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        check(&map, &mcp_message::read(body.as_bytes()).unwrap())
    }

    const NEW: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const OLD: (&str, &str) = ("mcp-protocol-version", "2025-11-25");
    const CALL: (&str, &str) = ("mcp-method", "tools/call");

    fn call(method: &str, member: &str, name: &str) -> String {
        serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { member: name } })
            .to_string()
    }

    #[test]
    fn headers_that_say_what_the_body_says_pass() {
        for (method, member) in [
            ("tools/call", "name"),
            ("prompts/get", "name"),
            ("resources/read", "uri"),
            ("resources/subscribe", "uri"),
            ("tasks/get", "taskId"),
        ] {
            let body = call(method, member, "a b");
            for version in [NEW, OLD] {
                let headers = [version, ("mcp-method", method), ("mcp-name", "a b")];
                assert_eq!(checked(&headers, &body), Ok(()), "{method}");
            }
        }
        let list = r#"{"id":1,"method":"tools/list"}"#;
        assert_eq!(checked(&[NEW, ("mcp-method", "tools/list")], list), Ok(()));
    }

    #[test]
    fn names_outside_ascii_are_compared_decoded() {
        for (name, header) in [
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("plain", "=?base64?cGxhaW4=?="),
            ("=?BASE64?cGxhaW4=?=", "=?BASE64?cGxhaW4=?="),
        ] {
            let body = call("tools/call", "name", name);
            assert_eq!(
                checked(&[NEW, CALL, ("mcp-name", header)], &body),
                Ok(()),
                "{name}"
            );
        }
        let body = call("tools/call", "name", "plain");
        for (header, expected) in [
            ("=?base64?b3RoZXI=?=", HeaderMismatch::Name("name")),
            ("=?BASE64?cGxhaW4=?=", HeaderMismatch::Name("name")),
            ("=?base64?cGxhaW4?=", HeaderMismatch::Encoding),
            ("=?base64?/w==?=", HeaderMismatch::Encoding),
            ("=?base64??=", HeaderMismatch::Name("name")),
            ("plaïn", HeaderMismatch::Characters("Mcp-Name")),
        ] {
            assert_eq!(
                checked(&[NEW, CALL, ("mcp-name", header)], &body),
                Err(expected),
                "{header}"
            );
        }
    }

    #[test]
    fn headers_that_disagree_are_refused_in_every_revision() {
        let body = call("tools/call", "name", "a");
        let name = ("mcp-name", "a");
        for version in [NEW, OLD] {
            for (headers, expected) in [
                (
                    vec![version, ("mcp-method", "tools/list"), name],
                    HeaderMismatch::Method,
                ),
                (
                    vec![version, ("mcp-method", "Tools/Call"), name],
                    HeaderMismatch::Method,
                ),
                (
                    vec![version, CALL, ("mcp-name", "b")],
                    HeaderMismatch::Name("name"),
                ),
                (
                    vec![version, CALL, ("mcp-name", "A")],
                    HeaderMismatch::Name("name"),
                ),
                (
                    vec![version, CALL, CALL, name],
                    HeaderMismatch::Repeated("Mcp-Method"),
                ),
                (
                    vec![version, CALL, name, name],
                    HeaderMismatch::Repeated("Mcp-Name"),
                ),
                (
                    vec![version, version, CALL, name],
                    HeaderMismatch::Repeated("MCP-Protocol-Version"),
                ),
            ] {
                assert_eq!(checked(&headers, &body), Err(expected), "{headers:?}");
            }
            let batch = format!("[{body}]");
            assert_eq!(
                checked(&[version, CALL, name], &batch),
                Err(HeaderMismatch::Batch)
            );
            let response = r#"{"id":1,"result":{}}"#;
            assert_eq!(
                checked(&[version, CALL], response),
                Err(HeaderMismatch::Method)
            );
            let nameless = r#"{"id":1,"method":"resources/read","params":{}}"#;
            assert_eq!(
                checked(&[version, ("mcp-method", "resources/read"), name], nameless),
                Err(HeaderMismatch::Name("uri"))
            );
        }
    }

    #[test]
    fn a_name_for_a_body_that_names_nothing_is_refused() {
        let name = ("mcp-name", "a");
        for version in [NEW, OLD] {
            let response = r#"{"id":1,"result":{}}"#;
            for nameless in [
                r#"{"id":1,"method":"tools/list","params":{"name":"a"}}"#,
                r#"{"id":1,"method":"ping"}"#,
            ] {
                let method = mcp_message::read(nameless.as_bytes()).unwrap();
                let method = method.calls[0].method.to_string();
                assert_eq!(
                    checked(&[version, ("mcp-method", &method), name], nameless),
                    Err(HeaderMismatch::NoName)
                );
            }
            assert_eq!(
                checked(&[version, name], response),
                Err(HeaderMismatch::NoName)
            );
        }
        let extension = r#"{"id":1,"method":"example/run","params":{"name":"a"}}"#;
        let method = ("mcp-method", "example/run");
        assert_eq!(checked(&[NEW, method, name], extension), Ok(()));
    }

    #[test]
    fn missing_headers_are_refused_where_the_revision_requires_them() {
        let body = call("tools/call", "name", "a");
        assert_eq!(
            checked(&[NEW], &body),
            Err(HeaderMismatch::Missing("Mcp-Method"))
        );
        assert_eq!(
            checked(&[NEW, CALL], &body),
            Err(HeaderMismatch::Missing("Mcp-Name"))
        );
        let batch = format!("[{body}]");
        assert_eq!(checked(&[NEW], &batch), Err(HeaderMismatch::Batch));
        for (headers, body) in [
            (vec![OLD], body.as_str()),
            (vec![], body.as_str()),
            (vec![OLD], batch.as_str()),
            (vec![NEW], r#"{"id":1,"method":"initialize"}"#),
            (vec![NEW], r#"{"method":"notifications/initialized"}"#),
            (vec![NEW], r#"{"id":1,"result":{}}"#),
            (
                vec![NEW, ("mcp-method", "resources/subscribe")],
                &call("resources/subscribe", "uri", "a"),
            ),
        ] {
            assert_eq!(checked(&headers, body), Ok(()), "{headers:?} {body}");
        }
    }
}
