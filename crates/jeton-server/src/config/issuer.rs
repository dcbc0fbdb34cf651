//! The issuer identifier (RFC 8414 §2): compared by everybody to the character.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use jeton_jose::is_trustworthy_url;
use url::Url;

/// The token endpoint below the issuer.
pub(crate) const TOKEN_ENDPOINT: &str = "/oauth/token";

/// First segments of a path that have a meaning at the root of every host, or of this server.
const RESERVED: [&str; 3] = [".well-known", "healthz", "readyz"];

/// An issuer URL: scheme, host, port and perhaps a path, in its one normal spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    /// Where the path begins in it; its length where there is none.
    path_at: usize,
    /// The path of the token endpoint, which every token request is compared with.
    token_endpoint: String,
}

/// Why a text is no issuer. No password is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Not a URL.
    #[error(
        "the issuer {0:?} is not an http or https URL; expected one like https://auth.example.com"
    )]
    NotUrl(String),
    /// A user name or password in front of the host.
    #[error(
        "the issuer has a user name or a password in it, and everybody sees the issuer; write it as {0:?}"
    )]
    Credentials(String),
    /// A query or a fragment (RFC 8414 §2).
    #[error(
        "the issuer {found:?} has a query or a fragment, which no issuer may have; write it as {expected:?}"
    )]
    Query {
        /// What was written.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// Another spelling than the one that everybody compares with.
    #[error(
        "the issuer {found:?} {why}; clients and MCP servers compare it character by character, so write it as {expected:?}"
    )]
    Spelling {
        /// What was written.
        found: String,
        /// What is unusual about it.
        why: String,
        /// What would be right.
        expected: String,
    },
    /// A path that readers could take for another one.
    #[error(
        "the path of the issuer {0:?} cannot be used: its parts may have letters, digits and - . _ ~ only, and at least one of them; expected one like https://tools.example.com/auth"
    )]
    Path(String),
    /// A path with a meaning of its own at the root of the host.
    #[error(
        "the path of the issuer {0:?} cannot begin with /.well-known, /healthz or /readyz, which have a meaning of their own; choose one like /auth"
    )]
    ReservedPath(String),
    /// Tokens and secrets would travel in the clear.
    #[error(
        "the issuer {0:?} is plain http and not loopback: secrets and tokens would travel in the clear. Use an https issuer (behind a TLS proxy, or with --tls-cert and --tls-key), or give --insecure-http if you know why"
    )]
    Insecure(String),
}

impl Issuer {
    /// `url` is in its normal spelling, and its path begins at `path_at`.
    fn new(url: String, path_at: usize) -> Self {
        let token_endpoint = format!("{}{TOKEN_ENDPOINT}", url.get(path_at..).unwrap_or(""));
        Self {
            url,
            path_at,
            token_endpoint,
        }
    }

    fn of_origin(origin: String) -> Self {
        let path_at = origin.len();
        Self::new(origin, path_at)
    }

    /// The URL, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Its path, without a slash at the end: empty, or like `/auth`.
    pub(crate) fn path(&self) -> &str {
        self.url.get(self.path_at..).unwrap_or("")
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        self.url.get(..self.path_at).unwrap_or("")
    }

    /// The path of the token endpoint.
    pub(crate) fn token_endpoint_path(&self) -> &str {
        &self.token_endpoint
    }

    /// The host in it, as other systems name this one.
    pub(crate) fn host(&self) -> &str {
        let authority = self.origin().split_once("://").map_or("", |(_, rest)| rest);
        match authority.rsplit_once(':') {
            // The colons within an IPv6 address are no port's.
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// Whether the host is this machine's own name or no name at all.
    pub(crate) fn is_loopback_or_address(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.starts_with('[')
            || host.parse::<Ipv4Addr>().is_ok()
    }

    /// The issuer that follows from the address listened on.
    pub(crate) fn of_address(address: SocketAddr, tls: bool) -> Self {
        let ip = match address.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        let scheme = if tls { "https" } else { "http" };
        Self::of_origin(format!(
            "{scheme}://{}",
            SocketAddr::new(ip, address.port())
        ))
    }

    /// The issuer that follows from the host name listened on.
    pub(crate) fn of_host(host: &str, port: u16, tls: bool) -> Self {
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{host}:{port}");
        // A default port is left out.
        let origin = Url::parse(&url).map(|url| url.origin().ascii_serialization());
        Self::of_origin(origin.unwrap_or(url))
    }

    /// Refuses plain http to anywhere but this machine.
    pub(crate) fn require_secure(&self) -> Result<(), IssuerError> {
        if is_trustworthy_url(&self.url) {
            Ok(())
        } else {
            Err(IssuerError::Insecure(self.url.clone()))
        }
    }
}

impl FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(text: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(url) = url else {
            return Err(IssuerError::NotUrl(without_credentials(text)));
        };
        let origin = url.origin().ascii_serialization();
        let path = url.path().trim_end_matches('/');
        let expected = format!("{origin}{path}");
        let found = text.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(IssuerError::Credentials(expected));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(IssuerError::Query { found, expected });
        }
        let mut segments = path.split('/').skip(1);
        if !segments.clone().all(is_plain) {
            return Err(IssuerError::Path(found));
        }
        if segments
            .next()
            .is_some_and(|first| RESERVED.contains(&first))
        {
            return Err(IssuerError::ReservedPath(found));
        }
        if text == expected {
            return Ok(Self::new(expected, origin.len()));
        }
        let why = unusual(text, &url);
        Err(IssuerError::Spelling {
            found,
            why,
            expected,
        })
    }
}

