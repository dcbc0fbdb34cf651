//! Setting a guard up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jeton_core::{
    Clock, ProtectedResourceMetadata, ResourceUri, ResourceUriError, Scope, ScopeCycle, ScopeError,
    ScopeHierarchy, ScopeSet, SigningAlgorithm, SystemClock, presentable_url,
};
use jeton_jose::{KeysLocation, PlainHttp, RemoteKeys, TokenVerifier, http_client_builder};
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

use crate::guard::Rules;
use crate::layer::GuardLayer;
use crate::policy::ScopePolicy;

/// How long fetching the metadata or the keys may take.
const FETCH: Duration = Duration::from_secs(10);

/// Why a guard cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The resource identifier.
    #[error("the resource {resource:?} cannot be used")]
    Resource {
        /// What was given, without what may be secret in it.
        resource: String,
        /// Why not.
        #[source]
        source: ResourceUriError,
    },
    /// The issuer.
    #[error(
        "the issuer {0:?} must be an https URL, or http on this machine (loopback); insecure_http(true) allows plain http elsewhere, where nobody can alter the keys on their way"
    )]
    Issuer(String),
    /// A scope.
    #[error("the scope {scope:?} cannot be used")]
    Scope {
        /// What was given.
        scope: String,
        /// Why not.
        #[source]
        source: ScopeError,
    },
    /// What scopes imply.
    #[error(transparent)]
    ScopeCycle(#[from] ScopeCycle),
    /// The HTTP client.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
    /// The metadata document.
    #[error("the metadata cannot be written as JSON")]
    Document(#[from] serde_json::Error),
}

/// How a guard is set up; begun by [`GuardLayer::builder`].
#[derive(Debug)]
pub struct GuardBuilder {
    resource: String,
    issuer: String,
    resource_name: Option<String>,
    audiences: Vec<String>,
    scopes_supported: Vec<String>,
    challenge_scope: Vec<String>,
    always: Vec<String>,
    by_method: Vec<(String, Vec<String>)>,
    other_methods: Option<Vec<String>>,
    by_tool: Vec<(String, Vec<String>)>,
    other_tools: Option<Vec<String>>,
    implications: Vec<(String, String)>,
    algorithms: Option<Vec<SigningAlgorithm>>,
    leeway: Duration,
    jwks_uri: Option<String>,
    plain_http: PlainHttp,
    max_body: usize,
    clock: Arc<dyn Clock>,
    http: Option<ClientBuilder>,
    refresh_keys_after: Duration,
    key_fetch_interval: Duration,
}

fn http() -> ClientBuilder {
    http_client_builder().timeout(FETCH)
}

fn texts<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(Into::into).collect()
}

fn warn_of_what_is_open(resource: &str, policy: &ScopePolicy) {
    let token = if policy.always.is_empty() {
        "any token".to_owned()
    } else {
        format!("any token with {}", policy.always)
    };
    if policy.leaves_tools_open() {
        tracing::warn!(
            resource,
            "rules name some tools, and {token} may call the others: add require_for_other_tools, or allow_other_tools"
        );
    }
    if policy.leaves_methods_open() {
        tracing::warn!(
            resource,
            "rules name some methods, and {token} may use the others: add require_for_other_methods, or allow_other_methods"
        );
    }
}

fn scope(name: &str) -> Result<Scope, BuildError> {
    name.parse().map_err(|source| BuildError::Scope {
        scope: name.to_owned(),
        source,
    })
}

fn scope_set(names: &[String]) -> Result<ScopeSet, BuildError> {
    names.iter().map(|name| scope(name)).collect()
}

