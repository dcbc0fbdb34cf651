//! One connection: the PROXY header and TLS where they belong to it, then HTTP.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::activity::{Exchange, RequestBody};
use super::connections::Place;
use super::counted_stream::CountedStream;
use super::health_service::HealthService;
use super::host;
use super::limits::{CONNECTION_WINDOW, MAX_HEADERS, MAX_STREAMS, STREAM_WINDOW};
use super::middleware::{AppService, EndConnection, Peer};
use super::proxies::Proxies;
use super::proxy_protocol::read_source;
use crate::telemetry::with_causes;

/// What answers the requests of a listener.
pub(super) enum Answering {
    App(AppService),
    Health(HealthService),
}

impl Answering {
    async fn answer(&self, peer: Peer, request: Request<RequestBody<Incoming>>) -> Response {
        let service = match self {
            Self::App(service) => service,
            Self::Health(service) => {
                let Some(ready) = service.ready() else {
                    let host = host::check(&request);
                    return service.answer(request.uri().path(), host).await;
                };
                ready
            }
        };
        service.answer(peer, request).await
    }
}

/// How connections are served.
pub(super) struct Serving {
    pub(super) service: Answering,
    pub(super) proxies: Arc<Proxies>,
    pub(super) tls: Option<TlsAcceptor>,
    /// Trusted proxies begin with a PROXY header.
    pub(super) expects_proxy_header: bool,
    pub(super) http: Builder<TokioExecutor>,
}

/// HTTP/1.1 and HTTP/2, with limits. Deadlines are those of [`super::deadlines`]; of hyper's own, only the
/// pings that find out whether a peer is still there.
fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

impl Serving {
    /// Without TLS and without proxies.
    pub(super) fn plain(service: Answering) -> Self {
        Self {
            service,
            proxies: Arc::default(),
            tls: None,
            expects_proxy_header: false,
            http: http(),
        }
    }

    /// Serves a connection until it ends.
    pub(super) async fn serve(self: Arc<Self>, place: Place, stream: TcpStream, peer: SocketAddr) {
        let ending = place.connection.ending.clone();
        let served = async {
            let stream = CountedStream::new(stream, Arc::clone(&place.connection.activity));
            let (stream, (address, is_unnamed)) = self.find_peer(&place, stream, peer.ip()).await?;
            let peer = Peer {
                address,
                is_unnamed,
                is_on_reserved_place: place.is_reserved,
            };
            match &self.tls {
                None => self.converse(&place, stream, peer).await,
                Some(tls) => {
                    let stream = tokio::select! {
                        stream = tls.accept(stream) => stream?,
                        () = ending.cancelled() => return Ok(()),
                    };
                    place.connection.activity.progressed();
                    self.converse(&place, stream, peer).await
                }
            }
        };
        if let Err(error) = served.await {
            tracing::debug!(
                error = with_causes(&*error),
                "a connection ended with an error"
            );
        }
    }

    /// The peer, or the one that a trusted proxy names in its header; with whether it names nobody.
    async fn find_peer<S: AsyncRead + Unpin>(
        &self,
        place: &Place,
        mut stream: S,
        peer: IpAddr,
    ) -> io::Result<(S, (IpAddr, bool))> {
        if !self.expects_proxy_header || !self.proxies.trusts(peer) {
            return Ok((stream, (peer, false)));
        }
        let named = tokio::select! {
            named = read_source(&mut stream) => named,
            () = place.connection.ending.cancelled() => return Err(io::ErrorKind::TimedOut.into()),
        };
        let named = named.inspect_err(|error| self.proxies.warn_of_header(peer, error))?;
        match named {
            Some(source) if !self.proxies.trusts(source) && !place.move_to(source) => Err(
                io::Error::other("its source has as many connections as it may"),
            ),
            Some(source) => Ok((stream, (source, false))),
            None => Ok((stream, (peer, true))),
        }
    }

    async fn converse<S>(
        self: &Arc<Self>,
        place: &Place,
        stream: S,
        peer: Peer,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::clone(&place.connection.activity);
        let ending = place.connection.ending.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let exchange = Exchange::begin(&activity);
            let request = request.map(|body| RequestBody::new(body, &activity));
            let serving = Arc::clone(self);
            let ending = peer.is_on_reserved_place.then(|| ending.clone());
            async move {
                // Made here: what is captured and then awaited has its place twice.
                let answer = serving.service.answer(peer, request).await;
                if let Some(ending) = ending
                    && answer.extensions().get::<EndConnection>().is_some()
                {
                    ending.cancel();
                }
                Ok::<_, Infallible>(answer.map(|body| exchange.answer(body)))
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = place.connection.ending.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }
}
