//! One address that is listened on: accepting its connections and enforcing their deadlines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::connection::Serving;
use super::connections::{Connections, Places};
use super::sockets::Sockets;
use crate::job;
use crate::telemetry::Recurring;

/// How often deadlines are enforced.
const ENFORCE_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is accepted after the system refused to.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Listener {
    sockets: Sockets,
    connections: Arc<Connections>,
    serving: Arc<Serving>,
}

impl Listener {
    pub(super) fn new(sockets: Sockets, places: Places, serving: Serving) -> Self {
        Self {
            sockets,
            connections: Connections::new(places),
            serving: Arc::new(serving),
        }
    }

    /// Accepts connections; never ends.
    pub(super) async fn serve(&self) {
        tokio::select! {
            () = self.accept() => {}
            () = enforce_deadlines(&self.connections) => {}
        }
    }

    /// Accepts no more, and waits for what is under way.
    pub(super) async fn end(self) {
        drop(self.sockets);
        tokio::select! {
            () = self.connections.end() => {}
            () = enforce_deadlines(&self.connections) => {}
        }
    }

    async fn accept(&self) {
        let mut trouble = Recurring::default();
        loop {
            match self.sockets.accept().await {
                Ok((stream, peer)) => self.start(stream, peer),
                // Out of file descriptors, or the connection is gone already: go on, not too fast.
                Err(error) => {
                    if trouble.failed() {
                        tracing::warn!(%error, "accepting a connection failed");
                    }
                    if error.kind() != std::io::ErrorKind::ConnectionAborted {
                        self.connections.make_room();
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let source = (!self.serving.proxies.trusts(peer.ip())).then(|| peer.ip());
        let Some(place) = self.connections.admit(source) else {
            return;
        };
        // Answers are small: they must not wait for a fuller packet.
        let _ = stream.set_nodelay(true);
        let connection = Arc::clone(&place.connection);
        let serving = Arc::clone(&self.serving);
        let task = job::spawn_connection(serving.serve(place, stream, peer));
        connection.served_by(task);
    }
}

async fn enforce_deadlines(connections: &Connections) {
    loop {
        tokio::time::sleep(ENFORCE_EVERY).await;
        connections.enforce_deadlines(Instant::now());
    }
}
