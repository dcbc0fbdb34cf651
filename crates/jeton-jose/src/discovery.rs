//! From an issuer to its metadata (RFC 8414 §3), in the order that the MCP specification lists.

use jeton_core::{ServerMetadata, presentable_url};
use reqwest::Client;
use url::Url;

use crate::fetch::{FetchError, fetch_json};
use crate::plain_http::PlainHttp;

/// Why an issuer's metadata was not found. Of a URL, no query, no user name and no password is in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// The issuer is no URL.
    #[error("the issuer {0} is not a URL")]
    Issuer(String),
    /// None of the well-known addresses has it.
    #[error("no authorization server metadata for {issuer}; tried {}", tried.join(", "))]
    NotFound {
        /// The issuer.
        issuer: String,
        /// The addresses.
        tried: Vec<String>,
        /// What the last one answered.
        #[source]
        source: Box<FetchError>,
    },
    /// RFC 8414 §3.3: the document names another issuer, so it is not used.
    #[error(
        "{url} says that its issuer is {found}, where {expected} was expected to the character"
    )]
    IssuerMismatch {
        /// The address.
        url: String,
        /// The issuer looked for.
        expected: String,
        /// The issuer found.
        found: String,
    },
    /// A fetch that must not be made.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Where an issuer's metadata may be: path insertion for both documents, then path appending.
pub fn metadata_urls(issuer: &str) -> Option<Vec<String>> {
    let url = Url::parse(issuer).ok()?;
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    Some(urls)
}

/// Fetches an issuer's metadata and checks that it speaks for that issuer, to the character
/// (RFC 8414 §3.3).
///
/// # Errors
///
/// [`DiscoveryError`].
pub async fn discover_issuer(
    client: &Client,
    issuer: &str,
    plain_http: PlainHttp,
) -> Result<ServerMetadata, DiscoveryError> {
    plain_http.check(issuer)?;
    discover(client, issuer, |found, expected| found == expected).await
}

/// The same for an issuer that somebody else named, whose spelling may have gained or lost the
/// slash that [`is_same_issuer`] ignores.
///
/// # Errors
///
/// [`DiscoveryError`].
pub async fn discover_named_issuer(
    client: &Client,
    issuer: &str,
    plain_http: PlainHttp,
) -> Result<ServerMetadata, DiscoveryError> {
    plain_http.check(issuer)?;
    discover(client, issuer, is_same_issuer).await
}

/// Whether two texts are one issuer: the same to the character, but for the single slash after an
/// origin. `https://a.example` and `https://a.example/` are one, because URL types of several
/// languages write the second where the first was given; with a path, nothing is ignored.
pub fn is_same_issuer(one: &str, other: &str) -> bool {
    without_root(one) == without_root(other)
}

/// The text without the slash that is its whole path.
fn without_root(issuer: &str) -> &str {
    let Some(rest) = issuer.strip_suffix('/') else {
        return issuer;
    };
    let authority = rest.split_once("://").map(|(_, authority)| authority);
    match authority {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '?', '#']) => rest,
        _ => issuer,
    }
}

async fn discover(
    client: &Client,
    issuer: &str,
    is_same: fn(&str, &str) -> bool,
) -> Result<ServerMetadata, DiscoveryError> {
    let urls =
        metadata_urls(issuer).ok_or_else(|| DiscoveryError::Issuer(presentable_url(issuer)))?;
    let mut told = None;
    for url in &urls {
        let wrong = match fetch_json::<ServerMetadata>(client, url).await {
            Ok(metadata) if is_same(&metadata.issuer, issuer) => return Ok(metadata),
            Ok(metadata) => DiscoveryError::IssuerMismatch {
                url: url.clone(),
                expected: presentable_url(issuer),
                found: presentable_url(&metadata.issuer),
            },
            Err(error @ FetchError::Unreachable { .. }) => return Err(error.into()),
            Err(source) => DiscoveryError::NotFound {
                issuer: presentable_url(issuer),
                tried: urls.clone(),
                source: Box::new(source),
            },
        };
        // A document about somebody else says more than that another address has none.
        if !matches!(told, Some(DiscoveryError::IssuerMismatch { .. })) {
            told = Some(wrong);
        }
    }
    Err(told.unwrap_or_else(|| DiscoveryError::Issuer(presentable_url(issuer))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_path_goes_between_host_and_path() {
        assert_eq!(
            metadata_urls("https://a.example/resources/res_1").unwrap(),
            [
                "https://a.example/.well-known/oauth-authorization-server/resources/res_1",
                "https://a.example/.well-known/openid-configuration/resources/res_1",
                "https://a.example/resources/res_1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(metadata_urls("https://a.example").unwrap().len(), 2);
    }

    #[test]
    fn the_slash_after_an_origin_is_ignored_and_nothing_else() {
        for (one, other) in [
            ("https://a.example", "https://a.example/"),
            ("http://127.0.0.1:8420/", "http://127.0.0.1:8420"),
            ("https://a.example/t", "https://a.example/t"),
        ] {
            assert!(is_same_issuer(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("https://a.example", "https://a.example//"),
            ("https://a.example/", "https://a.example//"),
            ("https://a.example/t", "https://a.example/t/"),
            ("https://a.example", "https://A.example"),
            ("https://a.example", "https://a.example:443"),
            ("https://a.example", "http://a.example"),
            ("https://a.example", "https://a.example/?"),
            ("https://a.example?/", "https://a.example?"),
            ("https://a.example", "https://a.example.evil.test/"),
            ("https:", "https:/"),
            ("", "/"),
        ] {
            assert!(!is_same_issuer(one, other), "{one} {other}");
        }
    }
}
