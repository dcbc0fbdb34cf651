//! Where tokens come from: discovered, cached, renewed, widened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jeton_core::{Challenge, Clock, ResourceUri, ScopeSet};
use reqwest::Client;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::failure::causes;
use crate::flight::Flight;
use crate::left_out::LeftOut;
use crate::mcp_url::{McpUrl, without_query};
use crate::token_cache::AccessToken;
use crate::{AgentError, ClientCredentials, TokenSourceBuilder};

/// Tokens for one MCP server. Clones share one token. It needs a tokio runtime: tokens are asked
/// for in tasks of its own, so that one that was begun is finished whoever stops waiting for it.
#[derive(Clone)]
pub struct TokenSource(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) url: McpUrl,
    pub(crate) credentials: ClientCredentials,
    pub(crate) allow_parent_resource: bool,
    pub(crate) wait_at_most: Duration,
    /// For discovery and the token endpoint.
    pub(crate) client: Client,
    /// For calls of the MCP server, whose answers may be streams.
    pub(crate) calls: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) current: ArcSwapOption<AccessToken>,
    pub(crate) left_out: LeftOut,
    /// Whether the program named the scopes, which are not widened then.
    pub(crate) scope_is_fixed: bool,
    pub(crate) flight: Arc<Mutex<Flight>>,
}

impl TokenSource {
    /// Tokens for the MCP server at `url`.
    pub fn builder(url: impl Into<String>, credentials: ClientCredentials) -> TokenSourceBuilder {
        TokenSourceBuilder::new(url.into(), credentials)
    }

    /// A token: the one at hand while it has not expired, else a new one. When it is about to
    /// expire, it is renewed behind the callers, who go on with it. Only when there is none that is
    /// good do they wait, for 30 seconds at most or as long as
    /// [`TokenSourceBuilder::wait_at_most`] says. For some seconds after a failure no new attempt
    /// is made, and callers without a token are told of it at once.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub async fn token(&self) -> Result<Arc<AccessToken>, AgentError> {
        let now = self.0.clock.now();
        if let Some(token) = self.0.current.load_full() {
            if token.is_fresh(now) {
                return Ok(token);
            }
            if token.is_usable(now) {
                self.renew_behind();
                return Ok(token);
            }
        }
        self.in_turn(|source, mut flight| async move {
            // While this task waited for its turn, another may have done it.
            match source.0.current.load_full() {
                Some(token) if token.is_usable(source.0.clock.now()) => Ok(token),
                _ => flight.fetch(&source.0).await,
            }
        })
        .await
    }

    /// Another token than `rejected`, which the server did not accept. Nothing, where five were
    /// replaced within a minute already: asking again cannot help then.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub async fn replace(
        &self,
        rejected: &AccessToken,
    ) -> Result<Option<Arc<AccessToken>>, AgentError> {
        let rejected = rejected.clone();
        self.in_turn(|source, mut flight| async move {
            if let Some(newer) = source.newer_than(&rejected) {
                return Ok(Some(newer));
            }
            flight.replace(&source.0).await
        })
        .await
    }

    /// A token with the scope that the server's `insufficient_scope` challenge asks for, beside
    /// what `insufficient` has. Nothing, where asking again cannot help: the scopes are fixed, the
    /// challenge names no scope that is missing, the authorization server refused that scope or left
    /// it out less than a minute ago, or five widenings within a minute brought nothing new.
    ///
    /// # Errors
    ///
    /// [`AgentError`], above all where the client was not granted the scope.
    pub async fn widen(
        &self,
        insufficient: &AccessToken,
        challenge: &Challenge,
    ) -> Result<Option<Arc<AccessToken>>, AgentError> {
        let Some(asked) = challenge.scope.clone() else {
            return Ok(None);
        };
        let insufficient = insufficient.clone();
        self.in_turn(|source, mut flight| async move {
            // Another call may have widened it meanwhile, perhaps for something else.
            let newer = source.newer_than(&insufficient);
            let covers = |token: &AccessToken| {
                let has = token.scope();
                has.is_none_or(|has| asked.is_subset_of(has))
            };
            if let Some(newer) = newer.as_ref().filter(|newer| covers(newer)) {
                return Ok(Some(Arc::clone(newer)));
            }
            let had = newer.as_deref().unwrap_or(&insufficient).scope();
            flight.widen(&source.0, had, &asked).await
        })
        .await
    }

    /// Whether the program named the scopes, with [`TokenSourceBuilder::scope`]: they are never widened.
    pub fn has_fixed_scope(&self) -> bool {
        self.0.scope_is_fixed
    }

    /// Whether the authorization server refused some of `scope`, or left it out, less than a minute ago. Where it did
    /// not, [`TokenSource::widen`] that gives nothing did not ask for it.
    pub fn was_left_out(&self, scope: &ScopeSet) -> bool {
        self.0.left_out.is_in(scope, self.0.clock.now())
    }

    /// The MCP server's URL, to the character as it was given.
    pub fn url(&self) -> &str {
        self.0.url.as_given()
    }

    /// What its tokens are for: the URL without its query, which may be shown to anybody.
    pub fn resource(&self) -> &str {
        self.0.url.resource().as_given()
    }

    /// The credentials.
    pub fn credentials(&self) -> &ClientCredentials {
        &self.0.credentials
    }

    pub(crate) fn calls(&self) -> &Client {
        &self.0.calls
    }

    /// Whether a token may be sent to `url`.
    pub(crate) fn covers(&self, url: &str) -> bool {
        without_query(url)
            .parse::<ResourceUri>()
            .is_ok_and(|url| self.0.url.resource().covers(&url))
    }

    /// A usable token that came after `old`.
    fn newer_than(&self, old: &AccessToken) -> Option<Arc<AccessToken>> {
        let now = self.0.clock.now();
        self.0
            .current
            .load_full()
            .filter(|current| current.expose() != old.expose() && current.is_usable(now))
    }

    /// Begins a renewal, unless one is under way or failed moments ago.
    fn renew_behind(&self) {
        let Ok(mut flight) = Arc::clone(&self.0.flight).try_lock_owned() else {
            return;
        };
        let now = self.0.clock.now();
        let renewed = self.0.current.load_full();
        if flight.failure_in_force(now).is_some()
            || renewed.is_some_and(|token| token.is_fresh(now))
        {
            return;
        }
        let source = self.clone();
        spawn(async move {
            if let Err(error) = flight.fetch(&source.0).await {
                tracing::warn!(
                    url = source.resource(),
                    error = causes(&error),
                    "renewing the token failed; the old one is in use until it expires"
                );
            }
        });
    }

    /// Does `work` when it is this caller's turn, in a task of its own.
    async fn in_turn<T, F>(
        &self,
        work: impl FnOnce(Self, OwnedMutexGuard<Flight>) -> F,
    ) -> Result<T, AgentError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AgentError>> + Send + 'static,
    {
        let limit = self.0.wait_at_most;
        let deadline = Instant::now() + limit;
        let timed_out = || AgentError::TimedOut {
            url: self.resource().to_owned(),
            limit,
        };
        let flight = timeout_at(deadline, Arc::clone(&self.0.flight).lock_owned())
            .await
            .map_err(|_| timed_out())?;
        let task = spawn(work(self.clone(), flight));
        match timeout_at(deadline, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(AgentError::Interrupted),
            Err(_) => Err(timed_out()),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the agent runs in other people's programs"
)]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("url", &self.resource())
            .field("issuer", &self.0.credentials.issuer())
            .finish_non_exhaustive()
    }
}
