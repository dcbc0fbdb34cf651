//! Servers that do as a test tells them, and write down what they were asked.

mod authorization_server;
mod mcp_server;
mod site;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use jeton_agent::{ClientCredentials, TokenSource, TokenSourceBuilder};
use jeton_core::{Challenge, Clock as _, ManualClock, SystemClock};

pub(crate) use authorization_server::{AuthorizationServer, Mode};
pub(crate) use mcp_server::McpServer;
pub(crate) use site::{Asked, Site, json, status};
pub(crate) use tls::Tls;

/// The secret that must not turn up anywhere.
pub(crate) const SECRET: &str = "jeton_the-agents-secret";

pub(crate) fn credentials(issuer: &str) -> ClientCredentials {
    ClientCredentials::new(issuer, "m2m_1", SECRET)
}

/// An agent, its MCP server and its authorization server, with a clock that the test moves.
pub(crate) struct World {
    pub(crate) auth: AuthorizationServer,
    pub(crate) mcp: McpServer,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let auth = AuthorizationServer::start().await;
        let mcp = McpServer::start(&auth.issuer()).await;
        Self {
            auth,
            mcp,
            clock: Arc::new(ManualClock::new(SystemClock.now())),
        }
    }

    pub(crate) fn builder(&self) -> TokenSourceBuilder {
        TokenSource::builder(self.mcp.url(), credentials(&self.auth.issuer()))
            .clock(self.clock.clone())
    }

    pub(crate) fn source(&self) -> TokenSource {
        self.builder().build().unwrap()
    }
}

/// An `insufficient_scope` challenge.
pub(crate) fn wants(scope: &str) -> Challenge {
    Challenge {
        error: Some("insufficient_scope".into()),
        scope: Some(scope.parse().unwrap()),
        ..Challenge::default()
    }
}

/// Waits for a condition, for at most 20 seconds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("still not so after 20 seconds: {what}");
}
