//! Authorization server metadata (RFC 8414 §2).

use serde::{Deserialize, Serialize};

use crate::{ScopeSet, SigningAlgorithm};

/// What an authorization server says about itself.
///
/// Read from another server, only `issuer` and `token_endpoint` are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// The issuer identifier.
    pub issuer: String,
    /// Where users would sign in. Jeton's answers with a clear refusal; it is here because the
    /// official MCP SDKs refuse metadata without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where tokens are asked for.
    pub token_endpoint: String,
    /// Where the public keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Which scopes there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// Which response types there are; required by the RFC.
    #[serde(default)]
    pub response_types_supported: Vec<String>,
    /// Which grants there are.
    #[serde(default)]
    pub grant_types_supported: Vec<String>,
    /// How clients authenticate at the token endpoint.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// With what signed assertions may be signed. Jeton takes none yet, and RFC 8414 §2 asks for it only
    /// where they are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// Where a token's state is asked for (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// How callers authenticate there.
    #[serde(default)]
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// Where tokens are revoked (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// How callers authenticate there.
    #[serde(default)]
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// Which PKCE methods there are; MCP clients look for `S256`.
    #[serde(default)]
    pub code_challenge_methods_supported: Vec<String>,
    /// `OpenID` Connect Discovery §3 requires it of a provider; strict readers of
    /// `openid-configuration` look for it.
    #[serde(default)]
    pub subject_types_supported: Vec<String>,
    /// The same, for ID tokens, of which Jeton issues none.
    #[serde(default)]
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// Where people read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_documentation: Option<String>,
}

/// How a client may authenticate with a secret.
const SECRET_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

impl ServerMetadata {
    /// Jeton's own metadata: `issuer` names itself exactly, `base` is where the endpoints are, and
    /// `token_endpoint` is the issuer's own. What would be empty is left out (RFC 8414 §3.2).
    pub fn for_issuer(issuer: &str, base: &str, scopes: &ScopeSet) -> Self {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let algorithms: Vec<String> = SigningAlgorithm::ALL
            .iter()
            .map(|algorithm| algorithm.as_str().to_owned())
            .collect();
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: Some(format!("{base}/oauth/authorize")),
            token_endpoint: format!("{issuer}/oauth/token"),
            jwks_uri: Some(format!("{base}/keys")),
            scopes_supported: (!scopes.is_empty())
                .then(|| scopes.iter().map(ToString::to_string).collect()),
            response_types_supported: list(&["code"]),
            grant_types_supported: list(&["client_credentials"]),
            token_endpoint_auth_methods_supported: list(&SECRET_METHODS),
            token_endpoint_auth_signing_alg_values_supported: Vec::new(),
            introspection_endpoint: Some(format!("{base}/oauth/introspect")),
            introspection_endpoint_auth_methods_supported: list(&SECRET_METHODS),
            revocation_endpoint: Some(format!("{base}/oauth/revoke")),
            revocation_endpoint_auth_methods_supported: list(&SECRET_METHODS),
            code_challenge_methods_supported: list(&["S256"]),
            subject_types_supported: list(&["public"]),
            id_token_signing_alg_values_supported: algorithms,
            service_documentation: None,
        }
    }
}
