//! An address to listen on, as people write it: `127.0.0.1:8420`, `[::1]:8420`, `localhost:8420`, `:8420`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// One address.
    Address(SocketAddr),
    /// Every address of this machine, IPv6 and IPv4: `:8420`.
    Everywhere(u16),
    /// All addresses of a host name: `localhost:8420`.
    Name {
        /// The name, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Why a text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an address to listen on: {why}")]
pub struct ListenAddressError {
    found: String,
    why: String,
}

impl ListenAddress {
    /// The addresses that it stands for, asking the system about a name. Of those of
    /// [`Self::Everywhere`], the first that the machine has is enough: it covers the second.
    ///
    /// # Errors
    ///
    /// Where the name is not known.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Address(address) => Ok(vec![*address]),
            Self::Everywhere(port) => Ok(vec![
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), *port),
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port),
            ]),
            Self::Name { host, port } => {
                let mut all: Vec<_> = tokio::net::lookup_host((host.as_str(), *port))
                    .await?
                    .collect();
                // IPv4 first, which is what other programs take the name for where they take one.
                all.sort_by_key(SocketAddr::is_ipv6);
                all.dedup();
                Ok(all)
            }
        }
    }

    /// The host name that was written, if it was one.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Name { host, .. } => Some(host),
            Self::Address(_) | Self::Everywhere(_) => None,
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let wrong = |why: String| ListenAddressError {
            found: text.to_owned(),
            why,
        };
        if text.parse::<u16>().is_ok() {
            return Err(wrong(format!(
                "write 127.0.0.1:{text} for this machine alone, or :{text} for every address of it"
            )));
        }
        if let Some((_, rest)) = text.split_once("://") {
            let place = rest.split('/').next().unwrap_or_default();
            return Err(wrong(format!("leave out the scheme, as in {place}")));
        }
        if text.parse::<Ipv6Addr>().is_ok() || text.starts_with('[') {
            return Err(wrong(
                "an IPv6 address is in brackets, with the port after them, as in [::1]:8420".into(),
            ));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(wrong(format!("the port is missing; write {text}:8420")));
        };
        let port = port.parse().map_err(|_| {
            wrong(format!(
                "the port is a number up to 65535, and {port:?} is not"
            ))
        })?;
        match host {
            "" => Ok(Self::Everywhere(port)),
            "*" => Err(wrong(format!(
                "for every address of this machine, write :{port}"
            ))),
            _ if host.parse::<Ipv6Addr>().is_ok() => Err(wrong(format!(
                "an IPv6 address is in brackets: [{host}]:{port}"
            ))),
            _ if is_host_name(host) => Ok(Self::Name {
                host: host.to_ascii_lowercase(),
                port,
            }),
            _ => Err(wrong(format!(
                "{host:?} is neither an address nor a host name; write one like 127.0.0.1:{port}, localhost:{port} or :{port}"
            ))),
        }
    }
}

/// Letters, digits, hyphens and dots; a name of digits and dots is an address with a mistake in it.
fn is_host_name(host: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(letters);
    host.split('.').all(is_label) && host.contains(|c: char| c.is_ascii_alphabetic())
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Address;

        impl<'de> Visitor<'de> for Address {
            type Value = ListenAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address like 127.0.0.1:8420, localhost:8420 or :8420")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListenAddress, E> {
                text.parse().map_err(E::custom)
            }

            // A port alone, which a file or the environment has as a number.
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ListenAddress, E> {
                self.visit_str(&number.to_string())
            }

            // An IPv6 address without a port, which the environment has as a list.
            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<ListenAddress, A::Error> {
                Err(de::Error::custom(
                    "it is not an address to listen on: an IPv6 address has the port after its brackets, as in [::1]:8420",
                ))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ListenAddress, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_names_and_a_port_alone_are_read_as_they_are_written() {
        for (text, name) in [
            ("127.0.0.1:8420", None),
            ("[::1]:8420", None),
            ("0.0.0.0:0", None),
            (":8420", None),
            ("localhost:8420", Some("localhost")),
            ("jeton-1.internal_net:8420", Some("jeton-1.internal_net")),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.host(), name);
        }
        let upper: ListenAddress = "LocalHost:1".parse().unwrap();
        assert_eq!(upper.to_string(), "localhost:1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (text, expected) in [
            ("8420", "127.0.0.1:8420"),
            ("localhost", "localhost:8420"),
            ("http://localhost:8420/", "as in localhost:8420"),
            ("::1:8420", "[::1]:8420"),
            ("::1", "[::1]:8420"),
            ("[::1]", "[::1]:8420"),
            ("*:8420", "write :8420"),
            ("localhost:84200", "65535"),
            ("127.0.0.1:", "65535"),
            ("127.0.0.1.5:1", "host name"),
            ("256.0.0.1:1", "host name"),
            ("a b:1", "host name"),
            ("", ":8420"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
