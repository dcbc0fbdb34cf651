//! Events as pages list them: by day, one line each, with names and words; what repeats is one line.

use std::collections::HashMap;
use std::time::Duration;

use jeton_core::{AdminId, AuditEvent, AuditKind, ClientId, McpServerId, Outcome, Timestamp};
use jeton_store::{RecordedEvent, StoreError};
use serde_json::Value;

use super::format::{When, when};
use super::words::{kind_words, reason_words};
use super::zone::Zone;
use crate::app::App;

/// Events of one kind about the same are one line if each follows the one before by less than this.
const TOGETHER: Duration = Duration::from_secs(10 * 60);

/// An event as the pages list it.
#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) seq: i64,
    pub(crate) at: When,
    /// By the viewer's clock.
    pub(crate) time: String,
    /// In words.
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) refused: bool,
    /// In words.
    pub(crate) reason: Option<String>,
    pub(crate) reason_code: Option<String>,
    /// How many it stands for itself, where refusals were counted.
    count: u64,
    pub(crate) about: Vec<About>,
    pub(crate) scope: Option<String>,
    pub(crate) actor: String,
    pub(crate) source: Option<String>,
    moment: Timestamp,
    repeats: bool,
}

fn times(count: u64) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!("×{count}"),
    }
}

impl EventRow {
    /// How many it stands for itself, where that is more than one.
    pub(crate) fn times(&self) -> String {
        times(self.count)
    }

    /// Whether both say the same but for the time.
    fn is_like(&self, other: &Self) -> bool {
        self.repeats
            && self.code == other.code
            && self.reason == other.reason
            && self.about == other.about
            && self.scope == other.scope
            && self.actor == other.actor
            && self.source == other.source
    }
}

/// Something that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) text: String,
    pub(crate) href: Option<String>,
}

impl About {
    pub(crate) fn new(text: impl Into<String>, href: Option<String>) -> Self {
        let text = text.into();
        Self { text, href }
    }
}

/// An event, and those before it that say the same.
#[derive(Debug)]
pub(crate) struct EventGroup {
    /// The newest.
    pub(crate) first: EventRow,
    /// Newest first.
    pub(crate) others: Vec<EventRow>,
}

impl EventGroup {
    /// How often it happened, where that is more than once.
    pub(crate) fn times(&self) -> String {
        times(self.first.count + self.others.iter().map(|event| event.count).sum::<u64>())
    }

    /// The oldest.
    pub(crate) fn last(&self) -> &EventRow {
        self.others.last().unwrap_or(&self.first)
    }
}

/// The events of a day.
#[derive(Debug)]
pub(crate) struct EventDay {
    begin: Timestamp,
    pub(crate) name: String,
    pub(crate) groups: Vec<EventGroup>,
}

/// Events, newest first, by day, with the names of what they are about; of what is deleted, the ID.
pub(crate) async fn event_days(
    app: &App,
    zone: &Zone,
    events: Vec<RecordedEvent>,
) -> Result<Vec<EventDay>, StoreError> {
    let mut names = Names::new(app);
    let mut days: Vec<EventDay> = Vec::new();
    for recorded in events {
        let row = row(&mut names, zone, recorded).await?;
        let begin = zone.midnight(row.moment);
        match days.last_mut() {
            Some(day) if day.begin == begin => add(&mut day.groups, row),
            _ => {
                let name = zone.day(row.moment);
                let groups = vec![EventGroup {
                    first: row,
                    others: Vec::new(),
                }];
                days.push(EventDay {
                    begin,
                    name,
                    groups,
                });
            }
        }
    }
    Ok(days)
}

/// Adds the next older event to its like, or as a line of its own.
fn add(groups: &mut Vec<EventGroup>, row: EventRow) {
    let like = groups.iter_mut().find(|group| {
        group.first.is_like(&row) && group.last().moment.since(row.moment) <= TOGETHER
    });
    match like {
        Some(group) => group.others.push(row),
        None => groups.push(EventGroup {
            first: row,
            others: Vec::new(),
        }),
    }
}

async fn row(
    names: &mut Names<'_>,
    zone: &Zone,
    RecordedEvent { seq, event }: RecordedEvent,
) -> Result<EventRow, StoreError> {
    let about = about(names, &event).await?;
    let actor = names.actor(event.actor.as_str()).await?;
    let refused = event.outcome == Outcome::Refused;
    let reason = event.reason.as_deref().map(reason_words);
    let (reason, reason_code) = match reason {
        Some((words, code)) => (Some(words), code.map(ToOwned::to_owned)),
        None => (None, None),
    };
    let count = event.detail.get("count").and_then(Value::as_u64);
    Ok(EventRow {
        seq,
        at: when(event.at, names.app.clock.now()),
        time: zone.time(event.at),
        kind: kind_words(event.kind),
        code: event.kind.as_str(),
        refused,
        reason,
        reason_code,
        count: count.filter(|_| refused).unwrap_or(1),
        about,
        scope: event
            .scope
            .filter(|scope| !scope.is_empty())
            .map(|scope| scope.to_string()),
        actor,
        source: event.source,
        moment: event.at,
        repeats: refused || event.kind == AuditKind::TokenIssued,
    })
}

