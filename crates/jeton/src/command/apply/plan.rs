//! What differs between what is declared and what is there, as steps that make it so.

use std::collections::BTreeSet;

use serde_json::Value;

use super::clients::{create_client, find_client, finish_secret, update_client};
use super::declaration::Declaration;
use super::document::{is_system, text};
use super::matches::Matches;
use super::present::Present;
use super::server_steps::{Context, ServerSteps};
use super::step::{Action, Step};
use super::{grants, scopes, urls};
use crate::admin::Seen;
use crate::output::cell;

pub(super) fn plan(
    declared: &Declaration,
    present: &Present,
    prune: bool,
) -> anyhow::Result<Vec<Step>> {
    let matches = Matches::new(declared, present)?;
    let context = Context {
        declared,
        present,
        matches: &matches,
        prune,
    };
    let mut servers = ServerSteps::default();
    // Scopes go last, when the grants are as declared.
    let mut removed_scopes = Vec::new();
    for server in &declared.mcp_servers {
        servers.add(server, &context)?;
        if let Some(found) = matches.of(server) {
            removed_scopes.extend(scopes::removal(server, found, present));
        }
    }
    let mut steps: Vec<_> = servers.before_clients().collect();
    let mut kept_clients = BTreeSet::new();
    for client in &declared.clients {
        let grants = grants::all(&context, client)?;
        let default = grants::default_of(&context, client, &grants)?;
        match find_client(present, client)? {
            None => steps.extend(create_client(client, grants, default.as_ref())?),
            Some(found) => {
                kept_clients.insert(cell(found, "id"));
                steps.extend(update_client(client, found));
                let default = grants::set_default(client, found, default);
                steps.extend(grants::change(client, found, grants, (default, present)));
                steps.extend(finish_secret(client, found));
            }
        }
    }
    steps.extend(removed_scopes);
    if prune {
        steps.extend(removals(&context, &kept_clients));
    }
    steps.extend(servers.after_pruning);
    Ok(steps)
}

/// What is there and not declared. Jeton's own admin API and who may use it stay.
fn removals(context: &Context<'_>, clients: &BTreeSet<String>) -> Vec<Step> {
    let Context {
        declared,
        present,
        matches,
        ..
    } = *context;
    let known: BTreeSet<_> = present
        .servers
        .iter()
        .filter(|server| !is_system(server))
        .map(|server| cell(server, "id"))
        .collect();
    let is_admin = |client: &&Value| {
        let grants = client.get("grants").and_then(Value::as_array);
        let mut grants = grants.into_iter().flatten();
        grants.any(|grant| !known.contains(text(grant, "mcp_server_id")))
    };
    let gone_clients = present
        .clients
        .iter()
        .filter(|client| !clients.contains(&cell(client, "id")) && !is_admin(client))
        .map(|client| {
            Step::new(
                format!("- client {} ({})", text(client, "name"), cell(client, "id")),
                Action::DeleteClient {
                    id: cell(client, "id"),
                    seen: Seen::of(client),
                },
            )
        });
    let mut gone_servers: Vec<_> = present
        .servers
        .iter()
        .filter(|server| !is_system(server) && matches.declared(server).is_none())
        .collect();
    // Parents first: what lies under them then opens to nobody.
    gone_servers.sort_by_key(|server| text(server, "url").len());
    let gone_servers = gone_servers.into_iter().map(|server| Step {
        words: format!(
            "- MCP server {} ({})",
            text(server, "name"),
            cell(server, "id")
        ),
        action: Action::DeleteServer {
            id: cell(server, "id"),
            seen: Seen::of(server),
        },
        consequence: urls::opened(server, None, |key| declared.has_url(key)),
    });
    gone_clients.chain(gone_servers).collect()
}
