//! Asking for a token, one task at a time: what is asked for, and what came of it before.

use std::sync::Arc;
use std::time::Duration;

use jeton_core::{ResourceUri, ScopeSet, Timestamp};

use crate::AgentError;
use crate::allowance::Allowance;
use crate::authenticate::{TokenError, request_token};
use crate::discover::{Discovered, discover};
use crate::failure::Failure;
use crate::token_cache::AccessToken;
use crate::token_source::Inner;

/// How often a scope is widened, or a refused token replaced, in [`WINDOW`]. A server that asks in
/// circles costs no more than that.
const LIMIT: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// How many refused scopes are remembered.
const MAX_REFUSED: usize = 16;

/// Which scopes to ask for.
#[derive(Debug, Clone)]
enum Wanted {
    /// Those that the MCP server's challenge asks for, else all.
    Challenged,
    /// These.
    These(ScopeSet),
    /// Whatever the client was granted: none are named.
    Granted,
}

/// What whoever asks for a token works with. Holding it is the right to ask.
#[derive(Debug)]
pub(crate) struct Flight {
    discovered: Option<Arc<Discovered>>,
    wanted: Wanted,
    /// Whether the scopes were named, and are not to be widened.
    scope_is_fixed: bool,
    widenings: Allowance,
    replacements: Allowance,
    /// Scopes that the authorization server refused or left out, and when.
    refused: Vec<(ScopeSet, Timestamp)>,
    failure: Option<Failure>,
}

impl Flight {
    pub(crate) fn new(scope: Option<ScopeSet>) -> Self {
        Self {
            discovered: None,
            scope_is_fixed: scope.is_some(),
            wanted: scope.map_or(Wanted::Challenged, Wanted::These),
            widenings: Allowance::new(LIMIT, WINDOW),
            replacements: Allowance::new(LIMIT, WINDOW),
            refused: Vec::new(),
            failure: None,
        }
    }

    /// The last failure, while it is too early to try again.
    pub(crate) fn failure_in_force(&self, now: Timestamp) -> Option<&AgentError> {
        self.failure.as_ref()?.in_force(now)
    }

    /// Asks for a token and keeps it; a failure is remembered.
    pub(crate) async fn fetch(&mut self, inner: &Inner) -> Result<Arc<AccessToken>, AgentError> {
        if let Some(error) = self.failure_in_force(inner.clock.now()) {
            return Err(error.clone());
        }
        loop {
            let outcome = self.ask_in_time(inner, self.wanted.clone()).await;
            match (&outcome, self.less()) {
                (Err(AgentError::Token(error)), Some(less))
                    if error.is_refused_with("invalid_scope") =>
                {
                    self.wanted = less;
                }
                _ => return self.note(outcome, inner),
            }
        }
    }

    /// What to ask for where not all that is wanted is granted: a scope that was widened once may
    /// have been taken away, and a challenge may name more than this client has.
    fn less(&self) -> Option<Wanted> {
        match self.wanted {
            _ if self.scope_is_fixed => None,
            Wanted::These(_) => Some(Wanted::Challenged),
            Wanted::Challenged => {
                let challenged = self.discovered.as_ref()?.challenged_scope();
                challenged.map(|_| Wanted::Granted)
            }
            Wanted::Granted => None,
        }
    }

    /// Another token than one that the MCP server refused; nothing where that was done too often
    /// of late to help.
    pub(crate) async fn replace(
        &mut self,
        inner: &Inner,
    ) -> Result<Option<Arc<AccessToken>>, AgentError> {
        if !self.replacements.take(inner.clock.now()) {
            tracing::warn!(
                url = inner.url.resource().as_given(),
                "the MCP server keeps refusing its tokens; no more are asked for this minute"
            );
            return Ok(None);
        }
        // The server may have been moved: below its own issuer, for one.
        self.discovered = None;
        self.fetch(inner).await.map(Some)
    }

