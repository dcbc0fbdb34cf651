//! What needs attention: clients that are refused, with why, since when and what to do; secrets that expired or will soon.

use std::collections::BTreeMap;
use std::time::Duration;

use jeton_core::{
    ClientId, ClientProblem, ClientSecret, McpServer, SecretOwner, SecretState, Timestamp, counted,
};
use jeton_store::RefusedClient;

use super::chart::minute;
use super::format::{When, grouped, lasting, when};
use super::problem::{Cure, ProblemView};
use super::view::address;
use super::zone::Zone;
use super::{PageError, clients, mcp_servers};
use crate::app::App;
use crate::directory::ClientEntry;
use crate::service::client_standing;
use crate::service::range::Range;
use crate::service::refusal_cause::RefusalCause;

/// Secrets that expire within this are worth a look, and those that did.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The most rows of each kind.
const ROWS: usize = 8;
const SECRETS: u32 = 40;

/// What needs attention.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    pub(crate) rows: Vec<AttentionRow>,
    /// How many clients get no tokens though they ask.
    pub(crate) failing: usize,
    /// Whether there is more of it than the rows.
    pub(crate) has_more: bool,
}

impl Attention {
    /// `3 clients`: those that get no tokens.
    pub(crate) fn failing_clients(&self) -> String {
        counted(self.failing, "client")
    }
}

#[derive(Debug)]
pub(crate) struct AttentionRow {
    /// `bad` or `warn`.
    pub(crate) class: &'static str,
    pub(crate) name: String,
    pub(crate) href: String,
    /// Why, to be followed by `at`.
    pub(crate) problem: String,
    pub(crate) at: Option<When>,
    /// Since when requests are refused: `for 3 days`.
    pub(crate) lasting: Option<When>,
    /// How many, with where they are listed.
    pub(crate) refused: Option<(String, String)>,
    pub(crate) last: Option<When>,
    pub(crate) cure: Cure,
    /// By which rows are sorted: the larger the earlier.
    rank: (u8, i64),
}

/// Refusals of one client for one cause.
struct Trouble<'a> {
    client: ClientId,
    cause: RefusalCause,
    reason: &'a str,
    refused: [i64; 3],
    since: Option<Timestamp>,
    last_at: Timestamp,
}

impl Attention {
    /// From who was refused, and from the secrets that there are.
    pub(crate) async fn find(
        app: &App,
        refused: &[RefusedClient],
        seen: (Range, &Zone),
    ) -> Result<Self, PageError> {
        let mut attention = Self::default();
        let mut unknown: Option<Trouble> = None;
        let mut failing: Vec<ClientId> = Vec::new();
        for trouble in grouped_by_cause(refused) {
            let Some(entry) = app.directory.find_client(trouble.client).await? else {
                match &mut unknown {
                    Some(sum) => sum.add(&trouble),
                    None => unknown = Some(trouble),
                }
                continue;
            };
            if let Some(row) = row(app, &entry, &trouble, seen) {
                if row.class == "bad" {
                    failing.push(trouble.client);
                }
                attention.rows.push(row);
            }
        }
        failing.sort_unstable();
        failing.dedup();
        attention.failing = failing.len();
        attention
            .rows
            .extend(unknown.map(|sum| unknown_row(&sum, app.clock.now(), seen)));
        attention.add_secrets(app, &failing).await?;
        attention
            .rows
            .sort_by_key(|row| std::cmp::Reverse(row.rank));
        attention.has_more |= attention.rows.len() > ROWS;
        attention.rows.truncate(ROWS);
        Ok(attention)
    }

    /// Secrets that expired and left nothing that works, and those that will soon.
    async fn add_secrets(&mut self, app: &App, failing: &[ClientId]) -> Result<(), PageError> {
        let now = app.clock.now();
        let expired = app
            .store
            .secrets_expiring(now.minus(SOON), now, SECRETS)
            .await?;
        let soon = app
            .store
            .secrets_expiring(now, now.plus(SOON), SECRETS)
            .await?;
        let limit = usize::try_from(SECRETS).unwrap_or(usize::MAX);
        self.has_more |= expired.len() >= limit || soon.len() >= limit;
        // Of those that expired, the last ones first.
        for secret in expired.iter().rev().chain(&soon) {
            if let SecretOwner::Client(id) = secret.owner
                && failing.contains(&id)
            {
                continue;
            }
            self.rows.extend(secret_row(app, secret, now).await?);
        }
        Ok(())
    }
}

impl Trouble<'_> {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.refused.iter_mut().zip(other.refused) {
            *sum += more;
        }
        self.since = match (self.since, other.since) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.last_at = self.last_at.max(other.last_at);
    }
}

fn grouped_by_cause(refused: &[RefusedClient]) -> Vec<Trouble<'_>> {
    let mut found: BTreeMap<(ClientId, RefusalCause), Trouble> = BTreeMap::new();
    for one in refused {
        let cause = RefusalCause::of(&one.reason);
        let trouble = Trouble {
            client: one.client_id,
            cause,
            reason: &one.reason,
            refused: one.refused,
            since: one.since,
            last_at: one.last_at,
        };
        found
            .entry((one.client_id, cause))
            .and_modify(|sum| sum.add(&trouble))
            .or_insert(trouble);
    }
    found.into_values().collect()
}

