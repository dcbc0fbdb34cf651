//! `jeton admin recover`: new admin credentials for somebody who is locked out, and holds the machine, the
//! database and the master key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jeton_core::{
    Actor, Admin, AuditEvent, AuditKind, Clock as _, EmailAddress, EntropyError, EventId,
    Invitation, InvitationId, McpServer, PlainSecret, Role, SystemClock,
};
use jeton_jose::OsEntropy;
use jeton_store::{Database, PageRequest, Store, StoreError};

use crate::admin_client::{AdminClientError, AdminCredentials, NewAdminClient};
use crate::app::{OpenError, open_store};
use crate::config::Config;
use crate::data_dir::{DataDirError, lock_data_dir};
use crate::keys::{AuditKeys, AuditKeysError, KeyRing, KeyRingError, MasterKeyFileError, load_all};
use crate::private_file::create_private_folder;
use crate::service::admins;
use crate::starting::Starting;

/// How long the link works.
const LINK: Duration = Duration::from_secs(60 * 60);

/// Why there are no new credentials.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// There is nothing to recover.
    #[error(
        "{0} holds no Jeton installation; name the right one with --data-dir or --database-url"
    )]
    NoInstallation(String),
    /// The data directory, which may be in use.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody has this address.
    #[error("no admin of the dashboard has the email address {0}")]
    NoSuchAdmin(EmailAddress),
    /// They have no password that could be reset.
    #[error(
        "{0} signs in through the OpenID Connect provider and has no password; run this without --email for a link that makes another admin"
    )]
    NoPassword(EmailAddress),
    /// The master key is missing.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyFileError),
    /// The master key is another.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// The keys of the audit log.
    #[error(transparent)]
    AuditKeys(#[from] AuditKeysError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The client cannot be made.
    #[error(transparent)]
    AdminClient(#[from] AdminClientError),
    /// `admin.json`.
    #[error("{path} cannot be written")]
    AdminFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What was made.
pub struct Recovered {
    /// The file with the new credentials.
    pub file: PathBuf,
    /// Where the file that was there before is now.
    pub replaced: Option<PathBuf>,
    /// The new admin client.
    pub client_id: String,
    /// Makes an admin of the dashboard, once, within an hour.
    pub link: String,
}

impl std::fmt::Debug for Recovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovered")
            .field("file", &self.file)
            .field("client_id", &self.client_id)
            .field("link", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// Makes a new admin client with `admin.json`, and a link for a new admin of the dashboard, or for a new password of
/// the one with this address, whose second factor it clears. On SQLite no server may be running. Whoever was an admin
/// before still is.
///
/// # Errors
///
/// [`RecoveryError`].
pub async fn recover_admin(
    config: &Config,
    email: Option<&EmailAddress>,
) -> Result<Recovered, RecoveryError> {
    let mut locks = Vec::new();
    if let Database::Sqlite(file) = &config.database {
        if !file.is_file() {
            return Err(RecoveryError::NoInstallation(config.database.redacted()));
        }
        locks.push(lock_data_dir(&config.data_dir)?);
        let folder = file.parent().unwrap_or(Path::new("."));
        if folder != config.data_dir && folder.join("jeton.lock").exists() {
            locks.push(lock_data_dir(folder)?);
        }
    }
    let store = open_store(config, &Starting::default()).await?;
    let recovered = recover(config, &store, email).await;
    store.close().await;
    drop(locks);
    recovered
}

async fn recover(
    config: &Config,
    store: &Store,
    email: Option<&EmailAddress>,
) -> Result<Recovered, RecoveryError> {
    let nothing = || RecoveryError::NoInstallation(config.database.redacted());
    if store.signing_keys().await?.is_empty() {
        return Err(nothing());
    }
    // Who cannot open the keys has no right to this.
    let (clock, entropy) = (SystemClock, OsEntropy);
    let master_keys = load_all(config, true, &entropy)?;
    KeyRing::open(store, &master_keys, clock.now()).await?;
    // What is recorded here continues the log like a server's own events.
    AuditKeys::open(store, &master_keys).await?.hand_to(store);
    let page = PageRequest {
        after: None,
        limit: 1,
    };
    let servers = store.mcp_servers(true, page).await?.items;
    let server = servers.into_iter().next().ok_or_else(nothing)?;
    let resets = match email {
        None => None,
        Some(email) => match store.find_admin_by_email(email).await? {
            None => return Err(RecoveryError::NoSuchAdmin(email.clone())),
            Some((admin, _)) if admin.identity.is_some() => {
                return Err(RecoveryError::NoPassword(admin.email));
            }
            Some((admin, _)) => Some(admin),
        },
    };
    // Before anything is recorded: a machine that never ran Jeton has no data directory for admin.json.
    create_private_folder(&config.data_dir).map_err(|source| RecoveryError::AdminFile {
        path: config.data_dir.clone(),
        source,
    })?;
    let registered = server.url.as_given();
    let issuer = config.issuer.as_ref().map_or_else(
        || {
            registered
                .strip_suffix("/api")
                .unwrap_or(registered)
                .to_owned()
        },
        ToString::to_string,
    );
    Recovery {
        store,
        server: &server,
        issuer,
        file: config.data_dir.join("admin.json"),
        resets,
    }
    .make()
    .await
}

struct Recovery<'a> {
    store: &'a Store,
    server: &'a McpServer,
    issuer: String,
    file: PathBuf,
    /// Who gets a new password.
    resets: Option<Admin>,
}

impl Recovery<'_> {
    async fn make(self) -> Result<Recovered, RecoveryError> {
        let (now, entropy) = (SystemClock.now(), OsEntropy);
        let admin = NewAdminClient::make("Recovered admin", self.server, now, &entropy)?;
        let link = PlainSecret::generate(&entropy)?;
        let resets = self.resets.as_ref();
        let invitation = Invitation {
            id: InvitationId::generate(now, &entropy)?,
            role: resets.map_or(Role::Admin, |admin| admin.role),
            note: resets.map_or_else(|| "recovery".to_owned(), |admin| admin.name.to_string()),
            invited_by: Actor::System,
            email: None,
            resets: resets.map(|admin| admin.id),
            first: false,
            created_at: now,
            expires_at: now.plus(LINK),
        };
        let id = EventId::generate(now, &entropy)?;
        let mut event = AuditEvent::new(id, now, AuditKind::AdminRecovered, Actor::System);
        admin.name_in(&mut event);
        let invitation_id = invitation.id.to_string().into();
        event.detail.insert("invitation_id".into(), invitation_id);
        if let Some(admin) = resets {
            admins::name_in(&mut event, admin);
        }
        let replaced = self.write_admin_file(&admin.credentials(&self.issuer))?;
        let mut tx = self.store.begin().await?;
        admin.insert(&mut tx).await?;
        tx.insert_admin_invitation(link.digest(), &invitation)
            .await?;
        tx.record(&event).await?;
        tx.commit().await?;
        Ok(Recovered {
            file: self.file,
            replaced,
            client_id: admin.client.id.to_string(),
            link: format!("{}/dashboard/join/{}", self.issuer, link.expose()),
        })
    }

    /// A file that is there is kept beside the new one; gives where.
    fn write_admin_file(
        &self,
        credentials: &AdminCredentials,
    ) -> Result<Option<PathBuf>, RecoveryError> {
        let path = &self.file;
        let failed = |source| RecoveryError::AdminFile {
            path: path.clone(),
            source,
        };
        let mut replaced = None;
        if path.exists() {
            let kept = path.with_file_name("admin.json.replaced");
            fs::rename(path, &kept).map_err(failed)?;
            replaced = Some(kept);
        }
        credentials.write(path).map_err(failed)?;
        Ok(replaced)
    }
}
