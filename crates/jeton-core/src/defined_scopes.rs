//! The scopes that an MCP server defines, and what they imply.

use std::borrow::Cow;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Description, Scope, ScopeCycle, ScopeHierarchy, ScopeSet, excerpt, split_scope};

/// A scope as its MCP server defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeDefinition {
    /// The scope.
    pub name: Scope,
    /// What it permits, for people.
    #[serde(default, deserialize_with = "Description::deserialize_registered")]
    pub description: Description,
    /// Narrower scopes that a client with this one has too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implies: Vec<Scope>,
}

/// `NAME` or `NAME=DESCRIPTION`, as the command line writes it. A name that holds `=` has `\=` there
/// ([`split_scope`]).
impl FromStr for ScopeDefinition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, description) = split_scope(text);
        Ok(Self {
            name: name
                .parse()
                .map_err(|error| format!("the scope {}: {error}", excerpt(&name)))?,
            description: description
                .unwrap_or_default()
                .parse()
                .map_err(|error| format!("the description of {name} {error}"))?,
            implies: Vec::new(),
        })
    }
}

/// Why scopes cannot be defined together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinedScopesError {
    /// One name for two of them.
    #[error("the scope {0} is defined twice; name each once")]
    Twice(Scope),
    /// An implication leads nowhere.
    #[error(
        "the scope {broader} implies {narrower}, which is not defined; define it, or remove the implication"
    )]
    Undefined {
        /// The scope that implies it.
        broader: Scope,
        /// The scope that there is not.
        narrower: Scope,
    },
    /// More implications than [`DefinedScopes::MAX_IMPLICATIONS`].
    #[error("scopes have at most {max} implications together, not {0}", max = DefinedScopes::MAX_IMPLICATIONS)]
    TooManyImplications(usize),
    /// Implications in a circle.
    #[error(transparent)]
    Cycle(#[from] ScopeCycle),
}

/// The scopes that an MCP server defines, in order. Each is there once, and what they imply is defined
/// and free of circles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefinedScopes {
    definitions: Vec<ScopeDefinition>,
    names: ScopeSet,
    hierarchy: ScopeHierarchy,
}

impl DefinedScopes {
    /// The most implications of one MCP server.
    pub const MAX_IMPLICATIONS: usize = 1_000;

    /// Scopes that fit together.
    ///
    /// # Errors
    ///
    /// [`DefinedScopesError`], which names the scope that does not fit.
    pub fn new(definitions: Vec<ScopeDefinition>) -> Result<Self, DefinedScopesError> {
        let names: ScopeSet = definitions.iter().map(|scope| scope.name.clone()).collect();
        if names.len() < definitions.len() {
            let twice = definitions.iter().enumerate().find(|(index, scope)| {
                let mut earlier = definitions.iter().take(*index);
                earlier.any(|earlier| earlier.name == scope.name)
            });
            if let Some((_, scope)) = twice {
                return Err(DefinedScopesError::Twice(scope.name.clone()));
            }
        }
        let implications: Vec<_> = definitions
            .iter()
            .flat_map(|scope| scope.implies.iter().map(|narrower| (&scope.name, narrower)))
            .collect();
        if implications.len() > Self::MAX_IMPLICATIONS {
            return Err(DefinedScopesError::TooManyImplications(implications.len()));
        }
        let mut undefined = implications.iter();
        if let Some((broader, narrower)) = undefined.find(|(_, narrower)| !names.contains(narrower))
        {
            return Err(DefinedScopesError::Undefined {
                broader: Scope::clone(broader),
                narrower: Scope::clone(narrower),
            });
        }
        let implications = implications.into_iter();
        let hierarchy =
            ScopeHierarchy::new(implications.map(|(one, other)| (one.clone(), other.clone())))?;
        Ok(Self {
            definitions,
            names,
            hierarchy,
        })
    }

    /// The names, in order.
    pub fn names(&self) -> &ScopeSet {
        &self.names
    }

    /// What they imply.
    pub fn hierarchy(&self) -> &ScopeHierarchy {
        &self.hierarchy
    }

    /// The definition of a scope.
    pub fn find(&self, name: &Scope) -> Option<&ScopeDefinition> {
        self.definitions.iter().find(|scope| scope.name == *name)
    }

    /// What a client has with the scopes of its grant: those of them that are defined, and what these
    /// imply.
    pub fn granted(&self, grant: &ScopeSet) -> ScopeSet {
        let defined = grant.intersection(&self.names);
        match self.hierarchy.expand(&defined) {
            Cow::Owned(all) => all,
            Cow::Borrowed(_) => defined,
        }
    }
}

impl Deref for DefinedScopes {
    type Target = [ScopeDefinition];

    fn deref(&self) -> &[ScopeDefinition] {
        &self.definitions
    }
}

impl Serialize for DefinedScopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.definitions.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DefinedScopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(json: &str) -> Result<DefinedScopes, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_grant_is_worth_what_is_defined_of_it_with_all_that_it_implies() {
        let json = r#"[{"name":"admin","implies":["write"]},{"name":"write","implies":["read"]},{"name":"read"}]"#;
        let scopes = defined(json).unwrap();
        assert_eq!(scopes.names().to_string(), "admin write read");
        for (grant, worth) in [
            ("admin", "admin write read"),
            ("read gone", "read"),
            ("gone", ""),
        ] {
            let grant: ScopeSet = grant.parse().unwrap();
            assert_eq!(scopes.granted(&grant).to_string(), worth);
        }
        let again = serde_json::to_string(&scopes).unwrap();
        assert_eq!(defined(&again).unwrap(), scopes);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (json, word) in [
            (r#"[{"name":"a"},{"name":"a"}]"#, "a is defined twice"),
            (r#"[{"name":"a","implies":["b"]}]"#, "a implies b"),
            (
                r#"[{"name":"a","implies":["b"]},{"name":"b","implies":["a"]}]"#,
                "a → b → a",
            ),
        ] {
            let words = defined(json).unwrap_err();
            assert!(words.contains(word), "{words}");
        }
    }
}
