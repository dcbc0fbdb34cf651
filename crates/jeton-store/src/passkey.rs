//! Passkeys of admins: public keys, and how often each was used.

use jeton_core::{AdminId, DisplayName, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

/// A passkey as it is kept.
#[derive(Debug, Clone)]
pub struct Passkey {
    /// The credential's ID, in base64url.
    pub id: String,
    /// Whose.
    pub admin_id: AdminId,
    /// What they call it.
    pub name: DisplayName,
    /// Its COSE key, in base64url.
    pub public_key: String,
    /// The newest signature counter that its authenticator told; 0 where it has none.
    pub sign_count: i64,
    /// Whether it may be copied to other devices.
    pub backup_eligible: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last used to sign in, or to confirm a change.
    pub last_used_at: Option<Timestamp>,
}

fn from_row(row: &AnyRow) -> Result<Passkey, StoreError> {
    Ok(Passkey {
        id: row.text("id")?,
        admin_id: row.parsed("admin_id")?,
        name: row.name("name")?,
        public_key: row.text("public_key")?,
        sign_count: row.integer("sign_count")?,
        backup_eligible: row.truth("backup_eligible")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
    })
}

impl Store {
    /// The passkey with this ID.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_passkey(&self, id: &str) -> Result<Option<Passkey>, StoreError> {
        let query = sqlx::query("SELECT * FROM admin_passkey WHERE id = $1");
        let row = self.row(query.bind(id)).await?;
        row.map(|row| from_row(&row)).transpose()
    }

    /// An admin's passkeys, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn passkeys_of(&self, id: AdminId) -> Result<Vec<Passkey>, StoreError> {
        let statement = "SELECT * FROM admin_passkey WHERE admin_id = $1 ORDER BY created_at, id";
        let query = sqlx::query(statement).bind(id.to_string());
        self.rows(query).await?.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Keeps a new passkey.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where it is registered already, whoever has it.
    pub async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<(), StoreError> {
        let statement = "INSERT INTO admin_passkey (id, admin_id, name, public_key, sign_count, \
                         backup_eligible, created_at, last_used_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let query = sqlx::query(statement)
            .bind(passkey.id.as_str())
            .bind(passkey.admin_id.to_string())
            .bind(passkey.name.as_str())
            .bind(passkey.public_key.as_str())
            .bind(passkey.sign_count)
            .bind(i64::from(passkey.backup_eligible))
            .bind(passkey.created_at.as_millis())
            .bind(passkey.last_used_at.map(Timestamp::as_millis));
        self.execute(query).await?;
        Ok(())
    }

    /// Notes that a passkey was used. Says whether its counter rose, or there is none (WebAuthn §7.2, step 22): else
    /// somebody has a copy of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn use_passkey(
        &mut self,
        id: &str,
        sign_count: i64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = "UPDATE admin_passkey SET sign_count = $1, last_used_at = $2 \
                         WHERE id = $3 AND (sign_count < $1 OR (sign_count = 0 AND $4 = 1))";
        let query = sqlx::query(statement)
            .bind(sign_count)
            .bind(at.as_millis())
            .bind(id)
            .bind(i64::from(sign_count == 0));
        Ok(self.execute(query).await? == 1)
    }

    /// Removes an admin's passkey; gives its name if it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn delete_passkey(
        &mut self,
        admin: AdminId,
        id: &str,
    ) -> Result<Option<DisplayName>, StoreError> {
        let statement = "DELETE FROM admin_passkey WHERE id = $1 AND admin_id = $2 RETURNING name";
        let query = sqlx::query(statement).bind(id).bind(admin.to_string());
        let row = self.row(query).await?;
        row.map(|row| row.name("name")).transpose()
    }

    /// How many passkeys an admin has, as this write sees it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn count_passkeys(&mut self, admin: AdminId) -> Result<i64, StoreError> {
        let statement = "SELECT COUNT(*) AS number FROM admin_passkey WHERE admin_id = $1";
        let query = sqlx::query(statement).bind(admin.to_string());
        let row = self.row(query).await?;
        row.map_or(Ok(0), |row| row.integer("number"))
    }

    /// Removes all passkeys of an admin; says whether there were any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_passkeys_of(&mut self, admin: AdminId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM admin_passkey WHERE admin_id = $1");
        Ok(self.execute(query.bind(admin.to_string())).await? > 0)
    }
}
