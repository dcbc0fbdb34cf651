//! The issuer identifier (RFC 8414 §2): compared by everybody to the character.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use jeton_jose::is_trustworthy_url;
use url::Url;

/// An issuer URL: scheme, host and port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

/// Why a text is no issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Not a URL.
    #[error(
        "the issuer {0:?} is not an http or https URL; expected one like https://auth.example.com"
    )]
    NotUrl(String),
    /// Anything after the host.
    #[error("the issuer {found:?} must be scheme and host only; write it as {expected:?}")]
    NotOrigin {
        /// What was written.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// Tokens and secrets would travel in the clear.
    #[error(
        "the issuer {0:?} is plain http and not loopback: secrets and tokens would travel in the clear. Use an https issuer (behind a TLS proxy, or with --tls-cert and --tls-key), or give --insecure-http if you know why"
    )]
    Insecure(String),
}

impl Issuer {
    /// The URL, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host in it, as other systems name this one.
    pub(crate) fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
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
        Self(format!(
            "{scheme}://{}",
            SocketAddr::new(ip, address.port())
        ))
    }

    /// Refuses plain http to anywhere but this machine.
    pub(crate) fn require_secure(&self) -> Result<(), IssuerError> {
        if is_trustworthy_url(&self.0) {
            Ok(())
        } else {
            Err(IssuerError::Insecure(self.0.clone()))
        }
    }
}

impl FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(text: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(text).map_err(|_| IssuerError::NotUrl(text.to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(IssuerError::NotUrl(text.to_owned()));
        }
        let origin = url.origin().ascii_serialization();
        if text == origin {
            Ok(Self(origin))
        } else {
            Err(IssuerError::NotOrigin {
                found: text.to_owned(),
                expected: origin,
            })
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_origin_to_the_character() {
        assert!("https://auth.example.com".parse::<Issuer>().is_ok());
        assert!("http://127.0.0.1:8420".parse::<Issuer>().is_ok());
        for (bad, expected) in [
            ("https://auth.example.com/", "https://auth.example.com"),
            ("https://auth.example.com:443", "https://auth.example.com"),
            ("https://Auth.example.com/x?y#z", "https://auth.example.com"),
        ] {
            let error = bad.parse::<Issuer>().unwrap_err().to_string();
            assert!(error.contains(&format!("{expected:?}")), "{error}");
        }
        assert!("auth.example.com".parse::<Issuer>().is_err());
        assert!(
            "http://auth.example.com"
                .parse::<Issuer>()
                .unwrap()
                .require_secure()
                .is_err()
        );
    }
}
