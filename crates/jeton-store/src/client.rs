//! Clients.

use jeton_core::{Client, ClientId, ClientStatus, McpServerId, Timestamp, TokenTtl, search_text};
use sqlx::any::AnyRow;

use crate::row::{Columns, to_json};
use crate::store::Query;
use crate::{Change, Page, PageRequest, Store, StoreError, Transaction};

pub(crate) fn from_row(row: &AnyRow) -> Result<Client, StoreError> {
    let token_ttl = row
        .optional_integer("token_ttl")?
        .map(|seconds| {
            TokenTtl::try_from(seconds).map_err(|_| StoreError::Corrupt {
                column: "token_ttl",
            })
        })
        .transpose()?;
    Ok(Client {
        id: row.parsed("id")?,
        name: row.name("name")?,
        description: row.description("description")?,
        status: row.parsed::<ClientStatus>("status")?,
        token_ttl,
        custom_claims: row.json("custom_claims")?,
        default_mcp_server: row.optional_parsed("default_mcp_server_id")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.integer("version")?,
    })
}

macro_rules! insert {
    () => {
        "INSERT INTO client (id, name, description, status, token_ttl, custom_claims, created_at, \
         updated_at, version, search_text, search_version, default_mcp_server_id) VALUES"
    };
}

pub(crate) const INSERT: &str = insert!();
/// How many columns it has.
pub(crate) const INSERTED: usize = 12;

/// The columns of [`INSERT`].
pub(crate) fn bind<'q>(query: Query<'q>, client: &'q Client, custom_claims: String) -> Query<'q> {
    query
        .bind(client.id.to_string())
        .bind(client.name.as_str())
        .bind(client.description.as_str())
        .bind(client.status.as_str())
        .bind(client.token_ttl.map(|ttl| i64::from(ttl.as_seconds())))
        .bind(custom_claims)
        .bind(client.created_at.as_millis())
        .bind(client.updated_at.as_millis())
        .bind(client.version)
        .bind(searched(client))
        .bind(client.version)
        .bind(client.default_mcp_server.map(|id| id.to_string()))
}

/// What a search for clients looks at.
fn searched(client: &Client) -> String {
    folded(
        client.name.as_str(),
        &client.id.to_string(),
        client.description.as_str(),
    )
}

pub(crate) fn folded(name: &str, id: &str, description: &str) -> String {
    search_text(&format!("{name} {id} {description}"))
}

impl Store {
    /// One client.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.row(sqlx::query("SELECT * FROM client WHERE id = $1").bind(id.to_string()))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }

    /// A page of the clients with exactly this name, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn clients_named(
        &self,
        name: &str,
        page: PageRequest<ClientId>,
    ) -> Result<Page<Client>, StoreError> {
        let query = sqlx::query(
            "SELECT * FROM client WHERE name = $1 AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        );
        let query = query
            .bind(name.to_owned())
            .bind(page.after.map(|id| id.to_string()))
            .bind(page.probe());
        let rows = self.rows(query).await?;
        let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
        Ok(Page::from_probe(items, page.limit, |client: &Client| {
            client.id
        }))
    }

    /// How many clients there are, on one MCP server or in all.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn count_clients(&self, server: Option<McpServerId>) -> Result<i64, StoreError> {
        let query = match server {
            None => sqlx::query("SELECT COUNT(*) AS n FROM client"),
            Some(server) => {
                sqlx::query("SELECT COUNT(*) AS n FROM client_grant WHERE mcp_server_id = $1")
                    .bind(server.to_string())
            }
        };
        self.one(query).await?.integer("n")
    }

    /// Enabled clients registered before `before` that never got a token, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn clients_never_used(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Client>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT * FROM client WHERE status = 'enabled' AND created_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM client_use WHERE client_use.client_id = client.id) \
             ORDER BY id LIMIT $2",
                )
                .bind(before.as_millis())
                .bind(i64::from(limit)),
            )
            .await?;
        rows.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Registers a client.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_client(&mut self, client: &Client) -> Result<(), StoreError> {
        self.changed(Change::Client(client.id));
        let claims = to_json(&client.custom_claims, "custom_claims")?;
        let statement = concat!(
            insert!(),
            " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        );
        self.execute(bind(sqlx::query(statement), client, claims))
            .await?;
        Ok(())
    }

    /// Changes a client whose version is still the one before `client.version`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] where somebody was faster.
    pub async fn update_client(&mut self, client: &Client) -> Result<(), StoreError> {
        self.changed(Change::Client(client.id));
        let updated = self
            .execute(
                sqlx::query(
                    "UPDATE client SET name = $1, description = $2, status = $3, token_ttl = $4, \
             custom_claims = $5, updated_at = $6, version = $7, search_text = $10, \
             search_version = $7, default_mcp_server_id = $11 WHERE id = $8 AND version = $9",
                )
                .bind(client.name.as_str())
                .bind(client.description.as_str())
                .bind(client.status.as_str())
                .bind(client.token_ttl.map(|ttl| i64::from(ttl.as_seconds())))
                .bind(to_json(&client.custom_claims, "custom_claims")?)
                .bind(client.updated_at.as_millis())
                .bind(client.version)
                .bind(client.id.to_string())
                .bind(client.version - 1)
                .bind(searched(client))
                .bind(client.default_mcp_server.map(|id| id.to_string())),
            )
            .await?;
        if updated == 1 {
            Ok(())
        } else {
            Err(StoreError::Stale)
        }
    }

    /// Sets a client's default MCP server, whatever else is changed at the same time; its version grows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_default_mcp_server(
        &mut self,
        id: ClientId,
        server: McpServerId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.changed(Change::Client(id));
        // What a search looks at stays as it is, if it is up to date.
        let statement = "UPDATE client SET default_mcp_server_id = $1, updated_at = $2, \
             version = version + 1, search_version = CASE WHEN search_version = version \
             THEN version + 1 ELSE search_version END WHERE id = $3";
        let query = sqlx::query(statement)
            .bind(server.to_string())
            .bind(at.as_millis());
        self.execute(query.bind(id.to_string())).await?;
        Ok(())
    }

    /// Deletes a client with its grants and its secrets, if it still has this version; says whether it did.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_client(&mut self, id: ClientId, version: i64) -> Result<bool, StoreError> {
        self.changed(Change::Client(id));
        let id = id.to_string();
        let deleted = self
            .execute(
                sqlx::query("DELETE FROM client WHERE id = $1 AND version = $2")
                    .bind(&id)
                    .bind(version),
            )
            .await?;
        if deleted == 1 {
            self.execute(sqlx::query("DELETE FROM client_secret WHERE owner = $1").bind(&id))
                .await?;
        }
        Ok(deleted == 1)
    }
}
