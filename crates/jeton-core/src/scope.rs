//! Scopes: permissions that an MCP server defines (RFC 6749 §3.3).

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest scope name accepted, in bytes.
const MAX_LEN: usize = 128;
/// The most scopes in one text. Whoever reads requests allows far fewer; this is for what others send.
const MAX_LISTED: usize = 10_000;
/// Up to this many comparisons cost less than hashing.
const FEW: usize = 256;
/// The most scopes that a message names.
const SHOWN: usize = 20;

/// Why a text is not a scope, or not a list of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Nothing there.
    #[error("a scope needs at least one character")]
    Empty,
    /// Longer than 128 bytes.
    #[error("a scope has at most {MAX_LEN} characters")]
    TooLong,
    /// A character outside RFC 6749's grammar.
    #[error(
        "a scope is made of printable ASCII characters without space, double quote and backslash"
    )]
    Character,
    /// Two spaces in a row, or a space at an end.
    #[error(
        "scopes are separated by exactly one space, with none before the first or after the last"
    )]
    Separator,
    /// More than 10,000 scopes.
    #[error("a list of scopes has at most {MAX_LISTED}")]
    TooMany,
}

/// One scope name, for example `todo:read`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(ScopeError::TooLong);
        }
        if !text
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        {
            return Err(ScopeError::Character);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Scopes without repetition, in the order they were named.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// No scope at all.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Whether `scope` is one of these.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Whether no scope is here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes are here.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The scopes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Scope> {
        self.0.iter()
    }

    /// Adds `scope` at the end unless it is here already.
    pub fn insert(&mut self, scope: Scope) {
        if !self.contains(&scope) {
            self.0.push(scope);
        }
    }

    /// The first of these scopes that `allowed` lacks. Linear in both.
    pub fn first_outside<'a>(&'a self, allowed: &Self) -> Option<&'a Scope> {
        let allowed = Lookup::new(allowed, self.len());
        self.0.iter().find(|scope| !allowed.contains(scope))
    }

    /// Whether each of these scopes is in `other`.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.first_outside(other).is_none()
    }

    /// These scopes and then those of `other` that are not among them.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).cloned().collect()
    }

    /// Those of these scopes that are in `other` too.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let other = Lookup::new(other, self.len());
        let both = self.iter().filter(|scope| other.contains(scope));
        Self(both.cloned().collect())
    }

    /// Those of these scopes that are not in `other`. Linear in both.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let other = Lookup::new(other, self.len());
        let outside = self.iter().filter(|scope| !other.contains(scope));
        Self(outside.cloned().collect())
    }

    /// The names for a message: the first 20, and how many more there are.
    pub fn summary(&self) -> String {
        let first: Vec<&str> = self.iter().take(SHOWN).map(Scope::as_str).collect();
        match self.len().saturating_sub(SHOWN) {
            0 if first.is_empty() => "none".to_owned(),
            0 => first.join(" "),
            more => format!("{} and {more} more", first.join(" ")),
        }
    }
}

/// Finds scopes in a set: one by one where that takes few comparisons, else by hash.
enum Lookup<'a> {
    Few(&'a ScopeSet),
    Many(HashSet<&'a Scope>),
}

impl<'a> Lookup<'a> {
    /// For `questions` questions about `scopes`.
    fn new(scopes: &'a ScopeSet, questions: usize) -> Self {
        if scopes.len().saturating_mul(questions) <= FEW {
            Self::Few(scopes)
        } else {
            Self::Many(scopes.iter().collect())
        }
    }

    fn contains(&self, scope: &Scope) -> bool {
        match self {
            Self::Few(scopes) => scopes.contains(scope),
            Self::Many(scopes) => scopes.contains(scope),
        }
    }
}

/// Linear in the scopes.
impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let scopes = scopes.into_iter();
        let mut set = Self(Vec::with_capacity(scopes.size_hint().0));
        let mut seen = HashSet::new();
        for scope in scopes {
            if set.len() * set.len() <= FEW {
                set.insert(scope);
                continue;
            }
            if seen.is_empty() {
                seen.extend(set.0.iter().cloned());
            }
            if seen.insert(scope.clone()) {
                set.0.push(scope);
            }
        }
        set
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a Scope;
    type IntoIter = std::slice::Iter<'a, Scope>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    /// RFC 6749 §3.3: `scope = scope-token *( SP scope-token )`; the empty text is no scope.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Ok(Self::empty());
        }
        text.split(' ')
            .enumerate()
            .map(|(before, token)| {
                if before == MAX_LISTED {
                    Err(ScopeError::TooMany)
                } else if token.is_empty() {
                    Err(ScopeError::Separator)
                } else {
                    token.parse()
                }
            })
            .collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// As OAuth's `scope` parameter: one text, separated by spaces.
impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_scope_set_reads_back_as_itself(names in proptest::collection::vec("[!#-\\[\\]-~]{1,20}", 0..8)) {
            let set: ScopeSet = names.iter().map(|name| name.parse::<Scope>().unwrap()).collect();
            prop_assert_eq!(set.to_string().parse::<ScopeSet>().unwrap(), set);
        }
    }

    #[test]
    fn names_that_peers_refuse_are_accepted() {
        for name in [
            "todo.read",
            "todo_read",
            "todo-read",
            "https://example.com/todo/read",
            "*",
        ] {
            assert!(name.parse::<Scope>().is_ok(), "{name}");
        }
    }

    #[test]
    fn bad_scopes_are_refused_each_with_its_reason() {
        assert_eq!("".parse::<Scope>().unwrap_err(), ScopeError::Empty);
        assert_eq!("a b".parse::<Scope>().unwrap_err(), ScopeError::Character);
        assert_eq!("a\"b".parse::<Scope>().unwrap_err(), ScopeError::Character);
        assert_eq!("é".parse::<Scope>().unwrap_err(), ScopeError::Character);
        assert_eq!(
            "a".repeat(129).parse::<Scope>().unwrap_err(),
            ScopeError::TooLong
        );
        assert_eq!(
            "a  b".parse::<ScopeSet>().unwrap_err(),
            ScopeError::Separator
        );
        assert_eq!(" a".parse::<ScopeSet>().unwrap_err(), ScopeError::Separator);
    }

    /// Compared pairwise, these would take minutes.
    #[test]
    fn sets_of_many_scopes_are_read_and_compared_in_linear_time() {
        let names: Vec<String> = (0..250_000).map(|number| format!("s{number}")).collect();
        let set: ScopeSet = names.iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(set.len(), names.len());
        let text = set.to_string();
        assert_eq!(text.parse::<ScopeSet>(), Err(ScopeError::TooMany));
        let allowed: Vec<_> = text.split(' ').take(MAX_LISTED).collect();
        assert_eq!(
            allowed.join(" ").parse::<ScopeSet>().unwrap().len(),
            MAX_LISTED
        );
        let mut backwards: Vec<Scope> = set.iter().cloned().collect();
        backwards.reverse();
        let backwards: ScopeSet = backwards.into_iter().collect();
        assert!(set.is_subset_of(&backwards));
        assert_eq!(set.intersection(&backwards), set);
        assert_eq!(set.union(&backwards), set);
    }

    #[test]
    fn a_scope_named_again_counts_once_in_sets_of_any_size() {
        for count in [1, 15, 16, 17, 18, 300] {
            let names: Vec<String> = (0..count).map(|number| format!("s{number}")).collect();
            let once: ScopeSet = names.join(" ").parse().unwrap();
            let twice: ScopeSet = [names.join(" "), names.join(" ")]
                .join(" ")
                .parse()
                .unwrap();
            assert_eq!(once.len(), count);
            assert_eq!(once, twice);
            let other: ScopeSet = "s0 other".parse().unwrap();
            assert_eq!(other.first_outside(&once).unwrap().as_str(), "other");
            assert_eq!(once.intersection(&other).to_string(), "s0");
            assert_eq!(other.difference(&once).to_string(), "other");
            assert_eq!(once.difference(&other).len(), count - 1);
        }
    }

    #[test]
    fn a_summary_names_twenty_scopes_at_most() {
        assert_eq!(ScopeSet::empty().summary(), "none");
        assert_eq!("a b".parse::<ScopeSet>().unwrap().summary(), "a b");
        let names: Vec<String> = (0..23).map(|number| format!("s{number}")).collect();
        let summary = names.join(" ").parse::<ScopeSet>().unwrap().summary();
        assert!(summary.ends_with(" s19 and 3 more"), "{summary}");
    }

    #[test]
    fn the_first_scope_outside_is_named() {
        let wanted: ScopeSet = "a b c".parse().unwrap();
        let allowed: ScopeSet = "c a".parse().unwrap();
        assert_eq!(wanted.first_outside(&allowed).unwrap().as_str(), "b");
        assert!(allowed.is_subset_of(&wanted));
    }
}
