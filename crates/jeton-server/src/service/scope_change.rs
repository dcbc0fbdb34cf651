//! Changing the scopes of an MCP server, and what becomes of its clients' grants.

use std::collections::HashMap;

use jeton_core::{
    DefinedScopes, Description, Grant, McpServer, Scope, ScopeDefinition, ScopeSet, TokenRequest,
    counted,
};

use super::error::{Confirmation, Loss};
use super::mcp_servers::McpServerChange;
use super::{Operator, ServiceError, changes};
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

/// A scope as an operator declares it.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredScope {
    pub(crate) name: Scope,
    pub(crate) description: Description,
    /// Narrower scopes that it implies; absent, those of before, if it is there already.
    pub(crate) implies: Option<Vec<Scope>>,
}

/// A grant that a change of its MCP server changes, or makes worth less.
#[derive(Debug)]
pub(super) struct AffectedGrant {
    /// As it is afterwards.
    pub(super) grant: Grant,
    /// Its scopes before.
    pub(super) before: ScopeSet,
    /// Whether it is another than before, or only what its scopes imply.
    pub(super) is_changed: bool,
    /// What the client loses, by its new names.
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
) -> Result<DefinedScopes, ServiceError> {
    let edits = [
        !change.rename_scopes.is_empty(),
        !change.remove_scopes.is_empty(),
        !change.add_scopes.is_empty(),
    ];
    let mut scopes = before.scopes.to_vec();
    if let Some(all) = change.scopes.take() {
        if edits.contains(&true) {
            return invalid(
                "scopes",
                "send either all scopes, or those to add, remove and rename".into(),
            );
        }
        return defined(replaced(scopes, all));
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
        if !take_out(&mut scopes, name) {
            return invalid("remove_scopes", not_defined(before, name));
        }
    }
    for added in std::mem::take(&mut change.add_scopes) {
        match scopes.iter_mut().find(|scope| scope.name == added.name) {
            Some(there) => {
                if !added.description.as_str().is_empty() || change.clear_descriptions {
                    there.description = added.description;
                }
                if let Some(implies) = added.implies {
                    there.implies = implies;
                }
            }
            None => scopes.push(added.into()),
        }
    }
    defined(scopes)
}

impl From<DeclaredScope> for ScopeDefinition {
    fn from(declared: DeclaredScope) -> Self {
        definition(declared, None)
    }
}

fn definition(declared: DeclaredScope, before: Option<&ScopeDefinition>) -> ScopeDefinition {
    let implied = || before.map(|before| before.implies.clone());
    ScopeDefinition {
        implies: declared.implies.or_else(implied).unwrap_or_default(),
        name: declared.name,
        description: declared.description,
    }
}

/// All scopes anew.
fn replaced(mut before: Vec<ScopeDefinition>, all: Vec<DeclaredScope>) -> Vec<ScopeDefinition> {
    let gone: Vec<_> = before
        .iter()
        .map(|scope| scope.name.clone())
        .filter(|name| all.iter().all(|declared| declared.name != *name))
        .collect();
    for name in &gone {
        take_out(&mut before, name);
    }
    let defined = all.into_iter().map(|declared| {
        let there = before.iter().find(|scope| scope.name == declared.name);
        definition(declared, there)
    });
    defined.collect()
}

/// Removes a scope; says whether it was there. A scope that implied it implies what it implied, so that
/// nobody loses another scope by it.
fn take_out(scopes: &mut Vec<ScopeDefinition>, name: &Scope) -> bool {
    let Some(place) = scopes.iter().position(|scope| scope.name == *name) else {
        return false;
    };
    let gone = scopes.remove(place);
    for scope in scopes {
        let Some(place) = scope.implies.iter().position(|implied| implied == name) else {
            continue;
        };
        scope.implies.remove(place);
        for inherited in &gone.implies {
            if !scope.implies.contains(inherited) {
                scope.implies.push(inherited.clone());
            }
        }
    }
    true
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
        for name in std::iter::once(&mut scope.name).chain(&mut scope.implies) {
            if let Some(new_name) = new_names.get(name) {
                *name = Scope::clone(new_name);
            }
        }
    }
    defined(scopes.to_vec()).map(drop)
}

fn not_defined(server: &McpServer, scope: &Scope) -> String {
    format!(
        "the MCP server does not define the scope {scope}; it defines: {}",
        server.scope_set()
    )
}

/// Refuses too many scopes, and what does not fit together.
pub(super) fn defined(scopes: Vec<ScopeDefinition>) -> Result<DefinedScopes, ServiceError> {
    if scopes.len() > MAX_SCOPES {
        let detail = format!("at most {MAX_SCOPES} scopes, not {}", scopes.len());
        return invalid("scopes", detail);
    }
    DefinedScopes::new(scopes).or_else(|error| invalid("scopes", error.to_string()))
}

/// The grants that change with the scopes of their MCP server, or that are worth less afterwards.
pub(super) async fn affected_grants(
    app: &App,
    before: &McpServer,
    after: &McpServer,
    renames: &[ScopeRename],
) -> Result<Vec<AffectedGrant>, ServiceError> {
    let new_names: HashMap<_, _> = renames
        .iter()
        .map(|rename| (&rename.from, &rename.to))
        .collect();
    let with_new_names = |scopes: &ScopeSet| -> ScopeSet {
        let names = scopes.iter();
        names
            .map(|scope| (*new_names.get(scope).unwrap_or(&scope)).clone())
            .collect()
    };
    let mut affected = Vec::new();
    for grant in app.store.grants_on_mcp_server(after.id).await? {
        let named = with_new_names(&grant.scopes);
        let scopes = named.intersection(after.scopes.names());
        let had = with_new_names(&before.scopes.granted(&grant.scopes));
        let lost = had.difference(&after.scopes.granted(&scopes));
        let is_changed = scopes != grant.scopes;
        if !is_changed && lost.is_empty() {
            continue;
        }
        affected.push(AffectedGrant {
            is_changed,
            lost,
            renamed: named != grant.scopes,
            before: grant.scopes.clone(),
            grant: Grant {
                scopes,
                version: grant.version + 1,
                ..grant
            },
        });
    }
    Ok(affected)
}

/// What an operator has to know before clients lose scopes; nothing where none does.
pub(super) async fn losses(
    app: &App,
    server: &McpServer,
    affected: &[AffectedGrant],
) -> Result<Option<Confirmation>, ServiceError> {
    let losing: Vec<_> = affected.iter().filter(|one| !one.lost.is_empty()).collect();
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
    let verb = if clients == 1 { "loses" } else { "lose" };
    let for_good = if losing.iter().any(|one| one.is_changed) {
        "; defining them again later gives them back to nobody"
    } else {
        ""
    };
    Ok(Some(Confirmation {
        detail: format!(
            "{} {verb} scopes on {} ({}){for_good}",
            counted(clients, "client"),
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
    changed: &[AffectedGrant],
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
            changes::note_scopes(&mut event, Some(&one.before), Some(&one.grant.scopes));
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
