//! MCP servers.

use jeton_core::{McpServer, McpServerId, ResourceUri, TokenTtl};
use sqlx::any::AnyRow;

use crate::retired_url::{self, RetiredUrl};
use crate::row::{Columns, to_json};
use crate::{Change, Page, PageRequest, Store, StoreError, Transaction};

/// A URL as it was registered, perhaps in a spelling that is refused today.
pub(crate) fn registered_url(row: &AnyRow) -> Result<ResourceUri, StoreError> {
    ResourceUri::from_registered(&row.text("url")?)
        .map_err(|_| StoreError::Corrupt { column: "url" })
}

fn registered_aliases(row: &AnyRow) -> Result<Vec<ResourceUri>, StoreError> {
    let texts: Vec<String> = row.json("aliases")?;
    let urls = texts.iter().map(|text| ResourceUri::from_registered(text));
    urls.collect::<Result<_, _>>()
        .map_err(|_| StoreError::Corrupt { column: "aliases" })
}

fn from_row(row: &AnyRow) -> Result<McpServer, StoreError> {
    Ok(McpServer {
        id: row.parsed("id")?,
        name: row.name("name")?,
        description: row.description("description")?,
        url: registered_url(row)?,
        aliases: registered_aliases(row)?,
        scopes: row.json("scopes")?,
        token_ttl: TokenTtl::try_from(row.integer("token_ttl")?).map_err(|_| {
            StoreError::Corrupt {
                column: "token_ttl",
            }
        })?,
        signing_alg: row.parsed("signing_alg")?,
        token_profile: row.parsed("token_profile")?,
        own_issuer: row.truth("own_issuer")?,
        system: row.truth("system")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.integer("version")?,
    })
}

/// The aliases as the column holds them.
fn aliases(server: &McpServer) -> Result<String, StoreError> {
    to_json(&server.aliases, "aliases")
}

impl Store {
    /// One MCP server.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_mcp_server(&self, id: McpServerId) -> Result<Option<McpServer>, StoreError> {
        self.row(sqlx::query("SELECT * FROM mcp_server WHERE id = $1").bind(id.to_string()))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }

    /// The MCP server that has a URL or an alias with this comparison key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_mcp_server_by_url_key(
        &self,
        key: &str,
    ) -> Result<Option<McpServer>, StoreError> {
        let statement = "SELECT mcp_server.* FROM mcp_server_url \
             JOIN mcp_server ON mcp_server.id = mcp_server_url.mcp_server_id \
             WHERE mcp_server_url.url_key = $1";
        self.row(sqlx::query(statement).bind(key))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }

    /// Every MCP server, Jeton's own admin API among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn all_mcp_servers(&self) -> Result<Vec<McpServer>, StoreError> {
        let rows = self.rows(sqlx::query("SELECT * FROM mcp_server")).await?;
        rows.iter().map(from_row).collect()
    }

    /// Every MCP server and every retired URL, as they were at one moment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn mcp_servers_and_retired_urls(
        &self,
    ) -> Result<(Vec<McpServer>, Vec<RetiredUrl>), StoreError> {
        // One statement sees one moment.
        let statement = "SELECT CAST(0 AS BIGINT) AS is_retired, id, name, description, url, aliases, scopes, \
             token_ttl, signing_alg, token_profile, own_issuer, system, created_at, updated_at, version, \
             id AS mcp_server_id, created_at AS retired_at FROM mcp_server \
             UNION ALL SELECT CAST(1 AS BIGINT), url_key, name, '', url, '', '', 0, '', '', 0, 0, 0, 0, 0, \
             mcp_server_id, retired_at FROM retired_url";
        let (mut servers, mut retired) = (Vec::new(), Vec::new());
        for row in self.rows(sqlx::query(statement)).await? {
            if row.truth("is_retired")? {
                retired.push(retired_url::from_row(&row)?);
            } else {
                servers.push(from_row(&row)?);
            }
        }
        Ok((servers, retired))
    }

    /// A page of the MCP servers that operators registered, or of Jeton's own, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn mcp_servers(
        &self,
        system: bool,
        page: PageRequest<McpServerId>,
    ) -> Result<Page<McpServer>, StoreError> {
        let after = page.after.map(|id| id.to_string());
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT * FROM mcp_server WHERE system = $1 AND ($2 IS NULL OR id < $2) \
             ORDER BY id DESC LIMIT $3",
                )
                .bind(i64::from(system))
                .bind(after)
                .bind(page.probe()),
            )
            .await?;
        let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
        Ok(Page::from_probe(items, page.limit, |server: &McpServer| {
            server.id
        }))
    }
}

