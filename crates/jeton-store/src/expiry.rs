//! Forgetting what is over: a part at a time, found by reading, so that nobody who writes waits for the search.

use jeton_core::Timestamp;
use sqlx::AssertSqlSafe;

use crate::row::{Columns as _, placeholders};
use crate::statistics::{HOUR, MINUTE};
use crate::{Store, StoreError};

/// What may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Secrets that expired or were revoked before this time.
    Secrets(Timestamp),
    /// Invitations to the dashboard that ended before this time.
    Invitations(Timestamp),
    /// Answers of a provider that are too old by this time anyway.
    UsedSignIns(Timestamp),
    /// Revocations of tokens that expired before this time.
    RevokedTokens(Timestamp),
    /// Tokens counted by client and hour, before this time.
    ClientHours(Timestamp),
    /// Refusals counted by hour, client and reason, before this time.
    RefusalHours(Timestamp),
    /// Tokens counted by minute, before this time.
    Minutes(Timestamp),
    /// When secrets were last used that are no more.
    UsesOfSecrets,
    /// When clients last got a token that are no more.
    UsesOfClients,
    /// Why clients were last refused that are no more.
    RefusalsOfClients,
}

/// Rows that are forgotten at once.
const PART: usize = 500;

/// Where such rows are: the table, the columns of its key, and which of its rows, with the time as $1.
struct Place {
    table: &'static str,
    key: &'static [&'static str],
    is_over: &'static str,
    before: Option<i64>,
}

impl Over {
    fn place(self) -> Place {
        let place = |table, key, is_over, before| Place {
            table,
            key,
            is_over,
            before,
        };
        let millis = |at: Timestamp| Some(at.as_millis());
        match self {
            Self::Secrets(at) => place(
                "client_secret",
                &["id"],
                "revoked_at < $1 OR expires_at < $1",
                millis(at),
            ),
            Self::Invitations(at) => {
                place("admin_invitation", &["id"], "expires_at < $1", millis(at))
            }
            Self::UsedSignIns(at) => {
                place("used_sign_in", &["state"], "forget_at < $1", millis(at))
            }
            Self::RevokedTokens(at) => {
                place("revoked_token", &["jti"], "expires_at < $1", millis(at))
            }
            Self::ClientHours(at) => {
                let hour = Some(at.as_millis() / HOUR);
                place("client_hour", &["hour", "client_id"], "hour < $1", hour)
            }
            Self::RefusalHours(at) => {
                let hour = Some(at.as_millis() / HOUR);
                let key = &["hour", "client_id", "reason"];
                place("client_refusal_hour", key, "hour < $1", hour)
            }
            Self::Minutes(at) => {
                let minute = Some(at.as_millis() / MINUTE);
                place("token_minute", &["minute"], "minute < $1", minute)
            }
            Self::UsesOfSecrets => place(
                "secret_use",
                &["secret_id"],
                "NOT EXISTS (SELECT 1 FROM client_secret WHERE client_secret.id = secret_use.secret_id)",
                None,
            ),
            Self::UsesOfClients => place(
                "client_use",
                &["client_id"],
                "NOT EXISTS (SELECT 1 FROM client WHERE client.id = client_use.client_id)",
                None,
            ),
            Self::RefusalsOfClients => place(
                "client_refusal",
                &["client_id"],
                "NOT EXISTS (SELECT 1 FROM client WHERE client.id = client_refusal.client_id)",
                None,
            ),
        }
    }
}

impl Store {
    /// Forgets some of what is over; says whether there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget(&self, over: Over) -> Result<bool, StoreError> {
        let place = over.place();
        let key = place.key.join(", ");
        // Nothing but texts of this file is in the statements.
        let find = format!(
            "SELECT {key} FROM {} WHERE {} ORDER BY {key} LIMIT {PART}",
            place.table, place.is_over
        );
        let mut query = sqlx::query(AssertSqlSafe(find));
        if let Some(before) = place.before {
            query = query.bind(before);
        }
        let found = self.rows(query).await?;
        if found.is_empty() {
            return Ok(false);
        }
        let delete = format!(
            "DELETE FROM {} WHERE ({key}) IN (VALUES {})",
            place.table,
            placeholders(found.len(), place.key.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(delete));
        for row in &found {
            for &name in place.key {
                // Two of the keys are numbers.
                query = match name {
                    "hour" | "minute" => query.bind(row.integer(name)?),
                    _ => query.bind(row.text(name)?),
                };
            }
        }
        self.write(query).await?;
        Ok(found.len() == PART)
    }
}
