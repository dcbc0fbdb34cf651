//! Changing the scopes of an MCP server, and what becomes of its clients' grants.

use std::collections::HashMap;

use jeton_core::{Grant, McpServer, Scope, ScopeDefinition, ScopeSet, TokenRequest};

use super::error::{Confirmation, Loss};
use super::mcp_servers::McpServerChange;
use super::{Operator, ServiceError};
use crate::app::App;

const MAX_SCOPES: usize = TokenRequest::MAX_SCOPES;
/// Clients that a confirmation names.
const NAMED: usize = 50;

/// A scope's new name, which it gets in every grant too.
#[derive(Debug, Clone)]
pub(crate) struct ScopeRename {
    pub(crate) from: Scope,
    pub(crate) to: Scope,
}

/// A grant that a change of its MCP server changes.
#[derive(Debug)]
pub(super) struct ChangedGrant {
    /// As it is afterwards.
    pub(super) grant: Grant,
    /// What it loses, by its new names.
    pub(super) lost: ScopeSet,
    /// Whether a scope of it was renamed.
    pub(super) renamed: bool,
}

fn invalid<T>(parameter: &'static str, detail: String) -> Result<T, ServiceError> {
    Err(ServiceError::Invalid { parameter, detail })
}

/// The scopes that `before` defines once `change` is made.
pub(super) fn scopes_after(
    before: &McpServer,
    change: &mut McpServerChange,
) -> Result<Vec<ScopeDefinition>, ServiceError> {
    let edits = [
        !change.rename_scopes.is_empty(),
        !change.remove_scopes.is_empty(),
        !change.add_scopes.is_empty(),
    ];
    let mut scopes = before.scopes.clone();
    if let Some(all) = change.scopes.take() {
        if edits.contains(&true) {
            return invalid(
                "scopes",
                "send either all scopes, or those to add, remove and rename".into(),
            );
        }
        check(&all)?;
        scopes = all;
    }
    let counts = [
        ("rename_scopes", change.rename_scopes.len()),
        ("remove_scopes", change.remove_scopes.len()),
        ("add_scopes", change.add_scopes.len()),
    ];
    if let Some((parameter, count)) = counts.iter().find(|(_, count)| *count > MAX_SCOPES) {
        return invalid(
            parameter,
            format!("at most {MAX_SCOPES} at once, not {count}"),
        );
    }
    rename(before, &mut scopes, &change.rename_scopes)?;
    for name in &change.remove_scopes {
        let count = scopes.len();
        scopes.retain(|scope| scope.name != *name);
        if scopes.len() == count {
            return invalid("remove_scopes", not_defined(before, name));
        }
    }
    for added in std::mem::take(&mut change.add_scopes) {
        match scopes.iter_mut().find(|scope| scope.name == added.name) {
            Some(_) if added.description.as_str().is_empty() && !change.clear_descriptions => {}
            Some(there) => there.description = added.description,
            None => scopes.push(added),
        }
    }
    check(&scopes)?;
    Ok(scopes)
}

/// All at once, as in the grants: what one rename makes is not renamed by another.
fn rename(
    before: &McpServer,
    scopes: &mut [ScopeDefinition],
    renames: &[ScopeRename],
) -> Result<(), ServiceError> {
    let mut new_names = HashMap::new();
    for rename in renames {
        if !before.defines(&rename.from) {
            return invalid("rename_scopes", not_defined(before, &rename.from));
        }
        if new_names.insert(&rename.from, &rename.to).is_some() {
            let detail = format!("the scope {} is renamed twice", rename.from);
            return invalid("rename_scopes", detail);
        }
    }
    for scope in &mut *scopes {
        if let Some(new_name) = new_names.get(&scope.name) {
            scope.name = Scope::clone(new_name);
        }
    }
    check(scopes)
}

fn not_defined(server: &McpServer, scope: &Scope) -> String {
    format!(
        "the MCP server does not define the scope {scope}; it defines: {}",
        server.scope_set()
    )
}

