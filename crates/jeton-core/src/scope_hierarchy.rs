//! Scopes that imply others: `todo:admin` implies `todo:write`, which implies `todo:read`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::{Scope, ScopeSet};

/// Which scopes imply which others, directly or through others.
///
/// MCP 2026-07-28, *Scope Challenge Handling*: a broader scope satisfies a need for a narrower one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScopeHierarchy {
    /// All that each scope implies; those that imply nothing are not here.
    implied: HashMap<Scope, ScopeSet>,
}

/// Scopes that imply one another in a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scopes imply one another in a circle: {}; remove one of these implications", arrows(.0))]
pub struct ScopeCycle(Vec<Scope>);

impl ScopeCycle {
    /// The scopes of the circle, from one of them back to it.
    pub fn scopes(&self) -> &[Scope] {
        &self.0
    }
}

fn arrows(scopes: &[Scope]) -> String {
    let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    names.join(" → ")
}

impl ScopeHierarchy {
    /// From each broader scope with a narrower one that it implies.
    ///
    /// # Errors
    ///
    /// [`ScopeCycle`], which names the scopes of the circle.
    pub fn new(implications: impl IntoIterator<Item = (Scope, Scope)>) -> Result<Self, ScopeCycle> {
        let mut direct: HashMap<Scope, Vec<Scope>> = HashMap::new();
        let mut broader_scopes = Vec::new();
        for (broader, narrower) in implications {
            let narrower_scopes = direct.entry(broader.clone()).or_default();
            if narrower_scopes.is_empty() {
                broader_scopes.push(broader);
            }
            narrower_scopes.push(narrower);
        }
        let mut implied = HashMap::new();
        for broader in &broader_scopes {
            close(broader, &direct, &mut implied, &mut Vec::new())?;
        }
        Ok(Self { implied })
    }

    /// Whether no scope implies another.
    pub fn is_empty(&self) -> bool {
        self.implied.is_empty()
    }

    /// All that `scope` implies, directly or through others.
    pub fn implied_by(&self, scope: &Scope) -> impl Iterator<Item = &Scope> {
        self.implied.get(scope).into_iter().flatten()
    }

    /// `held`, and then all that these scopes imply.
    pub fn expand<'a>(&self, held: &'a ScopeSet) -> Cow<'a, ScopeSet> {
        if self.is_empty() {
            return Cow::Borrowed(held);
        }
        let implied = held.iter().flat_map(|scope| self.implied_by(scope));
        Cow::Owned(held.iter().chain(implied).cloned().collect())
    }
}

/// Notes all that `scope` implies. `path` leads to it.
fn close(
    scope: &Scope,
    direct: &HashMap<Scope, Vec<Scope>>,
    implied: &mut HashMap<Scope, ScopeSet>,
    path: &mut Vec<Scope>,
) -> Result<(), ScopeCycle> {
    let Some(narrower_scopes) = direct.get(scope).filter(|_| !implied.contains_key(scope)) else {
        return Ok(());
    };
    let begin = path.iter().position(|earlier| earlier == scope);
    path.push(scope.clone());
    if let Some(begin) = begin {
        return Err(ScopeCycle(path.split_off(begin)));
    }
    let mut all = Vec::new();
    for narrower in narrower_scopes {
        close(narrower, direct, implied, path)?;
        all.push(narrower.clone());
        all.extend(implied.get(narrower).into_iter().flatten().cloned());
    }
    path.pop();
    implied.insert(scope.clone(), all.into_iter().collect());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(pairs: &[(&str, &str)]) -> Result<ScopeHierarchy, ScopeCycle> {
        let scope = |name: &str| name.parse::<Scope>().unwrap();
        ScopeHierarchy::new(pairs.iter().map(|(a, b)| (scope(a), scope(b))))
    }

    fn expanded(pairs: &[(&str, &str)], held: &str) -> String {
        let held: ScopeSet = held.parse().unwrap();
        hierarchy(pairs).unwrap().expand(&held).to_string()
    }

    #[test]
    fn a_scope_brings_all_that_it_implies_each_once() {
        let chain = [("admin", "write"), ("write", "read")];
        assert_eq!(expanded(&chain, "admin"), "admin write read");
        assert_eq!(expanded(&chain, "read"), "read");
        assert_eq!(expanded(&chain, "other read"), "other read");
        let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
        assert_eq!(expanded(&diamond, "a d"), "a d b c");
        assert_eq!(expanded(&[], "a"), "a");
    }

    #[test]
    fn a_circle_is_refused_and_named() {
        let cycle = |pairs| hierarchy(pairs).unwrap_err().to_string();
        assert!(cycle(&[("a", "a")]).contains("a → a;"));
        let words = cycle(&[("top", "a"), ("a", "b"), ("b", "c"), ("c", "a")]);
        assert!(words.contains(": a → b → c → a;"), "{words}");
    }
}
