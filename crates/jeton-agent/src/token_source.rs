//! Where tokens come from: discovered, cached, renewed, widened.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jeton_core::{Challenge, Clock, ResourceUri, ScopeSet, SystemClock};
use jeton_jose::{http_client, is_trustworthy_url};
use reqwest::Client;
use tokio::sync::{Mutex, MutexGuard};

use crate::authenticate::request_token;
use crate::discover::{Discovered, discover};
use crate::token_cache::AccessToken;
use crate::{AgentError, ClientSecret};

/// How often a scope is widened before the server is taken to ask in circles.
const MAX_WIDENINGS: u32 = 5;

/// Tokens for one MCP server. Clones share one token.
#[derive(Clone)]
pub struct TokenSource(Arc<Inner>);

struct Inner {
    url: String,
    resource: ResourceUri,
    issuer: Option<String>,
    credentials: ClientSecret,
    /// Whether the scopes were named, and are not to be widened.
    scope_is_fixed: bool,
    client: Client,
    clock: Arc<dyn Clock>,
    current: ArcSwapOption<AccessToken>,
    /// Holding it is the right to ask for a token.
    flight: Mutex<Flight>,
}

#[derive(Default)]
struct Flight {
    discovered: Option<Arc<Discovered>>,
    /// What to ask for; nothing means what the challenge asks for.
    scope: Option<ScopeSet>,
    widenings: u32,
}

/// How a [`TokenSource`] is set up.
#[derive(Debug)]
pub struct TokenSourceBuilder {
    url: String,
    credentials: ClientSecret,
    issuer: Option<String>,
    scope: Option<ScopeSet>,
    client: Option<Client>,
    clock: Arc<dyn Clock>,
}

impl TokenSourceBuilder {
    /// The authorization server that the credentials belong to. They are then sent there and
    /// nowhere else, whatever the MCP server says; without it, the MCP server decides, so name it
    /// unless you trust the MCP server.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The scopes to ask for: these, and never more. Absent, those that the server's challenge asks
    /// for (else all that the client was granted), and more where the server says
    /// `insufficient_scope`.
    #[must_use]
    pub fn scope(mut self, scope: ScopeSet) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Makes requests with `client`. It should follow no redirects.
    #[must_use]
    pub fn http_client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Finishes; nothing is sent before the first token is asked for.
    ///
    /// # Errors
    ///
    /// [`AgentError::Url`] where the MCP server's URL cannot be used.
    pub fn build(self) -> Result<TokenSource, AgentError> {
        let resource = self
            .url
            .parse()
            .map_err(|_| AgentError::Url(self.url.clone()))?;
        if !is_trustworthy_url(&self.url) {
            return Err(AgentError::Url(self.url));
        }
        let client = match self.client {
            Some(client) => client,
            None => http_client()?,
        };
        Ok(TokenSource(Arc::new(Inner {
            url: self.url,
            resource,
            issuer: self.issuer,
            credentials: self.credentials,
            scope_is_fixed: self.scope.is_some(),
            client,
            clock: self.clock,
            current: ArcSwapOption::empty(),
            flight: Mutex::new(Flight {
                scope: self.scope,
                ..Flight::default()
            }),
        })))
    }
}

impl TokenSource {
    /// Tokens for the MCP server at `url`.
    pub fn builder(url: impl Into<String>, credentials: ClientSecret) -> TokenSourceBuilder {
        TokenSourceBuilder {
            url: url.into(),
            credentials,
            issuer: None,
            scope: None,
            client: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// A token: the one at hand while it is good, else a new one. When it is about to expire, one
    /// of the tasks that ask renews it, and the others go on with the old one.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub async fn token(&self) -> Result<Arc<AccessToken>, AgentError> {
        let now = self.0.clock.now();
        let current = self.0.current.load_full();
        match current {
            Some(token) if token.is_fresh(now) => Ok(token),
            Some(token) if token.is_usable(now) => match self.0.flight.try_lock() {
                Err(_) => Ok(token),
                Ok(flight) => match self.renew(flight, Some(&token)).await {
                    Ok(renewed) => Ok(renewed),
                    Err(error) => {
                        tracing::warn!(%error, "renewing the token failed; the old one is still good");
                        Ok(token)
                    }
                },
            },
            known => {
                let flight = self.0.flight.lock().await;
                self.renew(flight, known.as_ref()).await
            }
        }
    }

    /// Another token than `rejected`, which the server did not accept.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub async fn replace(&self, rejected: &AccessToken) -> Result<Arc<AccessToken>, AgentError> {
        let mut flight = self.0.flight.lock().await;
        // The server may have moved to another authorization server.
        if self.is_current(rejected) {
            flight.discovered = None;
        }
        self.renew_unless_done(flight, rejected).await
    }

