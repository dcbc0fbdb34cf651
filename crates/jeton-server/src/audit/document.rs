//! An audit event as the outside reads it.

use jeton_core::Timestamp;
use jeton_store::RecordedEvent;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEventView {
    /// Its place in the log.
    pub(crate) seq: i64,
    /// Its ID.
    pub(crate) id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    /// What.
    pub(crate) kind: &'static str,
    /// success or refused.
    pub(crate) outcome: &'static str,
    /// Why it was refused.
    pub(crate) reason: Option<String>,
    /// Who: a client's or an MCP server's ID, `system` or `anonymous`.
    pub(crate) actor: String,
    /// Which client it is about.
    pub(crate) client_id: Option<String>,
    /// Which MCP server it is about.
    pub(crate) mcp_server_id: Option<String>,
    /// Which secret it is about, or which one authenticated the client.
    pub(crate) secret_id: Option<String>,
    /// The scopes granted or asked for.
    pub(crate) scope: Option<String>,
    /// The resource asked for.
    pub(crate) resource: Option<String>,
    /// The `jti` of the token.
    pub(crate) jti: Option<String>,
    /// The source address.
    pub(crate) source: Option<String>,
    /// The request's ID.
    pub(crate) request_id: Option<String>,
    /// What else there is to know.
    #[schema(value_type = Object)]
    pub(crate) detail: Map<String, Value>,
}

impl From<RecordedEvent> for AuditEventView {
    fn from(recorded: RecordedEvent) -> Self {
        let event = recorded.event;
        Self {
            seq: recorded.seq,
            id: event.id.to_string(),
            at: event.at,
            kind: event.kind.as_str(),
            outcome: event.outcome.as_str(),
            reason: event.reason,
            actor: event.actor.as_str().to_owned(),
            client_id: event.client_id.map(|id| id.to_string()),
            mcp_server_id: event.mcp_server_id.map(|id| id.to_string()),
            secret_id: event.secret_id.map(|id| id.to_string()),
            scope: event.scope.map(|scope| scope.to_string()),
            resource: event.resource,
            jti: event.jti,
            source: event.source,
            request_id: event.request_id,
            detail: event.detail,
        }
    }
}
