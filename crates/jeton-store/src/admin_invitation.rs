//! Invitations to the dashboard: digests of their links.

use jeton_core::{
    Actor, AdminId, EmailAddress, Invitation, InvitationId, Role, SecretDigest, Timestamp,
};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

fn from_row(row: &AnyRow) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: row.parsed("id")?,
        role: row.parsed::<Role>("role")?,
        note: row.text("note")?,
        invited_by: Actor::from(row.text("invited_by")?.as_str()),
        email: row.optional_parsed("email")?,
        resets: row.optional_parsed("resets")?,
        first: row.truth("first")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}

/// That an invitation still works: not used, not too old, not made while the clock was wrong (five minutes are
/// left for the clocks of several servers), and if it is the first start's, then only while there is no admin.
macro_rules! works {
    () => {
        "used_at IS NULL AND expires_at > $1 AND created_at < $1 + 300000 AND (first = 0 OR NOT EXISTS (SELECT 1 FROM admin))"
    };
}

impl Store {
    /// The invitations that still work, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn admin_invitations(&self, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(concat!(
                    "SELECT * FROM admin_invitation WHERE ",
                    works!(),
                    " ORDER BY id DESC"
                ))
                .bind(now.as_millis()),
            )
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// The invitation with this link, if it still works.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_admin_invitation(
        &self,
        digest: SecretDigest,
        now: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        self.row(
            sqlx::query(concat!(
                "SELECT * FROM admin_invitation WHERE digest = $2 AND ",
                works!()
            ))
            .bind(now.as_millis())
            .bind(digest.to_hex()),
        )
        .await?
        .map(|row| from_row(&row))
        .transpose()
    }
}

impl Transaction {
    /// Keeps a new invitation.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_admin_invitation(
        &mut self,
        digest: SecretDigest,
        invitation: &Invitation,
    ) -> Result<(), StoreError> {
        self.execute(sqlx::query(
            "INSERT INTO admin_invitation (id, digest, role, note, first, created_at, expires_at, \
             invited_by, email, resets) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(invitation.id.to_string())
        .bind(digest.to_hex())
        .bind(invitation.role.as_str())
        .bind(invitation.note.as_str())
        .bind(i64::from(invitation.first))
        .bind(invitation.created_at.as_millis())
        .bind(invitation.expires_at.as_millis())
        .bind(invitation.invited_by.as_str())
        .bind(invitation.email.as_ref().map(EmailAddress::as_str))
        .bind(invitation.resets.map(|id| id.to_string()))).await?;
        Ok(())
    }

    /// Uses an invitation, once; says whether it worked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn use_admin_invitation(
        &mut self,
        digest: SecretDigest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let used = self
            .execute(
                sqlx::query(concat!(
                    "UPDATE admin_invitation SET used_at = $1 WHERE digest = $2 AND ",
                    works!()
                ))
                .bind(now.as_millis())
                .bind(digest.to_hex()),
            )
            .await?;
        Ok(used == 1)
    }

    /// Takes an invitation back; says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_admin_invitation(&mut self, id: InvitationId) -> Result<bool, StoreError> {
        let deleted = self
            .execute(
                sqlx::query("DELETE FROM admin_invitation WHERE id = $1 AND used_at IS NULL")
                    .bind(id.to_string()),
            )
            .await?;
        Ok(deleted == 1)
    }

    /// The unused invitations that this actor made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn admin_invitations_by(
        &mut self,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Vec<Invitation>, StoreError> {
        let statement = concat!(
            "SELECT * FROM admin_invitation WHERE invited_by = $2 AND ",
            works!(),
            " ORDER BY id"
        );
        let query = sqlx::query(statement)
            .bind(now.as_millis())
            .bind(actor.as_str());
        let rows = self.rows(query).await?;
        rows.iter().map(from_row).collect()
    }

    /// Forgets the links that would give this admin a new password.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_resets_of(&mut self, id: AdminId) -> Result<(), StoreError> {
        let statement = "DELETE FROM admin_invitation WHERE resets = $1 AND used_at IS NULL";
        self.execute(sqlx::query(statement).bind(id.to_string()))
            .await?;
        Ok(())
    }

    /// Forgets the links of earlier starts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_first_invitations(&mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("DELETE FROM admin_invitation WHERE first = 1"))
            .await?;
        Ok(())
    }
}
