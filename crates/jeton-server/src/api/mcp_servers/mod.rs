//! `/api/v1/mcp-servers`.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;

use jeton_core::{
    Description, DisplayName, McpServer, ResourceUri, Scope, ScopeDefinition, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::service::DeclaredScope;

/// A scope with what it permits.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ScopeView {
    /// The name, of RFC 6749's grammar.
    #[schema(value_type = String, example = "todo:read")]
    name: Scope,
    /// What it permits, for people.
    #[schema(value_type = String, example = "Read todos")]
    description: Description,
    /// Narrower scopes that it implies: a client with this one has them too.
    #[schema(value_type = Vec<String>, example = json!(["todo:read"]))]
    implies: Vec<Scope>,
}

/// A scope to define.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefineScope {
    /// The name, of RFC 6749's grammar.
    #[schema(value_type = String, example = "todo:write")]
    name: Scope,
    /// What it permits, for people.
    #[serde(default)]
    #[schema(value_type = String, example = "Change todos")]
    description: Description,
    /// Narrower scopes that it implies: a client with this one has them too. Absent, those that it implies
    /// already.
    #[schema(value_type = Option<Vec<String>>, example = json!(["todo:read"]))]
    implies: Option<Vec<Scope>>,
}

impl From<DefineScope> for ScopeDefinition {
    fn from(scope: DefineScope) -> Self {
        Self {
            name: scope.name,
            description: scope.description,
            implies: scope.implies.unwrap_or_default(),
        }
    }
}

impl From<DefineScope> for DeclaredScope {
    fn from(scope: DefineScope) -> Self {
        Self {
            name: scope.name,
            description: scope.description,
            implies: scope.implies,
        }
    }
}

/// An MCP server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct McpServerView {
    /// Its ID.
    id: String,
    /// What people call it.
    #[schema(value_type = String)]
    name: DisplayName,
    /// What it is for.
    #[schema(value_type = String)]
    description: Description,
    /// Its URL: the resource identifier.
    #[schema(value_type = String, format = "uri")]
    url: ResourceUri,
    /// Further URLs at which it is reached.
    #[schema(value_type = Vec<String>)]
    aliases: Vec<ResourceUri>,
    /// The scopes it defines.
    scopes: Vec<ScopeView>,
    /// How long its tokens live, in seconds.
    token_ttl: u32,
    /// RS256, ES256 or `EdDSA`.
    signing_alg: &'static str,
    /// compatible or strict.
    token_profile: &'static str,
    /// Whether its tokens name its own issuer.
    own_issuer: bool,
    /// The issuer that its tokens name.
    issuer: String,
    /// Whether it is Jeton's own admin API.
    system: bool,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Its version N: the `ETag` is `"vN"`.
    version: i64,
}

impl McpServerView {
    pub(crate) fn of(app: &App, server: &McpServer) -> Self {
        let scopes = server
            .scopes
            .iter()
            .map(|scope| ScopeView {
                name: scope.name.clone(),
                description: scope.description.clone(),
                implies: scope.implies.clone(),
            })
            .collect();
        Self {
            id: server.id.to_string(),
            name: server.name.clone(),
            description: server.description.clone(),
            url: server.url.clone(),
            aliases: server.aliases.clone(),
            scopes,
            token_ttl: server.token_ttl.as_seconds(),
            signing_alg: server.signing_alg.as_str(),
            token_profile: server.token_profile.as_str(),
            own_issuer: server.own_issuer,
            issuer: server.token_issuer(app.issuer.as_str()),
            system: server.system,
            created_at: server.created_at,
            updated_at: server.updated_at,
            version: server.version,
        }
    }
}
