//! What a server makes for itself at its first start: signing keys, the admin API as a resource,
//! an admin client, and `admin.json` with its credentials.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jeton_core::{
    Actor, AuditEvent, AuditKind, Clock, DefinedScopes, Description, Entropy, EntropyError,
    EventId, McpServer, McpServerId, ResourceUri, ScopeDefinition, SigningAlgorithm, Timestamp,
    TokenProfile, TokenTtl,
};
use jeton_jose::MasterKey;
use jeton_store::{PageRequest, Store, StoreError};

use crate::admin_client::{AdminClientError, AdminCredentials, NewAdminClient};
use crate::config::Issuer;
use crate::keys::{KeyRing, KeyRingError, OutsideKey};

/// Why the first start did not finish. Starting again continues it.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// `admin.json`.
    #[error("{path} cannot be written")]
    AdminFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The client cannot be made.
    #[error(transparent)]
    AdminClient(#[from] AdminClientError),
    /// A text of this program's own is refused by the domain; a test would have found it.
    #[error("the built-in admin API cannot be described: {0}")]
    BuiltIn(String),
}

pub(crate) struct FirstStart<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) issuer: &'a Issuer,
    pub(crate) data_dir: &'a Path,
}

impl FirstStart<'_> {
    fn event(&self, kind: AuditKind) -> Result<AuditEvent, EntropyError> {
        let now = self.clock.now();
        Ok(AuditEvent::new(
            EventId::generate(now, self.entropy)?,
            now,
            kind,
            Actor::System,
        ))
    }

    /// Makes the first key of each algorithm.
    pub(crate) async fn make_signing_keys(
        &self,
        master_key: &MasterKey,
        outside: &[OutsideKey],
    ) -> Result<(), FirstStartError> {
        let now = self.clock.now();
        let keys = KeyRing::generate_first(master_key, outside, self.entropy, now)?;
        let mut tx = self.store.begin().await?;
        let mut events = Vec::new();
        for key in &keys {
            tx.insert_signing_key(key).await?;
            let mut event = self.event(AuditKind::KeyCreated)?;
            event
                .detail
                .insert("key_id".into(), key.id.to_string().into());
            event
                .detail
                .insert("algorithm".into(), key.algorithm.as_str().into());
            events.push(event);
        }
        tx.append_audit(&events).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Finds the admin API's own resource, or makes it with its first client; brings its URL and
    /// `admin.json` up to date with the issuer.
    pub(crate) async fn ensure_admin(
        &self,
        started_before: bool,
    ) -> Result<McpServer, FirstStartError> {
        let url: ResourceUri = format!("{}/api", self.issuer)
            .parse()
            .map_err(|error: jeton_core::ResourceUriError| built_in(&error))?;
        let existing = self
            .store
            .mcp_servers(
                true,
                PageRequest {
                    after: None,
                    limit: 1,
                },
            )
            .await?;
        let Some(server) = existing.items.into_iter().next() else {
            return self.make_admin(url).await;
        };
        let server = if server.url.as_given() == url.as_given() {
            server
        } else {
            self.move_admin_api(server, url).await?
        };
        self.refresh_admin_file(started_before)?;
        Ok(server)
    }

    async fn move_admin_api(
        &self,
        server: McpServer,
        url: ResourceUri,
    ) -> Result<McpServer, FirstStartError> {
        let moved = McpServer {
            url,
            updated_at: self.clock.now(),
            version: server.version + 1,
            ..server
        };
        let mut event = self.event(AuditKind::McpServerUpdated)?;
        event.mcp_server_id = Some(moved.id);
        event
            .detail
            .insert("url".into(), moved.url.as_given().into());
        let mut tx = self.store.begin().await?;
        tx.update_mcp_server(&moved).await?;
        tx.record(&event).await?;
        tx.commit().await?;
        Ok(moved)
    }

    /// `admin.json` is written before the commit: should this be interrupted between the two, the
    /// next start finds no admin client and begins anew.
    async fn make_admin(&self, url: ResourceUri) -> Result<McpServer, FirstStartError> {
        let now = self.clock.now();
        let server = admin_server(McpServerId::generate(now, self.entropy)?, url, now)?;
        let admin = NewAdminClient::make("Command line (admin.json)", &server, now, self.entropy)?;
        let mut event = self.event(AuditKind::ClientCreated)?;
        admin.name_in(&mut event);
        self.write_admin_file(&admin.credentials(self.issuer.as_str()))?;
        let mut tx = self.store.begin().await?;
        tx.insert_mcp_server(&server).await?;
        admin.insert(&mut tx).await?;
        tx.record(&event).await?;
        tx.commit().await?;
        Ok(server)
    }

    fn admin_file(&self) -> PathBuf {
        self.data_dir.join("admin.json")
    }

    fn write_admin_file(&self, credentials: &AdminCredentials) -> Result<(), FirstStartError> {
        let path = self.admin_file();
        credentials
            .write(&path)
            .map_err(|source| FirstStartError::AdminFile { path, source })
    }

    /// Writes the issuer anew where it changed. A file that was taken away is not made again: its
    /// secret is not known any more.
    fn refresh_admin_file(&self, started_before: bool) -> Result<(), FirstStartError> {
        let path = self.admin_file();
        let credentials = fs::read(&path)
            .ok()
            .and_then(|json| serde_json::from_slice::<AdminCredentials>(&json).ok());
        match credentials {
            Some(credentials) if credentials.issuer == self.issuer.as_str() => Ok(()),
            Some(credentials) => self.write_admin_file(&AdminCredentials {
                issuer: self.issuer.to_string(),
                ..credentials
            }),
            None => {
                if started_before {
                    tracing::info!(
                        file = %path.display(),
                        "no admin.json here: admin commands need JETON_URL, JETON_CLIENT_ID and JETON_CLIENT_SECRET"
                    );
                }
                Ok(())
            }
        }
    }
}

fn built_in(error: &dyn fmt::Display) -> FirstStartError {
    FirstStartError::BuiltIn(error.to_string())
}

fn admin_server(
    id: McpServerId,
    url: ResourceUri,
    now: Timestamp,
) -> Result<McpServer, FirstStartError> {
    let scopes = [
        "admin:read=See everything but secrets",
        "admin:write=Register, change and delete everything",
    ];
    Ok(McpServer {
        id,
        name: "Jeton admin API"
            .parse()
            .map_err(|error: jeton_core::TextError| built_in(&error))?,
        description: Description::default(),
        url,
        aliases: Vec::new(),
        scopes: DefinedScopes::new(
            scopes
                .into_iter()
                .map(str::parse::<ScopeDefinition>)
                .collect::<Result<_, _>>()
                .map_err(FirstStartError::BuiltIn)?,
        )
        .map_err(|error| built_in(&error))?,
        token_ttl: TokenTtl::DEFAULT,
        signing_alg: SigningAlgorithm::Es256,
        token_profile: TokenProfile::Compatible,
        own_issuer: false,
        system: true,
        created_at: now,
        updated_at: now,
        version: 1,
    })
}
