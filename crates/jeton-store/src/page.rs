//! Pages of a list: newest first, continued by a cursor.

use std::fmt;

/// Which page is wanted.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<C> {
    /// Only what comes after this one.
    pub after: Option<C>,
    /// At most so many.
    pub limit: u32,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

impl<C> PageRequest<C> {
    /// One more than the page holds, which tells whether another page follows.
    pub(crate) fn probe(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

impl<T> Page<T> {
    /// From up to `limit + 1` items, in order.
    pub(crate) fn from_probe<K: fmt::Display>(
        mut items: Vec<T>,
        limit: u32,
        cursor: impl Fn(&T) -> K,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more {
            items.last().map(|item| cursor(item).to_string())
        } else {
            None
        };
        Self { items, next }
    }
}
