//! Grants.

use jeton_core::{ClientId, Grant, McpServerId};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::store::Query;
use crate::{Change, Store, StoreError, Transaction};

fn from_row(row: &AnyRow) -> Result<Grant, StoreError> {
    Ok(Grant {
        client_id: row.parsed("client_id")?,
        mcp_server_id: row.parsed("mcp_server_id")?,
        scopes: row.parsed("scopes")?,
        created_at: row.time("created_at")?,
        version: row.integer("version")?,
    })
}

macro_rules! insert {
    () => {
        "INSERT INTO client_grant (client_id, mcp_server_id, scopes, created_at, version) VALUES"
    };
}

pub(crate) const INSERT: &str = insert!();

/// The columns of [`INSERT`].
pub(crate) fn bind<'q>(query: Query<'q>, grant: &'q Grant) -> Query<'q> {
    query
        .bind(grant.client_id.to_string())
        .bind(grant.mcp_server_id.to_string())
        .bind(grant.scopes.to_string())
        .bind(grant.created_at.as_millis())
        .bind(grant.version)
}

impl Store {
    /// All grants of a client, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn grants_of_client(&self, id: ClientId) -> Result<Vec<Grant>, StoreError> {
        let rows = self.rows(sqlx::query(
            "SELECT * FROM client_grant WHERE client_id = $1 ORDER BY created_at, mcp_server_id",
        )
        .bind(id.to_string())).await?;
        rows.iter().map(from_row).collect()
    }

    /// All grants on an MCP server.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn grants_on_mcp_server(&self, id: McpServerId) -> Result<Vec<Grant>, StoreError> {
        let rows = self
            .rows(
                sqlx::query("SELECT * FROM client_grant WHERE mcp_server_id = $1")
                    .bind(id.to_string()),
            )
            .await?;
        rows.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Makes a grant, or changes the scopes of the one that is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], also where the client or the MCP server is gone.
    pub async fn put_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        self.changed(Change::Client(grant.client_id));
        let statement = concat!(
            insert!(),
            " ($1, $2, $3, $4, $5) ON CONFLICT (client_id, mcp_server_id) \
             DO UPDATE SET scopes = excluded.scopes, version = excluded.version"
        );
        self.execute(bind(sqlx::query(statement), grant)).await?;
        Ok(())
    }

    /// Changes the scopes of a grant, and its version; one that was removed meanwhile stays so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn change_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        self.changed(Change::Client(grant.client_id));
        self.execute(
            sqlx::query(
                "UPDATE client_grant SET scopes = $1, version = $4 \
                 WHERE client_id = $2 AND mcp_server_id = $3",
            )
            .bind(grant.scopes.to_string())
            .bind(grant.client_id.to_string())
            .bind(grant.mcp_server_id.to_string())
            .bind(grant.version),
        )
        .await?;
        Ok(())
    }

    /// Takes a grant back; says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_grant(
        &mut self,
        client: ClientId,
        server: McpServerId,
    ) -> Result<bool, StoreError> {
        self.changed(Change::Client(client));
        let deleted = self
            .execute(
                sqlx::query("DELETE FROM client_grant WHERE client_id = $1 AND mcp_server_id = $2")
                    .bind(client.to_string())
                    .bind(server.to_string()),
            )
            .await?;
        Ok(deleted == 1)
    }
}
