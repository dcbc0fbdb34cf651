//! A client with its secrets and its grants, read in one step and registered by the hundred.

use jeton_core::{Client, ClientId, ClientSecret, Grant};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::row::{Columns as _, placeholders, to_json};
use crate::{Change, Store, StoreError, Transaction, client, client_secret, grant};

/// All that a token request needs to know of a client.
#[derive(Debug, Clone)]
pub struct WholeClient {
    /// The client.
    pub client: Client,
    /// Its secrets, oldest first; not when they were last used.
    pub secrets: Vec<ClientSecret>,
    /// Its grants, oldest first.
    pub grants: Vec<Grant>,
}

/// A row a secret, and a row a grant: joined with one another they would be as many as their product. A column's
/// alias says whose it is where the names are alike.
macro_rules! whole_clients {
    ($which:literal) => {
        concat!(
            "WITH c AS (SELECT id, name, description, status, token_ttl, custom_claims, \
             created_at, updated_at, version, default_mcp_server_id FROM client ",
            $which,
            ") SELECT c.*, s.id AS secret_id, s.owner, s.digest, s.suffix, \
             s.created_at AS secret_created_at, s.expires_at, CAST(NULL AS BIGINT) AS last_used_at, \
             s.revoked_at, CAST(NULL AS TEXT) AS mcp_server_id, CAST(NULL AS TEXT) AS scopes, \
             CAST(NULL AS BIGINT) AS grant_created_at, CAST(NULL AS BIGINT) AS grant_version \
             FROM c LEFT JOIN client_secret s ON s.owner = c.id \
             UNION ALL SELECT c.*, CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), \
             CAST(NULL AS TEXT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), \
             CAST(NULL AS BIGINT), g.mcp_server_id, g.scopes, g.created_at, g.version \
             FROM c JOIN client_grant g ON g.client_id = c.id \
             ORDER BY id, secret_id, grant_created_at, mcp_server_id"
        )
    };
}

/// So many rows are written by one statement.
const ROWS: usize = 100;

fn gather(rows: &[AnyRow]) -> Result<Vec<WholeClient>, StoreError> {
    let mut clients: Vec<WholeClient> = Vec::new();
    for row in rows {
        let id: ClientId = row.parsed("id")?;
        if clients.last().is_none_or(|last| last.client.id != id) {
            clients.push(WholeClient {
                client: client::from_row(row)?,
                secrets: Vec::new(),
                grants: Vec::new(),
            });
        }
        let Some(whole) = clients.last_mut() else {
            continue;
        };
        if let Some(secret_id) = row.optional_parsed("secret_id")?
            && whole.secrets.iter().all(|secret| secret.id != secret_id)
        {
            whole.secrets.push(client_secret::from_columns(
                row,
                "secret_id",
                "secret_created_at",
            )?);
        }
        if let Some(server) = row.optional_parsed("mcp_server_id")?
            && whole
                .grants
                .iter()
                .all(|grant| grant.mcp_server_id != server)
        {
            whole.grants.push(Grant {
                client_id: id,
                mcp_server_id: server,
                scopes: row.parsed("scopes")?,
                created_at: row.time("grant_created_at")?,
                version: row.integer("grant_version")?,
            });
        }
    }
    Ok(clients)
}

impl Store {
    /// One client, whole.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_whole_client(&self, id: ClientId) -> Result<Option<WholeClient>, StoreError> {
        let statement = whole_clients!("WHERE id = $1");
        let rows = self
            .rows(sqlx::query(statement).bind(id.to_string()))
            .await?;
        Ok(gather(&rows)?.pop())
    }

    /// The next clients after `after`, whole, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn whole_clients_after(
        &self,
        after: Option<ClientId>,
        limit: u32,
    ) -> Result<Vec<WholeClient>, StoreError> {
        let statement = whole_clients!("WHERE id > $1 ORDER BY id LIMIT $2");
        let query = sqlx::query(statement)
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(i64::from(limit));
        gather(&self.rows(query).await?)
    }
}

impl Transaction {
    /// Registers clients that were not there before, each with its secrets and grants.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_whole_clients(
        &mut self,
        clients: &[WholeClient],
    ) -> Result<(), StoreError> {
        self.changed(Change::NewClients);
        for part in clients.chunks(ROWS) {
            let clients: Vec<_> = part.iter().map(|whole| &whole.client).collect();
            self.insert_clients(&clients).await?;
            let grants: Vec<_> = part.iter().flat_map(|whole| &whole.grants).collect();
            for grants in grants.chunks(ROWS) {
                self.insert_grants(grants).await?;
            }
            let secrets: Vec<_> = part.iter().flat_map(|whole| &whole.secrets).collect();
            for secrets in secrets.chunks(ROWS) {
                self.insert_secrets(secrets).await?;
            }
        }
        Ok(())
    }

    async fn insert_clients(&mut self, clients: &[&Client]) -> Result<(), StoreError> {
        let statement = format!(
            "{} {}",
            client::INSERT,
            placeholders(clients.len(), client::INSERTED)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for client in clients {
            let claims = to_json(&client.custom_claims, "custom_claims")?;
            query = client::bind(query, client, claims);
        }
        self.execute(query).await?;
        Ok(())
    }

    async fn insert_grants(&mut self, grants: &[&Grant]) -> Result<(), StoreError> {
        let statement = format!("{} {}", grant::INSERT, placeholders(grants.len(), 5));
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for grant in grants {
            query = grant::bind(query, grant);
        }
        self.execute(query).await?;
        Ok(())
    }

    async fn insert_secrets(&mut self, secrets: &[&ClientSecret]) -> Result<(), StoreError> {
        let statement = format!(
            "{} {}",
            client_secret::INSERT,
            placeholders(secrets.len(), 6)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for secret in secrets {
            query = client_secret::bind(query, secret);
        }
        self.execute(query).await?;
        Ok(())
    }
}