impl GuardBuilder {
    pub(crate) fn new(resource: &str, issuer: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            issuer: issuer.to_owned(),
            resource_name: None,
            audiences: Vec::new(),
            scopes_supported: Vec::new(),
            challenge_scope: Vec::new(),
            always: Vec::new(),
            by_method: Vec::new(),
            other_methods: None,
            by_tool: Vec::new(),
            other_tools: None,
            implications: Vec::new(),
            algorithms: None,
            leeway: Duration::from_secs(5),
            jwks_uri: None,
            plain_http: PlainHttp::default(),
            max_body: 4 * 1024 * 1024,
            clock: Arc::new(SystemClock),
            http: None,
            refresh_keys_after: Duration::from_secs(300),
            key_fetch_interval: Duration::from_secs(10),
        }
    }

    /// What people call the server; part of its metadata.
    #[must_use]
    pub fn resource_name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// Accepts tokens for this audience too, to the character: the server's `res_…` ID, or another
    /// name it is registered under.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The scopes that the metadata lists. Absent, those that some rule requires.
    #[must_use]
    pub fn scopes_supported<T: Into<String>>(
        mut self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.scopes_supported = texts(scopes);
        self
    }

    /// The scopes that the challenge suggests to a caller without a token: a first choice that lets
    /// most callers begin. Absent, those that every request needs.
    #[must_use]
    pub fn challenge_scope<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.challenge_scope = texts(scopes);
        self
    }

    /// Requires these scopes for every request. It does not say what tools or methods need that no rule names:
    /// beside rules for some, add [`require_for_other_tools`](Self::require_for_other_tools) or
    /// [`allow_other_tools`](Self::allow_other_tools), and their like for methods.
    #[must_use]
    pub fn require<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.always = texts(scopes);
        self
    }

    /// Requires these scopes for an MCP method, such as `resources/read`. Beside it, say what other
    /// methods need: [`require_for_other_methods`](Self::require_for_other_methods).
    #[must_use]
    pub fn require_for_method<T: Into<String>>(
        mut self,
        method: impl Into<String>,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.by_method.push((method.into(), texts(scopes)));
        self
    }

    /// Requires these scopes for the methods that no rule names, `initialize` and `server/discover`
    /// among them, with which clients begin. A call of a tool that a rule for tools covers is not
    /// meant. What is no message (GET and DELETE of older revisions) needs what
    /// [`require`](Self::require) says.
    #[must_use]
    pub fn require_for_other_methods<T: Into<String>>(
        mut self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.other_methods = Some(texts(scopes));
        self
    }

    /// Lets any token that satisfies [`require`](Self::require) use the methods that no rule names.
    #[must_use]
    pub fn allow_other_methods(self) -> Self {
        self.require_for_other_methods(<[String; 0]>::default())
    }

    /// Requires these scopes for a tool. Beside it, say what other tools need:
    /// [`require_for_other_tools`](Self::require_for_other_tools).
    #[must_use]
    pub fn require_for_tool<T: Into<String>>(
        mut self,
        tool: impl Into<String>,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.by_tool.push((tool.into(), texts(scopes)));
        self
    }

    /// Requires these scopes for the tools that no rule names, such as one that is added to the
    /// server later and forgotten here.
    #[must_use]
    pub fn require_for_other_tools<T: Into<String>>(
        mut self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.other_tools = Some(texts(scopes));
        self
    }

    /// Lets any token that satisfies [`require`](Self::require) call the tools that no rule names.
    #[must_use]
    pub fn allow_other_tools(self) -> Self {
        self.require_for_other_tools(<[String; 0]>::default())
    }

    /// Lets a token with the scope `broader` do whatever needs `narrower`, and all that `narrower` implies.
    /// Say here what the MCP server says in Jeton (MCP 2026-07-28, *Scope Challenge Handling*).
    #[must_use]
    pub fn scope_implies(
        mut self,
        broader: impl Into<String>,
        narrower: impl Into<String>,
    ) -> Self {
        self.implications.push((broader.into(), narrower.into()));
        self
    }

    /// Accepts these algorithms only; by default all that Jeton signs with.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl Into<Vec<SigningAlgorithm>>) -> Self {
        self.algorithms = Some(algorithms.into());
        self
    }

    /// How far clocks may disagree: 5 seconds by default, at most a minute.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Where the keys are, if not at the `jwks_uri` of the issuer's metadata.
    #[must_use]
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.jwks_uri = Some(uri.into());
        self
    }

    /// Allows an issuer whose keys come over plain http from another machine (`http://jeton:8420`), where
    /// nobody can alter them on their way: whoever can, makes tokens that this guard accepts. Off by default;
    /// the server and the command line have the same switch, `--insecure-http`.
    #[must_use]
    pub fn insecure_http(mut self, allow: bool) -> Self {
        self.plain_http = PlainHttp::of_switch(allow);
        self
    }

    /// The largest request body read where methods or tools have scopes, or where headers say what
    /// is called (MCP 2026-07-28): 4 MiB by default.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Changes the HTTP client that fetches the keys, for example to trust a private certificate authority. It
    /// never follows redirects, whatever is set here: the keys come from the URL that names them. A proxy
    /// that is set here is used for loopback too, unlike those of the environment.
    #[must_use]
    pub fn configure_http(
        mut self,
        configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        self.http = Some(configure(self.http.unwrap_or_else(http)));
        self
    }

    /// The age from which on keys are fetched again in the background: 5 minutes by default.
    #[must_use]
    pub fn refresh_keys_after(mut self, age: Duration) -> Self {
        self.refresh_keys_after = age;
        self
    }

    /// The least time between two fetches of the keys: 10 seconds by default. While they fail, the
    /// pause begins at a second and grows up to this time.
    #[must_use]
    pub fn key_fetch_interval(mut self, interval: Duration) -> Self {
        self.key_fetch_interval = interval;
        self
    }

    /// Finishes. Nothing is fetched before the first token arrives, so the authorization server
    /// need not be up yet. Logs a warning where rules name some tools or methods and nothing says
    /// what the others need.
    ///
    /// # Errors
    ///
    /// [`BuildError`], which names what cannot be used.
    pub fn build(self) -> Result<GuardLayer, BuildError> {
        let resource: ResourceUri =
            self.resource
                .parse()
                .map_err(|source| BuildError::Resource {
                    resource: presentable_url(&self.resource),
                    source,
                })?;
        if !self.plain_http.allows(&self.issuer) {
            return Err(BuildError::Issuer(presentable_url(&self.issuer)));
        }
        let policy = self.policy()?;
        warn_of_what_is_open(&self.resource, &policy);
        let metadata = self.metadata(&resource, &policy)?;
        let location = match self.jwks_uri {
            Some(uri) => KeysLocation::JwksUri(uri),
            None => KeysLocation::Issuer(self.issuer.clone()),
        };
        let http = self.http.unwrap_or_else(http);
        let client = http.redirect(Policy::none()).build()?;
        let keys = RemoteKeys::builder(location, client)
            .clock(Arc::clone(&self.clock))
            .plain_http(self.plain_http)
            .refresh_after(self.refresh_keys_after)
            .fetch_interval(self.key_fetch_interval)
            .build();
        let mut audiences = vec![self.resource];
        audiences.extend(self.audiences);
        let mut verifier = TokenVerifier::new(vec![self.issuer], audiences).leeway(self.leeway);
        if let Some(algorithms) = self.algorithms {
            verifier = verifier.algorithms(algorithms);
        }
        let well_known = ProtectedResourceMetadata::well_known_path(resource.path());
        Ok(GuardLayer {
            rules: Arc::new(Rules {
                metadata_url: format!("{}{well_known}", resource.origin()),
                well_known,
                metadata,
                verifier,
                keys,
                policy,
                clock: self.clock,
                max_body: self.max_body,
            }),
        })
    }

    fn policy(&self) -> Result<ScopePolicy, BuildError> {
        let rules = |rules: &[(String, Vec<String>)]| -> Result<_, BuildError> {
            rules
                .iter()
                .map(|(name, scopes)| Ok((name.clone(), scope_set(scopes)?)))
                .collect()
        };
        let rest = |scopes: &Option<Vec<String>>| scopes.as_deref().map(scope_set).transpose();
        let always = scope_set(&self.always)?;
        Ok(ScopePolicy {
            suggested: always.union(&scope_set(&self.challenge_scope)?),
            always,
            by_method: rules(&self.by_method)?,
            other_methods: rest(&self.other_methods)?,
            by_tool: rules(&self.by_tool)?,
            other_tools: rest(&self.other_tools)?,
            hierarchy: self.hierarchy()?,
        })
    }

    fn hierarchy(&self) -> Result<ScopeHierarchy, BuildError> {
        let implications = self
            .implications
            .iter()
            .map(|(broader, narrower)| Ok((scope(broader)?, scope(narrower)?)))
            .collect::<Result<Vec<_>, BuildError>>()?;
        Ok(ScopeHierarchy::new(implications)?)
    }

    fn metadata(&self, resource: &ResourceUri, policy: &ScopePolicy) -> Result<Bytes, BuildError> {
        let listed = scope_set(&self.scopes_supported)?;
        let scopes = if listed.is_empty() {
            let all = policy.rules().flat_map(ScopeSet::iter);
            policy.always.iter().chain(all).cloned().collect()
        } else {
            listed
        };
        let document = ProtectedResourceMetadata {
            resource: resource.as_given().to_owned(),
            authorization_servers: vec![self.issuer.clone()],
            scopes_supported: (!scopes.is_empty())
                .then(|| scopes.iter().map(ToString::to_string).collect()),
            bearer_methods_supported: vec!["header".to_owned()],
            resource_name: self.resource_name.clone(),
        };
        Ok(Bytes::from(serde_json::to_vec(&document)?))
    }
}
