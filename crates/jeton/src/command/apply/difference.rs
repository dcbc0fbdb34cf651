//! The members in which a declared thing and the one that is there differ.

use serde_json::{Map, Value};

use super::document::text;

/// The members that differ, and words for each.
pub(super) fn difference(wanted: &Value, found: &Value) -> (Value, Vec<String>) {
    let (mut body, mut words) = (Map::new(), Vec::new());
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let there = found.get(name).unwrap_or(&Value::Null);
        if comparable(name, value) == comparable(name, there) {
            continue;
        }
        words.push(match name.as_str() {
            "scopes" | "custom_claims" | "description" | "aliases" => name.clone(),
            _ => format!("{name} {there} -> {value}"),
        });
        body.insert(name.clone(), value.clone());
    }
    (Value::Object(body), words)
}

/// The order of scopes, of what they imply and of aliases means nothing.
fn comparable(name: &str, value: &Value) -> Value {
    let mut value = value.clone();
    let Some(items) = value.as_array_mut() else {
        return value;
    };
    match name {
        "scopes" => {
            for scope in items.iter_mut() {
                if let Some(implies) = scope.get_mut("implies").and_then(Value::as_array_mut) {
                    implies.sort_by_key(ToString::to_string);
                }
            }
            items.sort_by_key(|scope| text(scope, "name").to_owned());
        }
        "aliases" => items.sort_by_key(ToString::to_string),
        _ => {}
    }
    value
}
