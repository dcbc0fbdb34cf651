//! What the admin API's documents say of things.

use serde_json::Value;

use crate::output::cell;

/// A member that is a text; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Whether it is Jeton's own admin API.
pub(super) fn is_system(server: &Value) -> bool {
    server.get("system").and_then(Value::as_bool) == Some(true)
}

/// The IDs of things, for a message.
pub(super) fn ids(things: &[&Value]) -> String {
    let ids: Vec<_> = things.iter().map(|thing| cell(thing, "id")).collect();
    ids.join(", ")
}
