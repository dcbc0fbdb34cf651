//! Listening until told to stop, then letting what is under way finish.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::connection::{Answering, Serving};
use super::connections::Places;
use super::health_thread::HealthThread;
use super::limits::SHUTDOWN_TIMEOUT;
use super::listener::Listener;
use super::middleware::AppService;
use super::open_files::room_for;
use super::proxies::Proxies;
use super::router::{health_router, router};
use super::sockets::{ListenError, Sockets};
use super::tls::{Asked, Certificates, TlsError};
use crate::app::App;
use crate::config::{Config, TrustedProxies};
use crate::starting::Starting;

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The thread for health.
    #[error("the thread that answers at --health-listen cannot be started")]
    Health(#[source] io::Error),
    /// The certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that has its addresses and waits to serve.
#[derive(Debug)]
pub struct Server {
    sockets: Sockets,
    starting: Starting,
    health: Option<HealthThread>,
    certificates: Option<Certificates>,
    trusted_proxies: TrustedProxies,
    expects_proxy_header: bool,
    places: Places,
}

/// Reads again, while the server runs, what can be read again.
#[derive(Debug, Clone)]
pub struct Reload(Option<Certificates>);

impl Reload {
    /// Reads the TLS certificate and key again. Where they cannot be used, the log says why, and those
    /// before stay in use.
    pub fn reload(&self) {
        if let Some(certificates) = &self.0 {
            certificates.reload(Asked::BySignal);
        } else {
            tracing::info!(
                "nothing to reload: there is no TLS certificate, and settings take effect at a start"
            );
        }
    }
}

impl Server {
    /// Takes the addresses of `config`. That for health is answered from here on.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn bind(config: &Config) -> Result<Self, ServerError> {
        let certificates = config.tls.as_ref().map(Certificates::open).transpose()?;
        let sockets = Sockets::bind(&config.listen, "--listen").await?;
        let starting = Starting::default();
        let health = match &config.health_listen {
            Some(address) => {
                let sockets = Sockets::bind(address, "--health-listen").await?;
                let thread = HealthThread::start(sockets, starting.clone()).await;
                Some(thread.map_err(ServerError::Health)?)
            }
            None => None,
        };
        let all = room_for(config.max_connections);
        Ok(Self {
            sockets,
            starting,
            health,
            certificates,
            trusted_proxies: config.trusted_proxies.clone(),
            expects_proxy_header: config.proxy_protocol,
            places: Places {
                all,
                of_one_source: config
                    .max_connections_per_source
                    .unwrap_or((all / 4).max(1)),
            },
        })
    }

    /// The address that is really listened on; of several, the first.
    pub fn address(&self) -> SocketAddr {
        self.sockets.address()
    }

    /// The other addresses, where a host name has several.
    pub fn further_addresses(&self) -> &[SocketAddr] {
        self.sockets.further_addresses()
    }

    /// The address of the listener for health, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(HealthThread::address)
    }

    /// What the start is to be told, until the server serves.
    pub fn starting(&self) -> &Starting {
        &self.starting
    }

    /// What reads again what can be read again.
    pub fn reload(&self) -> Reload {
        Reload(self.certificates.clone())
    }

    /// Answers requests until `stop` is ready; then no new connection is taken, requests under way
    /// finish (within 30 seconds), and the audit log is flushed. Health is answered until then, from a thread of
    /// its own.
    pub async fn serve(self, app: Arc<App>, stop: impl Future<Output = ()>) {
        let health = self.health.map(|thread| {
            let routes = health_router(Arc::clone(&app));
            thread.serve(AppService::health(Arc::clone(&app), routes))
        });
        let proxies = Arc::new(Proxies::new(
            self.trusted_proxies,
            app.issuer.as_str().starts_with("https:"),
        ));
        let routes = router(Arc::clone(&app));
        let service = AppService::new(Arc::clone(&app), routes, Arc::clone(&proxies))
            .with_hsts(self.certificates.is_some() && !app.issuer.is_loopback_or_address());
        let serving = Serving {
            proxies,
            tls: self.certificates.as_ref().map(Certificates::acceptor),
            expects_proxy_header: self.expects_proxy_header,
            ..Serving::plain(Answering::App(service))
        };
        let main = Listener::new(self.sockets, self.places, serving);
        tokio::select! {
            () = main.serve() => {}
            () = follow(self.certificates) => {}
            () = stop => {}
        }
        app.readiness.stop();
        if timeout(SHUTDOWN_TIMEOUT, main.end()).await.is_err() {
            tracing::warn!("some requests did not finish in time and were cut off");
        }
        app.close().await;
        if let Some(health) = health {
            health.end().await;
        }
    }
}

async fn follow(certificates: Option<Certificates>) {
    match certificates {
        Some(certificates) => certificates.follow().await,
        None => std::future::pending().await,
    }
}
