//! Lists in pages, newest first, continued by a cursor.

use std::str::FromStr;

use jeton_store::{Page, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Problem;

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOf<T> {
    /// What is on it, newest first.
    pub(crate) items: Vec<T>,
    /// The cursor of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

/// Reads cursor and limit.
pub(crate) fn page_request<C: FromStr>(
    cursor: Option<&str>,
    limit: Option<u32>,
) -> Result<PageRequest<C>, Problem> {
    let limit = limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::invalid(
            "limit",
            format!("a page has 1 to 200 items, not {limit}"),
        ));
    }
    let after = cursor.map(str::parse).transpose().map_err(|_| {
        Problem::invalid(
            "cursor",
            "expected the next_cursor of the page before, unchanged",
        )
    })?;
    Ok(PageRequest { after, limit })
}

impl<T> PageOf<T> {
    /// A page of domain values as a page of API values.
    pub(crate) fn of<D>(page: Page<D>, view: impl FnMut(D) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(view).collect(),
            next_cursor: page.next,
        }
    }
}
