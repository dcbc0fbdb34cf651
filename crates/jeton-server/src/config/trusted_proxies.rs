//! The proxies that are believed when they say where a request came from.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::ConfigError;

/// The addresses of trusted proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses networks in CIDR notation (`10.0.0.0/8`, `fd00::/8`) and single addresses.
    pub(crate) fn parse(networks: &[String]) -> Result<Self, ConfigError> {
        networks
            .iter()
            .map(|text| network(text).ok_or_else(|| ConfigError::TrustedProxy(text.clone())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `address` is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everybody is one of them.
    pub(crate) fn is_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, network) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{network}")?;
        }
        Ok(())
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().ok()?.trunc(),
    };
    // An IPv4 network written as IPv6 (::ffff:10.0.0.0/104): peers are compared as IPv4.
    match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => match mapped.addr().to_ipv4_mapped() {
            Some(address) => Ipv4Net::new(address, mapped.prefix_len() - 96)
                .ok()
                .map(IpNet::V4),
            None => Some(network),
        },
        _ => Some(network),
    }
}

/// A list, or one text with commas, as an environment has it.
pub(super) fn list_or_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    struct ListOrText;

    impl<'de> Visitor<'de> for ListOrText {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("networks like 10.0.0.0/8, as a list or separated by commas")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            let networks = text.split(',').map(str::trim);
            Ok(networks
                .filter(|network| !network.is_empty())
                .map(str::to_owned)
                .collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(ListOrText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(networks: &[&str]) -> Result<TrustedProxies, ConfigError> {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        TrustedProxies::parse(&networks)
    }

    #[test]
    fn networks_and_single_addresses_of_both_kinds_are_matched() {
        let trusted = parse(&[
            "10.0.0.0/8",
            "192.0.2.7",
            "fd00::/8",
            "::ffff:172.16.0.0/108",
        ])
        .unwrap();
        for inside in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "192.0.2.7",
            "fd12::1",
            "172.31.0.1",
        ] {
            assert!(trusted.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "fe80::1", "::1", "172.32.0.1"] {
            assert!(!trusted.contains(outside.parse().unwrap()), "{outside}");
        }
        assert_eq!(parse(&["10.1.2.3/8"]).unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for bad in ["10.0.0.0/33", "proxy.example.com", "10.0.0", ""] {
            let error = parse(&[bad]).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