impl Transaction {
    /// Registers an MCP server.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where a URL is taken.
    pub async fn insert_mcp_server(&mut self, server: &McpServer) -> Result<(), StoreError> {
        self.changed(Change::McpServer(server.id));
        self.execute(
            sqlx::query(
                "INSERT INTO mcp_server (id, name, description, url, url_key, scopes, token_ttl, \
             signing_alg, token_profile, own_issuer, system, created_at, updated_at, version, aliases) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            )
            .bind(server.id.to_string())
            .bind(server.name.as_str())
            .bind(server.description.as_str())
            .bind(server.url.as_given())
            .bind(server.url.comparison_key())
            .bind(to_json(&server.scopes, "scopes")?)
            .bind(i64::from(server.token_ttl.as_seconds()))
            .bind(server.signing_alg.as_str())
            .bind(server.token_profile.as_str())
            .bind(i64::from(server.own_issuer))
            .bind(i64::from(server.system))
            .bind(server.created_at.as_millis())
            .bind(server.updated_at.as_millis())
            .bind(server.version)
            .bind(aliases(server)?),
        )
        .await?;
        self.claim_urls(server).await
    }

    /// Notes whose a server's URLs are.
    async fn claim_urls(&mut self, server: &McpServer) -> Result<(), StoreError> {
        let id = server.id.to_string();
        self.execute(sqlx::query("DELETE FROM mcp_server_url WHERE mcp_server_id = $1").bind(&id))
            .await?;
        for url in server.urls() {
            let statement = "INSERT INTO mcp_server_url (url_key, mcp_server_id) VALUES ($1, $2)";
            let query = sqlx::query(statement).bind(url.comparison_key());
            self.execute(query.bind(&id)).await?;
        }
        Ok(())
    }

    /// Changes an MCP server whose version is still the one before `server.version`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] where somebody was faster; [`StoreError::Exists`] where a URL is
    /// taken.
    pub async fn update_mcp_server(&mut self, server: &McpServer) -> Result<(), StoreError> {
        self.changed(Change::McpServer(server.id));
        let updated = self
            .execute(
                sqlx::query(
                    "UPDATE mcp_server SET name = $1, description = $2, url = $3, url_key = $4, \
             scopes = $5, token_ttl = $6, signing_alg = $7, token_profile = $8, own_issuer = $9, \
             updated_at = $10, version = $11, aliases = $14 WHERE id = $12 AND version = $13",
                )
                .bind(server.name.as_str())
                .bind(server.description.as_str())
                .bind(server.url.as_given())
                .bind(server.url.comparison_key())
                .bind(to_json(&server.scopes, "scopes")?)
                .bind(i64::from(server.token_ttl.as_seconds()))
                .bind(server.signing_alg.as_str())
                .bind(server.token_profile.as_str())
                .bind(i64::from(server.own_issuer))
                .bind(server.updated_at.as_millis())
                .bind(server.version)
                .bind(server.id.to_string())
                .bind(server.version - 1)
                .bind(aliases(server)?),
            )
            .await?;
        if updated == 1 {
            self.claim_urls(server).await
        } else {
            Err(StoreError::Stale)
        }
    }

    /// Deletes an MCP server with its grants and its secrets; says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_mcp_server(&mut self, id: McpServerId) -> Result<bool, StoreError> {
        self.changed(Change::McpServer(id));
        let id = id.to_string();
        self.execute(sqlx::query("DELETE FROM client_secret WHERE owner = $1").bind(&id))
            .await?;
        let deleted = self
            .execute(sqlx::query("DELETE FROM mcp_server WHERE id = $1").bind(&id))
            .await?;
        Ok(deleted == 1)
    }
}