/// The row of a client's trouble; nothing where it was cured since.
fn row(
    app: &App,
    entry: &ClientEntry,
    trouble: &Trouble,
    seen: (Range, &Zone),
) -> Option<AttentionRow> {
    let now = app.clock.now();
    let problem = client_standing::problem(app, entry);
    if is_cured(app, entry, trouble, problem) {
        return None;
    }
    let client = &entry.client;
    let is_failing = trouble.cause.is_proven() && trouble.since.is_some();
    let shown = problem
        .filter(|problem| is_of(trouble.cause, *problem))
        .and_then(|_| ProblemView::of(app, entry));
    let (text, at, cure) = if let Some(shown) = shown {
        (shown.text, shown.at, shown.cure)
    } else {
        let (text, cure) = words(app, entry, trouble);
        (text, None, cure)
    };
    Some(AttentionRow {
        class: if is_failing { "bad" } else { "warn" },
        name: client.name.to_string(),
        href: clients::path(&client.id),
        lasting: trouble
            .since
            .filter(|_| at.is_none())
            .map(|since| lasting(since, now)),
        problem: text,
        at,
        refused: Some(count(trouble, now, seen)),
        last: Some(when(trouble.last_at, now)),
        cure,
        rank: (if is_failing { 3 } else { 2 }, trouble.refused.iter().sum()),
    })
}

/// Whether a cause is the one that a client's state explains.
fn is_of(cause: RefusalCause, problem: ClientProblem) -> bool {
    match problem {
        ClientProblem::Disabled => cause == RefusalCause::DisabledClient,
        ClientProblem::SecretExpired { .. } => cause == RefusalCause::ExpiredSecret,
        ClientProblem::SecretRevoked { .. } => cause == RefusalCause::RevokedSecret,
        ClientProblem::NoSecret => false,
        ClientProblem::NoGrant | ClientProblem::McpServerDeleted => matches!(
            cause,
            RefusalCause::NoGrant
                | RefusalCause::ResourceNotGranted
                | RefusalCause::ResourceRetired
        ),
        ClientProblem::NoScope => cause == RefusalCause::NoScope,
    }
}

/// Whether somebody did something about it after the last refusal.
fn is_cured(
    app: &App,
    entry: &ClientEntry,
    trouble: &Trouble,
    problem: Option<ClientProblem>,
) -> bool {
    match trouble.cause {
        RefusalCause::ExpiredSecret | RefusalCause::RevokedSecret | RefusalCause::WrongSecret => {
            client_standing::has_newer_secret(app, entry, trouble.last_at)
        }
        RefusalCause::DisabledClient => entry.client.is_enabled(),
        RefusalCause::NoGrant => !entry.grants.is_empty(),
        RefusalCause::NoScope => !matches!(
            problem,
            Some(ClientProblem::NoScope | ClientProblem::NoGrant)
        ),
        RefusalCause::ScopeNotGranted => RefusalCause::scope_in(trouble.reason)
            .and_then(|scope| scope.parse().ok())
            .is_some_and(|scope| {
                entry
                    .grants
                    .iter()
                    .any(|grant| grant.scopes.contains(&scope))
            }),
        _ => false,
    }
}

/// What is behind it, where the client's state does not say so, and what to do.
fn words(app: &App, entry: &ClientEntry, trouble: &Trouble) -> (String, Cure) {
    let client = &entry.client;
    let secrets = || {
        Cure::new(
            "Show secrets",
            format!("{}#secrets", clients::path(&client.id)),
        )
    };
    let log = || Cure::new("Investigate", log_address(trouble, None));
    let scope = RefusalCause::scope_in(trouble.reason);
    let asks = |what: &str| match scope {
        Some(scope) => format!("Asks for {scope}, {what}"),
        None => format!("Asks for a scope {what}"),
    };
    match trouble.cause {
        RefusalCause::ExpiredSecret => ("Uses a secret that expired".into(), secrets()),
        RefusalCause::RevokedSecret => ("Uses a secret that was revoked".into(), secrets()),
        RefusalCause::WrongSecret => ("Requests with a wrong secret".into(), log()),
        RefusalCause::ScopeNotGranted => (asks("which it was not granted"), Cure::scopes(client)),
        RefusalCause::UnknownScope => (
            asks("which the MCP server doesn't define"),
            Cure::scopes(client),
        ),
        RefusalCause::ResourceNotGranted => (
            "Asks for an MCP server that it has no access to".into(),
            Cure::new(
                "Change access",
                format!("{}#grants", clients::path(&client.id)),
            ),
        ),
        RefusalCause::ResourceMissing => (
            "Names no MCP server, and has no default".into(),
            Cure::new(
                "Choose a default",
                format!("{}#grants", clients::path(&client.id)),
            ),
        ),
        RefusalCause::ResourceRetired => ("Asks for a URL that was retired".into(), log()),
        RefusalCause::NoGrant => ("Has no access".into(), Cure::grant(app, client)),
        RefusalCause::NoScope => ("Has no scope there".into(), Cure::scopes(client)),
        RefusalCause::DisabledClient => (
            "It is disabled".into(),
            Cure::new("Enable", clients::path(&client.id)),
        ),
        RefusalCause::UnknownClient | RefusalCause::Malformed => {
            ("Sends malformed requests".into(), log())
        }
    }
}

