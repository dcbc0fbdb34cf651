//! Who asks, and in which request: what every change's audit event says.

use jeton_core::{Actor, AdminId, AuditEvent, AuditKind, ClientId};

use super::ServiceError;
use crate::app::App;
use crate::request_context::RequestContext;

/// By what an operator was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperatorId {
    /// The token of an admin API client.
    Client(ClientId),
    /// A session of the dashboard.
    Admin(AdminId),
}

/// An authenticated operator.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) id: OperatorId,
    pub(crate) context: RequestContext,
}

impl Operator {
    /// Whether this is the client that the operator works with.
    pub(crate) fn is_client(&self, id: ClientId) -> bool {
        self.id == OperatorId::Client(id)
    }

    /// As the audit log calls them.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Authenticated(match self.id {
            OperatorId::Client(id) => id.to_string(),
            OperatorId::Admin(id) => id.to_string(),
        })
    }

    /// An audit event of this operator's.
    pub(crate) fn event(&self, app: &App, kind: AuditKind) -> Result<AuditEvent, ServiceError> {
        self.context.event(app, kind, self.actor())
    }
}
