//! The sockets that are listened on: one, or one for each address of a host name.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

use crate::config::ListenAddress;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program has the port.
    #[error(
        "cannot listen on {address}: another program listens there already. Stop it, or choose another port with {flag}"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
        /// The flag that names it.
        flag: &'static str,
    },
    /// Only the system's own programs may use the port.
    #[error(
        "cannot listen on {address}: this user may not use the port. Choose one from 1024 on with {flag}, or allow it (setcap cap_net_bind_service=+ep on the jeton binary)"
    )]
    Denied {
        /// Where.
        address: SocketAddr,
        /// The flag that names it.
        flag: &'static str,
    },
    /// The address is another machine's.
    #[error(
        "cannot listen on {address}: this machine has no such address. Give one of its own with {flag}, or :{} for all of them", address.port()
    )]
    NotHere {
        /// Where.
        address: SocketAddr,
        /// The flag that names it.
        flag: &'static str,
    },
    /// The name means nothing here.
    #[error(
        "cannot listen on {address}: the name has no address on this machine. Give an address with {flag}, as in 127.0.0.1:8420"
    )]
    Unknown {
        /// What was written.
        address: ListenAddress,
        /// The flag that names it.
        flag: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {address}; choose another address with {flag}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// The flag that names it.
        flag: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    fn new(address: SocketAddr, flag: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, flag },
            io::ErrorKind::PermissionDenied => Self::Denied { address, flag },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address, flag },
            _ => Self::Other {
                address,
                flag,
                source,
            },
        }
    }
}

/// At least one socket.
#[derive(Debug)]
pub(super) struct Sockets {
    all: Vec<TcpListener>,
    first: SocketAddr,
    further: Vec<SocketAddr>,
}

impl Sockets {
    /// Takes every address that `address` stands for. Of a name's, those of a protocol that this machine does not
    /// speak (a `localhost` that is `::1` as well, without IPv6) are left out, as long as one remains.
    pub(super) async fn bind(
        address: &ListenAddress,
        flag: &'static str,
    ) -> Result<Self, ListenError> {
        let unknown = |source| ListenError::Unknown {
            address: address.clone(),
            flag,
            source,
        };
        let candidates = address.resolve().await.map_err(unknown)?;
        let mut bound = Vec::new();
        let mut failed = None;
        for mut candidate in candidates {
            if let (0, Some((_, first))) = (candidate.port(), bound.first()) {
                let first: &SocketAddr = first;
                candidate.set_port(first.port());
            }
            match listen(candidate).await {
                Ok(one) => bound.push(one),
                Err(error) if is_not_spoken(&error) => {
                    failed = Some(ListenError::new(candidate, flag, error));
                }
                Err(error) => return Err(ListenError::new(candidate, flag, error)),
            }
            if matches!(address, ListenAddress::Everywhere(_)) && !bound.is_empty() {
                break;
            }
        }
        let mut addresses = bound.iter().map(|(_, address)| *address);
        let Some(first) = addresses.next() else {
            let nothing = || io::Error::from(io::ErrorKind::NotFound);
            return Err(failed.unwrap_or_else(|| unknown(nothing())));
        };
        let further = addresses.collect();
        Ok(Self {
            all: bound.into_iter().map(|(socket, _)| socket).collect(),
            first,
            further,
        })
    }

    /// The same for another runtime.
    pub(super) fn into_std(self) -> io::Result<Vec<std::net::TcpListener>> {
        self.all.into_iter().map(TcpListener::into_std).collect()
    }

    /// In the runtime that is entered.
    pub(super) fn from_std(all: Vec<std::net::TcpListener>) -> io::Result<Self> {
        let sockets = all.into_iter().map(TcpListener::from_std);
        let all: Vec<_> = sockets.collect::<io::Result<_>>()?;
        let mut addresses = all.iter().map(TcpListener::local_addr);
        let nothing = || Err(io::ErrorKind::NotFound.into());
        let first = addresses.next().unwrap_or_else(nothing)?;
        let further = addresses.collect::<io::Result<_>>()?;
        Ok(Self {
            all,
            first,
            further,
        })
    }

    /// The first address.
    pub(super) fn address(&self) -> SocketAddr {
        self.first
    }

    /// The others.
    pub(super) fn further_addresses(&self) -> &[SocketAddr] {
        &self.further
    }

    /// The next connection to any of them.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            let mut ready = self.all.iter().map(|socket| socket.poll_accept(context));
            ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }
}

async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// This machine has no such address, or no such kind of addresses.
fn is_not_spoken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}
