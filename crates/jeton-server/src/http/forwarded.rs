//! Where a request came from, as trusted proxies say: `Forwarded` (RFC 7239), `X-Forwarded-For` and
//! `X-Forwarded-Proto`.
//!
//! Each proxy appends the address of its own peer, so the list is read from the right: addresses of trusted
//! proxies are skipped, and the first other one is the source. What stands further left is the
//! caller's own word. Where both headers are there, the proxy may write either and pass the other through: they
//! count if they agree.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName};

use crate::config::TrustedProxies;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The source address.
    pub(super) address: IpAddr,
    /// A trusted proxy took the request over plain http.
    pub(super) is_plain_http: bool,
    /// The two headers name different sources, so that neither counts.
    pub(super) is_contradictory: bool,
}

/// Whether somebody says that the request was forwarded.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(&X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// The origin of a request that arrived from the trusted proxy `peer`. A malformed header says nothing:
/// the source is the peer.
pub(super) fn origin(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Origin {
    if !headers.contains_key(FORWARDED) {
        return walk(peer, x_forwarded_for(headers), trusted);
    }
    let standard = walk(peer, forwarded(headers), trusted);
    if !headers.contains_key(&X_FORWARDED_FOR) {
        return standard;
    }
    let other = walk(peer, x_forwarded_for(headers), trusted);
    let is_contradictory = standard.address != other.address;
    Origin {
        address: if is_contradictory {
            peer
        } else {
            standard.address
        },
        is_plain_http: standard.is_plain_http || other.is_plain_http,
        is_contradictory,
    }
}

fn walk<'a>(
    peer: IpAddr,
    from_right: impl Iterator<Item = Hop<'a>>,
    trusted: &TrustedProxies,
) -> Origin {
    let mut origin = Origin {
        address: peer,
        is_plain_http: false,
        is_contradictory: false,
    };
    for hop in from_right {
        let Some(address) = hop.address else {
            origin.address = peer;
            return origin;
        };
        origin.address = address;
        origin.is_plain_http = hop
            .proto
            .is_some_and(|proto| proto.eq_ignore_ascii_case(b"http"));
        if !trusted.contains(address) {
            break;
        }
    }
    origin
}

/// What one proxy says of its peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hop<'a> {
    /// Its address; nothing where it is hidden or malformed.
    address: Option<IpAddr>,
    /// The protocol that it used.
    proto: Option<&'a [u8]>,
}

fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Hop<'_>> {
    // A proxy that appends to both headers keeps them in step. One that sets the protocol speaks for all.
    let first = from_right(headers, &X_FORWARDED_PROTO).last();
    let mut protos = from_right(headers, &X_FORWARDED_PROTO);
    from_right(headers, &X_FORWARDED_FOR).map(move |text| Hop {
        address: node(text),
        proto: protos.next().or(first),
    })
}

/// The members of a list over all lines of a header (RFC 9110 §5.3), the last first. Empty ones count,
/// since they stand for somebody.
fn from_right<'a>(
    headers: &'a HeaderMap,
    name: &'static HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop<'_>> {
    let lines = headers.get_all(FORWARDED).into_iter().rev();
    lines.flat_map(|line| {
        let mut hops = match split_outside_quotes(line.as_bytes(), b',') {
            Some(elements) => elements.into_iter().map(forwarded_element).collect(),
            None => vec![Hop::default()],
        };
        hops.reverse();
        hops
    })
}

/// RFC 7239 §4: `for=192.0.2.60;proto=http;by=203.0.113.43`, names without case, values quoted or not.
fn forwarded_element(element: &[u8]) -> Hop<'_> {
    let mut hop = Hop::default();
    let mut is_named = false;
    for pair in split_outside_quotes(element, b';').unwrap_or_default() {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let value = unquoted(value.trim_ascii());
        match name.trim_ascii() {
            // RFC 7239 §4: each parameter once. Which of two is the proxy's, nobody can say.
            name if name.eq_ignore_ascii_case(b"for") => {
                hop.address = node(value).filter(|_| !is_named);
                is_named = true;
            }
            name if name.eq_ignore_ascii_case(b"proto") => hop.proto = Some(value),
            _ => {}
        }
    }
    hop
}

/// Neither addresses nor protocols hold a quoted-pair, so a value that does is malformed.
fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// Splits at a separator that is not within a quoted string (RFC 9110 §5.6.4). Nothing where a string
/// does not end: it may be the caller's, and swallow what the proxy appended.
fn split_outside_quotes(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text
        .split(|byte| {
            let is_separator = !quoted && *byte == separator;
            match *byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            is_separator
        })
        .collect();
    (!quoted).then_some(parts)
}

