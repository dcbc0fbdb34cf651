//! A database as a company has it after some weeks: many clients, many events.

use std::error::Error;
use std::path::Path;

use jeton_core::{
    Actor, AuditEvent, AuditKind, Client, ClientId, ClientSecret, ClientStatus, Clock as _,
    CustomClaims, DefinedScopes, Description, EventId, Grant, McpServer, McpServerId, Outcome,
    PlainSecret, ScopeDefinition, SecretId, SecretOwner, SigningAlgorithm, SystemClock, Timestamp,
    TokenId, TokenProfile, TokenTtl,
};
use jeton_jose::OsEntropy;
use jeton_store::{Database, Store};

/// Events are spread over so many milliseconds: eight days.
const SPAN: i64 = 8 * 24 * 60 * 60 * 1000;

/// Adds an MCP server, `clients` clients on it and `events` events about them; gives the server's
/// ID and the last client's.
pub(crate) async fn seed(
    database: &Path,
    clients: u32,
    events: u32,
) -> Result<String, Box<dyn Error>> {
    let store = Store::open(&Database::Sqlite(database.to_owned())).await?;
    let now = SystemClock.now();
    let begin = Timestamp::from_millis(now.as_millis() - SPAN);
    let server = server(begin)?;
    let mut tx = store.begin().await?;
    tx.insert_mcp_server(&server).await?;
    tx.commit().await?;
    let mut ids = Vec::new();
    let mut tx = store.begin().await?;
    for number in 0..clients.max(1) {
        let client = client(begin, number)?;
        let plain = PlainSecret::generate(&OsEntropy)?;
        tx.insert_client(&client).await?;
        tx.put_grant(&Grant::new(client.id, server.id, server.scope_set(), begin))
            .await?;
        tx.insert_secret(&ClientSecret {
            id: SecretId::generate(begin, &OsEntropy)?,
            owner: SecretOwner::Client(client.id),
            digest: plain.digest(),
            suffix: plain.suffix(),
            created_at: begin,
            expires_at: (number % 7 == 0).then(|| now.plus(std::time::Duration::from_secs(86_400))),
            last_used_at: None,
            revoked_at: None,
        })
        .await?;
        ids.push(client.id);
    }
    tx.commit().await?;
    let mut number = 0;
    while number < events {
        let mut tx = store.begin().await?;
        let until = events.min(number + 10_000);
        while number < until {
            let mut batch = Vec::new();
            for _ in 0..32.min(until - number) {
                batch.push(event(&server, &ids, begin, (number, events))?);
                number += 1;
            }
            tx.append_audit(&batch).await?;
        }
        tx.commit().await?;
    }
    store.close().await;
    let last = ids.last().ok_or("no client")?;
    Ok(format!("{} {last}", server.id))
}

fn server(at: Timestamp) -> Result<McpServer, Box<dyn Error>> {
    Ok(McpServer {
        id: McpServerId::generate(at, &OsEntropy)?,
        name: "Benchmark".parse()?,
        description: Description::default(),
        url: "http://localhost:1/mcp".parse()?,
        aliases: Vec::new(),
        scopes: DefinedScopes::new(
            ["todo:read=See todos", "todo:write=Change todos"]
                .into_iter()
                .map(str::parse::<ScopeDefinition>)
                .collect::<Result<_, _>>()?,
        )?,
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

fn client(at: Timestamp, number: u32) -> Result<Client, Box<dyn Error>> {
    Ok(Client {
        id: ClientId::generate(at, &OsEntropy)?,
        name: format!("Agent number {number}").parse()?,
        description: Description::default(),
        status: ClientStatus::Enabled,
        token_ttl: None,
        custom_claims: CustomClaims::default(),
        default_mcp_server: None,
        created_at: at,
        updated_at: at,
        version: 1,
    })
}

/// One token in twenty is refused; some clients are much busier than others, and a few are silent.
fn event(
    server: &McpServer,
    ids: &[ClientId],
    begin: Timestamp,
    (number, of): (u32, u32),
) -> Result<AuditEvent, Box<dyn Error>> {
    let millis = SPAN * i64::from(number) / i64::from(of);
    let at = Timestamp::from_millis(begin.as_millis() + millis);
    let spread = u64::from(number).wrapping_mul(2_654_435_761) % 1_000_003;
    let busy = usize::try_from(spread)? % ids.len();
    let index = if number.is_multiple_of(3) {
        busy / 100
    } else {
        busy
    };
    let id = *ids.get(index).ok_or("no client")?;
    let refused = number.is_multiple_of(20);
    let kind = if refused {
        AuditKind::TokenRefused
    } else {
        AuditKind::TokenIssued
    };
    let actor = Actor::Authenticated(id.to_string());
    let mut event = AuditEvent::new(EventId::generate(at, &OsEntropy)?, at, kind, actor);
    event.client_id = Some(id);
    event.mcp_server_id = Some(server.id);
    event.scope = Some(server.scope_set());
    event.source = Some("192.0.2.7".into());
    event.request_id = Some(format!("req_{number}"));
    if refused {
        event.outcome = Outcome::Refused;
        event.reason = Some("invalid_scope: the scope todo:admin is not granted".into());
    } else {
        event.jti = Some(TokenId::generate(at, &OsEntropy)?.to_string());
        event
            .detail
            .insert("expires_at".into(), at.to_string().into());
    }
    Ok(event)
}
