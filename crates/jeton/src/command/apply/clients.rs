//! What differs in a client, but for its grants.

use anyhow::bail;
use jeton_core::counted;
use serde_json::{Value, json};

use super::declaration::DeclaredClient;
use super::difference::difference;
use super::document::ids;
use super::grants::{self, Granted};
use super::present::Present;
use super::step::{Action, CreateClient, Step, Target};
use crate::admin::Seen;
use crate::output::cell;

pub(super) fn find_client<'a>(
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

fn client_body(client: &DeclaredClient) -> Value {
    json!({
        "name": client.name,
        "description": client.description,
        "token_ttl": client.token_ttl,
        "custom_claims": client.custom_claims,
    })
}

/// The first grant is the one on its default MCP server.
pub(super) fn create_client(
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

pub(super) fn update_client(client: &DeclaredClient, found: &Value) -> Option<Step> {
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

/// A client is made before its secret is written: an empty file says that the second did not happen.
pub(super) fn finish_secret(client: &DeclaredClient, found: &Value) -> Option<Step> {
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
