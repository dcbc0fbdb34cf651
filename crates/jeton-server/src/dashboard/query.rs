//! What the address of a page asks for. What cannot be read, or is no parameter of the page, is refused:
//! a filter that does nothing would show everything as if it matched.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use http::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use super::PageError;
use super::error::sentence;
use super::still_works::TOKENS_OF;

/// The parameters of a page, whose type says with `deny_unknown_fields` that there are no others.
pub(crate) struct PageQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for PageQuery<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let query = parts.uri.query().unwrap_or("");
        let mut own = url::form_urlencoded::Serializer::new(String::new());
        own.extend_pairs(
            url::form_urlencoded::parse(query.as_bytes())
                // What was just done, which every page shows.
                .filter(|(name, _)| name != "done" && name != TOKENS_OF),
        );
        let uri = Uri::try_from(format!("/?{}", own.finish()));
        let uri = uri.map_err(|error| unreadable(&error))?;
        Query::try_from_uri(&uri)
            .map(|Query(value)| Self(value))
            .map_err(|error| unreadable(&error.body_text()))
    }
}

/// The longest text that is searched for, in characters. Databases take no pattern of any length.
const MAX_SEARCH: usize = 200;

/// Text to search for, or what is wrong with it.
pub(crate) fn search_text(text: &str) -> Result<Option<String>, &'static str> {
    let text = text.trim();
    if text.chars().count() > MAX_SEARCH {
        return Err("Search for 200 characters at most.");
    }
    // PostgreSQL stores none, so there is none to be found.
    if text.contains('\0') {
        return Err("Search for text without the character NUL.");
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn unreadable(error: &impl ToString) -> PageError {
    let text = format!(
        "The address of this page cannot be read: {}",
        error.to_string()
    );
    PageError::RefusedBecause(StatusCode::BAD_REQUEST, sentence(&text))
}

/// A switch in an address: there or not.
pub(crate) fn switch(name: &str, value: Option<&str>) -> Result<bool, PageError> {
    match value {
        None | Some("" | "no") => Ok(false),
        Some("yes") => Ok(true),
        Some(_) => Err(PageError::RefusedBecause(
            StatusCode::BAD_REQUEST,
            format!("{name} is yes or no."),
        )),
    }
}
