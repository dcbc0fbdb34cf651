//! Things to store.

use jeton_core::{
    Actor, AuditEvent, AuditKind, Client, ClientId, ClientStatus, Clock as _, CustomClaims,
    DefinedScopes, EventId, McpServer, McpServerId, ScopeDefinition, SystemClock, Timestamp,
};
use jeton_jose::OsEntropy;
use jeton_store::PageRequest;

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn mcp_server(url: &str) -> McpServer {
    McpServer {
        id: McpServerId::generate(now(), &OsEntropy).unwrap(),
        name: "Todo".parse().unwrap(),
        description: "things, \"quoted\" and\nbroken".parse().unwrap(),
        url: url.parse().unwrap(),
        aliases: Vec::new(),
        scopes: scopes(),
        token_ttl: 3600.try_into().unwrap(),
        signing_alg: jeton_core::SigningAlgorithm::Rs256,
        token_profile: jeton_core::TokenProfile::Compatible,
        own_issuer: false,
        system: false,
        created_at: now(),
        updated_at: now(),
        version: 1,
    }
}

fn scopes() -> DefinedScopes {
    let read = "todo:read=Read todos".parse::<ScopeDefinition>().unwrap();
    DefinedScopes::new(vec![read]).unwrap()
}

pub(crate) fn client() -> Client {
    Client {
        id: ClientId::generate(now(), &OsEntropy).unwrap(),
        name: "agent".parse().unwrap(),
        description: "".parse().unwrap(),
        status: ClientStatus::Enabled,
        token_ttl: None,
        custom_claims: CustomClaims::default(),
        default_mcp_server: None,
        created_at: now(),
        updated_at: now(),
        version: 1,
    }
}

pub(crate) fn event(kind: AuditKind) -> AuditEvent {
    let id = EventId::generate(now(), &OsEntropy).unwrap();
    AuditEvent::new(id, now(), kind, Actor::System)
}

pub(crate) fn first<C>(limit: u32) -> PageRequest<C> {
    PageRequest { after: None, limit }
}
