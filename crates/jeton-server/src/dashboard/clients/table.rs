//! The table of clients, on a server's tab and on the page of all.

use std::time::Duration;

use http::StatusCode;
use jeton_core::{Client, ClientId, ScopeSet};
use jeton_store::{ClientCondition, ClientFilter, ClientSort};
use serde::Deserialize;

use crate::app::App;
use crate::dashboard::PageError;
use crate::dashboard::format::{When, grouped, when};
use crate::dashboard::problem::ProblemView;
use crate::dashboard::query::search_text;
use crate::dashboard::view::{Named, ScopeView, address, chosen_scopes, page_of_rows};
use crate::service::refusal_cause::RefusalCause;
use crate::service::statistics;

/// What is looked for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableQuery {
    pub(super) q: Option<String>,
    pub(super) show: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) after: Option<String>,
}

#[derive(Debug)]
pub(crate) struct ClientTable {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) show: String,
    pub(crate) sort: String,
    pub(crate) filters: Vec<FilterLink>,
    pub(crate) name_column: SortLink,
    pub(crate) created_column: SortLink,
    pub(crate) last_column: SortLink,
    /// Whether there is a column for the MCP servers.
    pub(crate) on_all_servers: bool,
    pub(crate) clients: Vec<ClientRow>,
    pub(crate) first: Option<String>,
    pub(crate) next: Option<String>,
}

impl ClientTable {
    /// Whether anything is left out.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.query.is_empty() || !self.show.is_empty()
    }
}

/// A filter that can be chosen.
#[derive(Debug)]
pub(crate) struct FilterLink {
    pub(crate) name: &'static str,
    pub(crate) href: String,
    pub(crate) is_chosen: bool,
}

/// A column that can be sorted by.
#[derive(Debug)]
pub(crate) struct SortLink {
    pub(crate) href: String,
    /// `aria-sort`, where the table is sorted by it.
    pub(crate) direction: Option<&'static str>,
}

impl SortLink {
    /// A column's link: to its first order, or to the second where the first is chosen.
    pub(in crate::dashboard) fn new(
        sort: &str,
        (first, direction): (&str, &'static str),
        (second, other_direction): (&str, &'static str),
        address: impl Fn(&str) -> String,
    ) -> Self {
        let (direction, next) = if sort == first {
            (Some(direction), second)
        } else if sort == second {
            (Some(other_direction), first)
        } else {
            (None, first)
        };
        Self {
            href: address(next),
            direction,
        }
    }
}

#[derive(Debug)]
pub(crate) struct ClientRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) servers: Vec<Named>,
    /// The first few of its scopes.
    pub(crate) scopes: Vec<ScopeView>,
    /// The names of the others.
    pub(crate) more_scopes: Vec<String>,
    pub(crate) created: When,
    pub(crate) last_issued: Option<When>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) issued: String,
    pub(crate) problem: Option<ProblemView>,
}

impl ClientRow {
    pub(crate) fn id_parts(&self) -> (&str, &str) {
        id_parts(&self.id)
    }
}

/// The beginning and the end of an ID: what lies between is cut off where there is little room.
pub(in crate::dashboard) fn id_parts(id: &str) -> (&str, &str) {
    id.split_at_checked(id.len().saturating_sub(6))
        .unwrap_or((id, ""))
}

/// When and why a client was last refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) at: When,
    pub(crate) reason: String,
    /// The same in a few words.
    pub(crate) cause: &'static str,
}

impl Refusal {
    pub(super) fn new(at: When, reason: String) -> Self {
        Self {
            cause: RefusalCause::of(&reason).words(),
            at,
            reason,
        }
    }
}

/// Scopes shown of one client.
const SCOPES: usize = 4;
/// Older refusals are of no interest.
const LATELY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const FILTERS: [(&str, &str); 4] = [
    ("", "All"),
    ("attention", "Needs attention"),
    ("unused", "Never used"),
    ("disabled", "Disabled"),
];

const SORTS: [(&str, ClientSort); 6] = [
    ("", ClientSort::Newest),
    ("created", ClientSort::Oldest),
    ("name", ClientSort::Name),
    ("-name", ClientSort::NameBackwards),
    ("-last", ClientSort::LastToken),
    ("last", ClientSort::LastTokenBackwards),
];

/// A page of the clients that match.
pub(in crate::dashboard) async fn client_table(
    app: &App,
    mut filter: ClientFilter,
    query: &TableQuery,
    path: String,
) -> Result<ClientTable, PageError> {
    statistics::catch_up(app).await?;
    let text = search_text(query.q.as_deref().unwrap_or("")).map_err(|problem| {
        PageError::RefusedBecause(StatusCode::BAD_REQUEST, problem.to_owned())
    })?;
    let chosen = Chosen::of(query, text.clone().unwrap_or_default(), path)?;
    filter.text = text;
    filter.condition = chosen.condition(app);
    filter.sort = chosen.sort_order()?;
    let request = page_of_rows::<ClientId>(query.after.as_deref())?;
    let is_first = request.after.is_none();
    let found = app.store.clients(&filter, request).await?;
    let mut clients = Vec::with_capacity(found.items.len());
    for client in found.items {
        clients.push(row(app, &filter, client).await?);
    }
    let address = |after: &str| chosen.address(&chosen.show, &chosen.sort, after);
    Ok(ClientTable {
        first: (!is_first).then(|| address("")),
        next: found.next.map(|after| address(&after)),
        filters: chosen.filters(),
        name_column: chosen.sorted_by(("name", "ascending"), ("-name", "descending")),
        created_column: chosen.sorted_by(("", "descending"), ("created", "ascending")),
        last_column: chosen.sorted_by(("-last", "descending"), ("last", "ascending")),
        on_all_servers: filter.mcp_server_id.is_none(),
        clients,
        path: chosen.path,
        query: chosen.text,
        show: chosen.show,
        sort: chosen.sort,
    })
}

