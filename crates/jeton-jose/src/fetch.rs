//! Fetching small JSON documents from servers that may be slow, broken or hostile.

use std::sync::Arc;

use jeton_core::presentable_url;
use reqwest::Client;
use reqwest::header::ACCEPT;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::http_client::{BodyError, HttpError, read_body};

/// The largest document read, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// Why a document could not be fetched. No text of the other server is in it, and of a URL no query, no
/// fragment, no user name and no password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// Not `https`, and not `http` on this machine.
    #[error(
        "{0} is not https, so others could read what is sent; plain http is allowed to this machine (loopback) only, unless insecure_http allows it (on the command line: --insecure-http or JETON_INSECURE_HTTP)"
    )]
    Insecure(String),
    /// Empty, relative, or no URL at all.
    #[error("{0:?} is not an absolute URL")]
    NotAbsolute(String),
    /// A server elsewhere names an address of this machine or its networks.
    #[error(
        "{from} leads to {to}, an address of this machine or its network, which only a server there may name"
    )]
    Inward {
        /// The URL that a person gave.
        from: String,
        /// Where the server there leads.
        to: String,
    },
    /// A server elsewhere names a host that resolves to an address of this machine or its networks.
    #[error(
        "{from} leads to {to}, whose host resolves to {found}, which only a server there may name"
    )]
    InwardName {
        /// The URL that a person gave.
        from: String,
        /// Where the server there leads.
        to: String,
        /// The address, and in words what kind it is.
        found: Box<str>,
    },
    /// No answer.
    #[error("{url} could not be reached")]
    Unreachable {
        /// The address.
        url: String,
        /// What went wrong.
        #[source]
        source: HttpError,
    },
    /// Another status than 200. Redirects are not followed.
    #[error("{url} answered {status} where 200 was expected")]
    Status {
        /// The address.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// The client followed a redirect. Those of [`http_client`](crate::http_client) do not.
    #[error("{url} redirects to {to}; redirects are not followed")]
    Redirected {
        /// The address.
        url: String,
        /// Where the answer came from.
        to: String,
    },
    /// Over 256 KiB.
    #[error("{0} sent more than 256 KiB")]
    TooLarge(String),
    /// Not the JSON that was expected.
    #[error("{url} did not send the JSON document that was expected")]
    Json {
        /// The address.
        url: String,
        /// What is wrong with it.
        #[source]
        source: Arc<serde_json::Error>,
    },
}

/// Whether credentials and keys may travel to `url`: `https`, or `http` to this machine.
pub fn is_trustworthy_url(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        },
        _ => false,
    }
}

/// Fetches and reads a JSON document of at most 256 KiB.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_json<T: DeserializeOwned>(client: &Client, url: &str) -> Result<T, FetchError> {
    let body = fetch(client, url).await?;
    serde_json::from_slice(&body).map_err(|source| FetchError::Json {
        url: presentable_url(url),
        source: Arc::new(source),
    })
}

async fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let unreachable = |source| FetchError::Unreachable {
        url: presentable_url(url),
        source,
    };
    let response = client
        .get(url)
        .header(ACCEPT, "application/json")
        .send()
        .await
        .map_err(|error| unreachable(HttpError::at(url, error)))?;
    if Url::parse(url).is_ok_and(|asked| asked != *response.url()) {
        return Err(FetchError::Redirected {
            url: presentable_url(url),
            to: presentable_url(response.url().as_str()),
        });
    }
    if response.status() != reqwest::StatusCode::OK {
        let status = response.status().as_u16();
        return Err(FetchError::Status {
            url: presentable_url(url),
            status,
        });
    }
    read_body(response, MAX_BODY)
        .await
        .map_err(|error| match error {
            BodyError::TooLarge(_) => FetchError::TooLarge(presentable_url(url)),
            BodyError::Http(source) => unreachable(source),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in [
            "https://a.example",
            "http://localhost:1",
            "http://127.0.0.1",
            "http://[::1]:2",
        ] {
            assert!(is_trustworthy_url(good), "{good}");
        }
        for bad in [
            "http://a.example",
            "http://10.0.0.1",
            "http://localhost.evil.test",
            "ftp://localhost",
            "",
        ] {
            assert!(!is_trustworthy_url(bad), "{bad}");
        }
    }
}
