//! Whether a client can get a token now, and if not, why not.

use crate::{Client, ClientSecret, Grant, McpServerId, SecretState, Timestamp};

/// Why a client can't get any token, whatever it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProblem {
    /// It is disabled.
    Disabled,
    /// It has no secret.
    NoSecret,
    /// None of its secrets works, and the last one that did expired.
    SecretExpired {
        /// When that one expired.
        at: Timestamp,
    },
    /// None of its secrets works, and the last one that did was revoked.
    SecretRevoked {
        /// When that one was revoked.
        at: Timestamp,
    },
    /// It has no grant on any MCP server.
    NoGrant,
    /// It has no grant: the MCP server that it was for was deleted.
    McpServerDeleted,
    /// None of its grants has a scope.
    NoScope,
}

impl ClientProblem {
    /// The problem of a client with these secrets and grants, if it has one. `exists` tells whether an MCP server
    /// is registered.
    pub fn of(
        client: &Client,
        secrets: &[ClientSecret],
        grants: &[Grant],
        exists: impl Fn(McpServerId) -> bool,
        now: Timestamp,
    ) -> Option<Self> {
        if !client.is_enabled() {
            return Some(Self::Disabled);
        }
        if let Some(problem) = Self::of_secrets(secrets, now) {
            return Some(problem);
        }
        let granted = || grants.iter().filter(|grant| exists(grant.mcp_server_id));
        if granted().next().is_none() {
            let deleted = client.default_mcp_server.is_some_and(|id| !exists(id));
            return Some(if deleted {
                Self::McpServerDeleted
            } else {
                Self::NoGrant
            });
        }
        granted()
            .all(|grant| grant.scopes.is_empty())
            .then_some(Self::NoScope)
    }

    fn of_secrets(secrets: &[ClientSecret], now: Timestamp) -> Option<Self> {
        let mut last = None;
        for secret in secrets {
            let (ended, problem) = match secret.state(now) {
                SecretState::Active => return None,
                SecretState::Expired => {
                    let at = secret.expires_at?;
                    (at, Self::SecretExpired { at })
                }
                SecretState::Revoked => {
                    let at = secret.revoked_at?;
                    (at, Self::SecretRevoked { at })
                }
            };
            if last.is_none_or(|(before, _)| before < ended) {
                last = Some((ended, problem));
            }
        }
        Some(last.map_or(Self::NoSecret, |(_, problem)| problem))
    }

    /// A name for programs: `disabled`, `no_secret`, `secret_expired`, `secret_revoked`, `no_grant`,
    /// `mcp_server_deleted`, `no_scope`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NoSecret => "no_secret",
            Self::SecretExpired { .. } => "secret_expired",
            Self::SecretRevoked { .. } => "secret_revoked",
            Self::NoGrant => "no_grant",
            Self::McpServerDeleted => "mcp_server_deleted",
            Self::NoScope => "no_scope",
        }
    }

    /// Since when, where that is known.
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::SecretExpired { at } | Self::SecretRevoked { at } => Some(at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Seeded;
    use crate::{
        ClientId, ClientStatus, CustomClaims, Description, PlainSecret, ScopeSet, SecretId,
        SecretOwner,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn client(default: Option<McpServerId>) -> Client {
        Client {
            id: ClientId::generate(NOW, &Seeded::new(1)).unwrap(),
            name: "nightly".parse().unwrap(),
            description: Description::default(),
            status: ClientStatus::Enabled,
            token_ttl: None,
            custom_claims: CustomClaims::default(),
            default_mcp_server: default,
            created_at: NOW,
            updated_at: NOW,
            version: 1,
        }
    }

    fn secret(expires: Option<i64>, revoked: Option<i64>) -> ClientSecret {
        let at = |ago: i64| Timestamp::from_seconds(1_000_000 - ago);
        ClientSecret {
            id: SecretId::generate(NOW, &Seeded::new(2)).unwrap(),
            owner: SecretOwner::Client(client(None).id),
            digest: PlainSecret::presented("x".into()).digest(),
            suffix: "abcd".into(),
            created_at: NOW,
            expires_at: expires.map(at),
            last_used_at: None,
            revoked_at: revoked.map(at),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_client_gets_tokens_with_a_secret_that_works_and_a_grant_with_a_scope_and_not_otherwise() {
        use ClientProblem::{
            McpServerDeleted, NoGrant, NoScope, NoSecret, SecretExpired, SecretRevoked,
        };
        let (server, gone) = (
            McpServerId::generate(NOW, &Seeded::new(3)).unwrap(),
            McpServerId::generate(NOW, &Seeded::new(4)).unwrap(),
        );
        let grant = |on, scopes: &str| {
            let scopes: ScopeSet = scopes.parse().unwrap();
            Grant::new(client(None).id, on, scopes, NOW)
        };
        let at = |ago: i64| Timestamp::from_seconds(1_000_000 - ago);
        let works = || vec![secret(None, None)];
        let granted = || vec![grant(server, "a")];
        let cases = [
            (works(), granted(), None, None),
            (vec![secret(Some(-5), None)], granted(), None, None),
            // One that works is enough, whatever became of the others.
            (
                vec![
                    secret(Some(5), None),
                    secret(None, Some(3)),
                    secret(None, None),
                ],
                granted(),
                None,
                None,
            ),
            (vec![], granted(), None, Some(NoSecret)),
            (
                vec![secret(Some(5), None)],
                granted(),
                None,
                Some(SecretExpired { at: at(5) }),
            ),
            (
                vec![secret(Some(5), None), secret(Some(9), None)],
                granted(),
                None,
                Some(SecretExpired { at: at(5) }),
            ),
            (
                vec![secret(Some(5), None), secret(None, Some(3))],
                granted(),
                None,
                Some(SecretRevoked { at: at(3) }),
            ),
            (
                vec![secret(Some(1), None), secret(None, Some(3))],
                granted(),
                None,
                Some(SecretExpired { at: at(1) }),
            ),
            (works(), vec![], None, Some(NoGrant)),
            (works(), vec![], Some(server), Some(NoGrant)),
            (works(), vec![], Some(gone), Some(McpServerDeleted)),
            (works(), vec![grant(server, "")], None, Some(NoScope)),
            (
                works(),
                vec![grant(server, ""), grant(server, "a")],
                None,
                None,
            ),
            // What keeps a client out first is told first.
            (vec![], vec![], None, Some(NoSecret)),
        ];
        for (number, (secrets, grants, default, expected)) in cases.into_iter().enumerate() {
            let client = client(default);
            let exists = |id| id == server;
            let found = ClientProblem::of(&client, &secrets, &grants, exists, NOW);
            assert_eq!(found, expected, "case {number}");
        }
        let mut disabled = client(None);
        disabled.status = ClientStatus::Disabled;
        let found = ClientProblem::of(&disabled, &works(), &granted(), |_| true, NOW);
        assert_eq!(found, Some(ClientProblem::Disabled));
    }
}
