//! Clients: the list, and a client's page with its tabs.

pub(crate) mod activity;
pub(in crate::dashboard) mod consequences;
pub(super) mod form;
pub(crate) mod grants;
pub(crate) mod list;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod show;
pub(super) mod table;

use std::sync::Arc;

use jeton_core::{Client, ClientId};

use super::problem::ProblemView;
use super::view::id;
use super::{Crumb, Nav, Page, PageError, SignedIn};
use crate::app::App;
use crate::directory::ClientEntry;

/// The tabs of a client's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    TryIt,
    Activity,
    Settings,
}

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Overview, "", "Overview"),
    (Tab::TryIt, "/try", "Try it"),
    (Tab::Activity, "/activity", "Activity"),
    (Tab::Settings, "/settings", "Settings"),
];

/// What every tab shows of a client.
#[derive(Debug)]
pub(super) struct ClientView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) enabled: bool,
    /// What keeps it from getting tokens.
    pub(super) problem: Option<ProblemView>,
    pub(super) version: i64,
    tab: Tab,
}

impl ClientView {
    pub(super) fn of(app: &App, entry: &ClientEntry, tab: Tab) -> Self {
        let client = &entry.client;
        Self {
            id: client.id.to_string(),
            name: client.name.to_string(),
            description: client.description.to_string(),
            enabled: client.is_enabled(),
            problem: ProblemView::of(app, entry),
            version: client.version,
            tab,
        }
    }

    pub(super) fn tabs(&self) -> impl Iterator<Item = (String, &'static str, bool)> {
        let path = path(&self.id);
        TABS.into_iter()
            .map(move |(tab, end, name)| (format!("{path}{end}"), name, tab == self.tab))
    }
}

pub(super) fn path(id: &impl std::fmt::Display) -> String {
    format!("/dashboard/clients/{id}")
}

/// The client that an address names, with its secrets and grants.
pub(super) async fn find(app: &App, text: &str) -> Result<Arc<ClientEntry>, PageError> {
    let id: ClientId = id(text)?;
    app.directory
        .find_client(id)
        .await?
        .ok_or(PageError::NotFound)
}

pub(super) fn page(signed_in: &SignedIn, client: &Client) -> Page {
    Page::new(signed_in, Nav::Clients, client.name.as_str())
        .under([Crumb::new("Clients", "/dashboard/clients")])
}
