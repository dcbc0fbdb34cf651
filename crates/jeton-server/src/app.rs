//! What every request shares: the store, the keys, the directory, the audit log, the clock.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jeton_core::{
    AccessTokenClaims, Actor, AuditEvent, AuditKind, Clock, Entropy, EntropyError, EventId,
    IdEntropy, McpServer, SystemClock, Timestamp,
};
use jeton_jose::{OsEntropy, TokenVerifier, UnverifiedToken, VerifyError};
use jeton_store::{Database, Lock, Store, StoreError};

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditLog, AuditMemory, OpenAuditError, Outcome, open_memory};
use crate::background;
use crate::config::{
    AuditDurability, Config, Forward, Issuer, MetadataScopes, SecondFactor, Setting,
};
use crate::data_dir::{DataDirError, lock_data_dir};
use crate::directory::{Directory, DirectoryOptions, Freshness};
use crate::disk::Reserve;
use crate::first_start::{self, FirstStartError};
use crate::job::Jobs;
use crate::keys::{
    self, KeyRing, KeyRingError, MasterKeyFileError, MasterKeys, OutsideKey, OutsideKeysError,
    SigningQueue,
};
use crate::private_file::make_private;
use crate::propagation;
use crate::service::clock::ClockWatch;
use crate::service::notable_clients::NotableClients;
use crate::service::oidc::Provider;
use crate::service::readiness::Readiness;
use crate::service::statistics::Counting;
use crate::service::{self, SecretThrottle, ServiceError, SignInThrottle};
use crate::starting::Starting;
use crate::telemetry::with_causes;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database.
    #[error("the database {database} cannot be opened")]
    Store {
        /// Which, without its password.
        database: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyFileError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// Signing keys that are managed elsewhere.
    #[error(transparent)]
    OutsideKeys(#[from] OutsideKeysError),
    /// Taking them over.
    #[error("the signing keys that are managed elsewhere cannot be taken over")]
    Adopt(#[source] StartError),
    /// The `[oidc]` section.
    #[error("the HTTP client for the OpenID Connect provider cannot be set up")]
    Provider(#[source] ProviderError),
    /// Admins who are no longer on the lists of the `[oidc]` section.
    #[error("the admins cannot be brought up to the lists of the [oidc] section")]
    Admins(#[source] StartError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] OpenAuditError),
    /// Its first steps.
    #[error("the audit log cannot be begun")]
    AuditStart(#[source] StartError),
    /// The first start.
    #[error(transparent)]
    FirstStart(#[from] FirstStartError),
}

/// Something that the server does for itself failed.
#[derive(Debug, thiserror::Error)]
#[error("a step of the start failed")]
pub struct StartError(#[from] ServiceError);

/// There is no HTTP client.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ProviderError(#[from] reqwest::Error);

/// How long a server that stops waits for its audit log to be written.
const MAX_FLUSH: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct App {
    pub(crate) issuer: Issuer,
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) keys: KeyRing,
    pub(crate) signing: SigningQueue,
    pub(crate) audit: AuditLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// For the IDs of tokens, events and requests.
    pub(crate) id_entropy: IdEntropy,
    pub(crate) master_keys: MasterKeys,
    /// Keys that are managed elsewhere.
    pub(crate) outside_keys: Vec<OutsideKey>,
    /// How long a signing key signs; nothing means until somebody rotates it.
    pub(crate) key_rotation: Option<Duration>,
    /// Held while signing keys are changed.
    pub(crate) rotating: Mutex<()>,
    /// How the background tasks are doing.
    pub(crate) jobs: Jobs,
    pub(crate) readiness: Readiness,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) counting: Counting,
    pub(crate) notable: NotableClients,
    pub(crate) sign_in_throttle: SignInThrottle,
    pub(crate) secret_throttle: SecretThrottle,
    /// Whether a password is enough to sign in.
    pub(crate) second_factor: SecondFactor,
    /// Who else may say who somebody is.
    pub(crate) oidc: Option<Provider>,
    /// Where else audit events go.
    pub(crate) audit_forward: Vec<Forward>,
    /// How long audit events are kept; nothing means indefinitely.
    pub(crate) audit_retention: Option<Duration>,
    /// The room that is kept for tokens, where the database is on a disk of this machine.
    pub(crate) reserve: Option<Reserve>,
    /// What is remembered of the audit log outside the database.
    pub(crate) audit_memory: AuditMemory,
    /// How much longer they are kept for a destination that is away.
    pub(crate) audit_forward_wait: Duration,
    /// The settings, for the dashboard to show.
    pub(crate) settings: Vec<Setting>,
    /// When the server is told to stop, so are its jobs.
    pub(crate) stopping: CancellationToken,
    pub(crate) started_at: Timestamp,
    /// Which scopes the issuer's own metadata lists.
    pub(crate) metadata_scopes: MetadataScopes,
    /// The admin API as a resource.
    pub(crate) admin_api: McpServer,
    /// Held as long as the data directory is in use.
    _lock: File,
}

impl App {
    /// Opens everything, making at first start what is not there yet: the data directory, the
    /// master key, the signing keys, the admin client with `admin.json`.
    ///
    /// # Errors
    ///
    /// [`OpenError`], which says what to do. What it is doing meanwhile is told to `starting`.
    #[expect(clippy::too_many_lines, reason = "a line for each part of the whole")]
    pub async fn open(
        config: &Config,
        issuer: Issuer,
        starting: &Starting,
    ) -> Result<Arc<Self>, OpenError> {
        let lock = lock_data_dir(&config.data_dir)?;
        let store_error = |source| cannot_open(config, source);
        let store = open_store(config, starting).await?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let known = store.known_time().await.map_err(store_error)?;
        // Of several servers that start for the first time, one makes what is not there yet.
        starting.step("waiting for another server that starts");
        let first_start = store.lock(Lock::Start).await.map_err(store_error)?;
        let keys_exist = !store.signing_keys().await.map_err(store_error)?.is_empty();
        starting.step("reading its keys, and whether the audit log continues");
        let outside_keys = OutsideKey::read(config)?;
        let master_keys = keys::load_all(config, keys_exist, entropy.as_ref())?;
        // Before anything is written.
        let (random, now) = (entropy.as_ref(), clock.as_ref());
        let (audit_memory, outcome) =
            open_memory(config, &store, &master_keys, now, random).await?;
        let first = first_start::FirstStart {
            store: &store,
            clock: clock.as_ref(),
            entropy: entropy.as_ref(),
            issuer: &issuer,
            data_dir: &config.data_dir,
        };
        if !keys_exist {
            let sealing = &master_keys.current;
            first.make_signing_keys(sealing, &outside_keys).await?;
        }
        let keys = KeyRing::open(&store, &master_keys, clock.now()).await?;
        let admin_api = first.ensure_admin(keys_exist).await?;
        drop(first_start);
        let freshness = Arc::new(Freshness::of(&config.database));
        starting.step("reading clients and MCP servers");
        let directory = open_directory(config, &store, &freshness).await?;
        let jobs = Jobs::default();
        let app = Self {
            issuer,
            signing: SigningQueue::start(&jobs),
            audit: AuditLog::start(store.clone(), config.audit_durability, &jobs),
            jobs,
            readiness: Readiness::default(),
            clock_watch: ClockWatch::starting_after(known),
            store,
            directory,
            freshness,
            keys,
            id_entropy: IdEntropy::new(entropy.clone()),
            entropy,
            master_keys,
            outside_keys,
            key_rotation: config.key_rotation,
            rotating: Mutex::new(()),
            counting: Counting::default(),
            notable: NotableClients::default(),
            sign_in_throttle: SignInThrottle::default(),
            secret_throttle: SecretThrottle::default(),
            second_factor: config.second_factor,
            oidc: provider(config)?,
            audit_forward: config.audit_forward.clone(),
            audit_retention: config.audit_retention,
            reserve: reserve(config),
            audit_memory,
            audit_forward_wait: config.audit_forward_wait,
            settings: config.settings.clone(),
            metadata_scopes: config.metadata_scopes,
            stopping: CancellationToken::new(),
            started_at: clock.now(),
            clock,
            admin_api,
            _lock: lock,
        };
        starting.step("bringing the database up to its configuration");
        app.begin(config, outcome).await
    }

    /// Brings the database up to the configuration, and starts what goes on beside the requests.
    async fn begin(self, config: &Config, outcome: Outcome) -> Result<Arc<Self>, OpenError> {
        let app = Arc::new(self);
        if config.trust_clock {
            let accepted = service::clock::accept(&app).await;
            accepted.map_err(|error| OpenError::Adopt(error.into()))?;
        }
        service::signing_keys::adopt(&app)
            .await
            .map_err(|error| OpenError::Adopt(error.into()))?;
        service::oidc::reconcile(&app)
            .await
            .map_err(|error| OpenError::Admins(error.into()))?;
        service::audit_start::begin(&app, outcome)
            .await
            .map_err(|error| OpenError::AuditStart(error.into()))?;
        service::mcp_servers::warn_of_refused_urls(&app);
        background::start(&app);
        propagation::start(&app, &config.database);
        Ok(app)
    }

    /// A successful event, now.
    pub(crate) fn event(&self, kind: AuditKind, actor: Actor) -> Result<AuditEvent, EntropyError> {
        let now = self.clock.now();
        Ok(AuditEvent::new(
            EventId::generate(now, &self.id_entropy)?,
            now,
            kind,
            actor,
        ))
    }

    /// Verifies a token that this server issued, for whatever audience: its own key, its own issuer
    /// or that of one of its MCP servers, its time.
    pub(crate) fn verify_own_token(&self, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        let token = UnverifiedToken::parse(token).map_err(|_| VerifyError::Malformed)?;
        let key = self
            .keys
            .verifying(token.kid())
            .ok_or(VerifyError::UnknownKey)?;
        let verifier = TokenVerifier::new(Vec::new(), Vec::new()).leeway(Duration::ZERO);
        let claims = verifier.verify_signed(&token, &key, self.clock.now())?;
        let own = claims.iss.strip_prefix(self.issuer.as_str());
        if own.is_some_and(|rest| rest.is_empty() || rest.starts_with("/resources/")) {
            Ok(claims)
        } else {
            Err(VerifyError::Issuer)
        }
    }

    /// The link that makes the first admin of the dashboard, where there is none yet: it works once,
    /// for an hour.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    pub async fn first_admin_link(&self) -> Result<Option<String>, StartError> {
        let link = service::invitations::make_first_link(self).await?;
        Ok(link.map(|link| service::invitations::link(self, &link)))
    }

    /// Writes what is still waiting to be written, then closes the store.
    pub async fn close(&self) {
        self.stopping.cancel();
        let counted = self
            .audit
            .record_counted(self.clock.as_ref(), self.entropy.as_ref(), true);
        if !matches!(timeout(MAX_FLUSH, counted).await, Ok(Ok(()))) {
            tracing::error!("the refusals that were only counted could not be recorded");
        }
        if !matches!(timeout(MAX_FLUSH, self.audit.flush()).await, Ok(Ok(()))) {
            tracing::error!("the audit log could not be flushed");
        }
        let signed = service::checkpoints::advance(self).await;
        // What was signed is in the log too, but for what was written since.
        let kept = service::checkpoints::keep_end(self, &mut None);
        if let Err(error) = signed.and(kept) {
            tracing::warn!(
                error = with_causes(&error),
                "the end of the audit log could not be signed and remembered"
            );
        }
        self.store.close().await;
    }
}

async fn open_directory(
    config: &Config,
    store: &Store,
    freshness: &Arc<Freshness>,
) -> Result<Directory, OpenError> {
    let opened = Directory::open(DirectoryOptions {
        store: store.clone(),
        freshness: Arc::clone(freshness),
        // Who gave up records for speed gives up freshness too, where there is no choice.
        stale_rather_than_none: config.audit_durability == AuditDurability::Async,
    })
    .await;
    opened.map_err(|source| cannot_open(config, source))
}

fn provider(config: &Config) -> Result<Option<Provider>, OpenError> {
    let provider = config.oidc.clone().map(Provider::new).transpose();
    provider.map_err(|error| OpenError::Provider(error.into()))
}

fn reserve(config: &Config) -> Option<Reserve> {
    let Database::Sqlite(file) = &config.database else {
        return None;
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    Some(Reserve {
        folder: folder.unwrap_or(Path::new(".")).to_owned(),
        bytes: config.audit_reserve?,
    })
}

pub(crate) async fn open_store(config: &Config, starting: &Starting) -> Result<Store, OpenError> {
    starting.step("waiting for the database");
    if let Database::Sqlite(file) = &config.database {
        // SQLite gives the files beside it the mode of this one.
        match make_private(file) {
            // What is missing, opening the database says.
            Err(_) if file.exists() => return Err(DataDirError::Exposed(file.clone()).into()),
            _ => {}
        }
    }
    if config.audit_durability == AuditDurability::Async {
        tracing::warn!(
            "audit.durability is async: a crash may lose the records of tokens issued in its last moments"
        );
    }
    Store::open_telling(&config.database, |upgrade| {
        starting.step(format!(
            "bringing the database up to date, from version {} to {}, which takes minutes where the audit log is long",
            upgrade.from, upgrade.to
        ));
        tracing::info!(
            from = upgrade.from,
            to = upgrade.to,
            "bringing the database of an older version up to date; with millions of audit events this \
             takes minutes. If it is interrupted, it begins again at the next start"
        );
    })
    .await
    .map_err(|source| cannot_open(config, source))
}

fn cannot_open(config: &Config, source: StoreError) -> OpenError {
    OpenError::Store {
        database: config.database.redacted(),
        source,
    }
}
