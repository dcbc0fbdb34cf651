//! The first page: what is broken, and how things are.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{Client, KeyState, SigningAlgorithm, Timestamp};
use jeton_store::{StoredKey, TokenCount};
use serde::Deserialize;

use super::attention::{Attention, hour};
use super::chart::{self, Chart, Span};
use super::format::{When, grouped, grouped_count, lasting, when};
use super::view::address;
use super::zone::Zone;
use super::{Nav, Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::app::App;
use crate::service::notable_clients::{self, Refused};
use crate::service::range::Range;
use crate::service::refusal_cause::RefusalCause;
use crate::service::statistics;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    page: Page,
    /// The range's name in the address, by which the script knows a page of another range.
    range: Range,
    ranges: Vec<(String, &'static str, bool)>,
    updated: When,
    /// The same by the viewer's clock.
    updated_at: String,
    no_servers: bool,
    no_clients: bool,
    attention: Attention,
    tiles: Vec<Tile>,
    chart: Chart,
    reasons: Vec<ReasonTotal>,
    busiest: Option<Vec<BusyClient>>,
    busiest_since: String,
    unused: Vec<UnusedClient>,
    keys: Vec<KeyView>,
    started: When,
    database: &'static str,
    database_ok: bool,
    jeton_version: &'static str,
}

/// A number, and how it compares.
struct Tile {
    label: String,
    value: String,
    href: Option<String>,
    note: String,
}

/// How many were refused for a reason.
struct ReasonTotal {
    words: &'static str,
    count: String,
    href: String,
}

struct BusyClient {
    id: String,
    name: String,
    issued: String,
    refused: Option<String>,
}

struct UnusedClient {
    id: String,
    name: String,
    created: When,
}

struct KeyView {
    algorithm: SigningAlgorithm,
    due: bool,
    signing: Option<When>,
}

/// How far back the page looks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverviewQuery {
    range: Option<String>,
}