/// RFC 7239 §6: an address, `[2001:db8::1]`, either with a port; not `unknown` and not `_hidden`.
/// `X-Forwarded-For` is written in the same ways, and with a bare IPv6 address.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| {
            let inside = text.strip_prefix('[')?.strip_suffix(']')?;
            inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        })?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "10.0.0.1";

    fn trusted() -> TrustedProxies {
        TrustedProxies::parse(&["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()]).unwrap()
    }

    fn origin_of(headers: &[(&'static str, &str)]) -> Origin {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        origin(PEER.parse().unwrap(), &map, &trusted())
    }

    fn source_of(headers: &[(&'static str, &str)]) -> String {
        origin_of(headers).address.to_string()
    }

    #[test]
    fn the_first_untrusted_address_from_the_right_is_the_source() {
        for (value, source) in [
            ("203.0.113.9", "203.0.113.9"),
            ("1.2.3.4, 203.0.113.9", "203.0.113.9"),
            ("203.0.113.9, 10.0.0.2,10.0.0.3", "203.0.113.9"),
            ("garbage, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("10.0.0.9, 10.0.0.2", "10.0.0.9"),
        ] {
            assert_eq!(source_of(&[("x-forwarded-for", value)]), source, "{value}");
        }
        let lines = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        assert_eq!(source_of(&lines), "203.0.113.9");
    }

    #[test]
    fn a_malformed_list_leaves_the_peer() {
        for value in [
            "",
            "unknown",
            "203.0.113.9, nonsense",
            "203.0.113.9,",
            "_hidden",
            "1.2.3.4.5",
        ] {
            assert_eq!(source_of(&[("x-forwarded-for", value)]), PEER, "{value}");
        }
        for value in [
            "",
            "for=unknown",
            "for=_hidden",
            "for=198.51.100.17;for=203.0.113.9",
            "proto=https",
            "for=\"203.0.113.9",
            "for",
        ] {
            assert_eq!(source_of(&[("forwarded", value)]), PEER, "{value}");
        }
        assert_eq!(
            source_of(&[("x-forwarded-for", "203.0.113.9, \u{e9}")]),
            PEER
        );
        assert_eq!(
            source_of(&[("x-forwarded-for", "\u{e9}, 203.0.113.9")]),
            "203.0.113.9"
        );
        assert_eq!(source_of(&[]), PEER);
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        for (value, source) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            (
                "for=192.0.2.43, for=10.0.0.2;host=\"a,b;for=1.2.3.4\"",
                "192.0.2.43",
            ),
            ("by=10.0.0.1; for=\"198.51.100.17\"", "198.51.100.17"),
        ] {
            assert_eq!(source_of(&[("forwarded", value)]), source, "{value}");
        }
    }

    #[test]
    fn where_the_two_headers_disagree_neither_counts() {
        for (forwarded, other, source) in [
            ("for=203.0.113.9", "203.0.113.9", "203.0.113.9"),
            (
                "for=1.2.3.4, for=203.0.113.9, for=10.0.0.2",
                "203.0.113.9",
                "203.0.113.9",
            ),
            ("for=1.2.3.4", "203.0.113.9", PEER),
            ("for=203.0.113.9", "1.2.3.4", PEER),
            ("for=203.0.113.9", "", PEER),
            ("for=unknown", "203.0.113.9", PEER),
        ] {
            let both = [("forwarded", forwarded), ("x-forwarded-for", other)];
            let origin = origin_of(&both);
            assert_eq!(origin.address.to_string(), source, "{both:?}");
            assert_eq!(origin.is_contradictory, source == PEER, "{both:?}");
        }
    }

    #[test]
    fn the_protocol_is_the_one_between_source_and_proxy() {
        let plain = |headers: &[(&'static str, &str)]| origin_of(headers).is_plain_http;
        let source = ("x-forwarded-for", "203.0.113.9, 10.0.0.2");
        assert!(!plain(&[source]));
        assert!(plain(&[source, ("x-forwarded-proto", "http")]));
        assert!(plain(&[source, ("x-forwarded-proto", "http, https")]));
        assert!(!plain(&[source, ("x-forwarded-proto", "https, http")]));
        assert!(!plain(&[
            source,
            ("x-forwarded-proto", "http, https, http")
        ]));
        assert!(plain(&[(
            "forwarded",
            "for=203.0.113.9;proto=HTTP, for=10.0.0.2;proto=https"
        )]));
    }

    #[test]
    fn a_string_that_the_caller_left_open_swallows_nothing() {
        for value in [
            "for=1.2.3.4;x=\", for=203.0.113.9",
            "for=1.2.3.4;x=\"\\, for=\"203.0.113.9\"",
        ] {
            assert_eq!(source_of(&[("forwarded", value)]), PEER, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in "[ -~]{0,60}") {
            for name in ["forwarded", "x-forwarded-for"] {
                let _ = origin_of(&[(name, &value), ("x-forwarded-proto", &value)]);
            }
        }

        #[test]
        fn what_the_caller_wrote_never_counts(value in "[ -~]{0,60}") {
            let list = format!("{value}, 203.0.113.9");
            prop_assert_eq!(source_of(&[("x-forwarded-for", &list)]), "203.0.113.9");
            for last in ["203.0.113.9", "\"203.0.113.9:80\""] {
                let source = source_of(&[("forwarded", &format!("{value}, for={last}"))]);
                prop_assert!(source == "203.0.113.9" || source == PEER, "{}", source);
            }
        }
    }
}
