//! From an issuer to its metadata (RFC 8414 §3), in the order that the MCP specification lists.

use jeton_core::ServerMetadata;
use reqwest::Client;
use url::Url;

use crate::fetch::{FetchError, fetch_json, is_trustworthy_url};

/// Why an issuer's metadata was not found.
#[derive(Debug, thiserror::Error)]
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
        source: FetchError,
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

/// Fetches an issuer's metadata and checks that it speaks for that issuer.
///
/// # Errors
///
/// [`DiscoveryError`].
pub async fn discover_issuer(
    client: &Client,
    issuer: &str,
) -> Result<ServerMetadata, DiscoveryError> {
    if !is_trustworthy_url(issuer) {
        return Err(FetchError::Insecure(issuer.to_owned()).into());
    }
    let urls = metadata_urls(issuer).ok_or_else(|| DiscoveryError::Issuer(issuer.to_owned()))?;
    let mut last = None;
    for url in &urls {
        match fetch_json::<ServerMetadata>(client, url).await {
            Ok(metadata) if metadata.issuer == issuer => return Ok(metadata),
            Ok(metadata) => {
                return Err(DiscoveryError::IssuerMismatch {
                    url: url.clone(),
                    expected: issuer.to_owned(),
                    found: metadata.issuer,
                });
            }
            Err(error @ FetchError::Unreachable { .. }) => return Err(error.into()),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(source) => Err(DiscoveryError::NotFound {
            issuer: issuer.to_owned(),
            tried: urls,
            source,
        }),
        None => Err(DiscoveryError::Issuer(issuer.to_owned())),
    }
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
}