/// `/dashboard`
pub(crate) async fn overview(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    PageQuery(query): PageQuery<OverviewQuery>,
) -> PageResult {
    statistics::catch_up(&app).await?;
    let now = app.clock.now();
    let range = Range::parse(query.range.as_deref()).ok_or(PageError::Refused(
        StatusCode::BAD_REQUEST,
        "The range is hour, day or week.",
    ))?;
    let refused = notable_clients::refused(&app).await?;
    let attention = Attention::find(&app, &refused.clients, (range, &signed_in.zone)).await?;
    let zone = &signed_in.zone;
    let counted = Counted::read(&app, range, (now, zone)).await?;
    let servers = app.directory.mcp_servers().len();
    let clients = app.store.count_clients(None).await?;
    // The admin API's own first client is there from the start.
    let admin_clients = app.store.count_clients(Some(app.admin_api.id)).await?;
    let clients = (clients - admin_clients).max(0);
    let tiles = tiles(
        range,
        now,
        &counted,
        [attention.failing, servers, size(clients)],
    );
    let page = OverviewPage {
        page: Page::new(&signed_in, Nav::Overview, "Overview"),
        range,
        ranges: ranges(range),
        updated: when(now, now),
        updated_at: zone.minute(now),
        no_servers: servers == 0,
        no_clients: servers > 0 && clients == 0,
        attention,
        tiles,
        chart: chart::chart(counted.span, &counted.bars, zone),
        reasons: reasons(&refused, range, (now, counted.now.refused)),
        busiest: busiest(&app, range).await?,
        busiest_since: busiest_since(range, now, zone),
        unused: unused(&app, &notable_clients::never_used(&app).await?, now).await?,
        keys: keys(&app.store.signing_keys().await?, app.key_rotation, now),
        started: lasting(app.started_at, now),
        database: app.store.database_name(),
        database_ok: app.store.ping().await.is_ok(),
        jeton_version: env!("CARGO_PKG_VERSION"),
    };
    html(StatusCode::OK, &page)
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn ranges(here: Range) -> Vec<(String, &'static str, bool)> {
    Range::ALL
        .into_iter()
        .map(|range| {
            let href = format!("/dashboard?range={}", range.as_str());
            (href, range.name(), range == here)
        })
        .collect()
}

/// Tokens of a range, and of the time before it where anything was counted then.
struct Counted {
    span: Span,
    bars: Vec<(Timestamp, TokenCount)>,
    now: TokenCount,
    before: Option<TokenCount>,
}

impl Counted {
    async fn read(
        app: &App,
        range: Range,
        (now, zone): (Timestamp, &Zone),
    ) -> Result<Self, PageError> {
        let first = app.store.first_token_minute().await?;
        let span = Span::of(range, now, first, zone);
        let bars = app.store.tokens_by_span(span.begin, span.minutes).await?;
        // The first bar may begin a little earlier than the range.
        let begin = range.begin(now);
        let end = now.plus(Duration::from_secs(60));
        let sum = app.store.tokens_between(begin, end).await?;
        let before = match first {
            Some(first) if first < begin => {
                let length = range.length();
                let until = now.minus(length);
                let tokens = app.store.tokens_between(begin.minus(length), until).await?;
                Some(tokens)
            }
            _ => None,
        };
        Ok(Self {
            span,
            bars,
            now: sum,
            before,
        })
    }
}

fn tiles(
    range: Range,
    now: Timestamp,
    counted: &Counted,
    [failing, servers, clients]: [usize; 3],
) -> Vec<Tile> {
    let log = |kind: &str| {
        let since = chart::minute(range.begin(now));
        Some(address(
            "/dashboard/audit",
            &[("kind", kind), ("since", &since)],
        ))
    };
    let before = |of: fn(&TokenCount) -> i64| counted.before.as_ref().map(of);
    let note = |of: fn(&TokenCount) -> i64| match before(of) {
        Some(before) => change(of(&counted.now), before, range),
        None => String::new(),
    };
    vec![
        Tile {
            label: "Tokens issued".into(),
            value: grouped(counted.now.issued),
            href: log("token.issued"),
            note: note(|count| count.issued),
        },
        Tile {
            label: "Requests refused".into(),
            value: grouped(counted.now.refused),
            href: log("token.refused"),
            note: note(|count| count.refused),
        },
        Tile {
            label: "Refusal rate".into(),
            value: rate(counted.now),
            href: None,
            note: match counted
                .before
                .filter(|count| count.issued + count.refused > 0)
            {
                Some(before) => format!("{} {}", rate(before), range.words_before()),
                None => String::new(),
            },
        },
        Tile {
            label: "Clients".into(),
            value: grouped(i64::try_from(clients).unwrap_or(i64::MAX)),
            href: Some("/dashboard/clients".into()),
            note: if failing > 0 {
                format!("{failing} can't get tokens")
            } else {
                format!("on {}", counted_servers(servers))
            },
        },
    ]
}

fn counted_servers(servers: usize) -> String {
    grouped_count(i64::try_from(servers).unwrap_or(i64::MAX), "MCP server")
}

/// `12% more than the day before`
fn change(now: i64, before: i64, range: Range) -> String {
    let words = range.words_before();
    if before == 0 {
        return format!("none {words}");
    }
    let percent = (now - before).saturating_mul(100) / before;
    match percent {
        0 => format!("as many as {words}"),
        1..=999 => format!("{percent}% more than {words}"),
        1_000.. => format!("{} {words}", grouped(before)),
        _ => format!("{}% fewer than {words}", -percent),
    }
}

/// The part of the requests that were refused: `4.2%`.
fn rate(count: TokenCount) -> String {
    let all = count.issued + count.refused;
    if all == 0 {
        return "–".into();
    }
    let permille = (count.refused.saturating_mul(1_000) + all / 2) / all;
    if permille == 0 && count.refused > 0 {
        return "under 0.1%".into();
    }
    format!("{}.{}%", permille / 10, permille % 10)
}

/// What requests were refused for, the most frequent first; `all` includes those of nobody that is known.
fn reasons(refused: &Refused, range: Range, (now, all): (Timestamp, i64)) -> Vec<ReasonTotal> {
    let mut totals: Vec<(RefusalCause, i64)> = Vec::new();
    for (reason, counts) in &refused.reasons {
        let (cause, number) = (RefusalCause::of(reason), range.of(*counts));
        match totals.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, sum)) => *sum += number,
            None => totals.push((cause, number)),
        }
    }
    let known: i64 = totals.iter().map(|(_, number)| number).sum();
    let since = chart::minute(range.begin(now));
    let total = |words, number, search: &str| ReasonTotal {
        words,
        count: grouped(number),
        href: address(
            "/dashboard/audit",
            &[("kind", "token.refused"), ("q", search), ("since", &since)],
        ),
    };
    totals.retain(|(_, number)| *number > 0);
    totals.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let mut reasons: Vec<_> = totals
        .iter()
        .map(|(cause, number)| total(cause.words(), *number, cause.search()))
        .collect();
    if range != Range::Hour && all > known {
        reasons.push(total("without a client ID", all - known, ""));
    }
    reasons
}