    /// A token with the scope that the server's `insufficient_scope` challenge asks for, beside
    /// what `insufficient` has. Nothing, where asking again cannot help: the scopes are fixed,
    /// the challenge names no scope that is missing, or the scope was widened five times already.
    ///
    /// # Errors
    ///
    /// [`AgentError`], above all where the client was not granted the scope.
    pub async fn widen(
        &self,
        insufficient: &AccessToken,
        challenge: &Challenge,
    ) -> Result<Option<Arc<AccessToken>>, AgentError> {
        let Some(asked) = &challenge.scope else {
            return Ok(None);
        };
        if self.0.scope_is_fixed {
            return Ok(None);
        }
        let mut flight = self.0.flight.lock().await;
        if !self.is_current(insufficient) {
            return self.renew_unless_done(flight, insufficient).await.map(Some);
        }
        let had = insufficient.scope().cloned().unwrap_or_default();
        if asked.is_subset_of(&had) || flight.widenings >= MAX_WIDENINGS {
            return Ok(None);
        }
        flight.widenings += 1;
        let before = flight.scope.replace(had.union(asked));
        match self.fetch(&mut flight).await {
            Ok(token) => Ok(Some(token)),
            Err(error) => {
                flight.scope = before;
                Err(error)
            }
        }
    }

    /// The MCP server's URL.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn http_client(&self) -> &Client {
        &self.0.client
    }

    /// Whether a token may be sent to `url`.
    pub(crate) fn covers(&self, url: &str) -> bool {
        let without_query = url.split(['?', '#']).next().unwrap_or(url);
        without_query
            .parse::<ResourceUri>()
            .is_ok_and(|url| self.0.resource.covers(&url))
    }

    fn is_current(&self, token: &AccessToken) -> bool {
        self.0
            .current
            .load()
            .as_ref()
            .is_some_and(|current| current.expose() == token.expose())
    }

    async fn renew_unless_done(
        &self,
        mut flight: MutexGuard<'_, Flight>,
        old: &AccessToken,
    ) -> Result<Arc<AccessToken>, AgentError> {
        let now = self.0.clock.now();
        match self.0.current.load_full() {
            Some(current) if current.expose() != old.expose() && current.is_usable(now) => {
                Ok(current)
            }
            _ => self.fetch(&mut flight).await,
        }
    }

    async fn renew(
        &self,
        mut flight: MutexGuard<'_, Flight>,
        known: Option<&Arc<AccessToken>>,
    ) -> Result<Arc<AccessToken>, AgentError> {
        // While this task waited for its turn, another may have done it.
        let now = self.0.clock.now();
        match (self.0.current.load_full(), known) {
            (Some(current), known)
                if current.is_fresh(now)
                    && known.is_none_or(|known| known.expose() != current.expose()) =>
            {
                Ok(current)
            }
            _ => self.fetch(&mut flight).await,
        }
    }

    async fn fetch(&self, flight: &mut Flight) -> Result<Arc<AccessToken>, AgentError> {
        let inner = &self.0;
        let discovered = if let Some(discovered) = &flight.discovered {
            Arc::clone(discovered)
        } else {
            let found = discover(&inner.client, &inner.url, inner.issuer.as_deref()).await?;
            Arc::clone(flight.discovered.insert(Arc::new(found)))
        };
        let scope = flight
            .scope
            .as_ref()
            .or_else(|| discovered.challenged_scope());
        let response = request_token(
            &inner.client,
            &discovered.server,
            &inner.credentials,
            Some(&discovered.resource.resource),
            scope,
        )
        .await?;
        let token = Arc::new(AccessToken::new(response, inner.clock.now()));
        inner.current.store(Some(Arc::clone(&token)));
        Ok(token)
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("url", &self.0.url)
            .field("issuer", &self.0.issuer)
            .finish_non_exhaustive()
    }
}
