//! How near a URL's host is to this machine, and which URLs one server may lead to.
//!
//! By its spelling, a host name other than `localhost` counts as public; what it resolves to is looked at where a
//! link is followed (`resolved_link.rs`). Plain http is for loopback only, so whatever a name resolves to also has
//! to show a certificate for it before anything is sent.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jeton_core::presentable_url;
use url::{Host, Url};

use crate::fetch::FetchError;
use crate::plain_http::PlainHttp;

/// Where a host is, as its literal address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// This machine.
    Loopback,
    /// This link, the metadata services of clouds (169.254.169.254), and what an IPv6 translator would take for
    /// a machine itself.
    LinkLocal,
    /// A private network (RFC 1918, RFC 4193, RFC 6598, RFC 3879, RFC 8215).
    Private,
    /// Anywhere else.
    Public,
}

impl Place {
    pub(crate) fn of(url: &Url) -> Self {
        match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                if name == "localhost" || name.ends_with(".localhost") {
                    Self::Loopback
                } else {
                    Self::Public
                }
            }
            Some(Host::Ipv4(address)) => Self::of_v4(address),
            Some(Host::Ipv6(address)) => Self::of_v6(address),
            None => Self::Public,
        }
    }

    pub(crate) fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// The unspecified address, 0.0.0.0, connects to this machine.
    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        if address.is_loopback() || first == 0 {
            Self::Loopback
        } else if address.is_link_local() {
            Self::LinkLocal
        } else if address.is_private() || (first == 100 && second & 0xc0 == 64) {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(mapped) => Self::of_v4(mapped),
            IpAddr::V6(address) if address.is_loopback() || address.is_unspecified() => {
                Self::Loopback
            }
            IpAddr::V6(address) if address.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(address) if address.is_unique_local() || is_of_a_site(address) => {
                Self::Private
            }
            IpAddr::V6(address) => match translated(address).map(Self::of_v4) {
                // Nothing that comes through a translator is this machine, and may do what it may.
                Some(Self::Loopback) => Self::LinkLocal,
                Some(place) => place,
                None => Self::Public,
            },
        }
    }

    /// A server names no address nearer to this machine than its own.
    pub(crate) fn may_lead_to(self, to: Self) -> bool {
        match to {
            Self::Public => true,
            Self::Private => self != Self::Public,
            Self::LinkLocal | Self::Loopback => self == to,
        }
    }
}

/// Site-local addresses (RFC 3879), and those of translators within a network (RFC 8215).
fn is_of_a_site(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    first & 0xffc0 == 0xfec0 || (first, second, third) == (0x64, 0xff9b, 1)
}

/// The IPv4 address that an IPv6 address stands for: NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2), Teredo (RFC 4380 §4),
/// IPv4-translated (RFC 7915) and IPv4-compatible (RFC 4291 §2.5.5.1).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0x2002, high, low, ..] => (high, low),
        [0x2001, 0, .., high, low] => (!high, !low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "an address of this machine",
            Self::LinkLocal => "a link-local address",
            Self::Private => "an address of a private network",
            Self::Public => "a public address",
        })
    }
}

/// Whether the host of `url` is this machine: `localhost`, or an address that connects to it.
pub fn is_loopback_url(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| Place::of(&url) == Place::Loopback)
}

