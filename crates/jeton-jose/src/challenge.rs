//! The Bearer challenge among the `WWW-Authenticate` headers of a response.

use jeton_core::Challenge;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// The first readable Bearer challenge of a response, which may challenge to several schemes in as
/// many `WWW-Authenticate` headers (RFC 9110 §11.6.1).
pub fn bearer_challenge(headers: &HeaderMap) -> Option<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|value| Challenge::parse(value).ok())
}
