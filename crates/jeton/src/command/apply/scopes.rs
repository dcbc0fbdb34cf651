//! Scopes that a file no longer declares.

use std::collections::{BTreeMap, BTreeSet};

use jeton_core::TokenRequest;
use serde_json::{Value, json};

use super::declaration::DeclaredServer;
use super::document::text;
use super::present::{self, Present};
use super::step::{Action, Step, Target};
use crate::admin::Seen;
use crate::output::cell;

fn scopes(server: &Value) -> impl Iterator<Item = &Value> {
    let scopes = server.get("scopes").and_then(Value::as_array);
    scopes.into_iter().flatten()
}

/// Adds the scopes that are there and not wanted: they are removed by a step of their own.
pub(super) fn keep_removed(wanted: &mut Value, found: &Value) {
    let names: BTreeSet<_> = scopes(wanted)
        .map(|scope| text(scope, "name").to_owned())
        .collect();
    let kept: Vec<_> = scopes(found)
        .filter(|scope| !names.contains(text(scope, "name")))
        .cloned()
        .collect();
    if let Some(all) = wanted.get_mut("scopes").and_then(Value::as_array_mut) {
        all.extend(kept);
    }
}

/// The most scopes that a server may define.
const MAX: usize = TokenRequest::MAX_SCOPES;

/// Those that the file no longer declares. Where there is no room for what it adds beside them, so many as have
/// to go at once come first, in a list of their own: of these, those that no client has.
fn gone(server: &DeclaredServer, found: &Value, present: &Present) -> (Vec<String>, Vec<String>) {
    let mut gone: Vec<_> = scopes(found)
        .map(|scope| text(scope, "name").to_owned())
        .filter(|name| !server.scopes.contains_key(name))
        .collect();
    let excess = (server.scopes.len() + gone.len()).saturating_sub(MAX);
    if excess > 0 {
        let server_id = cell(found, "id");
        gone.sort_by_key(|scope| present.clients_with(&server_id, scope));
    }
    let later = gone.split_off(excess.min(gone.len()));
    (gone, later)
}

/// Makes room in a change of `server` for the scopes that it adds; gives what clients lose by it.
pub(super) fn make_room(
    body: &mut Value,
    server: &DeclaredServer,
    (found, present): (&Value, &Present),
) -> Option<String> {
    let (now, _) = gone(server, found, present);
    let members = body.as_object_mut().filter(|_| !now.is_empty())?;
    let mut all = members.remove("scopes")?;
    if let Some(all) = all.as_array_mut() {
        all.retain(|scope| server.scopes.contains_key(text(scope, "name")));
    }
    members.insert("add_scopes".into(), all);
    members.insert("remove_scopes".into(), json!(now));
    losses(server, found, (&now, present))
}

/// What clients lose because a scope that they have implies less than before.
pub(super) fn implied_losses(
    server: &DeclaredServer,
    wanted: &Value,
    (found, present): (&Value, &Present),
) -> Option<String> {
    let (before, after) = (present::defined(found), present::defined(wanted));
    if before.hierarchy() == after.hierarchy() {
        return None;
    }
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    let grants = present.clients.iter().filter_map(|client| {
        let mut grants = client.get("grants")?.as_array()?.iter();
        grants.find(|grant| grant.get("mcp_server_id") == found.get("id"))
    });
    for scopes in grants.map(present::scope_set) {
        let had = before.granted(&scopes);
        for scope in &had.difference(&after.granted(&scopes)) {
            *lost.entry(scope.to_string()).or_default() += 1;
        }
    }
    tell(
        server,
        lost.iter().map(|(scope, clients)| (scope, *clients)),
    )
}

fn losses(
    server: &DeclaredServer,
    found: &Value,
    (removed, present): (&[String], &Present),
) -> Option<String> {
    let server_id = cell(found, "id");
    let lost = removed
        .iter()
        .map(|scope| (scope, present.clients_with(&server_id, scope)));
    tell(server, lost.filter(|(_, clients)| *clients > 0))
}

fn tell<'a>(
    server: &DeclaredServer,
    lost: impl Iterator<Item = (&'a String, usize)>,
) -> Option<String> {
    let lost: Vec<_> = lost
        .map(|(scope, clients)| format!("{scope} (clients that have it: {clients})"))
        .collect();
    (!lost.is_empty()).then(|| {
        format!(
            "clients lose scopes on {}: {}",
            server.name,
            lost.join(", ")
        )
    })
}

/// The step that removes them, and who loses what by it.
pub(super) fn removal(server: &DeclaredServer, found: &Value, present: &Present) -> Option<Step> {
    let (_, removed) = gone(server, found, present);
    if removed.is_empty() {
        return None;
    }
    Some(Step {
        words: format!("- scopes of {}: {}", server.name, removed.join(" ")),
        action: Action::UpdateServer {
            server: Target::Id(cell(found, "id")),
            seen: Seen::of(found),
            body: json!({ "remove_scopes": removed }),
        },
        consequence: losses(server, found, (&removed, present)),
    })
}
