//! Who asks, and in which request: what every change's audit event says.

use jeton_core::{Actor, AuditEvent, AuditKind, ClientId};

use super::ServiceError;
use crate::app::App;
use crate::request_context::RequestContext;

/// An authenticated operator.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    /// The client whose token was used.
    pub(crate) client_id: ClientId,
    pub(crate) context: RequestContext,
}

impl Operator {
    /// An audit event of this operator's.
    pub(crate) fn event(&self, app: &App, kind: AuditKind) -> Result<AuditEvent, ServiceError> {
        self.context
            .event(app, kind, Actor::Authenticated(self.client_id.to_string()))
    }
}
