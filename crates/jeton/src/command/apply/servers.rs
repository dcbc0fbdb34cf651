//! What differs in an MCP server.

use anyhow::bail;
use jeton_core::{Description, counted};
use serde_json::{Value, json};

use super::declaration::{Declaration, DeclaredServer};
use super::difference::difference;
use super::document::{ids, text};
use super::present::{Present, url_key};
use super::step::{Action, Step};
use super::{scopes, urls};
use crate::admin::Seen;
use crate::output::cell;

/// By URL, or by an alias; else by name, where its URL is not declared for another: then it has moved.
pub(super) fn find_server<'a>(
    present: &'a Present,
    declared: &Declaration,
    wanted: &DeclaredServer,
) -> anyhow::Result<Option<&'a Value>> {
    let mut by_url = wanted.urls().filter_map(|url| present.server_at(url));
    if let Some(found) = by_url.next() {
        return Ok(Some(found));
    }
    let moved: Vec<_> = present
        .servers_named(wanted.name.as_str())
        .filter(|server| {
            let key = url_key(text(server, "url"));
            !key.is_some_and(|key| declared.has_url(&key))
        })
        .collect();
    match moved.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => bail!(
            "{} have the name {} ({}), and none of them the URL {}: rename or delete what is not meant",
            counted(several.len(), "MCP server"),
            wanted.name,
            ids(several),
            wanted.url
        ),
    }
}

fn server_body(server: &DeclaredServer) -> Value {
    let scopes: Vec<_> = server
        .scopes
        .iter()
        .map(|(name, description)| {
            let description = description.as_ref().map(Description::as_str);
            let implies = server.implies.get(name).map_or(&[][..], Vec::as_slice);
            json!({
                "name": name,
                "description": description.unwrap_or_default(),
                "implies": implies,
            })
        })
        .collect();
    json!({
        "name": server.name,
        "url": server.url,
        "aliases": server.aliases,
        "description": server.description,
        "scopes": scopes,
        "token_ttl": server.token_ttl,
        "signing_alg": server.signing_alg,
        "token_profile": server.token_profile,
        "own_issuer": server.own_issuer,
    })
}

pub(super) fn create_server(server: &DeclaredServer) -> Step {
    Step::new(
        format!("+ MCP server {} ({})", server.name, server.url),
        Action::CreateServer {
            name: server.name.to_string(),
            body: server_body(server),
        },
    )
}

pub(super) fn update_server(
    server: &DeclaredServer,
    found: &Value,
    (declared, present): (&Declaration, &Present),
) -> Option<Step> {
    let mut wanted = server_body(server);
    scopes::keep_removed(&mut wanted, found);
    let (mut body, changes) = difference(&wanted, found);
    if changes.is_empty() {
        return None;
    }
    let implied = scopes::implied_losses(server, &wanted, (found, present));
    let lost = scopes::make_room(&mut body, server, (found, present));
    let moves = body.get("url").is_some() || body.get("aliases").is_some();
    let mut step = Step::new(
        format!("~ MCP server {}: {}", server.name, changes.join(", ")),
        Action::UpdateServer {
            id: cell(found, "id"),
            seen: Seen::of(found),
            body,
        },
    );
    let opened = moves.then(|| {
        let stays = |key: &str| present.has_url(key) || declared.has_url(key);
        urls::opened(found, Some(server), stays)
    });
    let lost = lost.into_iter().chain(implied);
    let consequences: Vec<_> = lost.chain(opened.flatten()).collect();
    step.consequence = (!consequences.is_empty()).then(|| consequences.join("\n"));
    Some(step)
}
