//! A week of a company's agents, with a clock of its own: some work, three are broken, one secret is about to expire.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use jeton_core::{
    Actor, AuditEvent, AuditKind, Client, ClientId, ClientSecret, ClientStatus, Clock as _,
    CustomClaims, DefinedScopes, Description, EventId, Grant, ManualClock, McpServer, McpServerId,
    Outcome, PlainSecret, ScopeDefinition, SecretId, SecretOwner, SigningAlgorithm, SystemClock,
    Timestamp, TokenId, TokenProfile, TokenTtl,
};
use jeton_jose::OsEntropy;
use jeton_store::{Database, Store};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The clock goes on by this much.
const STEP: Duration = Duration::from_secs(10 * 60);

/// The MCP servers, with their scopes.
const SERVERS: [(&str, &str, &[&str]); 4] = [
    (
        "GitHub",
        "https://github-tools.example.com/mcp",
        &[
            "issues:read=Read issues",
            "issues:write=Open and change issues",
            "repos:read=Read code",
        ],
    ),
    (
        "Company wiki",
        "https://wiki.example.com/mcp",
        &["wiki:search=Search all pages", "wiki:edit=Edit pages"],
    ),
    (
        "Billing",
        "https://billing.example.com/mcp",
        &["invoices:read=Read invoices", "invoices:send=Send invoices"],
    ),
    (
        "Warehouse",
        "https://warehouse.example.com/mcp",
        &["sql:query=Run read-only queries"],
    ),
];

/// How an agent is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Works,
    /// Its secret expired so long ago.
    SecretExpired(Duration),
    /// It has asked for a scope that it lacks for so long.
    AsksForMore(Duration),
    /// Its grant was revoked so long ago.
    GrantRevoked(Duration),
    /// Its secret expires in so long.
    SecretExpires(Duration),
    /// It was never put to use.
    Unused,
}

/// An agent: its name, the number of its MCP server, its scopes, its requests in a busy hour, its fate.
struct Agent {
    name: &'static str,
    server: usize,
    scopes: &'static str,
    busy: u64,
    fate: Fate,
}