/// How many, of the range or, where there are none, of the week; by the viewer's clock.
fn count(trouble: &Trouble, now: Timestamp, (range, zone): (Range, &Zone)) -> (String, String) {
    let in_range = range.of(trouble.refused);
    let (number, range) = if in_range > 0 {
        (in_range, range)
    } else {
        (Range::Week.of(trouble.refused), Range::Week)
    };
    let words = match range {
        // Clients are counted by the hour.
        Range::Hour => format!("since {}", zone.minute(hour(range.begin(now)))),
        Range::Day | Range::Week => format!("in the {}", range.words()),
    };
    let since = hour(range.begin(now));
    let text = format!("{} refused {words}", grouped(number));
    (text, log_address(trouble, Some(since)))
}

/// The hour that a time is in, by which clients are counted.
pub(super) fn hour(at: Timestamp) -> Timestamp {
    const HOUR: i64 = 60 * 60 * 1_000;
    Timestamp::from_millis(at.as_millis().div_euclid(HOUR) * HOUR)
}

fn log_address(trouble: &Trouble, since: Option<Timestamp>) -> String {
    let client = match trouble.cause {
        RefusalCause::UnknownClient => String::new(),
        _ => trouble.client.to_string(),
    };
    let since = since.map(minute).unwrap_or_default();
    address(
        "/dashboard/audit",
        &[
            ("client", &client),
            ("kind", "token.refused"),
            ("q", trouble.cause.search()),
            ("since", &since),
        ],
    )
}

/// All requests for clients that are not there, in one row: anybody can send them.
fn unknown_row(sum: &Trouble, now: Timestamp, seen: (Range, &Zone)) -> AttentionRow {
    let sum = Trouble {
        cause: RefusalCause::UnknownClient,
        reason: sum.reason,
        ..*sum
    };
    let (text, href) = count(&sum, now, seen);
    AttentionRow {
        class: "warn",
        name: "Unknown clients".into(),
        href: href.clone(),
        problem: "Requests with a client ID that was deleted or never existed".into(),
        at: None,
        lasting: None,
        refused: Some((text, href.clone())),
        last: Some(when(sum.last_at, now)),
        cure: Cure::new("Investigate", href),
        rank: (1, i64::MAX),
    }
}

/// An expired secret whose owner has no other, or one that will expire and has no successor in use.
async fn secret_row(
    app: &App,
    secret: &ClientSecret,
    now: Timestamp,
) -> Result<Option<AttentionRow>, PageError> {
    let Some(expires_at) = secret.expires_at else {
        return Ok(None);
    };
    let (name, href, others) = match secret.owner {
        SecretOwner::Client(id) => match app.directory.find_client(id).await? {
            Some(entry) if entry.client.is_enabled() => {
                let href = format!("{}#secrets", clients::path(&id));
                (entry.client.name.to_string(), href, entry.secrets.clone())
            }
            _ => return Ok(None),
        },
        SecretOwner::McpServer(id) => match app.directory.find_mcp_server(id) {
            Some(server) => {
                let others = app.store.secrets_of(secret.owner).await?;
                let href = format!("{}/settings#credentials", mcp_servers::path(&id));
                (credentials_name(&server), href, others)
            }
            None => return Ok(None),
        },
    };
    let is_expired = expires_at <= now;
    let mut successors = others
        .iter()
        .filter(|other| other.id != secret.id && other.state(now) == SecretState::Active);
    let is_replaced = if is_expired {
        successors.next().is_some()
    } else {
        successors.any(|other| {
            other.created_at > secret.created_at
                && secret
                    .last_used_at
                    .is_none_or(|used| used < other.created_at)
        })
    };
    if is_replaced {
        return Ok(None);
    }
    let text = format!("Secret …{}", secret.suffix);
    let (problem, rank) = if is_expired {
        (format!("{text}, its only one, expired"), 1)
    } else {
        (format!("{text} expires"), 0)
    };
    Ok(Some(AttentionRow {
        class: "warn",
        name,
        href: href.clone(),
        problem,
        at: Some(when(expires_at, now)),
        lasting: None,
        refused: None,
        last: None,
        cure: cure_of(secret.owner, href),
        rank: (rank, -expires_at.as_millis()),
    }))
}

fn cure_of(owner: SecretOwner, href: String) -> Cure {
    match owner {
        SecretOwner::Client(id) => {
            Cure::new("Rotate", format!("{}/secrets/rotate", clients::path(&id)))
        }
        SecretOwner::McpServer(_) => Cure::new("Replace", href),
    }
}

fn credentials_name(server: &McpServer) -> String {
    format!("{} (its credentials)", server.name)
}
