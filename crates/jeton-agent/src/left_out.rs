//! Scopes that the authorization server refused or left out: asking again within a minute is of no use.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jeton_core::{ScopeSet, Timestamp};

use crate::flight::WINDOW;

/// How much is remembered.
const MAX: usize = 256;

/// What was refused, and when. Whoever holds the flight writes; anybody reads.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(ArcSwap<Vec<(ScopeSet, Timestamp)>>);

impl LeftOut {
    /// Remembers scopes that were refused together: which of them is to blame is not known.
    pub(crate) fn remember(&self, scope: ScopeSet, now: Timestamp) {
        let mut all = Vec::clone(&self.0.load());
        all.retain(|(before, _)| *before != scope);
        all.truncate(MAX - 1);
        all.insert(0, (scope, now));
        self.0.store(Arc::new(all));
    }

    /// Notes what an answer to `asked` granted: each scope that it left out is remembered by itself, and what it
    /// granted is forgotten.
    pub(crate) fn note(&self, asked: &ScopeSet, has: &ScopeSet, now: Timestamp) {
        let mut all = Vec::clone(&self.0.load());
        let mut left_out: Vec<ScopeSet> = Vec::new();
        for scope in &asked.difference(has) {
            left_out.push([scope.clone()].into_iter().collect());
        }
        all.retain(|(before, _)| !before.is_subset_of(has) && !left_out.contains(before));
        left_out.truncate(MAX);
        all.truncate(MAX - left_out.len());
        all.splice(0..0, left_out.into_iter().map(|scope| (scope, now)));
        self.0.store(Arc::new(all));
    }

    /// Whether `scope` holds something that was refused of late.
    pub(crate) fn is_in(&self, scope: &ScopeSet, now: Timestamp) -> bool {
        let all = self.0.load();
        let mut of_late = all
            .iter()
            .filter(|(_, at)| now >= *at && now.since(*at) < WINDOW);
        of_late.any(|(refused, _)| refused.is_subset_of(scope))
    }
}
