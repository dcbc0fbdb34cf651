//! One record of something that happened.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::{ClientId, EventId, McpServerId, ScopeSet, SecretId, Timestamp, looks_secret};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditKind { $($(#[$doc])* $variant,)* }

        impl AuditKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in the store and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    /// A token was issued.
    TokenIssued = "token.issued",
    /// A token request was refused.
    TokenRefused = "token.refused",
    /// A token was revoked before its time.
    TokenRevoked = "token.revoked",
    /// An MCP server was registered.
    McpServerCreated = "mcp_server.created",
    /// An MCP server was changed.
    McpServerUpdated = "mcp_server.updated",
    /// An MCP server was deleted.
    McpServerDeleted = "mcp_server.deleted",
    /// All tokens for an MCP server issued so far were revoked.
    McpServerTokensRevoked = "mcp_server.tokens_revoked",
    /// The URL of an MCP server that was deleted or moved was released.
    McpServerUrlReleased = "mcp_server.url_released",
    /// A client was registered.
    ClientCreated = "client.created",
    /// A client was changed.
    ClientUpdated = "client.updated",
    /// A client was disabled.
    ClientDisabled = "client.disabled",
    /// A client was enabled.
    ClientEnabled = "client.enabled",
    /// A client was deleted.
    ClientDeleted = "client.deleted",
    /// All tokens of a client issued so far were revoked.
    ClientTokensRevoked = "client.tokens_revoked",
    /// A grant was made.
    GrantCreated = "grant.created",
    /// A grant's scopes were changed.
    GrantUpdated = "grant.updated",
    /// A grant was taken back.
    GrantDeleted = "grant.deleted",
    /// A secret was made.
    SecretCreated = "secret.created",
    /// A secret was revoked.
    SecretRevoked = "secret.revoked",
    /// The tokens issued with a secret that was revoked before were revoked too.
    SecretTokensRevoked = "secret.tokens_revoked",
    /// A client's secrets were rotated.
    SecretRotated = "secret.rotated",
    /// A signing key was made.
    KeyCreated = "key.created",
    /// A signing key began to sign.
    KeyActivated = "key.activated",
    /// A signing key stopped signing.
    KeyRetired = "key.retired",
    /// The signing keys were sealed under another master key.
    KeysRewrapped = "key.rewrapped",
    /// The private half of a retired key was deleted.
    KeyErased = "key.erased",
    /// Old events of the audit log were removed, as the retention says.
    AuditPruned = "audit.pruned",
    /// The database was restored from a backup, moved, or accepted as it is: the log may have stepped back.
    AuditRestored = "audit.restored",
    /// The log in the database does not continue what a server remembers.
    AuditDiscontinuity = "audit.discontinuity",
    /// A server without a memory of its own took over the newest checkpoint in the database.
    AuditCheckpointAdopted = "audit.checkpoint_adopted",
    /// Another key signs checkpoints from here on.
    AuditKeyRotated = "audit.key_rotated",
    /// The list by which a client's events are found was discarded, to be made anew.
    AuditReindexed = "audit.reindexed",
    /// A checkpoint was signed. Only forwarded, never part of the log, which it would extend.
    AuditCheckpoint = "audit.checkpoint",
    /// Retention removed events that a destination had not received.
    AuditForwardSkipped = "audit.forward_skipped",
    /// Somebody was invited to the dashboard.
    AdminInvited = "admin.invited",
    /// An invitation was taken back.
    AdminInvitationRevoked = "admin.invitation_revoked",
    /// Somebody became an admin of the dashboard.
    AdminCreated = "admin.created",
    /// An admin's role, name or password was changed.
    AdminUpdated = "admin.updated",
    /// An admin was removed.
    AdminDeleted = "admin.deleted",
    /// Somebody who holds the machine made new admin credentials.
    AdminRecovered = "admin.recovered",
    /// An admin set up another way to sign in, or step of it.
    AdminFactorAdded = "admin.factor_added",
    /// One was removed.
    AdminFactorRemoved = "admin.factor_removed",
    /// An admin made new recovery codes.
    AdminRecoveryCodesCreated = "admin.recovery_codes_created",
    /// An admin used a recovery code.
    AdminRecoveryCodeUsed = "admin.recovery_code_used",
    /// An admin signed in.
    AdminSignedIn = "admin.signed_in",
    /// A sign-in was refused.
    AdminSignInRefused = "admin.sign_in_refused",
    /// An admin signed out, here or everywhere.
    AdminSignedOut = "admin.signed_out",
    /// Somebody could not be authenticated at introspection or revocation.
    AuthenticationRefused = "authentication.refused",
}

impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AuditKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                format!("expected one of {}", known.join(", "))
            })
    }
}

/// Whether it was done or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// Refused.
    Refused,
}

impl Outcome {
    /// The name used in the store and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "success" => Ok(Self::Success),
            "refused" => Ok(Self::Refused),
            _ => Err("expected success or refused".to_owned()),
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Jeton itself, for example at its first start.
    System,
    /// An authenticated client or admin, or an MCP server with credentials of its own.
    Authenticated(String),
    /// Somebody who could not be authenticated.
    Anonymous,
}

impl Actor {
    /// The text used in the store and on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Authenticated(id) => id,
            Self::Anonymous => "anonymous",
        }
    }
}

impl From<&str> for Actor {
    fn from(text: &str) -> Self {
        match text {
            "system" => Self::System,
            "anonymous" => Self::Anonymous,
            id => Self::Authenticated(id.to_owned()),
        }
    }
}

/// The most that a refusal records of one thing that the caller sent, in bytes.
pub const MAX_RECORDED: usize = 1024;

