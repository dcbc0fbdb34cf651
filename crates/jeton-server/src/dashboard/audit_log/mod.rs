//! The audit log: searching it, one event, exporting it.

mod event;
mod export;
mod filter;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{AuditKind, ClientId, McpServerId, Outcome, Timestamp, counted};
use jeton_store::{AuditFilter, AuditSearch, StoreError};

use super::events::{EventDay, Names, event_days};
use super::format::{grouped, grouped_count};
use super::query::switch;
use super::view::{Named, ROWS};
use super::words::{kind_group, kind_words};
use super::zone::Zone;
use super::{Errors, Nav, Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::app::App;

pub(crate) use event::event;
pub(crate) use export::{export_csv, export_json_lines};
use filter::{AuditForm, PRESETS};

/// Matches are counted up to here.
const MOST_COUNTED: u32 = 1_000;
/// So many clients of a name are looked up by index.
const MOST_NAMED: usize = 5;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    page: Page,
    /// How many days events are kept, where they are not kept indefinitely.
    kept_days: Option<String>,
    form: AuditForm,
    /// `since` and `until` as the browser's fields show them.
    since_field: String,
    until_field: String,
    errors: Errors,
    kinds: Vec<KindGroup>,
    servers: Vec<Named>,
    presets: Vec<Link>,
    /// The same, for the form.
    spans: [(&'static str, &'static str); 4],
    chips: Vec<Link>,
    /// What the text is the name of.
    named: Vec<Link>,
    count: Option<String>,
    days: Vec<EventDay>,
    older: Option<String>,
    narrows: bool,
    live: bool,
    live_href: String,
    export_query: String,
}

/// Kinds that are listed together.
struct KindGroup {
    name: &'static str,
    kinds: Vec<(&'static str, &'static str)>,
}

/// Somewhere to go.
struct Link {
    href: String,
    text: String,
    here: bool,
}

impl Link {
    fn new(href: String, text: impl Into<String>) -> Self {
        Self {
            href,
            text: text.into(),
            here: false,
        }
    }
}

/// `/dashboard/audit`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PageQuery(form): PageQuery<AuditForm>,
    signed_in: SignedIn,
) -> PageResult {
    let (mut errors, zone) = (Errors::default(), &signed_in.zone);
    let filter = form.filter(&app, zone, &mut errors).await?;
    let before = match form.before.as_str() {
        "" => None,
        before => errors.take(
            "before",
            before.parse::<i64>().map_err(|_| "Not a place in the log."),
        ),
    };
    let live = switch("live", form.live.as_deref())? && before.is_none();
    let (status, found) = if errors.is_empty() {
        let wants_count = before.is_none() && !live;
        let found = search(&app, (&form, &filter), before, wants_count).await?;
        (StatusCode::OK, found)
    } else {
        (StatusCode::BAD_REQUEST, Found::default())
    };
    let (chips, named) = (
        chips(&app, &form, &filter, zone).await?,
        named(&app, &form, &filter).await?,
    );
    let field = |time: Option<_>| time.map_or_else(String::new, |at| zone.field(at));
    let since = filter.since.filter(|_| form.within.is_empty());
    let page = AuditPage {
        page: Page::new(&signed_in, Nav::AuditLog, "Audit log"),
        kept_days: kept_days(&app),
        since_field: field(since),
        until_field: field(filter.until),
        kinds: kinds(),
        servers: servers(&app),
        presets: presets(&form),
        spans: PRESETS.map(|(name, words, _)| (name, words)),
        chips,
        named,
        count: found.count,
        days: event_days(&app, zone, found.search.events).await?,
        older: found.search.next.map(|seq| {
            form.with(|form| {
                form.before = seq.to_string();
            })
        }),
        narrows: form.narrows(),
        live,
        live_href: form.with(|form| form.live = (!live).then(|| "yes".to_owned())),
        export_query: form
            .with(|_| ())
            .trim_start_matches("/dashboard/audit")
            .to_owned(),
        errors,
        form,
    };
    html(status, &page)
}

fn kept_days(app: &App) -> Option<String> {
    let days = app.audit_retention?.as_secs() / 86_400;
    Some(counted(days, "day"))
}

fn servers(app: &App) -> Vec<Named> {
    let servers = app.directory.mcp_servers();
    servers.iter().map(|server| Named::server(server)).collect()
}

/// What a page shows.
#[derive(Default)]
struct Found {
    search: AuditSearch,
    count: Option<String>,
}

async fn search(
    app: &App,
    (form, filter): (&AuditForm, &AuditFilter),
    before: Option<i64>,
    wants_count: bool,
) -> Result<Found, StoreError> {
    let narrows = form.narrows();
    let limit = if wants_count && narrows {
        MOST_COUNTED + 1
    } else {
        ROWS
    };
    let mut search = app.store.search_audit(filter, before, limit).await?;
    let count = match (wants_count, narrows) {
        (false, _) => None,
        (true, false) => Some(grouped_count(app.store.audit_size().await?, "event")),
        (true, true) => Some(matches(&search)),
    };
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    if search.events.len() > rows {
        search.events.truncate(rows);
        search.next = search.events.last().map(|event| event.seq);
    }
    // Whoever was quiet for long is found by index, wherever in the log that is.
    if search.events.is_empty()
        && search.next.is_some()
        && let Some(found) = of_named_clients(app, filter, before).await?
    {
        search = found;
    }
    Ok(Found { search, count })
}

