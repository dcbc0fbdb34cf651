//! URLs of MCP servers that were deleted or moved away: nobody gets tokens for them.

use jeton_core::{DisplayName, McpServerId, ResourceUri, Timestamp};
use sqlx::any::AnyRow;

use crate::mcp_server::registered_url;
use crate::row::Columns as _;
use crate::{Change, Store, StoreError, Transaction};

/// A URL that was an MCP server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredUrl {
    /// The URL.
    pub url: ResourceUri,
    /// The MCP server that had it.
    pub mcp_server_id: McpServerId,
    /// That server's name.
    pub name: DisplayName,
    /// When the server was deleted or moved.
    pub retired_at: Timestamp,
}

pub(crate) fn from_row(row: &AnyRow) -> Result<RetiredUrl, StoreError> {
    Ok(RetiredUrl {
        url: registered_url(row)?,
        mcp_server_id: row.parsed("mcp_server_id")?,
        name: row.name("name")?,
        retired_at: row.time("retired_at")?,
    })
}

impl Store {
    /// All retired URLs, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn retired_urls(&self) -> Result<Vec<RetiredUrl>, StoreError> {
        let query = sqlx::query("SELECT * FROM retired_url ORDER BY retired_at DESC, url_key");
        self.rows(query).await?.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Retires a URL.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn retire_url(&mut self, retired: &RetiredUrl) -> Result<(), StoreError> {
        self.changed(Change::RetiredUrls);
        let statement = "INSERT INTO retired_url (url_key, url, mcp_server_id, name, retired_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (url_key) DO UPDATE SET url = excluded.url, \
             mcp_server_id = excluded.mcp_server_id, name = excluded.name, \
             retired_at = excluded.retired_at";
        self.execute(
            sqlx::query(statement)
                .bind(retired.url.comparison_key())
                .bind(retired.url.as_given())
                .bind(retired.mcp_server_id.to_string())
                .bind(retired.name.as_str())
                .bind(retired.retired_at.as_millis()),
        )
        .await?;
        Ok(())
    }

    /// Releases a URL; says whether it was retired.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn release_url(&mut self, url: &ResourceUri) -> Result<bool, StoreError> {
        self.changed(Change::RetiredUrls);
        let query = sqlx::query("DELETE FROM retired_url WHERE url_key = $1");
        Ok(self.execute(query.bind(url.comparison_key())).await? == 1)
    }

    /// Releases a URL that was retired just then, and not again since; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn release_retired(&mut self, retired: &RetiredUrl) -> Result<bool, StoreError> {
        self.changed(Change::RetiredUrls);
        let query = sqlx::query("DELETE FROM retired_url WHERE url_key = $1 AND retired_at = $2")
            .bind(retired.url.comparison_key())
            .bind(retired.retired_at.as_millis());
        Ok(self.execute(query).await? == 1)
    }
}