    /// A token for `had` and `asked`; nothing where asking cannot help.
    pub(crate) async fn widen(
        &mut self,
        inner: &Inner,
        had: Option<&ScopeSet>,
        asked: &ScopeSet,
    ) -> Result<Option<Arc<AccessToken>>, AgentError> {
        let now = inner.clock.now();
        let known = had.cloned().unwrap_or_default();
        if self.scope_is_fixed || asked.is_subset_of(&known) || self.was_refused(asked, now) {
            return Ok(None);
        }
        if let Some(error) = self.failure_in_force(now) {
            return Err(error.clone());
        }
        if !self.widenings.take(now) {
            return Ok(None);
        }
        // The challenge names what the operation needs, which is beside what the token has.
        let wanted = match &self.wanted {
            Wanted::These(before) => before.union(&known),
            Wanted::Challenged | Wanted::Granted => known,
        }
        .union(asked);
        let outcome = self.ask_in_time(inner, Wanted::These(wanted.clone())).await;
        if let Err(AgentError::Token(error)) = &outcome
            && error.is_refusal()
        {
            self.remember_refused(asked.clone(), now);
            return outcome.map(Some);
        }
        let token = self.note(outcome, inner)?;
        if token.scope().is_some_and(|has| !asked.is_subset_of(has)) {
            // Sending the request again cannot help.
            return Ok(None);
        }
        self.wanted = Wanted::These(token.scope().cloned().unwrap_or(wanted));
        Ok(Some(token))
    }

    fn remember_refused(&mut self, scope: ScopeSet, now: Timestamp) {
        self.refused.truncate(MAX_REFUSED - 1);
        self.refused.insert(0, (scope, now));
    }

    /// Whether `asked` holds something that was refused of late.
    fn was_refused(&self, asked: &ScopeSet, now: Timestamp) -> bool {
        self.refused
            .iter()
            .any(|(scope, at)| now >= *at && now.since(*at) < WINDOW && scope.is_subset_of(asked))
    }

    fn note(
        &mut self,
        outcome: Result<Arc<AccessToken>, AgentError>,
        inner: &Inner,
    ) -> Result<Arc<AccessToken>, AgentError> {
        match outcome {
            Ok(token) => {
                self.failure = None;
                Ok(token)
            }
            Err(error) => {
                // What was discovered may be what no longer holds.
                self.discovered = None;
                let before = self.failure.take();
                let now = inner.clock.now();
                self.failure = Some(Failure::after(before.as_ref(), error.clone(), now));
                Err(error)
            }
        }
    }

    async fn ask_in_time(
        &mut self,
        inner: &Inner,
        wanted: Wanted,
    ) -> Result<Arc<AccessToken>, AgentError> {
        let limit = inner.wait_at_most;
        match tokio::time::timeout(limit, self.ask(inner, wanted)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(AgentError::TimedOut {
                url: inner.url.resource().as_given().to_owned(),
                limit,
            }),
        }
    }

    async fn ask(&mut self, inner: &Inner, wanted: Wanted) -> Result<Arc<AccessToken>, AgentError> {
        let discovered = if let Some(discovered) = &self.discovered {
            Arc::clone(discovered)
        } else {
            let found = discover(&inner.client, inner.url.as_given(), &inner.credentials).await?;
            Arc::clone(self.discovered.insert(Arc::new(found)))
        };
        let scope = match wanted {
            Wanted::These(scope) => Some(scope),
            Wanted::Challenged => discovered.challenged_scope().cloned(),
            Wanted::Granted => None,
        };
        let parent = parent(inner, &discovered);
        let resource = match parent {
            Some(_) if !inner.allow_parent_resource => inner.url.resource().as_given(),
            _ => &discovered.resource.resource,
        };
        let response = request_token(
            &inner.client,
            &discovered.server,
            &inner.credentials,
            Some(resource),
            scope.as_ref(),
        )
        .await
        .map_err(|error| without_parent(error, inner, parent))?;
        let now = inner.clock.now();
        let token = Arc::new(AccessToken::new(response, scope.as_ref(), now));
        if let (Some(asked), Some(has)) = (&scope, token.scope()) {
            let left_out = asked.difference(has);
            if !left_out.is_empty() {
                self.remember_refused(left_out, now);
            }
        }
        inner.current.store(Some(Arc::clone(&token)));
        Ok(token)
    }
}

/// The resource that the MCP server's metadata names, where it is a parent of its URL.
fn parent<'a>(inner: &Inner, discovered: &'a Discovered) -> Option<&'a str> {
    let named = discovered.resource.resource.as_str();
    let is_own = named
        .parse::<ResourceUri>()
        .is_ok_and(|named| named == *inner.url.resource());
    (!is_own).then_some(named)
}

/// An authorization server that knows the parent only says so.
fn without_parent(error: TokenError, inner: &Inner, parent: Option<&str>) -> AgentError {
    match parent {
        Some(parent) if !inner.allow_parent_resource && error.is_refused_with("invalid_target") => {
            AgentError::ParentResource {
                url: inner.url.resource().as_given().to_owned(),
                parent: parent.to_owned(),
                source: Box::new(error),
            }
        }
        _ => error.into(),
    }
}
