//! Before an admin becomes a viewer: what they lose, what ends with it, and what goes on.

use std::sync::Arc;

use axum::extract::{Path, State};
use jeton_core::{AdminId, Role};

use super::format::grouped_count;
use super::view::id;
use super::{Confirm, PageError, PageResult, SignedIn, settings};
use crate::app::App;
use crate::service::leftovers::{self, Leftovers};

/// Asks before an admin loses the role.
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    Path(admin): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    if !signed_in.may_change() {
        return Err(PageError::Viewer);
    }
    let left = leftovers::find(&app, id::<AdminId>(&admin)?).await?;
    if left.admin.role != Role::Admin {
        return Err(PageError::NotFound);
    }
    settings::ask(&app, &signed_in, demoting(&left)).await
}

fn demoting(left: &Leftovers) -> Confirm {
    let name = left.admin.name.as_str();
    let sessions = count(left.sessions, "session");
    let mut consequences = vec![format!(
        "{name} can no longer change anything, immediately and in every open session ({sessions}). As a viewer, {name} \
         still sees everything except secrets."
    )];
    if !left.invitations.is_empty() {
        let notes: Vec<&str> = left
            .invitations
            .iter()
            .map(|one| one.note.as_str())
            .collect();
        consequences.push(format!(
            "{} they made and nobody used: {}. Cancelled with the role.",
            count(left.invitations.len(), "open invitation"),
            notes.join(", ")
        ));
    }
    if !left.clients.is_empty() {
        let names: Vec<&str> = left.clients.iter().map(|one| one.name.as_str()).collect();
        consequences.push(format!(
            "{} they created, changed or saw the secret of: {}. Whoever has such a secret can still administer Jeton: \
             rotate or revoke it.",
            count(left.clients.len(), "admin API client"),
            names.join(", ")
        ));
    }
    Confirm {
        title: format!("Make {name} a viewer?"),
        consequences,
        action: format!("/dashboard/settings/admins/{}/role", left.admin.id),
        fields: vec![
            ("role", Role::Viewer.as_str().to_owned()),
            ("was", Role::Admin.as_str().to_owned()),
        ],
        button: "Make viewer".into(),
        is_danger: true,
        cancel: "/dashboard/settings".into(),
        ..Confirm::default()
    }
}

fn count(number: usize, thing: &str) -> String {
    grouped_count(i64::try_from(number).unwrap_or(i64::MAX), thing)
}