/// The text for people to read, where it may be a URL with a password that cannot be parsed.
fn without_credentials(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

/// A segment that no reader of URLs changes, and no cookie's `Path` breaks at.
fn is_plain(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !segment.is_empty() && segment.bytes().all(plain)
}

/// What is unusual about the spelling of a URL.
fn unusual(text: &str, url: &Url) -> String {
    let trimmed = text.trim();
    let rest = trimmed.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '\\']).next().unwrap_or_default();
    let default_port = if url.scheme() == "https" {
        ":443"
    } else {
        ":80"
    };
    let reasons = [
        (trimmed != text, "has white space around it"),
        (
            !authority.is_ascii(),
            "has a host name that is not in its ASCII form",
        ),
        (
            authority.contains(|c: char| c.is_ascii_uppercase())
                || !trimmed.starts_with(url.scheme()),
            "has upper-case letters where case has no meaning",
        ),
        (
            authority.ends_with(default_port),
            "names the port that is the default",
        ),
        (trimmed.ends_with('/'), "ends with a slash"),
    ];
    let found: Vec<_> = reasons
        .into_iter()
        .filter_map(|(is_so, why)| is_so.then_some(why))
        .collect();
    if found.is_empty() {
        return "is not in its normal form".to_owned();
    }
    found.join(" and ")
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_url_in_its_normal_spelling() {
        for (good, path) in [
            ("https://auth.example.com", ""),
            ("http://127.0.0.1:8420", ""),
            ("https://tools.example.com/auth", "/auth"),
            ("https://tools.example.com/a/b-c_d.e~f", "/a/b-c_d.e~f"),
            ("https://tools.example.com/Auth", "/Auth"),
            ("https://[::1]:8420/auth", "/auth"),
        ] {
            let issuer: Issuer = good.parse().unwrap();
            assert_eq!(issuer.as_str(), good);
            assert_eq!(issuer.path(), path);
            assert_eq!(issuer.token_endpoint_path(), format!("{path}/oauth/token"));
            assert_eq!(format!("{}{path}", issuer.origin()), good);
        }
    }

    #[test]
    fn another_spelling_is_refused_with_its_reason_and_the_right_one() {
        for (bad, why, expected) in [
            ("https://a.example/", "a slash", "https://a.example"),
            (
                "https://a.example/auth/",
                "a slash",
                "https://a.example/auth",
            ),
            ("https://a.example:443", "the default", "https://a.example"),
            ("http://a.example:80/x", "the default", "http://a.example/x"),
            ("https://A.example", "upper-case", "https://a.example"),
            ("HTTPS://a.example", "upper-case", "https://a.example"),
            (" https://a.example\n", "white space", "https://a.example"),
            (
                "https://bücher.example",
                "ASCII",
                "https://xn--bcher-kva.example",
            ),
            (
                "https://a.example/x/../y",
                "normal form",
                "https://a.example/y",
            ),
            ("https://a.example?x", "a query", "https://a.example"),
            ("https://a.example/x#y", "a fragment", "https://a.example/x"),
            (
                "https://u:hunter2@a.example/x",
                "a password",
                "https://a.example/x",
            ),
        ] {
            let error = bad.parse::<Issuer>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
            assert!(error.contains(&format!("{expected:?}")), "{bad}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_no_issuer_is_refused() {
        for bad in [
            "auth.example.com",
            "ftp://a.example",
            "https://",
            "u:hunter2@a.example",
            "https://u:hunter2@",
            "https://a.example//auth",
            "https://a.example/a//b",
            "https://a.example/a%2Fb",
            "https://a.example/a;b",
            "https://a.example/a b",
            "https://a.example/ä",
            "https://a.example/.well-known",
            "https://a.example/healthz/x",
        ] {
            let error = bad.parse::<Issuer>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let plain: Issuer = "http://auth.example.com/x".parse().unwrap();
        assert!(plain.require_secure().is_err());
    }
}
