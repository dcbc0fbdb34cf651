//! Which events are wanted: the filters as a form and as an address have them.

use std::str::FromStr;
use std::time::Duration;

use jeton_core::{
    AdminId, ClientId, EventId, McpServerId, RequestId, SecretId, Timestamp, parse_time,
    search_text,
};
use jeton_store::{AuditFilter, ClientFilter, PageRequest, StoreError};
use serde::Deserialize;

use crate::app::App;
use crate::dashboard::query;
use crate::dashboard::view::address;
use crate::dashboard::zone::Zone;
use crate::dashboard::{Errors, PageError};

/// The filters, as the form sends them.
#[derive(Deserialize, Default, Clone)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditForm {
    pub(crate) q: String,
    pub(crate) kind: String,
    pub(crate) outcome: String,
    pub(crate) client: String,
    pub(crate) server: String,
    /// Who did it: the ID of an admin or a client, or `system`.
    pub(crate) actor: String,
    /// The latest minutes, hours or days, in place of `since` and `until`.
    pub(crate) within: String,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) before: String,
    pub(crate) live: Option<String>,
}

/// Spans to choose from: as addresses have them, as people say them, in seconds.
pub(super) const PRESETS: [(&str, &str, u64); 4] = [
    ("15m", "15 minutes", 15 * 60),
    ("1h", "1 hour", 60 * 60),
    ("24h", "24 hours", 24 * 60 * 60),
    ("7d", "7 days", 7 * 24 * 60 * 60),
];

const SERVER: &str = "Choose an MCP server, or give its ID: res_…";
const CLIENT: &str = "Enter a client's ID: m2m_…. To find one by name, use the search.";
const ACTOR: &str = "Enter the ID of an admin (adm_…) or a client (m2m_…), or system.";
/// So many clients of a name are looked for.
const NAMED: u32 = 20;
/// A request and its events are of about the same time.
const NEAR: Duration = Duration::from_secs(10 * 60);

fn chosen<T: FromStr>(
    text: &str,
    (field, expected): (&str, &str),
    errors: &mut Errors,
) -> Option<T> {
    let text = text.trim();
    let chosen = (!text.is_empty()).then(|| text.parse().map_err(|_| expected));
    chosen.and_then(|chosen| errors.take(field, chosen))
}

impl AuditForm {
    /// The events that match, newest first; where anything cannot be read, none.
    pub(super) async fn filter(
        &self,
        app: &App,
        zone: &Zone,
        errors: &mut Errors,
    ) -> Result<AuditFilter, PageError> {
        let now = app.clock.now();
        let kind = ("kind", "There is no such kind of event.");
        let outcome = ("outcome", "Choose success or refused.");
        let mut filter = AuditFilter {
            kind: chosen(&self.kind, kind, errors),
            outcome: chosen(&self.outcome, outcome, errors),
            mcp_server_id: chosen(&self.server, ("server", SERVER), errors),
            client_id: chosen(&self.client, ("client", CLIENT), errors),
            actor: self.actor(errors),
            since: self.begin(now, zone, errors),
            until: self.time("until", now, zone, errors),
            text: errors.take("q", query::search_text(&self.q)).flatten(),
            ..AuditFilter::default()
        };
        self.look_up(app, &mut filter).await?;
        Ok(filter)
    }

    /// An ID leads to its events by an index where there is one; a name to those that show it.
    async fn look_up(&self, app: &App, filter: &mut AuditFilter) -> Result<(), StoreError> {
        let Some(text) = filter.text.clone() else {
            return Ok(());
        };
        if text.starts_with("tok_") {
            filter.jti = filter.text.take();
        } else if let Ok(id) = text.parse::<ClientId>() {
            let is_other = filter.client_id.is_some_and(|chosen| chosen != id);
            if !is_other {
                filter.client_id = Some(id);
                filter.text = None;
            }
        } else if let Ok(id) = text.parse::<SecretId>() {
            // Its text is in its events; whose it is leads to them.
            let secret = app.store.find_secret(id).await?;
            if let Some(jeton_core::SecretOwner::Client(owner)) = secret.map(|secret| secret.owner)
                && filter.client_id.is_none()
            {
                filter.client_id = Some(owner);
            }
        } else if let Ok(id) = text.parse::<RequestId>() {
            filter.request_id = filter.text.take();
            around(filter, id.made_at());
        } else if let Ok(id) = text.parse::<EventId>() {
            around(filter, id.made_at());
        } else if text.parse::<McpServerId>().is_err() {
            filter.named = named(app, &text).await?;
        }
        Ok(())
    }

