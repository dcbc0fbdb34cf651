//! Scopes that a file no longer declares.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::declaration::DeclaredServer;
use super::plan::{Action, Step, text};
use super::present::Present;
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

/// The step that removes them, and who loses what by it.
pub(super) fn removal(server: &DeclaredServer, found: &Value, present: &Present) -> Option<Step> {
    let removed: Vec<_> = scopes(found)
        .map(|scope| text(scope, "name").to_owned())
        .filter(|name| !server.scopes.contains_key(name))
        .collect();
    if removed.is_empty() {
        return None;
    }
    let server_id = cell(found, "id");
    let lost: Vec<_> = removed
        .iter()
        .map(|scope| (scope, present.clients_with(&server_id, scope)))
        .filter(|(_, clients)| *clients > 0)
        .map(|(scope, clients)| format!("{scope} (clients that have it: {clients})"))
        .collect();
    Some(Step {
        words: format!("- scopes of {}: {}", server.name, removed.join(" ")),
        action: Action::UpdateServer {
            id: cell(found, "id"),
            seen: Seen::of(found),
            body: json!({ "remove_scopes": removed }),
        },
        consequence: (!lost.is_empty()).then(|| {
            format!(
                "clients lose scopes on {}: {}",
                server.name,
                lost.join(", ")
            )
        }),
    })
}