/// What the address says.
struct Chosen {
    path: String,
    text: String,
    show: String,
    sort: String,
}

impl Chosen {
    fn of(query: &TableQuery, text: String, path: String) -> Result<Self, PageError> {
        let show = query.show.clone().unwrap_or_default();
        if !FILTERS.iter().any(|(value, _)| *value == show) {
            return Err(PageError::Refused(
                StatusCode::BAD_REQUEST,
                "show is attention, unused or disabled.",
            ));
        }
        Ok(Self {
            path,
            text,
            show,
            sort: query.sort.clone().unwrap_or_default(),
        })
    }

    fn condition(&self, app: &App) -> Option<ClientCondition> {
        let now = app.clock.now();
        match self.show.as_str() {
            "attention" => Some(ClientCondition::NeedsAttention {
                now,
                since: now.minus(LATELY),
            }),
            "unused" => Some(ClientCondition::NeverUsed),
            "disabled" => Some(ClientCondition::Disabled),
            _ => None,
        }
    }

    fn sort_order(&self) -> Result<ClientSort, PageError> {
        let mut sorts = SORTS.into_iter();
        let found = sorts.find(|(value, _)| *value == self.sort);
        found.map(|(_, sort)| sort).ok_or(PageError::Refused(
            StatusCode::BAD_REQUEST,
            "sort is name, -name, last, -last or created.",
        ))
    }

    fn address(&self, show: &str, sort: &str, after: &str) -> String {
        address(
            &self.path,
            &[
                ("q", &self.text),
                ("show", show),
                ("sort", sort),
                ("after", after),
            ],
        )
    }

    fn filters(&self) -> Vec<FilterLink> {
        FILTERS
            .iter()
            .map(|(value, name)| FilterLink {
                name,
                href: self.address(value, &self.sort, ""),
                is_chosen: *value == self.show,
            })
            .collect()
    }

    fn sorted_by(&self, first: (&str, &'static str), second: (&str, &'static str)) -> SortLink {
        SortLink::new(&self.sort, first, second, |sort| {
            self.address(&self.show, sort, "")
        })
    }
}

async fn row(app: &App, filter: &ClientFilter, client: Client) -> Result<ClientRow, PageError> {
    let now = app.clock.now();
    let day = now.minus(Duration::from_secs(24 * 60 * 60));
    let activity = app.store.client_activity(client.id).await?;
    let tokens = app.store.tokens_of_client(client.id, day, now).await?;
    let (servers, mut scopes) = granted(app, filter, client.id).await?;
    let more = scopes.split_off(scopes.len().min(SCOPES));
    let entry = app.directory.find_client(client.id).await?;
    Ok(ClientRow {
        id: client.id.to_string(),
        name: client.name.to_string(),
        servers,
        scopes,
        more_scopes: more.into_iter().map(|scope| scope.name).collect(),
        created: when(client.created_at, now),
        last_issued: activity.last_issued_at.map(|at| when(at, now)),
        // An old refusal, with tokens after it, is of no interest.
        refusal: activity
            .last_refused_at
            .filter(|refused| {
                activity
                    .last_issued_at
                    .is_none_or(|issued| *refused > issued)
            })
            .map(|at| Refusal::new(when(at, now), activity.last_refusal.unwrap_or_default())),
        issued: grouped(tokens.issued),
        problem: entry.and_then(|entry| ProblemView::of(app, &entry)),
    })
}

/// Where the client may get tokens, and with which scopes: on the one server, or on all.
async fn granted(
    app: &App,
    filter: &ClientFilter,
    client: ClientId,
) -> Result<(Vec<Named>, Vec<ScopeView>), PageError> {
    let grants = app.store.grants_of_client(client).await?;
    let on: Vec<_> = grants
        .iter()
        .filter(|grant| {
            filter
                .mcp_server_id
                .is_none_or(|id| id == grant.mcp_server_id)
        })
        .filter_map(|grant| Some((app.directory.find_mcp_server(grant.mcp_server_id)?, grant)))
        .collect();
    let servers = on.iter().map(|(server, _)| Named::server(server)).collect();
    let scopes = on
        .iter()
        .flat_map(|(server, grant)| {
            let granted: &ScopeSet = &grant.scopes;
            chosen_scopes(server, granted)
        })
        .collect();
    Ok((servers, scopes))
}
