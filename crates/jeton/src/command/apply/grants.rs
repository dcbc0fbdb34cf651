//! What differs in the grants of a client.

use std::collections::{BTreeSet, HashMap};

use anyhow::bail;
use jeton_core::ResourceUri;
use serde_json::Value;

use super::declaration::{DeclaredClient, DeclaredGrant, DeclaredServer};
use super::document::{ids, is_system, text};
use super::present::Present;
use super::server_steps::Context;
use super::step::{Action, Step, Target};
use crate::admin::Seen;
use crate::output::cell;

/// A declared grant: on which MCP server, there or to be made, with which scopes.
pub(super) struct Granted {
    pub(super) target: Target,
    /// As the file names the MCP server.
    pub(super) named: String,
    pub(super) scopes: Vec<String>,
    /// Whether the file says which, be it none.
    stated: bool,
}

/// The grants that are declared for a client, each on an MCP server of its own.
pub(super) fn all(context: &Context<'_>, client: &DeclaredClient) -> anyhow::Result<Vec<Granted>> {
    let mut grants: Vec<Granted> = Vec::new();
    for grant in &client.grants {
        let granted = granted(context, client, grant)?;
        if let Some(twice) = grants.iter().find(|other| other.target == granted.target) {
            bail!(
                "the client {} has two grants on one MCP server, which they name {:?} and {:?}; make it one grant with all scopes",
                client.name,
                twice.named,
                granted.named
            );
        }
        grants.push(granted);
    }
    Ok(grants)
}

/// What a declared grant means.
fn granted(
    context: &Context<'_>,
    client: &DeclaredClient,
    grant: &DeclaredGrant,
) -> anyhow::Result<Granted> {
    let named = grant.mcp_server.as_str();
    let (target, defined) = match find(context, client, named)? {
        Found::Declared(server) => (
            declared_target(context, server),
            server.scopes.keys().cloned().collect(),
        ),
        Found::Registered(found) => {
            let scopes = found.get("scopes").and_then(Value::as_array);
            let scopes = scopes.into_iter().flatten();
            let all: Vec<_> = scopes.map(|scope| text(scope, "name").to_owned()).collect();
            (Target::Id(cell(found, "id")), all)
        }
    };
    let scopes = match &grant.scopes {
        Some(scopes) => scopes.iter().map(ToString::to_string).collect(),
        None if grant.all_scopes => defined.clone(),
        None => Vec::new(),
    };
    if let Some(unknown) = scopes.iter().find(|scope| !defined.contains(scope)) {
        bail!(
            "the client {} is to have the scope {unknown}, which {named} does not define; it defines: {}",
            client.name,
            defined.join(" ")
        );
    }
    Ok(Granted {
        target,
        named: named.to_owned(),
        scopes,
        stated: !grant.names_no_scopes(),
    })
}

/// The MCP server that a client's declaration names.
enum Found<'a> {
    Declared(&'a DeclaredServer),
    Registered(&'a Value),
}

/// By name or URL in the file; else by ID, name or URL among those that are registered. A name that several
/// have chooses none of them.
fn find<'a>(
    context: &Context<'a>,
    client: &DeclaredClient,
    named: &str,
) -> anyhow::Result<Found<'a>> {
    let Context {
        declared, present, ..
    } = *context;
    if let Some(server) = declared.server(named) {
        return Ok(Found::Declared(server));
    }
    let by_id = present.server(named).filter(|server| !is_system(server));
    if let Some(server) = by_id {
        return Ok(Found::Registered(server));
    }
    let by_name: Vec<_> = present.servers_named(named).collect();
    match by_name.as_slice() {
        [] => {}
        [one] => return Ok(Found::Registered(one)),
        several => bail!(
            "the client {} names the MCP server {named:?}, and {} have that name ({}); write the ID or the URL of the one that is meant",
            client.name,
            several.len(),
            ids(several)
        ),
    }
    let url = named.parse::<ResourceUri>().ok();
    match url.and_then(|url| present.server_at(&url)) {
        Some(server) => Ok(Found::Registered(server)),
        None => bail!(
            "the client {} names the MCP server {named:?}, which is the name, URL or ID of none, here or registered",
            client.name
        ),
    }
}

