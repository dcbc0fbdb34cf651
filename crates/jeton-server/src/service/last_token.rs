//! What a change does not stop: tokens that were issued already work until they expire, on every MCP server that
//! does not ask Jeton about them.

use std::time::Duration;

use jeton_core::{
    AuditKind, ClientId, ClientSecret, McpServerId, SecretOwner, Timestamp, TokensOf,
};
use jeton_store::AuditFilter;
use serde_json::Value;

use super::{ServiceError, statistics};
use crate::app::App;

/// The longest lifetime of a token: an older one has expired.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// So many events are looked at of a client or a server, a page at a time.
const PAGES: u32 = 4;
const PAGE: u32 = 100;

/// The token that works longest of those issued so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastToken {
    /// When the last one was issued.
    pub(crate) issued_at: Timestamp,
    /// When the last of them expires.
    pub(crate) expires_at: Timestamp,
    /// Whether the times are those of a token; else they are the latest that there can be.
    pub(crate) exact: bool,
}

/// The last token that still works, if there is one: what a change of whose tokens they are does not stop.
pub(crate) async fn last_token(
    app: &App,
    of: &TokensOf,
) -> Result<Option<LastToken>, ServiceError> {
    let secret = match of {
        TokensOf::Secret(id) => app.store.find_secret(*id).await?,
        _ => None,
    };
    let Some(filter) = filter(of, secret.as_ref()) else {
        return Ok(None);
    };
    // What was issued a moment ago counts.
    statistics::catch_up(app).await?;
    let now = app.clock.now();
    let filter = AuditFilter {
        kind: Some(AuditKind::TokenIssued),
        since: Some(now.minus(LONGEST)),
        ..filter
    };
    let mut last: Option<LastToken> = None;
    let mut before = None;
    for _ in 0..PAGES {
        let found = app.store.search_audit(&filter, before, PAGE).await?;
        for event in found.events.into_iter().map(|recorded| recorded.event) {
            let is_of = secret
                .as_ref()
                .is_none_or(|secret| event.secret_id == Some(secret.id));
            let expires_at = event.detail.get("expires_at").and_then(Value::as_str);
            let expires_at = expires_at.and_then(|text| text.parse::<Timestamp>().ok());
            let Some(expires_at) = expires_at.filter(|at| is_of && *at > now) else {
                continue;
            };
            let known = last.get_or_insert(LastToken {
                issued_at: event.at,
                expires_at,
                exact: true,
            });
            known.expires_at = known.expires_at.max(expires_at);
        }
        before = found.next;
        if last.is_some() || before.is_none() {
            return Ok(last);
        }
    }
    at_most(app, of, secret, now).await
}

/// Which events to look for.
fn filter(of: &TokensOf, secret: Option<&ClientSecret>) -> Option<AuditFilter> {
    let (client_id, mcp_server_id): (Option<ClientId>, Option<McpServerId>) = match of {
        TokensOf::Client(id) => (Some(*id), None),
        TokensOf::Grant(id, server) => (Some(*id), Some(*server)),
        TokensOf::McpServer(server) => (None, Some(*server)),
        TokensOf::Secret(_) => match secret?.owner {
            SecretOwner::Client(id) => (Some(id), None),
            // Its own credentials get no tokens.
            SecretOwner::McpServer(_) => return None,
        },
        TokensOf::Url(_) => return None,
    };
    Some(AuditFilter {
        client_id,
        mcp_server_id,
        ..AuditFilter::default()
    })
}

/// Where the log was too long to find out: what there can be.
async fn at_most(
    app: &App,
    of: &TokensOf,
    secret: Option<ClientSecret>,
    now: Timestamp,
) -> Result<Option<LastToken>, ServiceError> {
    let issued_at = match (of, secret) {
        (_, Some(secret)) => {
            let mut secrets = [secret];
            statistics::bring_up_to_date(app, &mut secrets).await;
            let [secret] = secrets;
            secret.last_used_at
        }
        (TokensOf::Client(id) | TokensOf::Grant(id, _), None) => {
            app.store.client_activity(*id).await?.last_issued_at
        }
        (_, None) => Some(now),
    };
    let issued_at = issued_at.filter(|at| at.plus(LONGEST) > now);
    Ok(issued_at.map(|issued_at| LastToken {
        issued_at,
        expires_at: issued_at.plus(LONGEST),
        exact: false,
    }))
}

/// Whether they were declared void: who asks Jeton about one is told that it is not active.
pub(crate) async fn is_void(
    app: &App,
    of: &TokensOf,
    last: &LastToken,
) -> Result<bool, ServiceError> {
    let (client, others) = match of {
        TokensOf::Client(id) | TokensOf::Grant(id, _) => (*id, Vec::new()),
        TokensOf::Secret(id) => match app.store.find_secret(*id).await? {
            Some(secret) => match secret.owner {
                SecretOwner::Client(id) => (id, Vec::new()),
                SecretOwner::McpServer(_) => return Ok(true),
            },
            // It went with its client.
            None => return Ok(true),
        },
        TokensOf::McpServer(id) => {
            // Of a server that is gone no token is active; and no client has this ID.
            if app.directory.find_mcp_server(*id).is_none() {
                return Ok(true);
            }
            let nobody = ClientId::generate(last.issued_at, app.entropy.as_ref())?;
            (nobody, vec![of.clone()])
        }
        TokensOf::Url(_) => return Ok(true),
    };
    let is_there =
        matches!(of, TokensOf::McpServer(_)) || app.directory.find_client(client).await?.is_some();
    let void = app.store.void_tokens(client, &others).await?;
    let covers = |void: &jeton_store::VoidTokens| {
        let is_all = void.of == *of || void.of == TokensOf::Client(client);
        is_all && void.issued_until >= last.issued_at
    };
    Ok(!is_there || void.iter().any(covers))
}
