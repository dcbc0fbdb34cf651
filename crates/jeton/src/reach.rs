//! The server that a command talks to, and whether it may have the credentials.

use anyhow::anyhow;
use jeton_agent::ClientCredentials;
use jeton_core::{ScopeSet, ServerMetadata, presentable_url};
use jeton_jose::{
    FetchError, PlainHttp, fetch_json, is_loopback_url, is_same_issuer, metadata_urls,
};
use reqwest::Client;

use crate::command::credentials::FoundCredentials;

/// A server that answered, and credentials that belong to it.
pub(crate) struct Reached {
    /// The server's metadata, with its endpoints at the URL where it was reached: that may be
    /// another than its issuer's.
    pub(crate) server: ServerMetadata,
    pub(crate) credentials: ClientCredentials,
}

/// Asks the server at `url` who it is. Where it is known which issuer the credentials belong to, it
/// has to be that one, at the issuer's own URL or on this machine; otherwise they belong to the
/// server that the person named.
pub(crate) async fn reach(
    client: &Client,
    url: &str,
    credentials: FoundCredentials,
    insecure_http: bool,
) -> anyhow::Result<Reached> {
    let url = url.trim_end_matches('/');
    PlainHttp::of_switch(insecure_http).check(url)?;
    // Anybody can claim to be an issuer: only at its own URL does TLS prove it.
    if let Some(expected) = credentials.issuer()
        && !is_same_issuer(expected, url)
        && !is_loopback_url(url)
    {
        return Err(not_sent(&credentials, expected, url, "another server"));
    }
    let issuer = metadata(client, url)
        .await
        .map_err(|error| not_found(url, error))?
        .issuer;
    if let Some(expected) = credentials.issuer()
        && !is_same_issuer(expected, &issuer)
    {
        return Err(not_sent(&credentials, expected, url, &issuer));
    }
    let mut server = ServerMetadata::for_issuer(url, url, &ScopeSet::empty());
    server.issuer.clone_from(&issuer);
    Ok(Reached {
        server,
        credentials: credentials.of_issuer(issuer).insecure_http(insecure_http),
    })
}

/// There is no metadata of a Jeton at `url`.
fn not_found(url: &str, error: FetchError) -> anyhow::Error {
    let advice = match error {
        FetchError::Status { status: 404, .. } => {
            "a server is there, but it has no OAuth metadata. If its issuer has a path, name that too, as in https://tools.example.com/auth"
        }
        _ => "is jeton serve running?",
    };
    let url = presentable_url(url);
    anyhow::Error::new(error).context(format!("no Jeton server at {url}; {advice}"))
}

/// The credentials belong to the issuer `expected`, and the server at `url` is `found`.
fn not_sent(
    credentials: &FoundCredentials,
    expected: &str,
    url: &str,
    found: &str,
) -> anyhow::Error {
    let [expected, url, found] = [expected, url, found].map(presentable_url);
    match credentials.file() {
        Some(file) => anyhow!(
            "the credentials in {} belong to {expected}, but the server at {url} is {found}: they were not sent. Name that server's data directory with --data-dir (JETON_DATA_DIR), or leave out --server (JETON_URL) to talk to {expected}",
            file.display()
        ),
        None => anyhow!(
            "the credentials belong to {expected}, but the server at {url} is {found}: they were not sent. If that server issued them, name it with --issuer (JETON_ISSUER)"
        ),
    }
}

/// Its metadata, below its URL or where RFC 8414 §3.1 puts it.
async fn metadata(client: &Client, url: &str) -> Result<ServerMetadata, FetchError> {
    let first = format!("{url}/.well-known/oauth-authorization-server");
    let failed = match fetch_json(client, &first).await {
        Ok(metadata) => return Ok(metadata),
        Err(error @ FetchError::Unreachable { .. }) => return Err(error),
        Err(error) => error,
    };
    for other in metadata_urls(url).unwrap_or_default() {
        if other != first
            && let Ok(metadata) = fetch_json(client, &other).await
        {
            return Ok(metadata);
        }
    }
    Err(failed)
}
