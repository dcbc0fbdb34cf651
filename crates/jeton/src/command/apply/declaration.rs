//! What the file of `jeton apply` says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use jeton_core::{
    CustomClaims, DefinedScopes, Description, DisplayName, ResourceUri, Scope, ScopeDefinition,
    SigningAlgorithm, TokenProfile, TokenRequest, TokenTtl, counted,
};
use serde::Deserialize;

/// Everything that is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declaration {
    #[serde(default)]
    pub(super) mcp_servers: Vec<DeclaredServer>,
    #[serde(default)]
    pub(super) clients: Vec<DeclaredClient>,
    /// Where the MCP servers are in their list, by name and by URL.
    #[serde(skip)]
    by_name: HashMap<String, usize>,
    #[serde(skip)]
    by_url: HashMap<String, usize>,
}

/// An MCP server; what is left out has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredServer {
    pub(super) name: DisplayName,
    pub(super) url: ResourceUri,
    /// Further URLs at which it is reached.
    #[serde(default)]
    pub(super) aliases: Vec<ResourceUri>,
    #[serde(default)]
    pub(super) description: Description,
    /// Each scope with what it permits.
    #[serde(default)]
    pub(super) scopes: BTreeMap<String, Option<Description>>,
    /// What some of these imply: `todo:write: [todo:read]`.
    #[serde(default)]
    pub(super) implies: BTreeMap<String, Vec<Scope>>,
    #[serde(default)]
    pub(super) token_ttl: TokenTtl,
    #[serde(default)]
    pub(super) signing_alg: SigningAlgorithm,
    #[serde(default)]
    pub(super) token_profile: TokenProfile,
    #[serde(default)]
    pub(super) own_issuer: bool,
}

/// A client; what is left out has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredClient {
    pub(super) name: DisplayName,
    #[serde(default)]
    pub(super) description: Description,
    #[serde(default)]
    pub(super) token_ttl: Option<TokenTtl>,
    #[serde(default)]
    pub(super) custom_claims: CustomClaims,
    #[serde(default)]
    pub(super) disabled: bool,
    pub(super) grants: Vec<DeclaredGrant>,
    /// The MCP server of one of its grants, named as there. Absent: for a new client that of its first
    /// grant; else the one that it has.
    #[serde(default)]
    pub(super) default_mcp_server: Option<String>,
    /// Where its first secret is written, once; relative to the file.
    #[serde(default)]
    pub(super) secret_file: Option<PathBuf>,
}

/// What a client may on an MCP server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredGrant {
    /// The MCP server's name, URL or ID.
    pub(super) mcp_server: String,
    /// Absent: none, and without a scope it gets no token.
    #[serde(default)]
    pub(super) scopes: Option<Vec<Scope>>,
    /// Instead of `scopes`: every scope that the MCP server defines.
    #[serde(default)]
    pub(super) all_scopes: bool,
}

impl DeclaredGrant {
    /// Whether it says nothing about scopes.
    pub(super) fn names_no_scopes(&self) -> bool {
        self.scopes.is_none() && !self.all_scopes
    }
}

impl DeclaredServer {
    /// Its resource identifier, then its aliases.
    pub(super) fn urls(&self) -> impl Iterator<Item = &ResourceUri> {
        std::iter::once(&self.url).chain(&self.aliases)
    }

    /// The scopes that it defines.
    pub(super) fn defined(&self) -> anyhow::Result<DefinedScopes> {
        let unknown = |name: &&String| !self.scopes.contains_key(*name);
        if let Some(name) = self.implies.keys().find(unknown) {
            bail!("implies names the scope {name:?}, which is not among its scopes");
        }
        let definitions = self.scopes.iter().map(|(name, description)| {
            Ok(ScopeDefinition {
                name: name
                    .parse()
                    .with_context(|| format!("the scope {name:?}"))?,
                description: description.clone().unwrap_or_default(),
                implies: self.implies.get(name).cloned().unwrap_or_default(),
            })
        });
        let definitions = definitions.collect::<anyhow::Result<_>>()?;
        Ok(DefinedScopes::new(definitions)?)
    }
}

impl Declaration {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = jeton_server::read_named_text(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut declaration: Self = serde_saphyr::from_str(&text).map_err(|error| {
            let words = error.to_string();
            let words = words.strip_prefix("error: ").unwrap_or(&words);
            let words = words.replace(
                "expected mapping start",
                "expected mcp_servers: and clients:, as jeton apply --help shows them",
            );
            anyhow!("{}: {words}", path.display())
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for client in &mut declaration.clients {
            if let Some(file) = &mut client.secret_file {
                *file = folder.join(&*file);
            }
        }
        declaration.check()?;
        for (place, server) in declaration.mcp_servers.iter().enumerate() {
            for url in server.urls() {
                let key = url.comparison_key().to_owned();
                declaration.by_url.insert(key, place);
            }
            declaration.by_name.insert(server.name.to_string(), place);
        }
        Ok(declaration)
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut urls = BTreeSet::new();
        let mut names = BTreeSet::new();
        for server in &self.mcp_servers {
            if let Some(twice) = server.urls().find(|url| !urls.insert(url.comparison_key())) {
                bail!("two MCP servers have the URL {twice}, or one has it twice");
            }
            if !names.insert(server.name.as_str()) {
                bail!("two MCP servers have the name {}", server.name);
            }
            if server.scopes.len() > TokenRequest::MAX_SCOPES {
                bail!(
                    "the MCP server {} has {}; at most {} are allowed",
                    server.name,
                    counted(server.scopes.len(), "scope"),
                    TokenRequest::MAX_SCOPES
                );
            }
            server
                .defined()
                .with_context(|| format!("the MCP server {}", server.name))?;
        }
        let mut names = BTreeSet::new();
        let mut files = BTreeSet::new();
        for client in &self.clients {
            if !names.insert(client.name.as_str()) {
                bail!(
                    "two clients have the name {}; here a name has to tell them apart",
                    client.name
                );
            }
            if client.grants.is_empty() {
                bail!(
                    "the client {} has no grant; name at least one MCP server",
                    client.name
                );
            }
            for grant in &client.grants {
                if grant.all_scopes && grant.scopes.is_some() {
                    bail!(
                        "the grant of the client {} on {} has scopes and all_scopes; keep one of them",
                        client.name,
                        grant.mcp_server
                    );
                }
            }
            if let Some(file) = &client.secret_file
                && !files.insert(file)
            {
                bail!("two clients have the secret_file {}", file.display());
            }
        }
        Ok(())
    }

    /// The declared MCP server with this name or URL.
    pub(super) fn server(&self, named: &str) -> Option<&DeclaredServer> {
        let by_url = || {
            let url = named.parse::<ResourceUri>().ok()?;
            self.by_url.get(url.comparison_key())
        };
        let place = self.by_name.get(named).or_else(by_url)?;
        self.mcp_servers.get(*place)
    }

    /// Whether an MCP server is declared with this URL or alias, given as its comparison key.
    pub(super) fn has_url(&self, key: &str) -> bool {
        self.by_url.contains_key(key)
    }
}
