//! Pieces that several pages show: scopes, secrets.

use std::str::FromStr;

use jeton_core::{ClientSecret, McpServer, Scope, ScopeSet, SecretState, Timestamp};
use jeton_store::PageRequest;

use super::PageError;
use super::format::{When, when};

/// How many rows a page of a table has: few enough that a page stays light.
pub(super) const ROWS: u32 = 30;

/// A page of a table, after the row that the address names.
pub(super) fn page_of_rows<C: FromStr>(after: Option<&str>) -> Result<PageRequest<C>, PageError> {
    let after = after
        .filter(|after| !after.is_empty())
        .map(id::<C>)
        .transpose()?;
    Ok(PageRequest { after, limit: ROWS })
}

/// An ID in an address; what is none leads nowhere.
pub(super) fn id<T: FromStr>(text: &str) -> Result<T, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

/// An address with a query; what is empty is left out.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        serializer.append_pair(name, value);
    }
    let query = serializer.finish();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// A scope, and whether it is chosen.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScopeView {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Names with spaces between them.
    pub(crate) implies: String,
    pub(crate) checked: bool,
    /// What is wrong with it, in a form.
    pub(crate) problem: Option<String>,
}

/// Scopes whose names begin alike.
pub(crate) struct ScopeGroup<'a> {
    /// Empty where a list is short enough to need no groups.
    pub(crate) prefix: String,
    pub(crate) scopes: Vec<(usize, &'a ScopeView)>,
}

/// A list of more scopes than this is shown in groups, with a filter.
const MANY_SCOPES: usize = 12;

/// Whether a list is so long that one looks for scopes rather than reading it.
pub(crate) fn has_many(scopes: &[ScopeView]) -> bool {
    scopes.len() > MANY_SCOPES
}

/// How many of them are ticked.
pub(crate) fn count_checked(scopes: &[ScopeView]) -> usize {
    scopes.iter().filter(|scope| scope.checked).count()
}

/// In groups by what comes before the first separator of their names, in order of appearance.
pub(crate) fn scope_groups(scopes: &[ScopeView]) -> Vec<ScopeGroup<'_>> {
    let mut groups: Vec<ScopeGroup<'_>> = Vec::new();
    for (index, scope) in scopes.iter().enumerate() {
        let prefix = if has_many(scopes) {
            let separators = [':', '.', '/'];
            let prefix = scope.name.split_once(separators);
            prefix.map_or("", |(prefix, _)| prefix)
        } else {
            ""
        };
        let mut known = groups.iter_mut();
        match known.find(|group| group.prefix == prefix) {
            Some(group) => group.scopes.push((index + 1, scope)),
            None => groups.push(ScopeGroup {
                prefix: prefix.to_owned(),
                scopes: vec![(index + 1, scope)],
            }),
        }
    }
    groups
}

/// The scopes of a server, those in `chosen` ticked.
pub(super) fn scope_choices(server: &McpServer, chosen: &ScopeSet) -> Vec<ScopeView> {
    server
        .scopes
        .iter()
        .map(|scope| ScopeView {
            name: scope.name.to_string(),
            description: scope.description.to_string(),
            implies: names(&scope.implies),
            checked: chosen.contains(&scope.name),
            problem: None,
        })
        .collect()
}

fn names(scopes: &[Scope]) -> String {
    let names: Vec<_> = scopes.iter().map(Scope::as_str).collect();
    names.join(" ")
}

/// The scopes of a server that are in `chosen`.
pub(super) fn chosen_scopes(server: &McpServer, chosen: &ScopeSet) -> Vec<ScopeView> {
    let mut scopes = scope_choices(server, chosen);
    scopes.retain(|scope| scope.checked);
    scopes
}

/// A secret as the pages show it.
#[derive(Debug)]
pub(crate) struct SecretRow {
    pub(crate) id: String,
    pub(crate) suffix: String,
    pub(crate) created: When,
    pub(crate) last_used: Option<When>,
    pub(crate) expires: Option<When>,
    pub(crate) state: &'static str,
    pub(crate) class: &'static str,
}

/// Working ones first, then the newest first.
pub(super) fn secret_rows(mut secrets: Vec<ClientSecret>, now: Timestamp) -> Vec<SecretRow> {
    secrets.sort_by_key(|secret| {
        (
            secret.state(now) != SecretState::Active,
            std::cmp::Reverse(secret.id),
        )
    });
    secrets
        .into_iter()
        .map(|secret| {
            let state = secret.state(now);
            SecretRow {
                id: secret.id.to_string(),
                suffix: secret.suffix,
                created: when(secret.created_at, now),
                last_used: secret.last_used_at.map(|at| when(at, now)),
                expires: secret.expires_at.map(|at| when(at, now)),
                state: state.as_str(),
                class: match state {
                    SecretState::Active => "good",
                    SecretState::Expired | SecretState::Revoked => "off",
                },
            }
        })
        .collect()
}

/// Something with an ID and a name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

impl Named {
    pub(super) fn server(server: &McpServer) -> Self {
        Self {
            id: server.id.to_string(),
            name: server.name.to_string(),
        }
    }
}
