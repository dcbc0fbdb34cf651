//! What differs in an MCP server.

use jeton_core::{Description, ResourceUri};
use serde_json::{Value, json};

use super::declaration::DeclaredServer;
use super::difference::difference;
use super::server_steps::Context;
use super::step::{Action, Step, Target};
use super::{scopes, urls};
use crate::admin::Seen;
use crate::output::cell;

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

/// `without`: aliases that are still another server's.
pub(super) fn create_server(server: &DeclaredServer, without: &[ResourceUri]) -> Step {
    let mut body = server_body(server);
    let aliases = server.aliases.iter().filter(|url| !without.contains(url));
    if let Some(members) = body.as_object_mut() {
        let aliases: Vec<_> = aliases.map(ResourceUri::as_given).collect();
        members.insert("aliases".into(), json!(aliases));
    }
    Step::new(
        format!("+ MCP server {} ({})", server.name, server.url),
        Action::CreateServer {
            name: server.name.to_string(),
            body,
        },
    )
}

/// A registered MCP server that becomes as it is declared.
pub(super) struct Changing<'a> {
    pub(super) server: &'a DeclaredServer,
    pub(super) found: &'a Value,
    pub(super) context: &'a Context<'a>,
}

/// The step that makes it so, but for the members of `later`.
pub(super) fn update_server(changing: &Changing<'_>, later: Option<&Value>) -> Option<Step> {
    let Changing {
        server,
        found,
        context,
    } = *changing;
    let mut wanted = server_body(server);
    scopes::keep_removed(&mut wanted, found);
    if let (Some(members), Some(later)) = (wanted.as_object_mut(), later) {
        members.retain(|name, _| later.get(name).is_none());
    }
    let (mut body, changes) = difference(&wanted, found);
    if changes.is_empty() {
        return None;
    }
    let implied = scopes::implied_losses(server, &wanted, (found, context.present));
    let lost = scopes::make_room(&mut body, server, (found, context.present));
    let opened = opened(changing, &body);
    let mut step = update_step(changing, body, &changes);
    let consequences: Vec<_> = lost.into_iter().chain(implied).chain(opened).collect();
    step.consequence = (!consequences.is_empty()).then(|| consequences.join("\n"));
    Some(step)
}

/// The step that changes these members alone, if any differs.
pub(super) fn change(changing: &Changing<'_>, wanted: &Value) -> Option<Step> {
    let (body, changes) = difference(wanted, changing.found);
    if changes.is_empty() {
        return None;
    }
    let consequence = opened(changing, &body);
    let step = update_step(changing, body, &changes);
    Some(Step {
        consequence,
        ..step
    })
}

/// What has to be known of the URLs that a change leaves.
fn opened(changing: &Changing<'_>, body: &Value) -> Option<String> {
    let Context {
        declared, present, ..
    } = *changing.context;
    if body.get("url").is_none() && body.get("aliases").is_none() {
        return None;
    }
    let stays = |key: &str| present.has_url(key) || declared.has_url(key);
    urls::opened(changing.found, Some(changing.server), stays)
}

fn update_step(changing: &Changing<'_>, body: Value, changes: &[String]) -> Step {
    let Changing { server, found, .. } = *changing;
    Step::new(
        format!("~ MCP server {}: {}", server.name, changes.join(", ")),
        Action::UpdateServer {
            server: Target::Id(cell(found, "id")),
            seen: Seen::of(found),
            body,
        },
    )
}
