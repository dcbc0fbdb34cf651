//! Declaring tokens void together: all that were issued so far to a client, for an MCP server, or with a
//! secret.
//!
//! The record stays until the last such token has expired. A token's time is the one in its ID, to the
//! millisecond, so that one issued in the same second afterwards is good.

use std::time::Duration;

use jeton_core::{AuditKind, ClientId, McpServerId, Timestamp, TokensOf};
use jeton_store::{StoreError, Transaction, VoidTokens, retry_on_conflict};

use super::{Operator, ServiceError, clients, mcp_servers};
use crate::app::App;

/// A minute: much longer than a change takes to reach every server, and than their clocks differ.
const PROPAGATION: Duration = Duration::from_secs(60);

/// What is to be void of a client's tokens.
#[derive(Debug)]
pub(super) struct ToVoid {
    of: TokensOf,
    owner: Option<ClientId>,
    now: Timestamp,
    issued_until: Timestamp,
}

impl ToVoid {
    /// All that were issued so far, by the clock of the server that is furthest ahead, if by less than a
    /// minute.
    pub(super) async fn so_far(
        app: &App,
        of: TokensOf,
        owner: Option<ClientId>,
    ) -> Result<Self, ServiceError> {
        let now = app.clock.now();
        let latest = app.store.latest_event_time(now.plus(PROPAGATION)).await?;
        Ok(Self {
            of,
            owner,
            now,
            issued_until: latest.unwrap_or(now).max(now),
        })
    }

    /// All that can have been issued before every server knows that no more are to be.
    pub(super) fn for_good(app: &App, of: TokensOf, owner: Option<ClientId>) -> Self {
        let now = app.clock.now();
        Self {
            of,
            owner,
            now,
            issued_until: now.plus(PROPAGATION),
        }
    }

    /// The time in the ID of the last token that is void.
    pub(super) fn issued_until(&self) -> Timestamp {
        self.issued_until
    }

    pub(super) async fn declare(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        tx.declare_void(&self.as_stored(), self.owner, self.now)
            .await
    }

    /// For something that begins again: what was issued in between, where the end was not heard of
    /// yet, is void too.
    pub(super) async fn extend(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        tx.extend_void(&self.as_stored()).await
    }

    fn as_stored(&self) -> VoidTokens {
        VoidTokens {
            of: self.of.clone(),
            issued_until: self.issued_until,
        }
    }
}

/// Revokes all tokens that a client got so far.
pub(crate) async fn of_client(
    app: &App,
    operator: &Operator,
    id: ClientId,
) -> Result<Timestamp, ServiceError> {
    clients::find(app, id).await?;
    let void = ToVoid::so_far(app, TokensOf::Client(id), Some(id)).await?;
    let mut event = operator.event(app, AuditKind::ClientTokensRevoked)?;
    event.client_id = Some(id);
    revoke(app, &void, event).await
}

/// Revokes all tokens that were issued so far for an MCP server.
pub(crate) async fn of_mcp_server(
    app: &App,
    operator: &Operator,
    id: McpServerId,
) -> Result<Timestamp, ServiceError> {
    mcp_servers::find(app, id).await?;
    let void = ToVoid::so_far(app, TokensOf::McpServer(id), None).await?;
    let mut event = operator.event(app, AuditKind::McpServerTokensRevoked)?;
    event.mcp_server_id = Some(id);
    revoke(app, &void, event).await
}

async fn revoke(
    app: &App,
    void: &ToVoid,
    mut event: jeton_core::AuditEvent,
) -> Result<Timestamp, ServiceError> {
    let issued_until = void.issued_until();
    event
        .detail
        .insert("issued_until".into(), issued_until.to_string().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        void.declare(&mut tx).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(issued_until)
}

/// Forgets what was declared void of tokens that have all expired.
pub(crate) async fn forget_expired(app: &App) -> Result<(), ServiceError> {
    let mut tx = app.store.begin().await?;
    tx.forget_void_tokens(app.clock.now()).await?;
    Ok(tx.commit().await?)
}
