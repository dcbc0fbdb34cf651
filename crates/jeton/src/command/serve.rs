//! `jeton serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jeton_server::{
    App, AuditDurability, Config, DatabaseUrl, ListenAddress, LogFormat, MetadataScopes,
    OnDiscontinuity, RawAudit, RawConfig, SecondFactor, Server, init_telemetry,
};
use tokio::sync::oneshot;

use crate::arguments::Global;
use crate::output;
use crate::signals::Signals;
use crate::value;

/// Run the server.
///
/// On its first start it makes its data directory with a database, a master key, signing keys, and
/// admin.json with the credentials that admin commands use. Each flag is also JETON_... in the
/// environment and a key in jeton.toml; flags win, then the environment, then the file.
#[derive(Args)]
pub(crate) struct Serve {
    /// The address to listen on: 127.0.0.1:8420, [::1]:8420, all addresses of a name as in
    /// localhost:8420, or all of this machine as in :8420 [env: JETON_LISTEN] [default: 127.0.0.1:8420].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddress>,
    /// The issuer: the URL at which clients reach the server, with a path where it shares its host as in
    /// https://tools.example.com/auth [env: JETON_ISSUER] [default: http:// and the address].
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Which scopes the issuer's metadata lists: none, or all of every MCP server. Some clients ask for
    /// everything that is listed. Each MCP server's own issuer lists that server's scopes in any case
    /// [env: JETON_METADATA_SCOPES] [default: none].
    #[arg(long, value_name = "WHICH")]
    metadata_scopes: Option<Listed>,
    /// Where the data is kept: sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE for
    /// several servers [env: JETON_DATABASE_URL] [default: sqlite:jeton.db in the data directory].
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// Where the database URL leads to a pooler (PgBouncer in transaction mode): the database
    /// itself, for the one connection that hears of changes [env: JETON_DATABASE_NOTIFICATION_URL].
    #[arg(long, value_name = "URL")]
    database_notification_url: Option<DatabaseUrl>,
    /// The most connections of this server to PostgreSQL [env: JETON_DATABASE_CONNECTIONS]
    /// [default: 16].
    #[arg(long, value_name = "NUMBER")]
    database_connections: Option<u32>,
    /// The file with the master key [env: JETON_MASTER_KEY_FILE] [default: master.key in the data
    /// directory, made if it is not there]. JETON_MASTER_KEY may hold the key itself.
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// While the master key is being replaced: the file with the one before [env:
    /// JETON_PREVIOUS_MASTER_KEY_FILE]. JETON_PREVIOUS_MASTER_KEY may hold the key itself.
    #[arg(long, value_name = "FILE")]
    previous_master_key_file: Option<PathBuf>,
    /// Private signing keys that are managed elsewhere: PKCS#8, PEM, of each algorithm the newest
    /// last [env: JETON_SIGNING_KEYS_FILE]. JETON_SIGNING_KEYS may hold the keys themselves.
    #[arg(long, value_name = "FILE")]
    signing_keys_file: Option<PathBuf>,
    /// How many days a signing key signs before the next one follows it; 0 leaves it to you [env:
    /// JETON_SIGNING_KEY_ROTATION_DAYS] [default: 90].
    #[arg(long, value_name = "DAYS")]
    signing_key_rotation_days: Option<u32>,
    /// The certificate chain to serve https with, PEM [env: JETON_TLS_CERT].
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM [env: JETON_TLS_KEY].
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// A proxy in front, as an address or a network like 10.0.0.0/8; repeat it for more. From these
    /// peers only, the source address is taken from X-Forwarded-For, or from Forwarded where that
    /// is missing [env: JETON_TRUSTED_PROXY, with commas].
    #[arg(long = "trusted-proxy", value_name = "CIDR")]
    trusted_proxies: Vec<String>,
    /// Trusted proxies begin each connection with a PROXY protocol header, version 2, and have to
    /// [env: JETON_PROXY_PROTOCOL].
    #[arg(long)]
    proxy_protocol: bool,
    /// The most connections at once; a newcomer then takes the place of the one that has been idle
    /// longest [env: JETON_MAX_CONNECTIONS] [default: 10000].
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<u32>,
    /// The most connections of one source, an IPv4 address or an IPv6 /64 network; trusted proxies
    /// have no such limit [env: JETON_MAX_CONNECTIONS_PER_SOURCE] [default: a quarter of all].
    #[arg(long, value_name = "NUMBER")]
    max_connections_per_source: Option<u32>,
    /// A further address, plain http, which answers /healthz and /readyz and nothing else, however busy
    /// the server is [env: JETON_HEALTH_LISTEN].
    #[arg(long, value_name = "ADDRESS")]
    health_listen: Option<ListenAddress>,
    /// Whether admins need a second step besides their password to sign in to the dashboard: optional, or
    /// required of everybody who has a password [env: JETON_ADMIN_SECOND_FACTOR] [default: optional].
    #[arg(long, value_name = "WHEN")]
    admin_second_factor: Option<Need>,
    /// When a token's audit event has to be on disk: sync, before the token leaves; async, soon
    /// after [env: JETON_AUDIT_DURABILITY] [default: sync].
    #[arg(long, value_name = "WHEN")]
    audit_durability: Option<Durability>,
    /// How many days audit events are kept [env: JETON_AUDIT_RETENTION_DAYS] [default: no limit].
    #[arg(long, value_name = "DAYS")]
    audit_retention_days: Option<u32>,
    /// With SQLite: how many MiB of the disk are kept for tokens and changes. When less is left, refused
    /// requests are counted and not recorded; 0 keeps nothing [env: JETON_AUDIT_RESERVE_MIB]
    /// [default: 256].
    #[arg(long, value_name = "MIB")]
    audit_reserve_mib: Option<u32>,
    /// What to do where the audit log in the database does not continue what this server remembers
    /// of it: continue, and say so; stop, issue nothing and do not start [env:
    /// JETON_AUDIT_ON_DISCONTINUITY] [default: continue].
    #[arg(long, value_name = "WHAT")]
    audit_on_discontinuity: Option<Discontinuity>,
    /// How many days longer audit events are kept for a destination that is away; then retention
    /// removes them all the same [env: JETON_AUDIT_FORWARD_WAIT_DAYS] [default: 7].
    #[arg(long, value_name = "DAYS")]
    audit_forward_wait_days: Option<u32>,
    /// The clock is right, although it is far from the last time at which a server is known to have
    /// run: old events are removed and keys rotated at once, and not after six hours. For one start.
    #[arg(long)]
    trust_clock: bool,
    /// How log lines look.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "JETON_LOG_FORMAT",
        default_value = "text"
    )]
    log_format: Format,
    /// What is logged: a level, or target=level with commas.
    #[arg(long, value_name = "FILTER", env = "JETON_LOG", default_value = "info", value_parser = value::log_filter)]
    log: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Listed {
    None,
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum Need {
    Optional,
    Required,
}

#[derive(Clone, Copy, ValueEnum)]
enum Durability {
    Sync,
    Async,
}

#[derive(Clone, Copy, ValueEnum)]
enum Discontinuity {
    Continue,
    Stop,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Serve {
    fn flags(&self, global: &Global) -> RawConfig {
        let durability = self.audit_durability.map(|durability| match durability {
            Durability::Sync => AuditDurability::Sync,
            Durability::Async => AuditDurability::Async,
        });
        let on_discontinuity = self.audit_on_discontinuity.map(|what| match what {
            Discontinuity::Continue => OnDiscontinuity::Continue,
            Discontinuity::Stop => OnDiscontinuity::Stop,
        });
        RawConfig {
            data_dir: global.data_dir.clone(),
            listen: self.listen.clone(),
            issuer: self.issuer.clone(),
            metadata_scopes: self.metadata_scopes.map(|listed| match listed {
                Listed::None => MetadataScopes::None,
                Listed::All => MetadataScopes::All,
            }),
            database_url: self.database_url.clone(),
            database_notification_url: self.database_notification_url.clone(),
            database_connections: self.database_connections,
            master_key_file: self.master_key_file.clone(),
            previous_master_key_file: self.previous_master_key_file.clone(),
            signing_keys_file: self.signing_keys_file.clone(),
            signing_key_rotation_days: self.signing_key_rotation_days,
            insecure_http: global.insecure_http.then_some(true),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            proxy_protocol: self.proxy_protocol.then_some(true),
            max_connections: self.max_connections,
            max_connections_per_source: self.max_connections_per_source,
            health_listen: self.health_listen.clone(),
            admin_second_factor: self.admin_second_factor.map(|need| match need {
                Need::Optional => SecondFactor::Optional,
                Need::Required => SecondFactor::Required,
            }),
            audit: Some(RawAudit {
                durability,
                retention_days: self.audit_retention_days,
                reserve_mib: self.audit_reserve_mib,
                on_discontinuity,
                forward_wait_days: self.audit_forward_wait_days,
                forward: Vec::new(),
            }),
            oidc: None,
        }
    }
}

pub(crate) async fn run(serve: Serve, global: Global) -> anyhow::Result<()> {
    let format = match serve.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    init_telemetry(format, &serve.log);
    let mut config = Config::load(global.config.as_deref(), &serve.flags(&global))?;
    config.trust_clock = serve.trust_clock;
    let mut signals = Signals::new()?;
    let server = Server::bind(&config).await?;
    let issuer = config.effective_issuer(server.address())?;
    let reload = server.reload();
    if let Some(health) = server.health_address() {
        tracing::info!(listen = %health, "answering /healthz and /readyz");
    }
    let app = tokio::select! {
        app = App::open(&config, issuer.clone(), server.starting()) => app?,
        () = signals.stop(Some(&reload)) => anyhow::bail!("stopped by a signal before it was ready"),
    };
    // Whatever may still fail comes before it is called ready.
    let first_admin_link = app.first_admin_link().await?;
    tracing::info!(
        issuer = issuer.as_str(),
        listen = %server.address(),
        data_dir = %config.data_dir.display(),
        "ready"
    );
    for address in server.further_addresses() {
        tracing::info!(listen = %address, "ready there, too");
    }
    if let Some(advice) = config.issuer_advice(server.address()) {
        tracing::warn!("{advice}");
    }
    if let Some(link) = first_admin_link {
        output::say(&format!(
            "The dashboard has no admin yet. Open this link to become the first one; it works once, for an hour:\n\n    {link}\n"
        ));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server.serve(app, async {
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        () = signals.stop(Some(&reload)) => drop(stop),
    }
    tracing::info!(
        "stopping: requests under way finish, then the audit log is flushed; a second signal ends at once"
    );
    tokio::select! {
        () = &mut serving => output::say("stopped"),
        () = signals.stop(Some(&reload)) => anyhow::bail!("stopped at once, by a second signal"),
    }
    Ok(())
}
