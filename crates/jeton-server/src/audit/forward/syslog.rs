//! Syslog: RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587 §3.4.1), or a local socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jeton_core::Outcome;
use jeton_store::RecordedEvent;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};
use tokio::time::timeout;

use super::ForwardError;
use crate::audit::AuditEventView;

/// The facility "log audit" (RFC 5424 §6.2.1).
const FACILITY: u8 = 13;
const INFORMATIONAL: u8 = 6;
const WARNING: u8 = 4;
/// How long a collector may take.
const MAX_WAIT: Duration = Duration::from_secs(5);

enum Way {
    Udp(String),
    Tcp {
        place: String,
        stream: Option<TcpStream>,
    },
    Unix(PathBuf),
}

/// Sends events to one collector.
pub(super) struct Syslog {
    way: Way,
    host: String,
}

impl Syslog {
    pub(super) fn udp(place: &str, host: &str) -> Self {
        Self::by(Way::Udp(place.to_owned()), host)
    }

    pub(super) fn tcp(place: &str, host: &str) -> Self {
        let way = Way::Tcp {
            place: place.to_owned(),
            stream: None,
        };
        Self::by(way, host)
    }

    pub(super) fn unix(path: &Path, host: &str) -> Self {
        Self::by(Way::Unix(path.to_owned()), host)
    }

    fn by(way: Way, host: &str) -> Self {
        Self {
            way,
            host: host.to_owned(),
        }
    }

    pub(super) async fn send(&mut self, event: &RecordedEvent) -> Result<(), ForwardError> {
        let message = self.message(event);
        if let Ok(sent) = timeout(MAX_WAIT, self.way.send(message.as_bytes())).await {
            return Ok(sent?);
        }
        self.way.give_up();
        Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
    }

    /// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`, the message being the
    /// event as JSON.
    fn message(&self, event: &RecordedEvent) -> String {
        let severity = match event.event.outcome {
            Outcome::Success => INFORMATIONAL,
            Outcome::Refused => WARNING,
        };
        let view = AuditEventView::from(event.clone());
        // An event has a JSON form without exception.
        let json = serde_json::to_string(&view).unwrap_or_default();
        format!(
            "<{}>1 {} {} jeton {} {} - {json}",
            FACILITY * 8 + severity,
            event.event.at,
            self.host,
            std::process::id(),
            event.event.kind
        )
    }
}

impl Way {
    async fn send(&mut self, message: &[u8]) -> Result<(), std::io::Error> {
        match self {
            Self::Udp(place) => {
                let any = if place.starts_with('[') {
                    "[::]:0"
                } else {
                    "0.0.0.0:0"
                };
                let socket = UdpSocket::bind(any).await?;
                socket.send_to(message, place.as_str()).await?;
            }
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.send_to(message, path).await?;
            }
            Self::Tcp { place, stream } => {
                let mut open = match stream.take() {
                    Some(open) if !is_closed(&open) => open,
                    _ => TcpStream::connect(place.as_str()).await?,
                };
                let mut frame = format!("{} ", message.len()).into_bytes();
                frame.extend_from_slice(message);
                open.write_all(&frame).await?;
                *stream = Some(open);
            }
        }
        Ok(())
    }

    fn give_up(&mut self) {
        if let Self::Tcp { stream, .. } = self {
            *stream = None;
        }
    }
}

/// A collector never says anything: whatever there is to read is its end.
fn is_closed(stream: &TcpStream) -> bool {
    let mut nothing = [0];
    !matches!(stream.try_read(&mut nothing), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
