//! Removing an admin: first what they leave behind, then doing it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::AdminId;

use super::session::see;
use super::view::id;
use super::{Change, Crumb, Nav, Page, PageError, PageResult, SignedIn, html};
use crate::app::App;
use crate::service::admins;
use crate::service::leftovers::{self, LeftClient, Mark};

#[derive(Template)]
#[template(path = "remove_admin.html")]
struct RemoveAdminPage {
    page: Page,
    id: String,
    name: String,
    email: String,
    sessions: usize,
    /// Note and role.
    invitations: Vec<(String, &'static str)>,
    /// Name, address and role.
    invited: Vec<(String, String, &'static str)>,
    clients: Vec<ClientRow>,
    is_partial: bool,
    seen: Mark,
}

struct ClientRow {
    id: String,
    name: String,
    /// What they had to do with it.
    doings: String,
}

impl From<LeftClient> for ClientRow {
    fn from(client: LeftClient) -> Self {
        let verb = if client.created { "created" } else { "changed" };
        let mut doings = format!("{verb} by them");
        if !client.secrets.is_empty() {
            doings.push_str("; they saw the secret ");
            let ends = client.secrets.iter().map(|end| format!("…{end}"));
            doings.push_str(&ends.collect::<Vec<_>>().join(", "));
        }
        Self {
            id: client.id.to_string(),
            name: client.name,
            doings,
        }
    }
}

/// What would end, and what would go on.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(admin): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    if !signed_in.may_change() {
        return Err(PageError::Viewer);
    }
    let left = leftovers::find(&app, id::<AdminId>(&admin)?).await?;
    let crumb = Crumb::new("Settings", "/dashboard/settings");
    let title = format!("Remove {}", left.admin.name);
    let page = RemoveAdminPage {
        page: Page::new(&signed_in, Nav::Settings, title).under([crumb]),
        id: left.admin.id.to_string(),
        name: left.admin.name.to_string(),
        email: left.admin.email.to_string(),
        sessions: left.sessions,
        invitations: left
            .invitations
            .into_iter()
            .map(|one| (one.note, one.role.as_str()))
            .collect(),
        invited: left
            .invited
            .into_iter()
            .map(|one| {
                let role = one.role.as_str();
                (one.name.to_string(), one.email.to_string(), role)
            })
            .collect(),
        clients: left.clients.into_iter().map(ClientRow::from).collect(),
        is_partial: left.is_partial,
        seen: left.mark,
    };
    html(StatusCode::OK, &page)
}

/// Removes an admin who still is what was shown.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(admin): Path<String>,
    change: Change,
) -> PageResult {
    let seen: Mark = change.form.seen("seen")?;
    admins::delete(&app, &change.signed_in.operator, id(&admin)?, &seen).await?;
    Ok(see("/dashboard/settings?done=admin-removed"))
}