    fn actor(&self, errors: &mut Errors) -> Option<String> {
        let text = self.actor.trim();
        let is_actor = ["system", "anonymous"].contains(&text)
            || text.parse::<AdminId>().is_ok()
            || text.parse::<ClientId>().is_ok()
            || text.parse::<McpServerId>().is_ok();
        let chosen = (!text.is_empty()).then(|| is_actor.then(|| text.to_owned()).ok_or(ACTOR));
        chosen.and_then(|chosen| errors.take("actor", chosen))
    }

    fn begin(&self, now: Timestamp, zone: &Zone, errors: &mut Errors) -> Option<Timestamp> {
        if self.within.is_empty() {
            return self.time("since", now, zone, errors);
        }
        if !(self.since.is_empty() && self.until.is_empty()) {
            errors.add("within", "Choose a span or times, not both.");
            return None;
        }
        let preset = PRESETS.iter().find(|(within, ..)| *within == self.within);
        let preset = preset.ok_or("Choose one of the spans offered.");
        let (.., seconds) = errors.take("within", preset)?;
        Some(now.minus(Duration::from_secs(*seconds)))
    }

    /// A time as the browser's field gives it, by the viewer's clock (`2026-01-31T12:00`), or as a person or a link
    /// writes it.
    pub(super) fn time(
        &self,
        field: &str,
        now: Timestamp,
        zone: &Zone,
        errors: &mut Errors,
    ) -> Option<Timestamp> {
        let text = match field {
            "since" => self.since.trim(),
            _ => self.until.trim(),
        };
        if text.is_empty() {
            return None;
        }
        if let Ok(instant) = text.parse() {
            return Some(instant);
        }
        let told = errors.take(field, parse_time(text, now))?;
        // A date without a zone; a duration has no hyphen.
        Some(if text.contains('-') {
            zone.instant(told)
        } else {
            told
        })
    }

    /// As an address has them. Times are those of everybody's clocks there, so that a link means the same to all.
    pub(super) fn query(&self) -> String {
        address(
            "",
            &[
                ("q", self.q.trim()),
                ("kind", &self.kind),
                ("outcome", &self.outcome),
                ("client", self.client.trim()),
                ("server", &self.server),
                ("actor", self.actor.trim()),
                ("within", &self.within),
                ("since", &self.since),
                ("until", &self.until),
                ("before", &self.before),
                ("live", self.live.as_deref().unwrap_or("")),
            ],
        )
    }

    /// The page of events that a changed filter finds, from its beginning.
    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut form = Self {
            before: String::new(),
            live: None,
            ..self.clone()
        };
        change(&mut form);
        format!("/dashboard/audit{}", form.query())
    }

    /// Whether any event is left out.
    pub(super) fn narrows(&self) -> bool {
        [
            &self.q,
            &self.kind,
            &self.outcome,
            &self.client,
            &self.server,
            &self.actor,
            &self.within,
            &self.since,
            &self.until,
        ]
        .iter()
        .any(|text| !text.trim().is_empty())
    }
}

/// An ID says when it was made: what it is about happened then.
fn around(filter: &mut AuditFilter, made_at: Timestamp) {
    let (begin, end) = (made_at.minus(NEAR), made_at.plus(NEAR));
    filter.since = Some(filter.since.map_or(begin, |since| since.max(begin)));
    filter.until = Some(filter.until.map_or(end, |until| until.min(end)));
}

/// The IDs of the clients, MCP servers and admins whose names hold a text.
async fn named(app: &App, text: &str) -> Result<Vec<String>, StoreError> {
    let folded = search_text(text);
    let holds = |name: &str| search_text(name).contains(&folded);
    let filter = ClientFilter {
        text: Some(text.to_owned()),
        ..ClientFilter::default()
    };
    let page = PageRequest {
        after: None,
        limit: NAMED,
    };
    let clients = app.store.clients(&filter, page).await?.items;
    let clients = clients.iter().filter(|client| holds(client.name.as_str()));
    let mut named: Vec<_> = clients.map(|client| client.id.to_string()).collect();
    let servers = app.directory.mcp_servers();
    let servers = servers.iter().filter(|server| holds(server.name.as_str()));
    named.extend(servers.map(|server| server.id.to_string()).take(50));
    let admins = app.store.admins().await?;
    let admins = admins
        .iter()
        .filter(|admin| holds(admin.name.as_str()) || holds(admin.email.as_str()));
    named.extend(admins.map(|admin| admin.id.to_string()).take(50));
    Ok(named)
}
