//! Why an operator's request is not carried out.

use jeton_core::{ClientId, EntropyError, ScopeSet};
use jeton_jose::NoteError;
use jeton_store::StoreError;

use crate::audit::MemoryError;
use crate::keys::AuditKeysError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// Nothing with this ID.
    #[error("there is no {what} with the ID {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// The ID.
        id: String,
    },
    /// A value that cannot be used.
    #[error("{parameter}: {detail}")]
    Invalid {
        /// Which one.
        parameter: &'static str,
        /// Why, and what would be right.
        detail: String,
    },
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// It has consequences that the operator has to confirm.
    #[error("{}", .0.detail)]
    Unconfirmed(Box<Confirmation>),
    /// It was changed since the operator read it.
    #[error("it was changed since it was read")]
    Stale,
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The signing keys failed.
    #[error("the signing keys failed")]
    Keys(#[source] Box<crate::keys::KeyRingError>),
    /// The audit log's keys, or what is remembered of it.
    #[error("proving the audit log failed")]
    Audit(#[source] Box<AuditFault>),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// What an operator has to confirm before it is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confirmation {
    /// What would happen, in sentences.
    pub(crate) detail: String,
    /// Clients that would lose scopes.
    pub(crate) clients: usize,
    /// The first of them.
    pub(crate) losses: Vec<Loss>,
}

impl Confirmation {
    /// Of a change that has both consequences, or one of them, or none.
    pub(crate) fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (one, other) = match (one, other) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => return one.or(other),
        };
        Some(Self {
            detail: format!("{}; and {}", one.detail, other.detail),
            clients: one.clients + other.clients,
            losses: one.losses.into_iter().chain(other.losses).collect(),
        })
    }
}

/// What a client would lose.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    pub(crate) client_id: ClientId,
    pub(crate) name: String,
    pub(crate) scopes: ScopeSet,
}

/// Why the audit log cannot be proven or signed now, which says nothing of the log itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditFault {
    #[error(transparent)]
    Keys(#[from] AuditKeysError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl From<AuditFault> for ServiceError {
    fn from(error: AuditFault) -> Self {
        Self::Audit(Box::new(error))
    }
}

impl From<AuditKeysError> for ServiceError {
    fn from(error: AuditKeysError) -> Self {
        AuditFault::from(error).into()
    }
}

impl From<NoteError> for ServiceError {
    fn from(error: NoteError) -> Self {
        AuditKeysError::from(error).into()
    }
}

impl From<MemoryError> for ServiceError {
    fn from(error: MemoryError) -> Self {
        AuditFault::from(error).into()
    }
}

impl ServiceError {
    pub(crate) fn not_found(what: &'static str, id: &impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale => Self::Stale,
            other => Self::Store(other),
        }
    }
}
