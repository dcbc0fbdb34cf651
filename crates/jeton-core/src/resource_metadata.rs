//! Protected resource metadata (RFC 9728 §2).

use serde::{Deserialize, Serialize};

/// What MCP calls the client credentials flow (ext-auth, *OAuth Client Credentials*): the name under
/// which clients and servers declare it in `capabilities.extensions`.
pub const CLIENT_CREDENTIALS_EXTENSION: &str = "io.modelcontextprotocol/oauth-client-credentials";

/// What an MCP server says about how it is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedResourceMetadata {
    /// The resource identifier.
    pub resource: String,
    /// The issuers whose tokens it takes.
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    /// The scopes it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// How a token is presented; Jeton's guard takes the `Authorization` header only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bearer_methods_supported: Vec<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

impl ProtectedResourceMetadata {
    /// The path under which RFC 9728 §3.1 puts the document of a resource with this path.
    pub fn well_known_path(resource_path: &str) -> String {
        let path = resource_path.trim_end_matches('/');
        format!("/.well-known/oauth-protected-resource{path}")
    }
}
