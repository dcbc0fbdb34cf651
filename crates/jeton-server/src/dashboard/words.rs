//! Kinds of events and reasons of refusals, in people's words.

use jeton_core::AuditKind;

use super::error::sentence;

/// What an event says happened.
pub(crate) const fn kind_words(kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::TokenIssued => "Token issued",
        AuditKind::TokenRefused => "Token refused",
        AuditKind::TokenRevoked => "Token revoked",
        AuditKind::McpServerCreated => "MCP server added",
        AuditKind::McpServerUpdated => "MCP server changed",
        AuditKind::McpServerDeleted => "MCP server deleted",
        AuditKind::McpServerTokensRevoked => "MCP server’s tokens revoked",
        AuditKind::McpServerUrlReleased => "Retired URL released",
        AuditKind::ClientCreated => "Client created",
        AuditKind::ClientUpdated => "Client changed",
        AuditKind::ClientDisabled => "Client disabled",
        AuditKind::ClientEnabled => "Client enabled",
        AuditKind::ClientDeleted => "Client deleted",
        AuditKind::ClientTokensRevoked => "Client’s tokens revoked",
        AuditKind::GrantCreated => "Access granted",
        AuditKind::GrantUpdated => "Access changed",
        AuditKind::GrantDeleted => "Access removed",
        AuditKind::SecretCreated => "Secret created",
        AuditKind::SecretRevoked => "Secret revoked",
        AuditKind::SecretTokensRevoked => "Secret’s tokens revoked",
        AuditKind::SecretRotated => "Secret rotated",
        AuditKind::KeyCreated => "Signing key created",
        AuditKind::KeyActivated => "Signing key activated",
        AuditKind::KeyRetired => "Signing key retired",
        AuditKind::KeysRewrapped => "Signing keys sealed anew",
        AuditKind::KeyErased => "Private key erased",
        AuditKind::AuditPruned => "Old events removed",
        AuditKind::AuditRestored => "Database restored",
        AuditKind::AuditDiscontinuity => "Audit log does not continue",
        AuditKind::AuditCheckpointAdopted => "Checkpoint adopted",
        AuditKind::AuditKeyRotated => "Checkpoint key rotated",
        AuditKind::AuditReindexed => "Audit index rebuilt",
        AuditKind::AuditCheckpoint => "Checkpoint signed",
        AuditKind::AuditForwardSkipped => "Events not forwarded",
        AuditKind::AdminInvited => "Admin invited",
        AuditKind::AdminInvitationRevoked => "Invitation canceled",
        AuditKind::AdminCreated => "Admin joined",
        AuditKind::AdminUpdated => "Admin changed",
        AuditKind::AdminDeleted => "Admin removed",
        AuditKind::AdminRecovered => "Admin access recovered",
        AuditKind::AdminFactorAdded => "Sign-in method added",
        AuditKind::AdminFactorRemoved => "Sign-in method removed",
        AuditKind::AdminRecoveryCodesCreated => "Recovery codes created",
        AuditKind::AdminRecoveryCodeUsed => "Recovery code used",
        AuditKind::AdminSignedIn => "Signed in",
        AuditKind::AdminSignInRefused => "Sign-in refused",
        AuditKind::AdminSignedOut => "Signed out",
        AuditKind::AuthenticationRefused => "Authentication refused",
    }
}

/// The group of a kind in a list of all: `Tokens`, `Clients`.
pub(crate) fn kind_group(kind: AuditKind) -> &'static str {
    match kind.as_str().split('.').next().unwrap_or_default() {
        "token" | "authentication" => "Tokens",
        "client" => "Clients",
        "grant" => "Access",
        "secret" => "Secrets",
        "mcp_server" => "MCP servers",
        "key" => "Signing keys",
        "admin" => "Admins",
        _ => "Audit log",
    }
}

/// A reason as a refusal records it (`invalid_client: expired secret`): a sentence for people, and the error code
/// that programs were sent, where it has one.
pub(crate) fn reason_words(reason: &str) -> (String, Option<&str>) {
    let is_code = |code: &&str| {
        let mut bytes = code.bytes();
        !code.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let Some((code, rest)) = reason.split_once(": ").filter(|(code, _)| is_code(code)) else {
        return (sentence(&reason), None);
    };
    let words = match rest {
        "expired secret" => "The secret has expired.",
        "revoked secret" => "The secret was revoked.",
        "wrong secret" => "The secret is not one of the client’s.",
        "mistyped secret" => "The secret is incomplete or mistyped.",
        "white space around the secret" => "The secret has white space around it.",
        "unknown client" => "There is no client with this ID.",
        "disabled client" => "The client is disabled.",
        _ => return (shortened(rest), Some(code)),
    };
    (words.to_owned(), Some(code))
}

/// Without what an agent's developer may do about it, which the event itself says.
fn shortened(reason: &str) -> String {
    let end = ["; ", ": say which", ". The client may"]
        .iter()
        .filter_map(|part| reason.find(part))
        .min();
    sentence(&reason.get(..end.unwrap_or(reason.len())).unwrap_or(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences_with_their_codes_apart() {
        for (reason, words, code) in [
            (
                "invalid_client: expired secret",
                "The secret has expired.",
                Some("invalid_client"),
            ),
            (
                "invalid_target: the client has no grant on any MCP server; an operator can make one",
                "The client has no grant on any MCP server.",
                Some("invalid_target"),
            ),
            (
                "invalid_scope: the MCP server defines no scope x; the client may ask for: a",
                "The MCP server defines no scope x.",
                Some("invalid_scope"),
            ),
            ("wrong password", "Wrong password.", None),
            ("Ada: no", "Ada: no.", None),
        ] {
            assert_eq!(reason_words(reason), (words.to_owned(), code));
        }
    }
}
