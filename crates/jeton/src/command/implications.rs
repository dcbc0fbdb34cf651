//! `--implies BROADER=NARROWER`: scopes that imply others.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use jeton_core::{DefinedScopes, Scope, ScopeSet, split_scope};
use serde_json::{Value, json};

use crate::output::cell;

/// Two scopes. A scope may have `=` in its name, so there may be several ways to read the text, unless
/// such a `=` is written `\=`, as elsewhere on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Implication {
    text: String,
    readings: Vec<(Scope, Scope)>,
}

impl FromStr for Implication {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let readings = if text.contains("\\=") {
            escaped(text).into_iter().collect()
        } else {
            every_reading(text)
        };
        if readings.is_empty() {
            return Err("expected BROADER=NARROWER, such as todo:admin=todo:write".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            readings,
        })
    }
}

fn escaped(text: &str) -> Option<(Scope, Scope)> {
    let (broader, narrower) = split_scope(text);
    let narrower = narrower?.replace("\\=", "=");
    Some((broader.parse().ok()?, narrower.parse().ok()?))
}

fn every_reading(text: &str) -> Vec<(Scope, Scope)> {
    let splits = text.match_indices('=').filter_map(|(place, _)| {
        let (broader, rest) = text.split_at_checked(place)?;
        let narrower = rest.strip_prefix('=')?;
        Some((broader.parse().ok()?, narrower.parse().ok()?))
    });
    splits.collect()
}

impl Implication {
    /// The two scopes, given all that are defined.
    fn among(&self, defined: &[String]) -> anyhow::Result<(&Scope, &Scope)> {
        let is_defined = |scope: &Scope| defined.iter().any(|name| name == scope.as_str());
        let mut readings = self.readings.iter();
        let fits =
            |(broader, narrower): &&(Scope, Scope)| is_defined(broader) && is_defined(narrower);
        let fitting: Vec<_> = readings.by_ref().filter(fits).collect();
        match fitting.as_slice() {
            [(broader, narrower)] => Ok((broader, narrower)),
            [] => bail!(
                "--implies {}: these are not two scopes that the MCP server defines; it defines: {}",
                self.text,
                defined.join(" ")
            ),
            _ => bail!(
                "--implies {} can be read in several ways, since scopes have = in their names; write a = that is part of a name as \\=",
                self.text
            ),
        }
    }
}

fn name(scope: &Value) -> String {
    cell(scope, "name")
}

/// The names of scopes in a list of definitions.
fn names<'a>(scopes: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    scopes.into_iter().map(name).collect()
}

fn list<'a>(document: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    let list = document.get(member).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// Adds implications to `scopes`, which are all that a server defines.
pub(crate) fn add_to(scopes: &mut [Value], added: &[Implication]) -> anyhow::Result<()> {
    let defined = names(scopes.iter());
    for implication in added {
        let (broader, narrower) = implication.among(&defined)?;
        let scope = scopes
            .iter_mut()
            .find(|scope| name(scope) == broader.as_str());
        let members = scope.and_then(Value::as_object_mut);
        let members = members.context("a scope has no definition")?;
        let implies = members.entry("implies").or_insert_with(|| json!([]));
        if let Some(implies) = implies.as_array_mut() {
            implies.push(json!(narrower));
        }
    }
    Ok(())
}

/// The scopes of `current` once the renames and removals in `body` are made, which the server makes before it
/// adds scopes. A scope that implied a removed one implies what that implied, as on the server.
fn renamed_and_removed(body: &Value, current: &Value) -> Vec<Value> {
    let new_name = |old: &str| {
        let renames = list(body, "rename_scopes");
        let rename = renames
            .into_iter()
            .find(|rename| cell(rename, "from") == old);
        rename.map_or_else(|| old.to_owned(), |rename| cell(rename, "to"))
    };
    let mut scopes: Vec<(String, Vec<String>)> = list(current, "scopes")
        .map(|scope| {
            let implies = list(scope, "implies").filter_map(Value::as_str);
            (new_name(&name(scope)), implies.map(new_name).collect())
        })
        .collect();
    for removed in list(body, "remove_scopes").filter_map(Value::as_str) {
        let Some(place) = scopes.iter().position(|(name, _)| name == removed) else {
            continue;
        };
        let (_, inherited) = scopes.remove(place);
        for (_, implies) in &mut scopes {
            if let Some(place) = implies.iter().position(|implied| implied == removed) {
                implies.remove(place);
                let new = inherited.iter().filter(|scope| !implies.contains(scope));
                let new: Vec<_> = new.cloned().collect();
                implies.extend(new);
            }
        }
    }
    let definition = |(name, implies)| json!({ "name": name, "implies": implies });
    scopes.into_iter().map(definition).collect()
}

