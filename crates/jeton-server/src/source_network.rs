//! The network that a source address belongs to, as limits count it: an IPv4 address alone, IPv6 by
//! /64, because whoever has one IPv6 address has at least that many.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or an IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SourceNetwork(IpAddr);

impl From<IpAddr> for SourceNetwork {
    /// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) counts as what it is.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> SourceNetwork {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn ipv6_counts_by_64_bits_and_ipv4_by_address() {
        let one = network("2001:db8:1:2:3:4:5:6");
        assert_eq!(one, network("2001:db8:1:2::1"));
        assert_ne!(one, network("2001:db8:1:3::1"));
        assert_eq!(one.to_string(), "2001:db8:1:2::/64");
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
