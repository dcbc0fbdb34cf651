//! Why a caller could not be authenticated, and what it is told.

use jeton_core::{ErrorCode, SecretId, TokenRequestError, redact};

use crate::http::OAuthError;
use crate::service::ServiceError;

/// Why a caller could not be authenticated.
#[derive(Debug)]
pub(crate) enum AuthRefusal {
    /// The request itself.
    Request {
        /// What is wrong with it.
        error: TokenRequestError,
        /// Whether the answer challenges for the header.
        in_header: bool,
    },
    /// The secret is none that Jeton made: its checksum does not fit.
    MistypedSecret { in_header: bool },
    /// The secret has white space around it, mostly the line break at the end of a file.
    SurroundedSecret { in_header: bool },
    /// No such client.
    UnknownClient { in_header: bool },
    /// The secret is another.
    WrongSecret { in_header: bool },
    /// The secret was right once.
    ExpiredSecret {
        in_header: bool,
        secret_id: SecretId,
    },
    /// The secret was taken back.
    RevokedSecret {
        in_header: bool,
        secret_id: SecretId,
    },
    /// The client is disabled.
    DisabledClient {
        in_header: bool,
        secret_id: SecretId,
    },
    /// The store failed.
    Service(ServiceError),
}

impl AuthRefusal {
    /// What the audit log notes: the whole truth, unlike the answer.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Request { error, .. } => {
                format!("{}: {}", error.code().as_str(), redact(&error.to_string()))
            }
            Self::MistypedSecret { .. } => "invalid_client: mistyped secret".into(),
            Self::SurroundedSecret { .. } => "invalid_client: white space around the secret".into(),
            Self::UnknownClient { .. } => "invalid_client: unknown client".into(),
            Self::WrongSecret { .. } => "invalid_client: wrong secret".into(),
            Self::ExpiredSecret { .. } => "invalid_client: expired secret".into(),
            Self::RevokedSecret { .. } => "invalid_client: revoked secret".into(),
            Self::DisabledClient { .. } => "invalid_client: disabled client".into(),
            Self::Service(error) => error.to_string(),
        }
    }

    /// Whether a secret was presented that is nobody's.
    pub(crate) fn is_wrong_secret(&self) -> bool {
        matches!(
            self,
            Self::MistypedSecret { .. }
                | Self::SurroundedSecret { .. }
                | Self::UnknownClient { .. }
                | Self::WrongSecret { .. }
        )
    }

    /// The secret that was presented, where it was a real one.
    pub(crate) fn secret_id(&self) -> Option<SecretId> {
        match self {
            Self::ExpiredSecret { secret_id, .. }
            | Self::RevokedSecret { secret_id, .. }
            | Self::DisabledClient { secret_id, .. } => Some(*secret_id),
            _ => None,
        }
    }
}

impl From<AuthRefusal> for OAuthError {
    /// An unknown client and a wrong secret read alike. What presupposes the right secret is said
    /// openly: whoever has it may know.
    fn from(refusal: AuthRefusal) -> Self {
        let (code, description, in_header) = match refusal {
            AuthRefusal::Request { error, in_header } => {
                (error.code(), error.to_string(), in_header && error.code() == ErrorCode::InvalidClient)
            }
            AuthRefusal::MistypedSecret { in_header } => (
                ErrorCode::InvalidClient,
                "client_secret is not complete: a Jeton secret is jeton_ and 49 letters and digits, the last of them a checksum that does not fit; copy it again".into(),
                in_header,
            ),
            AuthRefusal::SurroundedSecret { in_header } => (
                ErrorCode::InvalidClient,
                "client_secret has white space or a line break at its beginning or end, as a file or variable often has; send it without".into(),
                in_header,
            ),
            AuthRefusal::UnknownClient { in_header } | AuthRefusal::WrongSecret { in_header } => (
                ErrorCode::InvalidClient,
                "client authentication failed: client_id is unknown, or client_secret is not one of its secrets".into(),
                in_header,
            ),
            AuthRefusal::ExpiredSecret { in_header, .. } => (
                ErrorCode::InvalidClient,
                "client_secret has expired; create a new one".into(),
                in_header,
            ),
            AuthRefusal::RevokedSecret { in_header, .. } => (
                ErrorCode::InvalidClient,
                "client_secret was revoked; create a new one".into(),
                in_header,
            ),
            AuthRefusal::DisabledClient { in_header, .. } => (
                ErrorCode::InvalidClient,
                "the client is disabled; an operator can enable it again".into(),
                in_header,
            ),
            AuthRefusal::Service(_) => return Self::unavailable(),
        };
        Self::new(code, description).with_basic_challenge(in_header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::refusal_cause::RefusalCause;

    #[test]
    fn each_recorded_reason_has_its_cause() {
        let now = jeton_core::Timestamp::from_seconds(1);
        let secret_id = SecretId::generate(now, &jeton_jose::OsEntropy).unwrap();
        let in_header = true;
        for (refusal, cause) in [
            (
                AuthRefusal::ExpiredSecret {
                    in_header,
                    secret_id,
                },
                RefusalCause::ExpiredSecret,
            ),
            (
                AuthRefusal::RevokedSecret {
                    in_header,
                    secret_id,
                },
                RefusalCause::RevokedSecret,
            ),
            (
                AuthRefusal::DisabledClient {
                    in_header,
                    secret_id,
                },
                RefusalCause::DisabledClient,
            ),
            (
                AuthRefusal::WrongSecret { in_header },
                RefusalCause::WrongSecret,
            ),
            (
                AuthRefusal::MistypedSecret { in_header },
                RefusalCause::WrongSecret,
            ),
            (
                AuthRefusal::SurroundedSecret { in_header },
                RefusalCause::WrongSecret,
            ),
            (
                AuthRefusal::UnknownClient { in_header },
                RefusalCause::UnknownClient,
            ),
        ] {
            assert_eq!(RefusalCause::of(&refusal.reason()), cause, "{refusal:?}");
        }
    }
}
