//! What is behind a refused token request: the audit log's reasons, sorted into what somebody has to do about them.

/// What is behind a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RefusalCause {
    ExpiredSecret,
    RevokedSecret,
    DisabledClient,
    /// Another's, mistyped, or with white space around it.
    WrongSecret,
    UnknownClient,
    NoGrant,
    NoScope,
    ScopeNotGranted,
    UnknownScope,
    ResourceNotGranted,
    ResourceMissing,
    ResourceRetired,
    /// The request itself.
    Malformed,
}

/// Each cause with how the reasons of the audit log begin.
const REASONS: [(&str, RefusalCause); 17] = [
    (
        "invalid_client: expired secret",
        RefusalCause::ExpiredSecret,
    ),
    (
        "invalid_client: revoked secret",
        RefusalCause::RevokedSecret,
    ),
    (
        "invalid_client: disabled client",
        RefusalCause::DisabledClient,
    ),
    ("invalid_client: wrong secret", RefusalCause::WrongSecret),
    ("invalid_client: mistyped secret", RefusalCause::WrongSecret),
    ("invalid_client: white space", RefusalCause::WrongSecret),
    (
        "invalid_client: unknown client",
        RefusalCause::UnknownClient,
    ),
    (
        "invalid_target: the client has no grant",
        RefusalCause::NoGrant,
    ),
    (
        "invalid_target: the client has grants on several",
        RefusalCause::ResourceMissing,
    ),
    (
        "invalid_target: resource is not the URL",
        RefusalCause::ResourceNotGranted,
    ),
    (
        "invalid_target: the MCP server at this URL was deleted",
        RefusalCause::ResourceRetired,
    ),
    (
        "invalid_scope: the client has no scope",
        RefusalCause::NoScope,
    ),
    (
        "invalid_scope: the MCP server defines no scope",
        RefusalCause::UnknownScope,
    ),
    ("invalid_scope: the scope", RefusalCause::ScopeNotGranted),
    // As earlier versions recorded it.
    (
        "invalid_scope: none of the scopes asked for is granted",
        RefusalCause::ScopeNotGranted,
    ),
    ("invalid_client", RefusalCause::WrongSecret),
    ("", RefusalCause::Malformed),
];

impl RefusalCause {
    /// The cause of a refusal with this reason in the audit log.
    pub(crate) fn of(reason: &str) -> Self {
        REASONS
            .iter()
            .find(|(begin, _)| reason.starts_with(begin))
            .map_or(Self::Malformed, |(_, cause)| *cause)
    }

    /// What to search the audit log for.
    pub(crate) fn search(self) -> &'static str {
        REASONS
            .iter()
            .find(|(_, cause)| *cause == self)
            .map_or("", |(begin, _)| *begin)
    }

    /// A few words for a legend.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ExpiredSecret => "expired secret",
            Self::RevokedSecret => "revoked secret",
            Self::DisabledClient => "disabled client",
            Self::WrongSecret => "wrong secret",
            Self::UnknownClient => "unknown client",
            Self::NoGrant => "no access to any server",
            Self::NoScope => "no scope granted",
            Self::ScopeNotGranted => "scope not granted",
            Self::UnknownScope => "unknown scope",
            Self::ResourceNotGranted => "no access to that server",
            Self::ResourceMissing => "no server named",
            Self::ResourceRetired => "retired URL",
            Self::Malformed => "malformed request",
        }
    }

    /// Whether somebody proved to be the client: else anybody who knows its ID may have sent the request.
    pub(crate) fn is_proven(self) -> bool {
        !matches!(
            self,
            Self::WrongSecret | Self::UnknownClient | Self::Malformed
        )
    }

    /// The scope that a reason names.
    pub(crate) fn scope_in(reason: &str) -> Option<&str> {
        let (_, after) = reason
            .split_once("the scope ")
            .or_else(|| reason.split_once("defines no scope "))?;
        after
            .split([' ', ';'])
            .next()
            .filter(|scope| !scope.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_its_scope() {
        let scope = |reason| RefusalCause::scope_in(reason);
        let granted = "invalid_scope: the scope a:b is not granted to the client; granted: c";
        assert_eq!(scope(granted), Some("a:b"));
        let unknown =
            "invalid_scope: the MCP server defines no scope a:b; the client may ask for: c";
        assert_eq!(scope(unknown), Some("a:b"));
        assert_eq!(scope("invalid_client: expired secret"), None);
        assert_eq!(
            RefusalCause::of("invalid_request: x"),
            RefusalCause::Malformed
        );
    }
}