/// Whether the server at `from`, a URL that a person gave, may lead to `to`: a URL that `plain_http`
/// allows, and no address of this machine or its networks unless `from` is one as well. Otherwise a server
/// elsewhere could make this machine send requests to services that only it can reach. Names are not resolved:
/// [`check_resolved_link`](crate::check_resolved_link) does that.
///
/// # Errors
///
/// [`FetchError::NotAbsolute`], [`FetchError::Insecure`] and [`FetchError::Inward`].
pub fn check_link(from: &str, to: &str, plain_http: PlainHttp) -> Result<(), FetchError> {
    if Url::parse(to).is_err() {
        return Err(FetchError::NotAbsolute(presentable_url(to)));
    }
    plain_http.check(to)?;
    let allowed = match (Url::parse(from), Url::parse(to)) {
        (Ok(from), Ok(to)) => Place::of(&from).may_lead_to(Place::of(&to)),
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    Err(FetchError::Inward {
        from: presentable_url(from),
        to: presentable_url(to),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_does_not_lead_to_this_machine() {
        for to in [
            "http://localhost:1/x",
            "https://localhost",
            "https://LOCALHOST.",
            "https://a.localhost/",
            "http://127.0.0.1",
            "https://127.1.2.3",
            "https://0.0.0.0",
            "https://0177.0.0.1",
            "https://[::1]",
            "https://[::]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:7f00:1]",
            "https://169.254.169.254",
            "https://[fe80::1]",
            "https://10.0.0.1",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://100.64.0.1",
            "https://[fd00:ec2::254]",
            "https://[::ffff:10.0.0.1]",
            "https://[64:ff9b::a00:1]",
            "https://[64:ff9b::169.254.169.254]",
            "https://[64:ff9b:1::808:808]",
            "https://[2002:a00:1::1]",
            "https://[2002:7f00:1::]",
            "https://[2001::f5ff:fffe]",
            "https://[::ffff:0:10.0.0.1]",
            "https://[::7f00:1]",
            "https://[::10.0.0.1]",
            "https://[fec0::1]",
            "https://[feff::1]",
        ] {
            let refused = check_link("https://mcp.example.com/mcp", to, PlainHttp::Loopback);
            assert!(
                matches!(refused, Err(FetchError::Inward { .. })),
                "{to}: {refused:?}"
            );
        }
        for to in ["http://a.example", "http://10.0.0.1", "file:///etc"] {
            let refused = check_link("http://localhost:3002/mcp", to, PlainHttp::Loopback);
            assert!(matches!(refused, Err(FetchError::Insecure(_))), "{to}");
        }
        for to in ["", "/metadata", "metadata", "//a.example/x"] {
            let refused = check_link("http://localhost:3002/mcp", to, PlainHttp::Anywhere);
            assert!(matches!(refused, Err(FetchError::NotAbsolute(_))), "{to}");
        }
    }

    #[test]
    fn a_server_leads_outwards_and_to_its_own_kind() {
        for (from, to) in [
            ("https://mcp.example.com", "https://auth.example.com"),
            ("https://mcp.example.com", "https://8.8.8.8"),
            ("http://localhost:3002/mcp", "http://127.0.0.1:8420"),
            ("http://127.0.0.1:3002", "http://[::1]:8420"),
            ("http://localhost:3002", "https://auth.example.com"),
            ("http://localhost:3002", "https://10.0.0.1"),
            ("https://10.0.0.1", "https://192.168.1.1"),
            ("https://10.0.0.1", "https://[64:ff9b::a00:2]"),
            ("https://mcp.example.com", "https://[64:ff9b::808:808]"),
            ("https://mcp.example.com", "https://[2002:808:808::1]"),
            ("https://mcp.example.com", "https://[2606:4700::1111]"),
        ] {
            assert!(
                check_link(from, to, PlainHttp::Loopback).is_ok(),
                "{from} to {to}"
            );
        }
        for (from, to) in [
            ("http://localhost:3002", "https://169.254.169.254"),
            ("https://10.0.0.1", "http://127.0.0.1"),
            ("https://[64:ff9b::7f00:1]", "http://127.0.0.1"),
            ("http://localhost:3002", "http://[::7f00:1]"),
        ] {
            assert!(
                check_link(from, to, PlainHttp::Loopback).is_err(),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn with_insecure_http_a_server_still_does_not_lead_inwards() {
        let check = |from, to| check_link(from, to, PlainHttp::Anywhere);
        assert!(check("http://mcp:3002/mcp", "http://jeton:8420").is_ok());
        assert!(check("http://10.0.0.1:3002", "http://10.0.0.2:8420").is_ok());
        for to in ["http://127.0.0.1:8420", "http://10.0.0.2", "http://[::1]"] {
            let refused = check("http://mcp:3002/mcp", to);
            assert!(matches!(refused, Err(FetchError::Inward { .. })), "{to}");
        }
    }
}