/// How many match, as far as that was found out.
fn matches(search: &AuditSearch) -> String {
    let count = i64::try_from(search.events.len()).unwrap_or(i64::MAX);
    if count > i64::from(MOST_COUNTED) {
        return format!("{}+ events match", grouped(i64::from(MOST_COUNTED)));
    }
    match (search.next.is_none(), count) {
        (true, 1) => "1 event matches".to_owned(),
        (true, _) => format!("{} match", grouped_count(count, "event")),
        (false, _) => format!(
            "{} among the latest events; older ones were not searched",
            match count {
                0 => "No match".to_owned(),
                1 => "1 match".to_owned(),
                _ => format!("{} matches", grouped(count)),
            }
        ),
    }
}

/// Events of the clients whose names hold the text.
async fn of_named_clients(
    app: &App,
    filter: &AuditFilter,
    before: Option<i64>,
) -> Result<Option<AuditSearch>, StoreError> {
    let clients = filter.named.iter().filter_map(|id| id.parse().ok());
    let clients: Vec<ClientId> = clients.take(MOST_NAMED).collect();
    if clients.is_empty() || filter.client_id.is_some() {
        return Ok(None);
    }
    let (mut events, mut from) = (Vec::new(), None);
    for id in clients {
        let of_client = AuditFilter {
            client_id: Some(id),
            text: None,
            named: Vec::new(),
            ..filter.clone()
        };
        let mut found = app.store.search_audit(&of_client, before, ROWS).await?;
        events.append(&mut found.events);
        // Where one is not searched further, the others are not shown further.
        from = from.max(found.next);
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.seq));
    events.retain(|event| from.is_none_or(|from| event.seq >= from));
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    if events.len() > rows {
        events.truncate(rows);
        from = events.last().map(|event| event.seq);
    }
    Ok((!events.is_empty()).then_some(AuditSearch { events, next: from }))
}

fn kinds() -> Vec<KindGroup> {
    let mut groups: Vec<KindGroup> = Vec::new();
    for kind in AuditKind::ALL {
        let (name, entry) = (kind_group(*kind), (kind.as_str(), kind_words(*kind)));
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.kinds.push(entry),
            None => groups.push(KindGroup {
                name,
                kinds: vec![entry],
            }),
        }
    }
    groups
}

fn presets(form: &AuditForm) -> Vec<Link> {
    let within = |within: &str, text: &str| Link {
        href: form.with(|form| {
            within.clone_into(&mut form.within);
            form.since.clear();
            form.until.clear();
        }),
        text: text.to_owned(),
        here: form.within == within && form.since.is_empty() && form.until.is_empty(),
    };
    let mut presets = vec![within("", "Any time")];
    let spans = PRESETS.iter();
    presets.extend(spans.map(|(name, words, _)| within(name, words)));
    presets
}

/// The filters in words, each with the address of the page without it.
async fn chips(
    app: &App,
    form: &AuditForm,
    filter: &AuditFilter,
    zone: &Zone,
) -> Result<Vec<Link>, StoreError> {
    let mut chips = Vec::new();
    if !form.q.trim().is_empty() {
        let text = format!("“{}”", form.q.trim());
        chips.push(Link::new(form.with(|form| form.q.clear()), text));
    }
    if let Some(kind) = filter.kind {
        let href = form.with(|form| form.kind.clear());
        chips.push(Link::new(href, kind_words(kind)));
    }
    if let Some(outcome) = filter.outcome {
        let words = match outcome {
            Outcome::Success => "Succeeded",
            Outcome::Refused => "Refused",
        };
        let href = form.with(|form| form.outcome.clear());
        chips.push(Link::new(href, words));
    }
    let mut names = Names::new(app);
    if let Ok(id) = form.client.trim().parse() {
        let client = names.client(id, None).await?;
        let href = form.with(|form| form.client.clear());
        chips.push(Link::new(href, format!("Client: {}", client.text)));
    }
    if let Ok(id) = form.server.trim().parse() {
        let server = names.server(id, None);
        let href = form.with(|form| form.server.clear());
        chips.push(Link::new(href, format!("MCP server: {}", server.text)));
    }
    if let Some(actor) = &filter.actor {
        let href = form.with(|form| form.actor.clear());
        chips.push(Link::new(
            href,
            format!("By: {}", names.actor(actor).await?),
        ));
    }
    let preset = PRESETS.iter().find(|(within, ..)| *within == form.within);
    if let Some((_, words, _)) = preset {
        let href = form.with(|form| form.within.clear());
        chips.push(Link::new(href, format!("Last {words}")));
    }
    if !form.since.trim().is_empty() {
        let href = form.with(|form| form.since.clear());
        chips.push(Link::new(href, format!("From {}", told(&form.since, zone))));
    }
    if !form.until.trim().is_empty() {
        let href = form.with(|form| form.until.clear());
        chips.push(Link::new(
            href,
            format!("Until {}", told(&form.until, zone)),
        ));
    }
    Ok(chips)
}

/// A time as it was entered; one of a link, by the viewer's clock.
fn told(text: &str, zone: &Zone) -> String {
    let text = text.trim();
    let at = text.parse::<Timestamp>();
    at.map_or_else(|_| text.to_owned(), |at| zone.date_time(at))
}

/// Where the text is a name: only that one's events.
async fn named(app: &App, form: &AuditForm, filter: &AuditFilter) -> Result<Vec<Link>, PageError> {
    let mut names = Names::new(app);
    let mut links = Vec::new();
    for id in filter.named.iter().take(MOST_NAMED) {
        if let Ok(client) = id.parse::<ClientId>() {
            let about = names.client(client, None).await?;
            let href = form.with(|form| {
                form.q.clear();
                form.client.clone_from(id);
            });
            links.push(Link::new(href, format!("client {}", about.text)));
        } else if let Ok(server) = id.parse::<McpServerId>() {
            let about = names.server(server, None);
            let href = form.with(|form| {
                form.q.clear();
                form.server.clone_from(id);
            });
            links.push(Link::new(href, format!("MCP server {}", about.text)));
        }
    }
    Ok(links)
}
