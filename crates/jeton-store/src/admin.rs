//! Admins of the dashboard, with their passwords' hashes.

use jeton_core::{
    Actor, Admin, AdminId, EmailAddress, ProviderIdentity, Role, RoleSource, Timestamp,
};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

fn from_row(row: &AnyRow) -> Result<Admin, StoreError> {
    Ok(Admin {
        id: row.parsed("id")?,
        name: row.name("name")?,
        email: row.parsed("email")?,
        role: row.parsed::<Role>("role")?,
        role_source: row.parsed("role_source")?,
        identity: row
            .optional_text("oidc_issuer")?
            .zip(row.optional_text("oidc_subject")?)
            .map(|(issuer, subject)| ProviderIdentity { issuer, subject }),
        has_password: row.optional_text("password_hash")?.is_some(),
        invited_by: row
            .optional_text("invited_by")?
            .map(|actor| Actor::from(actor.as_str())),
        email_named: row.truth("email_named")?,
        browsers_forgotten_at: row.optional_time("browsers_forgotten_at")?,
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

    /// The admin whom a provider knows so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_admin_by_identity(
        &self,
        identity: &ProviderIdentity,
    ) -> Result<Option<Admin>, StoreError> {
        let statement = "SELECT * FROM admin WHERE oidc_issuer = $1 AND oidc_subject = $2";
        let query = sqlx::query(statement)
            .bind(identity.issuer.as_str())
            .bind(identity.subject.as_str());
        let row = self.row(query).await?;
        row.map(|row| from_row(&row)).transpose()
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
        let identity = admin.identity.as_ref();
        self.execute(
            sqlx::query(
                "INSERT INTO admin (id, name, email, email_key, role, password_hash, created_at, \
             last_sign_in_at, role_source, oidc_issuer, oidc_subject, invited_by, email_named, \
             browsers_forgotten_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(admin.id.to_string())
            .bind(admin.name.as_str())
            .bind(admin.email.as_str())
            .bind(admin.email.comparison_key())
            .bind(admin.role.as_str())
            .bind(password_hash.map(|hash| hash.expose_secret().to_owned()))
            .bind(admin.created_at.as_millis())
            .bind(admin.last_sign_in_at.map(Timestamp::as_millis))
            .bind(admin.role_source.as_str())
            .bind(identity.map(|identity| identity.issuer.as_str()))
            .bind(identity.map(|identity| identity.subject.as_str()))
            .bind(admin.invited_by.as_ref().map(Actor::as_str))
            .bind(i64::from(admin.email_named))
            .bind(admin.browsers_forgotten_at.map(Timestamp::as_millis)),
        )
        .await?;
        Ok(())
    }

    /// All admins as this write sees them, oldest first. Under [`Lock::Admins`](crate::Lock::Admins)
    /// nobody else changes them meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn admins(&mut self) -> Result<Vec<Admin>, StoreError> {
        let rows = self
            .rows(sqlx::query("SELECT * FROM admin ORDER BY id"))
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// Binds an admin to who they are to a provider, with the role they have then and where it comes
    /// from; their password is removed. Says whether it did: else they are bound already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where another admin is bound to it.
    pub async fn bind_admin(
        &mut self,
        id: AdminId,
        identity: &ProviderIdentity,
        (role, source): (Role, RoleSource),
    ) -> Result<bool, StoreError> {
        let statement = "UPDATE admin SET oidc_issuer = $1, oidc_subject = $2, role = $3, \
                         role_source = $4, password_hash = NULL \
                         WHERE id = $5 AND oidc_subject IS NULL";
        let query = sqlx::query(statement)
            .bind(identity.issuer.as_str())
            .bind(identity.subject.as_str())
            .bind(role.as_str())
            .bind(source.as_str())
            .bind(id.to_string());
        Ok(self.execute(query).await? == 1)
    }

    /// Brings an admin whose role the configured lists gave up to them and to the provider.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where the address is another admin's.
    pub async fn set_listed_admin(
        &mut self,
        id: AdminId,
        role: Role,
        email: &EmailAddress,
    ) -> Result<(), StoreError> {
        let statement = "UPDATE admin SET role = $1, email = $2, email_key = $3 \
                         WHERE id = $4 AND role_source = 'provider'";
        let query = sqlx::query(statement)
            .bind(role.as_str())
            .bind(email.as_str())
            .bind(email.comparison_key())
            .bind(id.to_string());
        self.execute(query).await?;
        Ok(())
    }

    /// Changes what an admin may do; from then on the role counts as set manually.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_admin_role(&mut self, id: AdminId, role: Role) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE admin SET role = $1, role_source = 'manual' WHERE id = $2")
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

    /// Forgets the browsers in which an admin signed in before `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_browsers_of(
        &mut self,
        id: AdminId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE admin SET browsers_forgotten_at = $1 WHERE id = $2")
                .bind(at.as_millis())
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
