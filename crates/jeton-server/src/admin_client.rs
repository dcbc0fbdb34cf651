//! The clients that Jeton makes for the admin API, each with a secret and every scope, and the file
//! with their credentials.

use std::fmt;
use std::io;
use std::path::Path;

use jeton_core::{
    AuditEvent, Client, ClientId, ClientSecret, ClientStatus, CustomClaims, Description, Entropy,
    EntropyError, Grant, McpServer, PlainSecret, SecretId, SecretOwner, TextError, Timestamp,
};
use jeton_store::{StoreError, Transaction};
use serde::{Deserialize, Serialize};

use crate::private_file::write_private_file;

/// The credentials of the admin client: what `admin.json` holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct AdminCredentials {
    /// Where the server is.
    pub issuer: String,
    /// The admin client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl fmt::Debug for AdminCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminCredentials")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .finish()
    }
}

impl AdminCredentials {
    /// Writes `admin.json`, for its owner only.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        write_private_file(path, format!("{json}\n").as_bytes())
    }
}

/// Why an admin client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The domain refuses the built-in name; a test would have found it.
    #[error("the built-in admin client cannot be described")]
    Name(#[from] TextError),
}

/// An admin client that is not in the database yet.
#[derive(Debug)]
pub(crate) struct NewAdminClient {
    pub(crate) client: Client,
    secret: ClientSecret,
    plain: PlainSecret,
    grant: Grant,
}

impl NewAdminClient {
    /// Makes a client with a secret and all scopes of `server`, the admin API.
    pub(crate) fn make(
        name: &str,
        server: &McpServer,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, AdminClientError> {
        let client = Client {
            id: ClientId::generate(now, entropy)?,
            name: name.parse()?,
            description: Description::default(),
            status: ClientStatus::Enabled,
            token_ttl: None,
            custom_claims: CustomClaims::default(),
            default_mcp_server: Some(server.id),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let plain = PlainSecret::generate(entropy)?;
        let secret = ClientSecret {
            id: SecretId::generate(now, entropy)?,
            owner: SecretOwner::Client(client.id),
            digest: plain.digest(),
            suffix: plain.suffix(),
            created_at: now,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        let grant = Grant::new(client.id, server.id, server.scope_set(), now);
        Ok(Self {
            client,
            secret,
            plain,
            grant,
        })
    }

    /// What `admin.json` holds for it.
    pub(crate) fn credentials(&self, issuer: &str) -> AdminCredentials {
        AdminCredentials {
            issuer: issuer.to_owned(),
            client_id: self.client.id.to_string(),
            client_secret: self.plain.expose().to_owned(),
        }
    }

    /// Adds to an event what was made.
    pub(crate) fn name_in(&self, event: &mut AuditEvent) {
        event.client_id = Some(self.client.id);
        event.mcp_server_id = Some(self.grant.mcp_server_id);
        event.secret_id = Some(self.secret.id);
        event.scope = Some(self.grant.scopes.clone());
    }

    pub(crate) async fn insert(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        tx.insert_client(&self.client).await?;
        tx.insert_secret(&self.secret).await?;
        tx.put_grant(&self.grant).await
    }
}