/// The MCP server that is declared as a client's default: that of one of its grants.
pub(super) fn default_of(
    context: &Context<'_>,
    client: &DeclaredClient,
    grants: &[Granted],
) -> anyhow::Result<Option<Target>> {
    let Some(named) = &client.default_mcp_server else {
        return Ok(None);
    };
    let target = match find(context, client, named)? {
        Found::Declared(server) => declared_target(context, server),
        Found::Registered(found) => Target::Id(cell(found, "id")),
    };
    if grants.iter().all(|grant| grant.target != target) {
        bail!(
            "the client {} is to have the default MCP server {named:?}, but no grant on it; add one, or name one of these: {}",
            client.name,
            grants
                .iter()
                .map(|grant| grant.named.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    Ok(Some(target))
}

/// The step that makes the declared default MCP server that of a client, if it is another.
pub(super) fn set_default(
    client: &DeclaredClient,
    found: &Value,
    default: Option<Target>,
) -> Option<Step> {
    let server = default?;
    let there = found.get("default_mcp_server_id").unwrap_or(&Value::Null);
    if matches!(&server, Target::Id(id) if there == id) {
        return None;
    }
    // A client with one grant and no default gets that one with its second grant.
    let mut expected = vec![there.clone()];
    let grants = found.get("grants").and_then(Value::as_array);
    if let Some([only]) = grants.map(Vec::as_slice) {
        expected.extend(only.get("mcp_server_id").cloned());
    }
    let named = client.default_mcp_server.as_deref().unwrap_or_default();
    Some(Step::new(
        format!("~ client {}: default_mcp_server {named}", client.name),
        Action::SetDefaultServer {
            client: cell(found, "id"),
            server,
            expected,
        },
    ))
}

fn declared_target(context: &Context<'_>, server: &DeclaredServer) -> Target {
    match context.matches.of(server) {
        Some(found) => Target::Id(cell(found, "id")),
        None => Target::New(server.name.to_string()),
    }
}

/// The grants that a client has: by the MCP server's ID the scopes, and the version.
fn there(found: &Value) -> HashMap<String, (BTreeSet<String>, Seen)> {
    let grants = found.get("grants").and_then(Value::as_array);
    grants
        .into_iter()
        .flatten()
        .map(|grant| {
            let scopes = grant.get("scopes").and_then(Value::as_array);
            let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
            (
                text(grant, "mcp_server_id").to_owned(),
                (scopes.map(str::to_owned).collect(), Seen::of(grant)),
            )
        })
        .collect()
}

/// The steps from the grants that a client has to those that are declared; its default MCP server is set
/// between those that are made and those that are removed.
pub(super) fn change(
    client: &DeclaredClient,
    found: &Value,
    wanted: Vec<Granted>,
    (default, present): (Option<Step>, &Present),
) -> Vec<Step> {
    let id = cell(found, "id");
    let there = there(found);
    let mut steps = Vec::new();
    let mut kept = BTreeSet::new();
    for grant in wanted {
        let before = match &grant.target {
            Target::Id(server) => {
                kept.insert(server.clone());
                there.get(server)
            }
            Target::New(_) => None,
        };
        let scopes = grant.scopes.iter().cloned().collect::<BTreeSet<_>>();
        if before.is_some_and(|(before, _)| *before == scopes) {
            continue;
        }
        let sign = if before.is_some() { "~" } else { "+" };
        let client = client.name.as_str();
        // Who left them out may have meant all.
        let consequence = before.filter(|_| !grant.stated).map(|(before, _)| {
            let before: Vec<_> = before.iter().map(String::as_str).collect();
            format!(
                "the client {client} loses its scopes on {}: {}. The file names none there; for all of them, add all_scopes: true",
                grant.named,
                before.join(" ")
            )
        });
        steps.push(Step {
            words: words(sign, client, &grant.named, &grant.scopes),
            action: Action::PutGrant {
                client: Target::Id(id.clone()),
                server: grant.target,
                seen: before.map_or(Seen::Nothing, |(_, seen)| *seen),
                scopes: grant.scopes,
            },
            consequence,
        });
    }
    steps.extend(default);
    let mut others: Vec<_> = there.into_iter().collect();
    others.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (server, (_, seen)) in others {
        let known = present.server(&server);
        // Grants on Jeton's own admin API are not the file's business.
        if let Some(known) = known.filter(|known| !is_system(known) && !kept.contains(&server)) {
            steps.push(Step::new(
                format!("- grant of {} on {}", client.name, text(known, "name")),
                Action::DeleteGrant {
                    client: id.clone(),
                    server,
                    seen,
                },
            ));
        }
    }
    steps
}

pub(super) fn words(sign: &str, client: &str, server: &str, scopes: &[String]) -> String {
    let scopes = if scopes.is_empty() {
        "no scopes".to_owned()
    } else {
        scopes.join(" ")
    };
    format!("{sign} grant of {client} on {server}: {scopes}")
}
