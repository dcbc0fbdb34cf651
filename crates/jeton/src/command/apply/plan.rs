//! What differs between what is declared and what is there, as steps that make it so.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use jeton_core::{Description, counted};
use serde_json::{Map, Value, json};

use super::declaration::{Declaration, DeclaredClient, DeclaredServer};
use super::grants::{self, Granted};
use super::present::{Present, url_key};
use super::{scopes, urls};
use crate::admin::Seen;
use crate::output::cell;

/// What a step is about: a thing that is there, or one that an earlier step makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Id(String),
    /// The server with this name, or the client with this name.
    New(String),
}

/// One step, with the words that tell of it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) words: String,
    pub(super) action: Action,
    /// What has to be confirmed first, if anything.
    pub(super) consequence: Option<String>,
}

impl Step {
    pub(super) fn new(words: String, action: Action) -> Self {
        Self {
            words,
            action,
            consequence: None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Action {
    CreateServer {
        name: String,
        body: Value,
    },
    UpdateServer {
        id: String,
        seen: Seen,
        body: Value,
    },
    DeleteServer {
        id: String,
        seen: Seen,
    },
    CreateClient(Box<CreateClient>),
    UpdateClient {
        id: String,
        seen: Seen,
        body: Value,
    },
    DeleteClient {
        id: String,
        seen: Seen,
    },
    PutGrant {
        client: Target,
        server: Target,
        seen: Seen,
        scopes: Vec<String>,
    },
    DeleteGrant {
        client: String,
        server: String,
        seen: Seen,
    },
    SetDefaultServer {
        client: String,
        server: Target,
        /// The default that is there: the ID of the MCP server as it was read, or as a new grant left it.
        expected: Vec<Value>,
    },
    /// The secret of a client whose making was interrupted.
    FinishSecret {
        client: String,
        file: PathBuf,
    },
}

#[derive(Debug)]
pub(super) struct CreateClient {
    pub(super) name: String,
    pub(super) server: Target,
    pub(super) body: Value,
    pub(super) disabled: bool,
    pub(super) file: PathBuf,
}

pub(super) fn plan(
    declared: &Declaration,
    present: &Present,
    prune: bool,
) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    // Scopes go last, when the grants are as declared.
    let mut removed_scopes = Vec::new();
    let mut kept = BTreeSet::new();
    for server in &declared.mcp_servers {
        match find_server(present, declared, server)? {
            None => steps.push(create_server(server)),
            Some(found) => {
                kept.insert(cell(found, "id"));
                steps.extend(update_server(server, found, (declared, present)));
                removed_scopes.extend(scopes::removal(server, found, present));
            }
        }
    }
    let mut kept_clients = BTreeSet::new();
    for client in &declared.clients {
        let grants = grants::all(declared, present, client)?;
        let default = grants::default_of(declared, present, client, &grants)?;
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
        steps.extend(removals(declared, present, &kept, &kept_clients));
    }
    Ok(steps)
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn is_system(server: &Value) -> bool {
    server.get("system").and_then(Value::as_bool) == Some(true)
}

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

fn find_client<'a>(
    present: &'a Present,
    wanted: &DeclaredClient,
) -> anyhow::Result<Option<&'a Value>> {
    let named: Vec<_> = present.clients_named(wanted.name.as_str()).collect();
    match named.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => bail!(
            "{} have the name {} ({}): rename or delete what is not meant",
            counted(several.len(), "client"),
            wanted.name,
            ids(several)
        ),
    }
}

/// The IDs of things, for a message.
pub(super) fn ids(things: &[&Value]) -> String {
    let ids: Vec<_> = things.iter().map(|thing| cell(thing, "id")).collect();
    ids.join(", ")
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

fn create_server(server: &DeclaredServer) -> Step {
    Step::new(
        format!("+ MCP server {} ({})", server.name, server.url),
        Action::CreateServer {
            name: server.name.to_string(),
            body: server_body(server),
        },
    )
}

fn update_server(
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

fn client_body(client: &DeclaredClient) -> Value {
    json!({
        "name": client.name,
        "description": client.description,
        "token_ttl": client.token_ttl,
        "custom_claims": client.custom_claims,
    })
}

/// The first grant is the one on its default MCP server.
fn create_client(
    client: &DeclaredClient,
    mut grants: Vec<Granted>,
    default: Option<&Target>,
) -> anyhow::Result<Vec<Step>> {
    let Some(file) = client.secret_file.clone() else {
        bail!(
            "the client {} is not there yet, and its secret will be shown once: say with secret_file where to write it",
            client.name
        );
    };
    let held = std::fs::metadata(&file).is_ok_and(|file| file.len() > 0);
    if held {
        bail!(
            "the client {} is not there yet, but its secret_file {} is, with something in it: move it away first",
            client.name,
            file.display()
        );
    }
    grants.sort_by_key(|grant| Some(&grant.target) != default);
    let mut grants = grants.into_iter();
    let Some(first) = grants.next() else {
        return Ok(Vec::new());
    };
    let mut body = client_body(client);
    if let Some(members) = body.as_object_mut() {
        members.insert("scopes".into(), json!(first.scopes));
    }
    let name = client.name.to_string();
    let mut steps = vec![Step::new(
        format!("+ client {name}, its secret in {}", file.display()),
        Action::CreateClient(Box::new(CreateClient {
            name: name.clone(),
            server: first.target,
            body,
            disabled: client.disabled,
            file,
        })),
    )];
    for grant in grants {
        steps.push(Step::new(
            grants::words("+", &name, &grant.named, &grant.scopes),
            Action::PutGrant {
                client: Target::New(name.clone()),
                server: grant.target,
                seen: Seen::Nothing,
                scopes: grant.scopes,
            },
        ));
    }
    Ok(steps)
}

fn update_client(client: &DeclaredClient, found: &Value) -> Option<Step> {
    let mut wanted = client_body(client);
    let status = if client.disabled {
        "disabled"
    } else {
        "enabled"
    };
    if let Some(members) = wanted.as_object_mut() {
        members.insert("status".into(), json!(status));
    }
    let (body, changes) = difference(&wanted, found);
    (!changes.is_empty()).then(|| {
        Step::new(
            format!("~ client {}: {}", client.name, changes.join(", ")),
            Action::UpdateClient {
                id: cell(found, "id"),
                seen: Seen::of(found),
                body,
            },
        )
    })
}

/// The members that differ, and words for each.
fn difference(wanted: &Value, found: &Value) -> (Value, Vec<String>) {
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

/// A client is made before its secret is written: an empty file says that the second did not happen.
fn finish_secret(client: &DeclaredClient, found: &Value) -> Option<Step> {
    let file = client.secret_file.clone()?;
    let is_empty = std::fs::metadata(&file).is_ok_and(|file| file.len() == 0);
    is_empty.then(|| {
        Step::new(
            format!("+ secret of {}, in {}", client.name, file.display()),
            Action::FinishSecret {
                client: cell(found, "id"),
                file,
            },
        )
    })
}

/// What is there and not declared. Jeton's own admin API and who may use it stay.
fn removals(
    declared: &Declaration,
    present: &Present,
    servers: &BTreeSet<String>,
    clients: &BTreeSet<String>,
) -> Vec<Step> {
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
        .filter(|server| !is_system(server) && !servers.contains(&cell(server, "id")))
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