/// One append-only record. It never holds a secret or a whole token.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// Its ID.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: AuditKind,
    /// Done or refused.
    pub outcome: Outcome,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Who.
    pub actor: Actor,
    /// Which client it is about, as far as it is one that Jeton knows the form of.
    pub client_id: Option<ClientId>,
    /// Which MCP server it is about.
    pub mcp_server_id: Option<McpServerId>,
    /// Which secret it is about, or which one authenticated the client.
    pub secret_id: Option<SecretId>,
    /// The scopes that were granted or asked for.
    pub scope: Option<ScopeSet>,
    /// The resource that was asked for.
    pub resource: Option<String>,
    /// The `jti` of the token.
    pub jti: Option<String>,
    /// The address the request came from.
    pub source: Option<String>,
    /// The request it belongs to.
    pub request_id: Option<String>,
    /// What else there is to know.
    pub detail: Map<String, Value>,
}

impl AuditEvent {
    /// A successful event with nothing but its kind, time and actor.
    pub fn new(id: EventId, at: Timestamp, kind: AuditKind, actor: Actor) -> Self {
        Self {
            id,
            at,
            kind,
            outcome: Outcome::Success,
            reason: None,
            actor,
            client_id: None,
            mcp_server_id: None,
            secret_id: None,
            scope: None,
            resource: None,
            jti: None,
            source: None,
            request_id: None,
            detail: Map::new(),
        }
    }

    /// Notes the scopes that a refused caller asked for: as many as fit into [`MAX_RECORDED`]
    /// bytes, and none where `text` is malformed or holds something that looks like a secret.
    pub fn record_requested_scope(&mut self, text: &str) {
        let part = whole_words(text, MAX_RECORDED);
        if part.is_empty() || looks_secret(part) {
            return;
        }
        self.scope = part.parse().ok();
        if part.len() < text.len() && self.scope.is_some() {
            self.note_truncated("scope");
        }
    }

    /// Notes in `detail.not_granted` the scopes that were asked for beyond what was granted: as many as
    /// fit into [`MAX_RECORDED`] bytes.
    pub fn record_left_out_scopes(&mut self, scopes: &ScopeSet) {
        if scopes.is_empty() {
            return;
        }
        let text = scopes.to_string();
        let part = whole_words(&text, MAX_RECORDED);
        self.detail.insert("not_granted".to_owned(), part.into());
        if part.len() < text.len() {
            self.note_truncated("not_granted");
        }
    }

    /// Cuts the reason to [`MAX_RECORDED`] bytes.
    pub fn limit_reason(&mut self) {
        let Some(reason) = &mut self.reason else {
            return;
        };
        if reason.len() > MAX_RECORDED {
            reason.truncate(reason.floor_char_boundary(MAX_RECORDED));
            self.note_truncated("reason");
        }
    }

    /// Says in `detail.truncated` that a member is a part only of what there was.
    fn note_truncated(&mut self, member: &str) {
        let noted = self
            .detail
            .entry("truncated")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(members) = noted {
            members.push(member.into());
        }
    }
}

/// The beginning of a text of words with single spaces between them: whole words, at most `limit`
/// bytes.
fn whole_words(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    // A space right behind the limit ends a word, too.
    let end = text.floor_char_boundary(limit + 1);
    let part = text.get(..end).unwrap_or_default();
    part.rsplit_once(' ').map_or("", |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Seeded;

    fn refusal() -> AuditEvent {
        let at = Timestamp::from_seconds(1);
        let id = EventId::generate(at, &Seeded::new(1)).unwrap();
        AuditEvent::new(id, at, AuditKind::TokenRefused, Actor::Anonymous)
    }

    #[test]
    fn of_many_scopes_a_part_is_recorded_that_says_so() {
        let mut event = refusal();
        event.record_requested_scope(&vec!["todo:read"; 100].join(" "));
        assert_eq!(event.scope.unwrap().to_string(), "todo:read");
        assert!(event.detail.is_empty());

        let names: Vec<String> = (0..16_384).map(|number| format!("s{number}")).collect();
        let mut event = refusal();
        event.record_requested_scope(&names.join(" "));
        event.reason = Some("é".repeat(2_000));
        event.limit_reason();
        let recorded = event.scope.unwrap().to_string();
        assert!((1_000..=MAX_RECORDED).contains(&recorded.len()));
        assert!(names.join(" ").starts_with(&format!("{recorded} ")));
        assert_eq!(event.reason.unwrap(), "é".repeat(512));
        assert_eq!(
            event.detail["truncated"],
            serde_json::json!(["scope", "reason"])
        );
    }

    #[test]
    fn the_scopes_that_were_left_out_are_recorded_up_to_a_limit() {
        let mut event = refusal();
        event.record_left_out_scopes(&ScopeSet::empty());
        assert!(event.detail.is_empty());
        event.record_left_out_scopes(&"a b".parse().unwrap());
        assert_eq!(event.detail["not_granted"], "a b");
        assert_eq!(event.detail.get("truncated"), None);

        let names: Vec<String> = (0..200).map(|number| format!("scope{number}")).collect();
        event.record_left_out_scopes(&names.join(" ").parse().unwrap());
        let recorded = event.detail["not_granted"].as_str().unwrap();
        assert!((1_000..=MAX_RECORDED).contains(&recorded.len()));
        assert_eq!(
            event.detail["truncated"],
            serde_json::json!(["not_granted"])
        );
    }

    #[test]
    fn no_secret_and_no_malformed_scope_is_recorded() {
        let long = "x".repeat(2_000);
        for text in ["", "a  b", "eyJ0123456789012345678", long.as_str()] {
            let mut event = refusal();
            event.record_requested_scope(text);
            assert_eq!(event.scope, None, "{text}");
            assert!(event.detail.is_empty());
        }
    }
}
