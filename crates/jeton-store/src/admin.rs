//! Admins of the dashboard, with their passwords' hashes.

use jeton_core::{Admin, AdminId, EmailAddress, Role, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

fn from_row(row: &AnyRow) -> Result<Admin, StoreError> {
    Ok(Admin {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        email: row.parsed("email")?,
        role: row.parsed::<Role>("role")?,
        created_at: row.time("created_at")?,
        last_sign_in_at: row.optional_time("last_sign_in_at")?,
    })
}

impl Store {
    /// All admins, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn admins(&self) -> Result<Vec<Admin>, StoreError> {
        let rows = self
            .rows(sqlx::query("SELECT * FROM admin ORDER BY id"))
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// One admin.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_admin(&self, id: AdminId) -> Result<Option<Admin>, StoreError> {
        self.row(sqlx::query("SELECT * FROM admin WHERE id = $1").bind(id.to_string()))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }

    /// The admin with this address and the hash of their password, if they have one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_admin_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<(Admin, Option<SecretString>)>, StoreError> {
        self.row(
            sqlx::query("SELECT * FROM admin WHERE email_key = $1").bind(email.comparison_key()),
        )
        .await?
        .map(|row| {
            let hash = row.optional_text("password_hash")?;
            Ok((from_row(&row)?, hash.map(SecretString::from)))
        })
        .transpose()
    }
}

impl Transaction {
    /// Keeps a new admin.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where the address is taken.
    pub async fn insert_admin(
        &mut self,
        admin: &Admin,
        password_hash: Option<&SecretString>,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(
                "INSERT INTO admin (id, name, email, email_key, role, password_hash, created_at, \
             last_sign_in_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(admin.id.to_string())
            .bind(admin.name.as_str())
            .bind(admin.email.as_str())
            .bind(admin.email.comparison_key())
            .bind(admin.role.as_str())
            .bind(password_hash.map(|hash| hash.expose_secret().to_owned()))
            .bind(admin.created_at.as_millis())
            .bind(admin.last_sign_in_at.map(Timestamp::as_millis)),
        )
        .await?;
        Ok(())
    }

    /// How many admins may change things.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_admins(&mut self) -> Result<i64, StoreError> {
        let row = self
            .one(sqlx::query(
                "SELECT COUNT(*) AS n FROM admin WHERE role = 'admin'",
            ))
            .await?;
        row.integer("n")
    }

    /// Changes what an admin may do.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_admin_role(&mut self, id: AdminId, role: Role) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE admin SET role = $1 WHERE id = $2")
                .bind(role.as_str())
                .bind(id.to_string()),
        )
        .await?;
        Ok(())
    }

    /// Changes an admin's password.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_admin_password(
        &mut self,
        id: AdminId,
        password_hash: &SecretString,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE admin SET password_hash = $1 WHERE id = $2")
                .bind(password_hash.expose_secret())
                .bind(id.to_string()),
        )
        .await?;
        Ok(())
    }

    /// Notes that an admin signed in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn touch_admin(&mut self, id: AdminId, at: Timestamp) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE admin SET last_sign_in_at = $1 WHERE id = $2")
                .bind(at.as_millis())
                .bind(id.to_string()),
        )
        .await?;
        Ok(())
    }

    /// Removes an admin with all sessions; says whether they were there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_admin(&mut self, id: AdminId) -> Result<bool, StoreError> {
        let deleted = self
            .execute(sqlx::query("DELETE FROM admin WHERE id = $1").bind(id.to_string()))
            .await?;
        Ok(deleted == 1)
    }
}
