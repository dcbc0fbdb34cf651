//! What is known of every request: its ID and where it came from.

use std::net::IpAddr;
use std::sync::Arc;

use jeton_core::{Actor, AuditEvent, AuditKind};

use crate::app::App;
use crate::service::ServiceError;

/// A request's ID and source address.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) request_id: Arc<str>,
    /// Where it came from: the peer, or what a trusted proxy says.
    pub(crate) source: IpAddr,
}

impl RequestContext {
    /// An audit event of this request.
    pub(crate) fn event(
        &self,
        app: &App,
        kind: AuditKind,
        actor: Actor,
    ) -> Result<AuditEvent, ServiceError> {
        let mut event = app.event(kind, actor)?;
        event.source = Some(self.source.to_string());
        event.request_id = Some(self.request_id.to_string());
        Ok(event)
    }
}
