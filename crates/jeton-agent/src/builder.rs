//! How a token source is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jeton_core::{Clock, ScopeSet, SystemClock};
use jeton_jose::http_client_builder;
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use tokio::sync::Mutex;

use crate::flight::Flight;
use crate::left_out::LeftOut;
use crate::mcp_url::McpUrl;
use crate::token_source::{Inner, TokenSource};
use crate::{AgentError, ClientCredentials};

/// How long an exchange with the authorization server may take.
const EXCHANGE: Duration = Duration::from_secs(10);
const WAIT_AT_MOST: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

type Configure = Box<dyn Fn(ClientBuilder) -> ClientBuilder + Send + Sync>;

/// How a [`TokenSource`] is set up.
pub struct TokenSourceBuilder {
    url: String,
    credentials: ClientCredentials,
    scope: Option<ScopeSet>,
    allow_parent_resource: bool,
    wait_at_most: Duration,
    idle_timeout: Duration,
    configure: Option<Configure>,
    clock: Arc<dyn Clock>,
}

impl TokenSourceBuilder {
    pub(crate) fn new(url: String, credentials: ClientCredentials) -> Self {
        Self {
            url,
            credentials,
            scope: None,
            allow_parent_resource: false,
            wait_at_most: WAIT_AT_MOST,
            idle_timeout: IDLE_TIMEOUT,
            configure: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The scopes to ask for: these, and never more. Absent, those that the server's challenge asks
    /// for (else all that the client was granted), and more where the server says
    /// `insufficient_scope`.
    #[must_use]
    pub fn scope(mut self, scope: ScopeSet) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Allows a token for a parent of the MCP server's URL, where the server's metadata names that
    /// as its resource. Such a token works for every server below the parent, so allow it only
    /// where one party runs them all. Without it, the token is asked for by the URL itself.
    #[must_use]
    pub fn allow_parent_resource(mut self) -> Self {
        self.allow_parent_resource = true;
        self
    }

    /// Allows plain http to other machines than this one, for the MCP server and its authorization server
    /// (`http://jeton:8420`), where nobody can listen in: the secret and the tokens are sent in the clear. Off by
    /// default; the server and the command line have the same switch, `--insecure-http`.
    #[must_use]
    pub fn insecure_http(mut self, allow: bool) -> Self {
        self.credentials = self.credentials.insecure_http(allow);
        self
    }

    /// How long a caller without a good token waits for one: 30 seconds by default.
    #[must_use]
    pub fn wait_at_most(mut self, limit: Duration) -> Self {
        self.wait_at_most = limit;
        self
    }

    /// How long the MCP server may send nothing, before an answer or within one: 5 minutes by
    /// default. An answer as a whole may take as long as it likes, because streams stay open.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// Changes the HTTP clients, for example to trust a private certificate authority. It is called
    /// once for the client that talks to the authorization server, and once for the one that calls
    /// the MCP server; neither follows redirects, whatever is set here. A proxy that is set here is used
    /// for loopback too, unlike those of the environment.
    #[must_use]
    pub fn configure_http(
        mut self,
        configure: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.configure = Some(Box::new(configure));
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
    /// [`AgentError::Url`] where the MCP server's URL cannot be used; [`AgentError::Http`] where
    /// the machine's TLS set-up cannot be read.
    pub fn build(self) -> Result<TokenSource, AgentError> {
        let url = McpUrl::new(&self.url, self.credentials.plain_http())?;
        let client = self.client(http_client_builder().timeout(EXCHANGE))?;
        let calls = self.client(http_client_builder().read_timeout(self.idle_timeout))?;
        Ok(TokenSource(Arc::new(Inner {
            url,
            credentials: self.credentials,
            allow_parent_resource: self.allow_parent_resource,
            wait_at_most: self.wait_at_most,
            client,
            calls,
            clock: self.clock,
            current: ArcSwapOption::empty(),
            left_out: LeftOut::default(),
            scope_is_fixed: self.scope.is_some(),
            flight: Arc::new(Mutex::new(Flight::new(self.scope))),
        })))
    }

    fn client(&self, builder: ClientBuilder) -> Result<reqwest::Client, AgentError> {
        let builder = match &self.configure {
            Some(configure) => configure(builder),
            None => builder,
        };
        Ok(builder.redirect(Policy::none()).build()?)
    }
}

impl fmt::Debug for TokenSourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSourceBuilder")
            .field("credentials", &self.credentials)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
