//! Health on an address of its own, answered by a thread of its own: while requests keep everything else busy,
//! it still answers, and says whether the rest does.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::thread;

use tokio::sync::oneshot;

use super::connection::{Answering, Serving};
use super::connections::Places;
use super::health_service::HealthService;
use super::limits::HEALTH_CONNECTIONS;
use super::listener::Listener;
use super::middleware::AppService;
use super::sockets::Sockets;
use crate::starting::Starting;

/// A thread that answers for a server that starts.
pub(super) struct HealthThread {
    address: SocketAddr,
    service: HealthService,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// A thread that serves, until it is told to end.
#[derive(Debug)]
pub(super) struct ServingHealth {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl fmt::Debug for HealthThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthThread")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl HealthThread {
    /// Starts it: from here on it answers what `starting` says.
    ///
    /// # Errors
    ///
    /// Where the system has no thread, or nothing that a runtime needs.
    pub(super) async fn start(sockets: Sockets, starting: Starting) -> io::Result<Self> {
        let address = sockets.address();
        let sockets = sockets.into_std()?;
        let service = HealthService::new(starting);
        let answering = Answering::Health(service.clone());
        let (stop, stopped) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let ready = runtime.and_then(|runtime| {
                    let entered = runtime.enter();
                    let sockets = Sockets::from_std(sockets)?;
                    drop(entered);
                    Ok((runtime, sockets))
                });
                let _ending: oneshot::Sender<()> = ending;
                match ready {
                    Ok((runtime, sockets)) => {
                        // Whoever started it may be gone; then it ends at once.
                        let _ = tell.send(Ok(()));
                        runtime.block_on(serve(sockets, answering, stopped));
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            })?;
        let gone = |_| Err(io::Error::other("its thread ended"));
        told.await.unwrap_or_else(gone)?;
        Ok(Self {
            address,
            service,
            stop,
            ended,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `service` answers from here on.
    pub(super) fn serve(self, service: AppService) -> ServingHealth {
        self.service.begin(service);
        ServingHealth {
            stop: self.stop,
            ended: self.ended,
        }
    }
}

impl ServingHealth {
    /// Ends it, and waits until nothing is left of it.
    pub(super) async fn end(self) {
        drop(self.stop);
        let _ = self.ended.await;
    }
}

async fn serve(sockets: Sockets, service: Answering, stopped: oneshot::Receiver<()>) {
    let places = Places {
        all: HEALTH_CONNECTIONS,
        of_one_source: HEALTH_CONNECTIONS,
    };
    let listener = Listener::new(sockets, places, Serving::plain(service));
    tokio::select! {
        () = listener.serve() => {}
        _ = stopped => {}
    }
}
