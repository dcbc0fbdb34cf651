//! What differs in the grants of a client.

use std::collections::{BTreeSet, HashMap};

use anyhow::bail;
use jeton_core::ResourceUri;
use serde_json::Value;

use super::declaration::{Declaration, DeclaredClient, DeclaredGrant, DeclaredServer};
use super::plan::{Action, Step, Target, find_server, is_system, text};
use super::present::Present;
use crate::admin::Seen;
use crate::output::cell;

/// A declared grant: on which MCP server, there or to be made, with which scopes.
pub(super) struct Granted {
    pub(super) target: Target,
    pub(super) scopes: Vec<String>,
}

/// What a declared grant means.
pub(super) fn granted(
    declared: &Declaration,
    present: &Present,
    client: &DeclaredClient,
    grant: &DeclaredGrant,
) -> anyhow::Result<Granted> {
    let (target, defined) = if let Some(server) = declared.server(&grant.mcp_server) {
        (
            declared_target(declared, present, server)?,
            server.scopes.keys().cloned().collect(),
        )
    } else if let Some(found) = registered(present, &grant.mcp_server) {
        let scopes = found.get("scopes").and_then(Value::as_array);
        let scopes = scopes.into_iter().flatten();
        let names: Vec<_> = scopes.map(|scope| text(scope, "name").to_owned()).collect();
        (Target::Id(cell(found, "id")), names)
    } else {
        bail!(
            "the client {} has a grant on {:?}, which is the name or URL of no MCP server, here or registered",
            client.name,
            grant.mcp_server
        );
    };
    let Some(scopes) = &grant.scopes else {
        return Ok(Granted {
            target,
            scopes: defined,
        });
    };
    let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    if let Some(unknown) = scopes.iter().find(|scope| !defined.contains(scope)) {
        bail!(
            "the client {} is to have the scope {unknown}, which {} does not define; it defines: {}",
            client.name,
            grant.mcp_server,
            defined.join(" ")
        );
    }
    Ok(Granted { target, scopes })
}

fn declared_target(
    declared: &Declaration,
    present: &Present,
    server: &DeclaredServer,
) -> anyhow::Result<Target> {
    Ok(match find_server(present, declared, server)? {
        Some(found) => Target::Id(cell(found, "id")),
        None => Target::New(server.name.to_string()),
    })
}

/// The registered MCP server with this name or URL.
fn registered<'a>(present: &'a Present, named: &str) -> Option<&'a Value> {
    let by_url = || present.server_at(&named.parse::<ResourceUri>().ok()?);
    present.servers_named(named).next().or_else(by_url)
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

/// The steps from the grants that a client has to those that are declared.
pub(super) fn change(
    client: &DeclaredClient,
    found: &Value,
    wanted: Vec<Granted>,
    present: &Present,
) -> Vec<Step> {
    let id = cell(found, "id");
    let there = there(found);
    let mut steps = Vec::new();
    let mut kept = BTreeSet::new();
    for (grant, declared) in wanted.into_iter().zip(&client.grants) {
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
        steps.push(Step::new(
            words(sign, client, &declared.mcp_server, &grant.scopes),
            Action::PutGrant {
                client: Target::Id(id.clone()),
                server: grant.target,
                seen: before.map_or(Seen::Nothing, |(_, seen)| *seen),
                scopes: grant.scopes,
            },
        ));
    }
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
    format!("{sign} grant of {client} on {server}: {}", scopes.join(" "))
}
