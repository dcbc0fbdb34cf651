//! What a grant decides: a token to issue, or why not.

use std::sync::Arc;

use jeton_core::{
    ErrorCode, McpServer, McpServerId, ResourceUri, Scope, ScopeSet, TokenRequestError, TokenTtl,
};

use super::granted_urls::GrantedUrls;
use crate::directory::ClientEntry;
use crate::http::OAuthError;

/// A token to issue.
#[derive(Debug)]
pub(super) struct Issue {
    pub(super) client: Arc<ClientEntry>,
    pub(super) server: Arc<McpServer>,
    pub(super) scope: ScopeSet,
    /// What was asked for and is not granted.
    pub(super) left_out: ScopeSet,
    pub(super) resource: Option<ResourceUri>,
    pub(super) token_ttl: TokenTtl,
}

pub(super) type Decision = Result<Issue, Refusal>;

/// Why an authenticated caller gets no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The request itself.
    #[error(transparent)]
    Request(#[from] TokenRequestError),
    /// An MCP server's own credentials are for introspection and revocation.
    #[error("these are an MCP server's credentials, which get no tokens; use a client's")]
    NotAClient,
    /// Nothing to choose from.
    #[error("the client has no grant on any MCP server; an operator can make one")]
    NoGrant,
    /// Several to choose from, and no default among them.
    #[error(
        "the client has grants on several MCP servers, and none of them is its default: say which with the parameter resource; it may ask for: {granted}"
    )]
    ResourceMissing {
        /// What it may ask for.
        granted: GrantedUrls,
    },
    /// Not registered, or not granted.
    #[error(
        "resource is not the URL of an MCP server that the client has a grant on; it may ask for: {granted}"
    )]
    ResourceNotGranted {
        /// The MCP server it belongs to, if it belongs to any.
        server: Option<McpServerId>,
        /// What it may ask for.
        granted: GrantedUrls,
    },
    /// It would stand in the token and in the audit log.
    #[error(
        "the path of resource holds what looks like a secret or a token; send the URL of the MCP server alone: {registered}"
    )]
    ResourceSecret {
        /// The MCP server's URL.
        registered: String,
        /// The MCP server.
        server: McpServerId,
    },
    /// Registered once, and not released since.
    #[error(
        "the MCP server at this URL was deleted or has moved, and nobody gets tokens for it; an operator can release the URL or register it again. The client may ask for: {granted}"
    )]
    ResourceRetired {
        /// The MCP server that it belonged to.
        server: McpServerId,
        /// What it may ask for.
        granted: GrantedUrls,
    },
    /// A token needs at least one scope (RFC 6749 §3.3).
    #[error(
        "the client has no scope on this MCP server; an operator can grant it one of those that the server defines"
    )]
    NoScope {
        /// Where.
        server: McpServerId,
    },
    /// Not one of the MCP server's scopes.
    #[error("the MCP server defines no scope {scope}; the client may ask for: {}", granted.summary())]
    ScopeUndefined {
        /// The first that it does not define.
        scope: Scope,
        /// Those that the client may ask for.
        granted: ScopeSet,
        /// Where.
        server: McpServerId,
    },
    /// Not in the grant; in the compatible profile, neither is any other that was asked for.
    #[error("the scope {scope} is not granted to the client on this MCP server; granted: {}", granted.summary())]
    ScopeNotGranted {
        /// The first that is not.
        scope: Scope,
        /// Those that are.
        granted: ScopeSet,
        /// Where.
        server: McpServerId,
    },
}

impl Refusal {
    /// The MCP server it is about, where that is known.
    pub(super) fn mcp_server(&self) -> Option<McpServerId> {
        match self {
            Self::ResourceNotGranted { server, .. } => *server,
            Self::ScopeNotGranted { server, .. }
            | Self::ScopeUndefined { server, .. }
            | Self::ResourceRetired { server, .. }
            | Self::ResourceSecret { server, .. }
            | Self::NoScope { server } => Some(*server),
            _ => None,
        }
    }
}

impl From<&Refusal> for OAuthError {
    fn from(refusal: &Refusal) -> Self {
        let code = match refusal {
            Refusal::Request(error) => error.code(),
            Refusal::NotAClient => ErrorCode::UnauthorizedClient,
            Refusal::NoGrant
            | Refusal::ResourceMissing { .. }
            | Refusal::ResourceNotGranted { .. }
            | Refusal::ResourceSecret { .. }
            | Refusal::ResourceRetired { .. } => ErrorCode::InvalidTarget,
            Refusal::ScopeNotGranted { .. }
            | Refusal::ScopeUndefined { .. }
            | Refusal::NoScope { .. } => ErrorCode::InvalidScope,
        };
        Self::new(code, refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::refusal_cause::RefusalCause;

    #[test]
    fn each_recorded_reason_has_its_cause() {
        let now = jeton_core::Timestamp::from_seconds(1);
        let server = McpServerId::generate(now, &jeton_jose::OsEntropy).unwrap();
        let granted = GrantedUrls::default();
        let (scope, scopes): (Scope, ScopeSet) = ("a:b".parse().unwrap(), "c d".parse().unwrap());
        let scope_not_granted = Refusal::ScopeNotGranted {
            scope: scope.clone(),
            granted: scopes.clone(),
            server,
        };
        let reason = |refusal: &Refusal| OAuthError::from(refusal).reason();
        assert_eq!(
            RefusalCause::scope_in(&reason(&scope_not_granted)),
            Some("a:b")
        );
        let undefined = Refusal::ScopeUndefined {
            scope,
            granted: scopes,
            server,
        };
        assert_eq!(RefusalCause::scope_in(&reason(&undefined)), Some("a:b"));
        for (refusal, cause) in [
            (Refusal::NoGrant, RefusalCause::NoGrant),
            (
                Refusal::ResourceMissing {
                    granted: granted.clone(),
                },
                RefusalCause::ResourceMissing,
            ),
            (
                Refusal::ResourceNotGranted {
                    server: None,
                    granted: granted.clone(),
                },
                RefusalCause::ResourceNotGranted,
            ),
            (
                Refusal::ResourceRetired { server, granted },
                RefusalCause::ResourceRetired,
            ),
            (Refusal::NoScope { server }, RefusalCause::NoScope),
            (undefined, RefusalCause::UnknownScope),
            (scope_not_granted, RefusalCause::ScopeNotGranted),
        ] {
            assert_eq!(RefusalCause::of(&reason(&refusal)), cause, "{refusal}");
        }
    }
}
