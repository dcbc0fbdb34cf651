//! Folding what people search clients for, where a version without that wrote it.

use sqlx::AssertSqlSafe;

use crate::client::folded;
use crate::row::{Columns as _, placeholders};
use crate::{Store, StoreError};

/// Clients of one step, each a write of its own.
const STEP: usize = 200;

impl Store {
    /// Folds the clients whose text to search is not of their version. One step is enough to know where there are
    /// none: an index lists them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn fold_clients(&self) -> Result<(), StoreError> {
        while self.fold_some().await? == STEP {}
        Ok(())
    }

    async fn fold_some(&self) -> Result<usize, StoreError> {
        let statement = format!(
            "SELECT id, name, description, version FROM client WHERE search_version <> version \
             ORDER BY id LIMIT {STEP}"
        );
        let rows = self.rows(sqlx::query(AssertSqlSafe(statement))).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        // Nothing but placeholders is in the text. Who changes a client meanwhile folds it too.
        let statement = format!(
            "UPDATE client SET search_text = v.column2, search_version = v.column3 \
             FROM (VALUES {}) AS v WHERE client.id = v.column1 AND client.version = v.column3",
            placeholders(rows.len(), 3)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for row in &rows {
            let id = row.text("id")?;
            let text = folded(&row.text("name")?, &id, &row.text("description")?);
            query = query.bind(id).bind(text).bind(row.integer("version")?);
        }
        self.write(query).await?;
        Ok(rows.len())
    }
}
