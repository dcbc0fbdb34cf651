//! Which scopes a token gets, of those that were asked for.

use jeton_core::{Grant, McpServer, Scope, ScopeSet, TokenProfile};

use super::decision::Refusal;

/// What a token permits.
#[derive(Debug)]
pub(super) struct GrantedScopes {
    /// At least one scope (RFC 6749 §3.3).
    pub(super) scope: ScopeSet,
    /// What was asked for and is not granted.
    pub(super) left_out: ScopeSet,
}

/// OAuth 2.1 §3.2.2.1: absent, all of the grant; present, those of them that are granted. A scope that
/// the MCP server no longer defines is granted to nobody. What a granted scope implies is granted too. A token
/// for all of the grant lists it, since stock verifiers compare names; one for some scopes lists just these,
/// since stock clients refuse more than they asked for.
///
/// Stock MCP clients ask for every scope that a server lists, so that the compatible profile leaves out
/// what is not granted. The strict profile refuses it, and both refuse what the server does not define:
/// a typing error is never ignored.
pub(super) fn granted_scopes(
    asked: Option<&ScopeSet>,
    grant: &Grant,
    server: &McpServer,
) -> Result<GrantedScopes, Refusal> {
    let granted = || server.scopes.granted(&grant.scopes);
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return all_of(granted(), server);
    };
    let with_implied = (!server.scopes.hierarchy().is_empty()).then(granted);
    let is_granted = |scope: &Scope| match &with_implied {
        Some(granted) => granted.contains(scope),
        None => grant.scopes.contains(scope) && server.defines(scope),
    };
    let Some(first) = asked.iter().find(|scope| !is_granted(scope)) else {
        return Ok(GrantedScopes {
            scope: asked.clone(),
            left_out: ScopeSet::empty(),
        });
    };
    if server.token_profile == TokenProfile::Strict {
        return Err(Refusal::ScopeNotGranted {
            scope: first.clone(),
            granted: granted(),
            server: server.id,
        });
    }
    if let Some(undefined) = asked.iter().find(|scope| !server.defines(scope)) {
        return Err(Refusal::ScopeUndefined {
            scope: undefined.clone(),
            granted: granted(),
            server: server.id,
        });
    }
    let (scope, left_out): (Vec<Scope>, Vec<Scope>) = asked.iter().cloned().partition(is_granted);
    if scope.is_empty() {
        return Err(Refusal::ScopeNotGranted {
            scope: first.clone(),
            granted: granted(),
            server: server.id,
        });
    }
    Ok(GrantedScopes {
        scope: scope.into_iter().collect(),
        left_out: left_out.into_iter().collect(),
    })
}

fn all_of(scope: ScopeSet, server: &McpServer) -> Result<GrantedScopes, Refusal> {
    if scope.is_empty() {
        return Err(Refusal::NoScope { server: server.id });
    }
    Ok(GrantedScopes {
        scope,
        left_out: ScopeSet::empty(),
    })
}