const fn agent(
    name: &'static str,
    (server, scopes): (usize, &'static str),
    busy: u64,
    fate: Fate,
) -> Agent {
    Agent {
        name,
        server,
        scopes,
        busy,
        fate,
    }
}

const AGENTS: [Agent; 12] = [
    agent("support-copilot", (1, "wiki:search"), 64, Fate::Works),
    agent(
        "code-review",
        (0, "issues:read repos:read"),
        42,
        Fate::Works,
    ),
    agent(
        "sql-analyst",
        (3, "sql:query"),
        18,
        Fate::SecretExpires(DAY.saturating_mul(3)),
    ),
    agent(
        "wiki-indexer",
        (1, "wiki:search wiki:edit"),
        12,
        Fate::Works,
    ),
    agent("on-call-summarizer", (0, "issues:read"), 9, Fate::Works),
    agent(
        "dunning-letters",
        (2, "invoices:read invoices:send"),
        6,
        Fate::Works,
    ),
    agent("standup-digest", (0, "issues:read"), 3, Fate::Works),
    agent("data-quality", (3, "sql:query"), 8, Fate::Works),
    agent(
        "nightly-triage",
        (0, "issues:read issues:write"),
        4,
        Fate::SecretExpired(DAY.saturating_mul(5)),
    ),
    agent(
        "release-notes",
        (0, "repos:read"),
        6,
        Fate::AsksForMore(HOUR.saturating_mul(52)),
    ),
    agent(
        "invoice-sync",
        (2, "invoices:read"),
        12,
        Fate::GrantRevoked(HOUR.saturating_mul(7)),
    ),
    agent("onboarding-buddy", (1, "wiki:search"), 0, Fate::Unused),
];

/// An agent with what is registered of it.
struct Registered {
    agent: &'static Agent,
    client: ClientId,
    secret: SecretId,
    server: McpServerId,
}

/// Adds the week to a database that `jeton serve` made.
pub(crate) async fn seed(database: &Path) -> Result<String, Box<dyn Error>> {
    let store = Store::open(&Database::Sqlite(database.to_owned())).await?;
    let now = SystemClock.now();
    let begin = now.minus(DAY.saturating_mul(14));
    let clock = ManualClock::new(begin);
    let agents = register(&store, &clock, now).await?;
    let mut number = 0;
    while clock.now() < now {
        let mut batch = Vec::new();
        for registered in &agents {
            for _ in 0..requests(registered.agent, &clock, now) {
                number += 1;
                let at = clock.now().plus(jitter(number));
                if at < now {
                    batch.push(event(registered, at, now)?);
                }
            }
        }
        batch.sort_by_key(|event| event.at);
        for part in batch.chunks(64) {
            store.append_audit(part).await?;
        }
        clock.advance(STEP);
    }
    store.close().await;
    Ok(format!("{number} requests of {} agents", agents.len()))
}

async fn register(
    store: &Store,
    clock: &ManualClock,
    now: Timestamp,
) -> Result<Vec<Registered>, Box<dyn Error>> {
    let at = clock.now();
    let mut tx = store.begin().await?;
    let mut servers = Vec::new();
    for (name, url, scopes) in SERVERS {
        let server = server(name, url, scopes, at)?;
        tx.insert_mcp_server(&server).await?;
        servers.push(server);
    }
    let mut agents = Vec::new();
    for agent in &AGENTS {
        let server = servers.get(agent.server).ok_or("no such server")?;
        let client = client(agent, server.id, at)?;
        tx.insert_client(&client).await?;
        if !matches!(agent.fate, Fate::GrantRevoked(_)) {
            tx.put_grant(&Grant::new(client.id, server.id, agent.scopes.parse()?, at))
                .await?;
        }
        let plain = PlainSecret::generate(&OsEntropy)?;
        let secret = ClientSecret {
            id: SecretId::generate(at, &OsEntropy)?,
            owner: SecretOwner::Client(client.id),
            digest: plain.digest(),
            suffix: plain.suffix(),
            created_at: at,
            expires_at: match agent.fate {
                Fate::SecretExpired(ago) => Some(now.minus(ago)),
                Fate::SecretExpires(soon) => Some(now.plus(soon)),
                _ => None,
            },
            last_used_at: None,
            revoked_at: None,
        };
        tx.insert_secret(&secret).await?;
        agents.push(Registered {
            agent,
            client: client.id,
            secret: secret.id,
            server: server.id,
        });
    }
    tx.commit().await?;
    Ok(agents)
}

fn server(
    name: &str,
    url: &str,
    scopes: &[&str],
    at: Timestamp,
) -> Result<McpServer, Box<dyn Error>> {
    let scopes = scopes.iter().map(|scope| scope.parse::<ScopeDefinition>());
    Ok(McpServer {
        id: McpServerId::generate(at, &OsEntropy)?,
        name: name.parse()?,
        description: Description::default(),
        url: url.parse()?,
        aliases: Vec::new(),
        scopes: DefinedScopes::new(scopes.collect::<Result<_, _>>()?)?,
        token_ttl: TokenTtl::DEFAULT,
        signing_alg: SigningAlgorithm::Es256,
        token_profile: TokenProfile::Compatible,
        own_issuer: false,
        system: false,
        created_at: at,
        updated_at: at,
        version: 1,
    })
}

fn client(agent: &Agent, server: McpServerId, at: Timestamp) -> Result<Client, Box<dyn Error>> {
    Ok(Client {
        id: ClientId::generate(at, &OsEntropy)?,
        name: agent.name.parse()?,
        description: Description::default(),
        status: ClientStatus::Enabled,
        token_ttl: None,
        custom_claims: CustomClaims::default(),
        default_mcp_server: Some(server),
        created_at: at,
        updated_at: at,
        version: 1,
    })
}

/// How many requests come in this step: most in office hours, few at night and on weekends. Who is refused tries again
/// and again.
fn requests(agent: &Agent, clock: &ManualClock, now: Timestamp) -> u64 {
    let at = clock.now();
    let hours = at.as_seconds() / 3_600;
    // The first of January 1970 was a Thursday.
    let is_weekend = matches!((hours / 24 + 4) % 7, 0 | 6);
    let percent = match (is_weekend, hours % 24) {
        (true, _) => 15,
        (false, 8..=17) => 100,
        (false, 6 | 7 | 18..=20) => 55,
        (false, _) => 20,
    };
    let percent = if is_broken(agent.fate, at, now) {
        percent.max(40)
    } else {
        percent
    };
    // What falls between two whole numbers comes now and then.
    let spread = at.as_seconds().unsigned_abs() / STEP.as_secs() * 37 % 100;
    (agent.busy * percent / 6 + spread) / 100
}

/// Where in a step a request falls.
fn jitter(number: u64) -> Duration {
    Duration::from_secs(number.wrapping_mul(2_654_435_761) % STEP.as_secs())
}

fn is_broken(fate: Fate, at: Timestamp, now: Timestamp) -> bool {
    match fate {
        Fate::SecretExpired(ago) | Fate::AsksForMore(ago) | Fate::GrantRevoked(ago) => {
            at >= now.minus(ago)
        }
        Fate::Works | Fate::SecretExpires(_) | Fate::Unused => false,
    }
}

fn event(
    registered: &Registered,
    at: Timestamp,
    now: Timestamp,
) -> Result<AuditEvent, Box<dyn Error>> {
    let id = EventId::generate(at, &OsEntropy)?;
    let actor = Actor::Authenticated(registered.client.to_string());
    let mut event = AuditEvent::new(id, at, AuditKind::TokenIssued, actor);
    event.client_id = Some(registered.client);
    event.secret_id = Some(registered.secret);
    event.mcp_server_id = Some(registered.server);
    event.scope = Some(registered.agent.scopes.parse()?);
    event.source = Some("192.0.2.7".into());
    if !is_broken(registered.agent.fate, at, now) {
        event.jti = Some(TokenId::generate(at, &OsEntropy)?.to_string());
        return Ok(event);
    }
    event.kind = AuditKind::TokenRefused;
    event.outcome = Outcome::Refused;
    event.reason = Some(
        match registered.agent.fate {
            Fate::SecretExpired(_) => {
                event.actor = Actor::Anonymous;
                "invalid_client: expired secret"
            }
            Fate::GrantRevoked(_) => {
                "invalid_target: the client has no grant on any MCP server; an operator can make one"
            }
            _ => {
                event.scope = Some("issues:write".parse()?);
                "invalid_scope: the scope issues:write is not granted to the client on this MCP server; granted: repos:read"
            }
        }
        .into(),
    );
    Ok(event)
}
