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

/// How often a scope is widened in vain, or a refused token replaced, in [`WINDOW`]. A server that asks in
/// circles costs no more than that.
const LIMIT: u32 = 5;
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

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
    /// Those that brought nothing new.
    widenings: Allowance,
    replacements: Allowance,
    failure: Option<Failure>,
}

impl Flight {
    pub(crate) fn new(scope: Option<ScopeSet>) -> Self {
        Self {
            discovered: None,
            wanted: scope.map_or(Wanted::Challenged, Wanted::These),
            widenings: Allowance::new(LIMIT, WINDOW),
            replacements: Allowance::new(LIMIT, WINDOW),
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
            match (&outcome, self.less(inner)) {
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
    fn less(&self, inner: &Inner) -> Option<Wanted> {
        match self.wanted {
            _ if inner.scope_is_fixed => None,
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
        if inner.scope_is_fixed || asked.is_subset_of(&known) || inner.left_out.is_in(asked, now) {
            return Ok(None);
        }
        if let Some(error) = self.failure_in_force(now) {
            return Err(error.clone());
        }
        if !self.widenings.is_left(now) {
            tracing::warn!(
                url = inner.url.resource().as_given(),
                scope = asked.summary(),
                "the MCP server keeps asking for other scopes; no more are asked for this minute"
            );
            return Ok(None);
        }
        let token = self.widen_from(inner, &known, asked).await;
        let has = token.as_ref().ok().and_then(|token| token.scope());
        let is_enough = has.is_some_and(|has| asked.is_subset_of(has));
        if !is_enough || has.is_none_or(|has| !known.is_subset_of(has)) {
            self.widenings.take(now);
        }
        // Sending the request again with a token that lacks it cannot help.
        token.map(|token| is_enough.then_some(token))
    }

    /// Asks for what the token has beside what the operation needs, which is all that the challenge names; for
    /// that alone, where something of the rest is granted no more.
    async fn widen_from(
        &mut self,
        inner: &Inner,
        known: &ScopeSet,
        asked: &ScopeSet,
    ) -> Result<Arc<AccessToken>, AgentError> {
        let wanted = match &self.wanted {
            Wanted::These(before) => before.union(known),
            Wanted::Challenged | Wanted::Granted => known.clone(),
        }
        .union(asked);
        let is_more = !wanted.is_subset_of(asked);
        let mut outcome = self.ask_in_time(inner, Wanted::These(wanted)).await;
        let mut is_alone = false;
        if is_more
            && let Err(AgentError::Token(error)) = &outcome
            && error.is_refused_with("invalid_scope")
        {
            is_alone = true;
            outcome = self.ask_in_time(inner, Wanted::These(asked.clone())).await;
        }
        if let Err(AgentError::Token(error)) = &outcome
            && error.is_refusal()
        {
            inner.left_out.remember(asked.clone(), inner.clock.now());
            return outcome;
        }
        let token = self.note(outcome, inner)?;
        if let Some(has) = token.scope()
            && (is_alone || asked.is_subset_of(has))
        {
            self.wanted = Wanted::These(has.clone());
        }
        Ok(token)
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
            inner.left_out.note(asked, has, now);
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
