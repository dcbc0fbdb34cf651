//! What a client may on an MCP server: changing its grant, and saying that one has no scope.

use anyhow::bail;
use jeton_core::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::{Admin, Seen};
use crate::output::{self, cell};
use crate::usage::Usage;

/// The scopes that `client update` names.
pub(super) struct ScopeChange<'a> {
    /// All of them from now on.
    pub(super) scopes: &'a [Scope],
    /// Every scope that the MCP server defines.
    pub(super) all: bool,
    pub(super) added: &'a [Scope],
    pub(super) removed: &'a [Scope],
}

/// The names of the scopes that an MCP server defines.
pub(super) async fn defined_scopes(admin: &Admin, server: &str) -> anyhow::Result<Vec<String>> {
    let server = admin.read(&format!("/mcp-servers/{server}")).await?;
    let scopes = server.get("scopes").and_then(Value::as_array);
    let scopes = scopes.into_iter().flatten();
    Ok(scopes.map(|scope| cell(scope, "name")).collect())
}

/// Says that a client has no scope on a server, and what to do about it.
pub(super) fn say_no_scope(client: &str, server: &str, defined: &[String]) {
    let grant = format!("jeton client update {client} --mcp-server {server}");
    if defined.is_empty() {
        output::say(&format!(
            "the MCP server defines no scope, so no client gets a token for it. Define one with \
             jeton mcp-server update {server} --add-scope SCOPE, then grant it with {grant} --scope SCOPE"
        ));
        return;
    }
    output::say(&format!(
        "the client has no scope, so it gets no token. The MCP server defines: {}. Grant some with \
         {grant} --scope SCOPE, or all with {grant} --all-scopes",
        defined.join(" ")
    ));
}

/// Changes the scopes of a grant as it is now, or makes it.
pub(super) async fn change(
    admin: &Admin,
    change: &ScopeChange<'_>,
    (client, server): (&str, &str),
) -> anyhow::Result<()> {
    let asked = [change.scopes, change.added, change.removed];
    if !change.all && asked.iter().all(|scopes| scopes.is_empty()) {
        return Err(Usage::error(
            "--mcp-server says where, and nothing says what to change there: add --scope, --add-scope, --remove-scope or --all-scopes",
        ));
    }
    let path = format!("{client}/grants");
    let grants = admin.list(&path, &[], None).await?;
    let there = grants
        .iter()
        .find(|grant| cell(grant, "mcp_server_id") == server);
    let scopes = there.and_then(|grant| grant.get("scopes")?.as_array());
    let seen = there.map_or(Seen::Nothing, Seen::of);
    let grant = format!("{path}/{server}");
    if change.all {
        let body = json!({ "all_scopes": true });
        admin.send_if(seen, Method::PUT, &grant, &body).await?;
        return Ok(());
    }
    let before: Vec<String> = scopes
        .into_iter()
        .flatten()
        .filter_map(|scope| scope.as_str().map(str::to_owned))
        .collect();
    let names = |scopes: &[Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut after = if change.scopes.is_empty() {
        before.clone()
    } else {
        names(change.scopes)
    };
    let removed = names(change.removed);
    if let Some(missing) = removed.iter().find(|scope| !before.contains(scope)) {
        bail!(
            "the client does not have the scope {missing} there; it has: {}",
            if before.is_empty() {
                "none".to_owned()
            } else {
                before.join(" ")
            }
        );
    }
    after.retain(|scope| !removed.contains(scope));
    let added = names(change.added);
    after.extend(added.into_iter().filter(|scope| !before.contains(scope)));
    let lost: Vec<_> = before
        .iter()
        .filter(|scope| !after.contains(scope))
        .map(String::as_str)
        .collect();
    let body = json!({ "scopes": after });
    admin.send_if(seen, Method::PUT, &grant, &body).await?;
    if !lost.is_empty() {
        output::say(&format!("the client lost the scopes {}", lost.join(" ")));
    }
    Ok(())
}