async fn busiest(app: &App, range: Range) -> Result<Option<Vec<BusyClient>>, PageError> {
    let Some(clients) = notable_clients::busiest(app, range).await? else {
        return Ok(None);
    };
    let mut busy = Vec::new();
    for (id, count) in clients {
        // One that is deleted is not worth a line.
        if let Some(entry) = app.directory.find_client(id).await? {
            busy.push(BusyClient {
                id: id.to_string(),
                name: entry.client.name.to_string(),
                issued: grouped_count(count.issued, "token"),
                refused: (count.refused > 0).then(|| grouped(count.refused)),
            });
        }
    }
    Ok(Some(busy))
}

/// Clients are counted by the hour.
fn busiest_since(range: Range, now: Timestamp, zone: &Zone) -> String {
    match range {
        Range::Hour => format!("since {}", zone.minute(hour(range.begin(now)))),
        Range::Day | Range::Week => format!("in the {}", range.words()),
    }
}

/// Those with access to the admin API alone are not agents.
async fn unused(
    app: &App,
    clients: &[Client],
    now: Timestamp,
) -> Result<Vec<UnusedClient>, PageError> {
    let mut unused = Vec::new();
    for client in clients {
        let entry = app.directory.find_client(client.id).await?;
        let is_admin = entry.is_some_and(|entry| {
            let mut grants = entry.grants.iter().map(|grant| grant.mcp_server_id);
            !entry.grants.is_empty() && grants.all(|id| id == app.admin_api.id)
        });
        if !is_admin {
            unused.push(UnusedClient {
                id: client.id.to_string(),
                name: client.name.to_string(),
                created: when(client.created_at, now),
            });
        }
    }
    Ok(unused)
}

/// A key is due once it has signed for longer than the configured interval.
fn keys(keys: &[StoredKey], rotation: Option<Duration>, now: Timestamp) -> Vec<KeyView> {
    keys.iter()
        .filter(|key| key.state == KeyState::Active)
        .map(|key| KeyView {
            algorithm: key.algorithm,
            due: key
                .activated_at
                .zip(rotation)
                .is_some_and(|(at, rotation)| now.since(at) > rotation),
            signing: key.activated_at.map(|at| lasting(at, now)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_changes_read_as_people_say_them() {
        let of = |issued, refused| rate(TokenCount { issued, refused });
        assert_eq!(of(0, 0), "–");
        assert_eq!(of(100, 0), "0.0%");
        assert_eq!(of(58, 42), "42.0%");
        assert_eq!(of(10_000, 1), "under 0.1%");
        assert_eq!(change(112, 100, Range::Day), "12% more than the day before");
        assert_eq!(
            change(88, 100, Range::Week),
            "12% fewer than the week before"
        );
        assert_eq!(change(100, 100, Range::Hour), "as many as the hour before");
        assert_eq!(change(5, 0, Range::Day), "none the day before");
        assert_eq!(change(5_000, 2, Range::Day), "2 the day before");
    }
}
