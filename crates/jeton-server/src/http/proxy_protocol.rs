//! The PROXY protocol, version 2: a binary header in front of everything else, in which a proxy names the
//! real peer. <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt> §2.2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The most bytes after the fixed part: addresses and what else proxies add.
const MAX_LENGTH: u16 = 4096;

/// Reads the header. Gives the source address; nothing where the proxy speaks for itself (its health
/// checks) or the peer has no IP address.
pub(super) async fn read_source<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; 16];
    // Whoever speaks something else has sent enough by the signature's end to be told apart.
    stream.read_exact(&mut fixed).await?;
    let [signature @ .., command, family, high, low] = fixed;
    if signature != SIGNATURE {
        return Err(malformed(
            "the connection does not begin with a PROXY protocol v2 header",
        ));
    }
    let length = u16::from_be_bytes([high, low]);
    if length > MAX_LENGTH {
        return Err(malformed("the PROXY protocol header is too long"));
    }
    let mut rest = vec![0; usize::from(length)];
    stream.read_exact(&mut rest).await?;
    match command {
        0x20 => Ok(None),
        0x21 => source(family, &rest),
        _ => Err(malformed(
            "the PROXY protocol header has an unknown version or command",
        )),
    }
}

/// The source address comes first: 4 bytes over IPv4 (then the destination's 4, two ports), 16 over IPv6.
fn source(family: u8, addresses: &[u8]) -> io::Result<Option<IpAddr>> {
    let short = || malformed("the PROXY protocol header is too short for its addresses");
    match family >> 4 {
        0x1 if addresses.len() < 12 => Err(short()),
        0x1 => {
            let source: &[u8; 4] = addresses.first_chunk().ok_or_else(short)?;
            Ok(Some(Ipv4Addr::from(*source).into()))
        }
        0x2 if addresses.len() < 36 => Err(short()),
        0x2 => {
            let source: &[u8; 16] = addresses.first_chunk().ok_or_else(short)?;
            Ok(Some(IpAddr::V6(Ipv6Addr::from(*source)).to_canonical()))
        }
        // Unspecified, or a local socket.
        0x0 | 0x3 => Ok(None),
        _ => Err(malformed(
            "the PROXY protocol header has an unknown address family",
        )),
    }
}

fn malformed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    async fn read(bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let mut left = bytes;
        let source = read_source(&mut left)
            .await
            .map_err(|error| error.to_string())?;
        Ok((source.map(|source| source.to_string()), left.len()))
    }

    #[tokio::test]
    async fn the_source_is_read_and_nothing_behind_the_header() {
        let ipv4 = [203, 0, 113, 9, 10, 0, 0, 1, 0, 80, 0, 80];
        let mut bytes = header(0x21, 0x11, &[&ipv4[..], &[4, 0, 1, 0]].concat());
        bytes.extend(b"GET /");
        assert_eq!(read(&bytes).await, Ok((Some("203.0.113.9".into()), 5)));
        let mut ipv6 = [0; 36];
        ipv6[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        let bytes = header(0x21, 0x21, &ipv6);
        assert_eq!(read(&bytes).await, Ok((Some("2001:db8::1".into()), 0)));
        for nobody in [
            header(0x20, 0, &[]),
            header(0x21, 0, &[]),
            header(0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(read(&nobody).await, Ok((None, 0)));
        }
    }

    #[tokio::test]
    async fn what_is_no_such_header_is_refused() {
        let ipv4 = [203, 0, 113, 9, 10, 0, 0, 1, 0, 80, 0, 80];
        for bad in [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 80 80\r\n".to_vec(),
            header(0x21, 0x11, &ipv4[..11]),
            header(0x21, 0x21, &[0; 35]),
            header(0x21, 0x51, &ipv4),
            header(0x11, 0x11, &ipv4),
            header(0x22, 0x11, &ipv4),
            header(0x21, 0x11, &[0; 5000]),
            header(0x21, 0x11, &ipv4)[..20].to_vec(),
        ] {
            assert!(read(&bad).await.is_err(), "{bad:?}");
        }
    }
}