/// Adds and removes implications in `body`, a change of the server `current`: its new scopes are in
/// `add_scopes`, or all of them in `scopes`. Scopes have the names that they get with the change.
pub(crate) fn change(
    body: &mut Value,
    current: &Value,
    (added, removed): (&[Implication], &[Implication]),
) -> anyhow::Result<()> {
    if added.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let replaces = body.get("scopes").is_some();
    let before = renamed_and_removed(body, current);
    let new = list(body, if replaces { "scopes" } else { "add_scopes" });
    let mut defined = names(new);
    if !replaces {
        defined.extend(names(&before));
    }
    let mut implied: Vec<(String, Vec<String>)> = Vec::new();
    for (implications, is_added) in [(added, true), (removed, false)] {
        for implication in implications {
            let (broader, narrower) = implication.among(&defined)?;
            let place = implied
                .iter()
                .position(|(scope, _)| scope == broader.as_str());
            let mut names = match place {
                Some(place) => implied.swap_remove(place).1,
                None => implied_by(&before, broader.as_str()),
            };
            let there = names.iter().position(|name| name == narrower.as_str());
            match (is_added, there) {
                (true, None) => names.push(narrower.to_string()),
                (true, Some(_)) => {}
                (false, Some(place)) => drop(names.remove(place)),
                (false, None) => bail!("the scope {broader} does not imply {narrower}"),
            }
            implied.push((broader.to_string(), names));
        }
    }
    let member = if replaces { "scopes" } else { "add_scopes" };
    let scopes = body.get_mut(member).and_then(Value::as_array_mut);
    let scopes = scopes.context("there are no scopes to change")?;
    for (broader, names) in implied {
        let there = scopes.iter_mut().find(|scope| name(scope) == broader);
        match there.and_then(Value::as_object_mut) {
            Some(members) => drop(members.insert("implies".into(), json!(names))),
            None => scopes.push(json!({ "name": broader, "implies": names })),
        }
    }
    Ok(())
}

fn implied_by(scopes: &[Value], broader: &str) -> Vec<String> {
    let there = scopes.iter().find(|scope| name(scope) == broader);
    let implied = there.map(|scope| list(scope, "implies"));
    let implied = implied.into_iter().flatten().filter_map(Value::as_str);
    implied.map(str::to_owned).collect()
}

/// What a grant on a server is worth: its scopes, and all that they imply.
pub(crate) fn granted(server: &Value, grant: &Value) -> impl Iterator<Item = String> {
    let names = list(grant, "scopes").filter_map(Value::as_str);
    let names: ScopeSet = names.filter_map(|name| name.parse().ok()).collect();
    let scopes = server.get("scopes").cloned().unwrap_or_default();
    let worth = match serde_json::from_value::<DefinedScopes>(scopes) {
        Ok(defined) => defined.granted(&names),
        Err(_) => names,
    };
    let worth: Vec<_> = worth.iter().map(ToString::to_string).collect();
    worth.into_iter()
}

/// The implications of a server, as `--implies` takes them.
pub(crate) fn of(server: &Value) -> String {
    let escaped = |name: &str| name.replace('=', "\\=");
    let implications: Vec<String> = list(server, "scopes")
        .flat_map(|scope| {
            let narrower = list(scope, "implies").filter_map(Value::as_str);
            narrower.map(move |narrower| format!("{}={}", escaped(&name(scope)), escaped(narrower)))
        })
        .collect();
    implications.join(" ")
}
