//! The first page: how things are, and what needs looking after.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{
    Client, ClientId, ClientSecret, KeyState, SecretOwner, SigningAlgorithm, Timestamp,
};
use jeton_store::{StoredKey, TokenCount};
use serde::Deserialize;

use super::chart::{self, Range};
use super::format::{When, grouped, grouped_count, when};
use super::{Nav, Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::app::App;
use crate::service::statistics;

/// Secrets that expire within this are worth a look.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    page: Page,
    no_servers: bool,
    no_clients: bool,
    issued: String,
    refused: String,
    range_words: &'static str,
    servers: String,
    clients: String,
    ranges: Vec<(String, &'static str, bool)>,
    chart: String,
    busiest: Vec<BusyClient>,
    expiring: Vec<ExpiringSecret>,
    unused: Vec<UnusedClient>,
    keys: Vec<KeyView>,
    started: When,
    database: &'static str,
    database_ok: bool,
    jeton_version: &'static str,
}

struct BusyClient {
    id: String,
    name: String,
    issued: String,
    refused: Option<String>,
}

struct ExpiringSecret {
    href: String,
    name: String,
    suffix: String,
    expires: When,
}

struct UnusedClient {
    id: String,
    name: String,
    created: When,
}

struct KeyView {
    algorithm: SigningAlgorithm,
    due: bool,
    since: Option<When>,
}

/// How far back the chart looks.
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
    let counts = app
        .store
        .tokens_by_span(range.begin(now), range.minutes())
        .await?;
    let servers = app.directory.mcp_servers().len();
    let clients = app.store.count_clients(None).await?;
    // The admin API's own first client is there from the start.
    let admin_clients = app.store.count_clients(Some(app.admin_api.id)).await?;
    let sum = |of: fn(&TokenCount) -> i64| grouped(counts.iter().map(|(_, count)| of(count)).sum());
    let outstanding = statistics::outstanding_clients(&app).await?;
    let page = OverviewPage {
        page: Page::new(&signed_in, Nav::Overview, "Overview"),
        no_servers: servers == 0,
        no_clients: servers > 0 && clients <= admin_clients,
        issued: sum(|count| count.issued),
        refused: sum(|count| count.refused),
        range_words: range.words(),
        servers: grouped(i64::try_from(servers).unwrap_or(i64::MAX)),
        clients: grouped(clients),
        ranges: Range::ALL
            .into_iter()
            .map(|one| {
                let href = format!("/dashboard?range={}", one.as_str());
                (href, one.name(), one == range)
            })
            .collect(),
        chart: chart::svg(range, now, &counts),
        busiest: busiest(&app, &outstanding.busiest).await?,
        expiring: expiring(&app, now).await?,
        unused: unused(&outstanding.never_used, now),
        keys: keys(&app.store.signing_keys().await?, app.key_rotation, now),
        started: when(app.started_at, now),
        database: app.store.database_name(),
        database_ok: app.store.ping().await.is_ok(),
        jeton_version: env!("CARGO_PKG_VERSION"),
    };
    html(StatusCode::OK, &page)
}

async fn busiest(
    app: &App,
    clients: &[(ClientId, TokenCount)],
) -> Result<Vec<BusyClient>, PageError> {
    let mut busy = Vec::new();
    for (id, count) in clients {
        // One that is deleted is not worth a line.
        if let Some(entry) = app.directory.find_client(*id).await? {
            busy.push(BusyClient {
                id: id.to_string(),
                name: entry.client.name.to_string(),
                issued: grouped_count(count.issued, "token"),
                refused: (count.refused > 0).then(|| grouped(count.refused)),
            });
        }
    }
    Ok(busy)
}

async fn expiring(app: &App, now: Timestamp) -> Result<Vec<ExpiringSecret>, PageError> {
    let mut secrets = Vec::new();
    for secret in app.store.secrets_expiring(now, now.plus(SOON), 8).await? {
        let Some((href, name)) = owner(app, &secret).await? else {
            continue;
        };
        if let Some(expires_at) = secret.expires_at {
            secrets.push(ExpiringSecret {
                href,
                name,
                suffix: secret.suffix,
                expires: when(expires_at, now),
            });
        }
    }
    Ok(secrets)
}

async fn owner(app: &App, secret: &ClientSecret) -> Result<Option<(String, String)>, PageError> {
    Ok(match secret.owner {
        SecretOwner::Client(id) => app.directory.find_client(id).await?.map(|entry| {
            (
                format!("/dashboard/clients/{id}#secrets"),
                entry.client.name.to_string(),
            )
        }),
        SecretOwner::McpServer(id) => app.directory.find_mcp_server(id).map(|server| {
            (
                format!("/dashboard/mcp-servers/{id}/settings#credentials"),
                server.name.to_string(),
            )
        }),
    })
}

fn unused(clients: &[Client], now: Timestamp) -> Vec<UnusedClient> {
    clients
        .iter()
        .map(|client| UnusedClient {
            id: client.id.to_string(),
            name: client.name.to_string(),
            created: when(client.created_at, now),
        })
        .collect()
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
            since: key.activated_at.map(|at| when(at, now)),
        })
        .collect()
}
