//! What the address of a page asks for. What cannot be read, or is no parameter of the page, is refused:
//! a filter that does nothing would show everything as if it matched.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use http::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use super::PageError;
use super::error::sentence;

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
                .filter(|(name, _)| name != "done"),
        );
        let uri = Uri::try_from(format!("/?{}", own.finish()));
        let uri = uri.map_err(|error| unreadable(&error))?;
        Query::try_from_uri(&uri)
            .map(|Query(value)| Self(value))
            .map_err(|error| unreadable(&error.body_text()))
    }
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
