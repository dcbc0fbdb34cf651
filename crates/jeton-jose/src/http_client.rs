//! The one place that makes HTTP clients: time limits, no redirects, bounded bodies, and never a
//! proxy for this machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Proxy, Response};

use crate::proxy::{Proxies, ProxyName};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole exchange may take.
const TOTAL: Duration = Duration::from_secs(10);

/// An HTTP client that follows no redirects: 5 seconds to connect, 10 for the whole exchange. It
/// uses the proxies that the environment names, but never for this machine (loopback).
///
/// # Errors
///
/// When the machine's TLS set-up cannot be read.
pub fn http_client() -> Result<Client, reqwest::Error> {
    http_client_builder().timeout(TOTAL).build()
}

/// The beginning of [`http_client`], without the limit on the whole exchange: for further settings,
/// or for answers that are streams.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes HTTP clients"
)]
pub fn http_client_builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("jeton/", env!("CARGO_PKG_VERSION")))
        .proxy(Proxy::custom(|url| Proxies::of_environment().url_for(url)))
}

/// A request without an answer, or with one that broke off.
///
/// It holds no URL, because a query may hold a secret. Where the environment names a proxy for the
/// destination, it says which one, without the proxy's credentials.
#[derive(Debug, Clone)]
pub struct HttpError {
    proxy: Option<ProxyName>,
    source: Arc<reqwest::Error>,
}

impl HttpError {
    /// The failure of a request to `url`.
    pub fn at(url: &str, error: reqwest::Error) -> Self {
        let url = url.parse().ok();
        Self {
            proxy: url.and_then(|url| Proxies::of_environment().name_for(&url)),
            source: Arc::new(error.without_url()),
        }
    }

    /// Whether no connection could be made, so that nothing was sent.
    pub fn is_connect(&self) -> bool {
        self.source.is_connect()
    }

    /// Whether a time limit passed.
    pub fn is_timeout(&self) -> bool {
        self.source.is_timeout()
    }
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        let proxy = error
            .url()
            .and_then(|url| Proxies::of_environment().name_for(url));
        Self {
            proxy,
            source: Arc::new(error.without_url()),
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        match &self.proxy {
            Some(proxy) => write!(f, " through {proxy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for HttpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.source)
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit, in bytes.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// The connection broke, or a time limit passed.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Reads a body of at most `limit` bytes; of a longer one, no more than that is kept.
///
/// # Errors
///
/// [`BodyError`].
pub async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let url = response.url().to_string();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| HttpError::at(&url, error))?
    {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