/// Refuses too many scopes, and one that is there twice.
pub(super) fn check(scopes: &[ScopeDefinition]) -> Result<(), ServiceError> {
    if scopes.len() > MAX_SCOPES {
        let detail = format!("at most {MAX_SCOPES} scopes, not {}", scopes.len());
        return invalid("scopes", detail);
    }
    for (index, scope) in scopes.iter().enumerate() {
        let mut earlier = scopes.iter().take(index);
        if earlier.any(|earlier| earlier.name == scope.name) {
            return invalid(
                "scopes",
                format!("the scope {} is defined twice", scope.name),
            );
        }
    }
    Ok(())
}

/// The grants that change with the scopes of their MCP server.
pub(super) async fn changed_grants(
    app: &App,
    after: &McpServer,
    renames: &[ScopeRename],
) -> Result<Vec<ChangedGrant>, ServiceError> {
    let defined = after.scope_set();
    let new_names: HashMap<_, _> = renames
        .iter()
        .map(|rename| (&rename.from, &rename.to))
        .collect();
    let mut changed = Vec::new();
    for grant in app.store.grants_on_mcp_server(after.id).await? {
        let named: ScopeSet = grant
            .scopes
            .iter()
            .map(|scope| (*new_names.get(scope).unwrap_or(&scope)).clone())
            .collect();
        let scopes = named.intersection(&defined);
        if scopes == grant.scopes {
            continue;
        }
        changed.push(ChangedGrant {
            lost: named
                .iter()
                .filter(|scope| !defined.contains(scope))
                .cloned()
                .collect(),
            renamed: named != grant.scopes,
            grant: Grant {
                scopes,
                version: grant.version + 1,
                ..grant
            },
        });
    }
    Ok(changed)
}

/// What an operator has to know before clients lose scopes; nothing where none does.
pub(super) async fn losses(
    app: &App,
    server: &McpServer,
    changed: &[ChangedGrant],
) -> Result<Option<Confirmation>, ServiceError> {
    let losing: Vec<_> = changed.iter().filter(|one| !one.lost.is_empty()).collect();
    if losing.is_empty() {
        return Ok(None);
    }
    let mut losses = Vec::new();
    for one in losing.iter().take(NAMED) {
        let entry = app.directory.find_client(one.grant.client_id).await?;
        losses.push(Loss {
            client_id: one.grant.client_id,
            name: entry.map_or_else(String::new, |entry| entry.client.name.to_string()),
            scopes: one.lost.clone(),
        });
    }
    let all: ScopeSet = losing
        .iter()
        .flat_map(|one| one.lost.iter())
        .cloned()
        .collect();
    let counts: Vec<_> = all
        .iter()
        .map(|scope| {
            let clients = losing.iter().filter(|one| one.lost.contains(scope)).count();
            format!("{scope}: {clients}")
        })
        .collect();
    let clients = losing.len();
    let noun = if clients == 1 {
        "client loses"
    } else {
        "clients lose"
    };
    Ok(Some(Confirmation {
        detail: format!(
            "{clients} {noun} scopes on {} ({}); defining them again later gives them back to nobody",
            server.name,
            counts.join(", ")
        ),
        clients,
        losses,
    }))
}

/// One event a client whose grant changes.
pub(super) fn events(
    app: &App,
    operator: &Operator,
    changed: &[ChangedGrant],
    renames: &[ScopeRename],
) -> Result<Vec<jeton_core::AuditEvent>, ServiceError> {
    let new_names: serde_json::Map<_, _> = renames
        .iter()
        .map(|rename| (rename.from.to_string(), rename.to.as_str().into()))
        .collect();
    changed
        .iter()
        .map(|one| {
            let mut event = operator.event(app, jeton_core::AuditKind::GrantUpdated)?;
            event.client_id = Some(one.grant.client_id);
            event.mcp_server_id = Some(one.grant.mcp_server_id);
            event.scope = Some(one.grant.scopes.clone());
            if !one.lost.is_empty() {
                let lost = one.lost.to_string();
                event.detail.insert("removed_scopes".into(), lost.into());
            }
            if one.renamed {
                let new_names = new_names.clone();
                event
                    .detail
                    .insert("renamed_scopes".into(), new_names.into());
            }
            Ok(event)
        })
        .collect()
}
