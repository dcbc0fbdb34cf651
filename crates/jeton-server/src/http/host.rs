//! The `Host` of a request: RFC 9112 §3.2 wants one that is well-formed, or a 400.
//!
//! Jeton takes nothing from it. A proxy or cache that takes another of two hosts, or guesses where there is none,
//! would route by one and remember by the other.

use std::net::Ipv6Addr;

use axum::response::{IntoResponse as _, Response};
use http::header::HOST;
use http::{Request, StatusCode, Version};

use super::cors::allow_any_origin;
use super::error::OAuthError;
use super::issuer_path;
use super::problem::Problem;
use crate::oauth;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostError {
    /// Nor, over HTTP/2, an `:authority`.
    #[error("the request has no Host header; send the host and port of the URL, once")]
    Missing,
    #[error("the request has several Host headers; send one")]
    Repeated,
    #[error("the Host header is not a host and perhaps a port; send the host and port of the URL")]
    Malformed,
    /// RFC 9113 §8.3.1.
    #[error("the Host header and :authority name different hosts; send one of them")]
    Contradictory,
}

/// RFC 9112 §3.2: from HTTP/1.1 on there is one `Host`, and whatever is sent is well-formed. RFC 9113 §8.3.1: over
/// HTTP/2 `:authority` stands for it.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), HostError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(HostError::Repeated);
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(HostError::Malformed);
    }
    let version = request.version();
    let authority = request.uri().authority();
    match (host, authority) {
        (None, None) if version > Version::HTTP_10 => Err(HostError::Missing),
        // Of HTTP/1.1, whatever the request line says.
        (None, Some(_)) if version == Version::HTTP_11 => Err(HostError::Missing),
        (Some(host), Some(authority))
            if version > Version::HTTP_11
                && !host
                    .as_bytes()
                    .eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(HostError::Contradictory)
        }
        _ => Ok(()),
    }
}

/// RFC 9110 §7.2: `uri-host [ ":" port ]`, of a scheme in which the host is not empty (§4.2.1).
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else {
        return false;
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            return port.strip_prefix(':').map_or(port.is_empty(), is_port);
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    !host.is_empty() && is_registered_name(host) && is_port(port)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok())
}

/// RFC 3986 §3.2.2, `reg-name`: IPv4 addresses are of its characters, too.
fn is_registered_name(host: &str) -> bool {
    let mut parts = host.split('%');
    let plain = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte))
    };
    let encoded = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) && plain(part)
    };
    parts.next().is_some_and(plain) && parts.all(encoded)
}

/// The answer, in the form of those at `path`.
pub(super) fn refusal(issuer_path: &str, path: &str, error: HostError) -> Response {
    let text = error.to_string();
    if !oauth::is_oauth_path(issuer_path::without(issuer_path, path)) {
        return Problem::unreadable(StatusCode::BAD_REQUEST, &text).into_response();
    }
    let error = OAuthError::invalid_request(StatusCode::BAD_REQUEST, &text);
    let mut response = error.into_response();
    allow_any_origin(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: Version, uri: &str, hosts: &[&str]) -> Result<(), HostError> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        check(&request.body(()).unwrap())
    }

    #[test]
    fn there_is_one_host() {
        let two = Err(HostError::Repeated);
        let none = Err(HostError::Missing);
        let (http_10, http_11, http_2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (version, uri, hosts, expected) in [
            (http_11, "/", &["a.example"][..], Ok(())),
            (http_11, "/", &[], none),
            (http_11, "http://a.example/", &[], none),
            (http_11, "http://a.example/", &["b.example"], Ok(())),
            (http_11, "/", &["a.example", "a.example"], two),
            (http_10, "/", &[], Ok(())),
            (http_10, "/", &["a.example", "b.example"], two),
            (http_2, "http://a.example/", &[], Ok(())),
            (http_2, "/", &["a.example"], Ok(())),
            (http_2, "/", &[], none),
            (http_2, "http://a.example/", &["A.example"], Ok(())),
            (
                http_2,
                "http://a.example/",
                &["a.example", "b.example"],
                two,
            ),
            (
                http_2,
                "http://a.example/",
                &["b.example"],
                Err(HostError::Contradictory),
            ),
        ] {
            let what = format!("{version:?} {uri} {hosts:?}");
            assert_eq!(checked(version, uri, hosts), expected, "{what}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "a.example",
            "A.example:8420",
            "my_service",
            "localhost:",
            "127.0.0.1:8420",
            "[::1]",
            "[::1]:8420",
            "%C3%A9.example",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":8420",
            "a.example:x",
            "a.example:84200",
            "a.example:8420:1",
            "a.example/",
            "http://a.example",
            "user@a.example",
            "a.example, b.example",
            "a b",
            "a.example?x",
            "a.example#x",
            "a\\b",
            "::1",
            "[::1",
            "[a.example]",
            "[::1]x",
            "%zz.example",
            "%",
            "\u{e9}.example",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff"));
    }
}