/// What an event is about. Every kind is about something.
async fn about(names: &mut Names<'_>, event: &AuditEvent) -> Result<Vec<About>, StoreError> {
    let mut about = Vec::new();
    let detail = |name: &str| event.detail.get(name).and_then(Value::as_str);
    // What is deleted has the name that its own event holds.
    let own_name = |noun: &str| {
        let is_own = event.kind.as_str().split('.').next() == Some(noun);
        detail("name").filter(|_| is_own)
    };
    if let Some(id) = event.client_id {
        about.push(names.client(id, own_name("client")).await?);
    }
    if let Some(id) = event.mcp_server_id {
        about.push(names.server(id, own_name("mcp_server")));
    }
    if event.kind.as_str().starts_with("secret.") {
        let suffix = detail("suffix").map(|suffix| format!("secret …{suffix}"));
        about.extend(suffix.map(|text| About::new(text, None)));
    }
    if let Some(id) = detail("admin_id") {
        about.push(names.admin(id, detail("name")).await?);
    }
    let settings = || Some("/dashboard/settings".to_owned());
    let keys = || Some("/dashboard/signing-keys".to_owned());
    if about.is_empty() {
        let other = match event.kind {
            AuditKind::AdminSignedIn | AuditKind::AdminSignedOut => {
                About::new(names.actor(event.actor.as_str()).await?, settings())
            }
            AuditKind::AdminInvited | AuditKind::AdminInvitationRevoked => {
                let role = detail("role").unwrap_or("dashboard");
                let whom = detail("note").or(detail("invitation_id"));
                About::new(
                    format!("{} ({role})", whom.unwrap_or("someone")),
                    settings(),
                )
            }
            _ => match (detail("key_id"), detail("email"), &event.resource) {
                (Some(key), ..) => {
                    let algorithm = detail("algorithm").unwrap_or_default();
                    About::new(format!("{algorithm} {key}").trim().to_owned(), keys())
                }
                (_, Some(email), _) => About::new(email, settings()),
                (.., Some(resource)) => About::new(resource.clone(), None),
                _ => subject(event.kind),
            },
        };
        about.push(other);
    }
    Ok(about)
}

/// What kinds are about that name nothing.
fn subject(kind: AuditKind) -> About {
    let text = match kind.as_str().split('.').next().unwrap_or_default() {
        "audit" => "audit log",
        "key" => "signing keys",
        "admin" => "dashboard",
        "token" | "authentication" => "unknown client",
        _ => "Jeton",
    };
    About::new(text, None)
}

/// Names by ID, each looked up once a page.
pub(crate) struct Names<'a> {
    app: &'a App,
    actors: HashMap<String, String>,
    clients: HashMap<ClientId, Option<String>>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        Self {
            app,
            actors: HashMap::new(),
            clients: HashMap::new(),
        }
    }

    async fn find_client(&mut self, id: ClientId) -> Result<Option<String>, StoreError> {
        if let Some(name) = self.clients.get(&id) {
            return Ok(name.clone());
        }
        let entry = self.app.directory.find_client(id).await?;
        let name = entry.map(|entry| entry.client.name.to_string());
        self.clients.insert(id, name.clone());
        Ok(name)
    }

    /// A client; one that is deleted by the name that its event holds.
    pub(crate) async fn client(
        &mut self,
        id: ClientId,
        recorded: Option<&str>,
    ) -> Result<About, StoreError> {
        Ok(match self.find_client(id).await? {
            Some(name) => About::new(name, Some(format!("/dashboard/clients/{id}"))),
            None => About::new(recorded.map_or_else(|| id.to_string(), str::to_owned), None),
        })
    }

    /// An MCP server, likewise.
    pub(crate) fn server(&self, id: McpServerId, recorded: Option<&str>) -> About {
        match self.app.directory.find_mcp_server(id) {
            Some(server) => About::new(
                server.name.to_string(),
                Some(format!("/dashboard/mcp-servers/{id}")),
            ),
            None => About::new(recorded.map_or_else(|| id.to_string(), str::to_owned), None),
        }
    }

    /// An admin, by the name at the time of the event.
    async fn admin(&mut self, id: &str, recorded: Option<&str>) -> Result<About, StoreError> {
        let name = match recorded {
            Some(name) => name.to_owned(),
            None => self.actor(id).await?,
        };
        Ok(About::new(name, Some("/dashboard/settings".to_owned())))
    }

    /// An actor's name, as far as it has one.
    pub(crate) async fn actor(&mut self, actor: &str) -> Result<String, StoreError> {
        if let Some(name) = self.actors.get(actor) {
            return Ok(name.clone());
        }
        let name = if let Ok(id) = actor.parse::<AdminId>() {
            let admin = self.app.store.find_admin(id).await?;
            admin.map(|admin| admin.name.to_string())
        } else if let Ok(id) = actor.parse::<ClientId>() {
            self.find_client(id).await?
        } else if let Ok(id) = actor.parse::<McpServerId>() {
            let server = self.app.directory.find_mcp_server(id);
            server.map(|server| server.name.to_string())
        } else {
            None
        };
        let name = name.unwrap_or_else(|| actor.to_owned());
        self.actors.insert(actor.to_owned(), name.clone());
        Ok(name)
    }
}
