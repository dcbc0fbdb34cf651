//! Accepting connections until told to stop, then letting what is under way finish.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::limits::{IDLE_TIMEOUT, MAX_CONNECTIONS, READ_TIMEOUT, SHUTDOWN_TIMEOUT};
use super::middleware::AppService;
use super::proxies::Proxies;
use super::router::router;
use super::tls::{self, TlsError};
use crate::app::App;
use crate::config::{Config, TrustedProxies};
use crate::job;
use crate::telemetry::with_causes;

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address.
    #[error("cannot listen on {address}; is another server there? Choose another with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that has its address and waits to serve.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    trusted_proxies: TrustedProxies,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the address of `config`.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn bind(config: &Config) -> Result<Self, ServerError> {
        let listen_error = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        Ok(Self {
            listener,
            address,
            tls,
            trusted_proxies: config.trusted_proxies.clone(),
        })
    }

    /// The address that is really listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is ready; then no new connection is taken, requests under way
    /// finish (within 30 seconds), and the audit log is flushed.
    pub async fn serve(self, app: Arc<App>, stop: impl Future<Output = ()>) {
        let expects_https = app.issuer.as_str().starts_with("https:");
        let proxies = Arc::new(Proxies::new(self.trusted_proxies, expects_https));
        let connections = Connections {
            routes: AppService::new(Arc::clone(&app), router(Arc::clone(&app)), proxies),
            tls: self.tls,
            graceful: GracefulShutdown::new(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        };
        tokio::select! {
            () = connections.accept(&self.listener) => {}
            () = stop => {}
        }
        drop(self.listener);
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, connections.graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not finish in time and were cut off");
        }
        app.close().await;
    }
}

struct Connections {
    routes: AppService,
    tls: Option<TlsAcceptor>,
    graceful: GracefulShutdown,
    places: Arc<Semaphore>,
}

impl Connections {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => self.start(stream, peer, place),
                // Out of file descriptors, or the connection is gone already: go on, not too fast.
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        // Answers are small: they must not wait for a fuller packet.
        let _ = stream.set_nodelay(true);
        let routes = self.routes.clone();
        let watcher = self.graceful.watcher();
        match self.tls.clone() {
            None => job::spawn_connection(async move {
                serve_connection(stream, peer, routes, watcher).await;
                drop(place);
            }),
            Some(acceptor) => job::spawn_connection(async move {
                let handshake = tokio::time::timeout(READ_TIMEOUT, acceptor.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    serve_connection(stream, peer, routes, watcher).await;
                }
                drop(place);
            }),
        }
    }
}

async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    routes: AppService,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answering = routes.clone().answer(peer, request);
        async { Ok::<_, Infallible>(answering.await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(
            error = with_causes(&*error),
            "a connection ended with an error"
        );
    }
}
