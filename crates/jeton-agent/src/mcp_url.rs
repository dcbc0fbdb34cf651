//! The URL of an MCP endpoint as a person gave it: where requests go, and the resource that a token
//! is for. A query belongs to the first and not to the second (RFC 8707 §2).

use jeton_core::{ResourceUri, ResourceUriError, presentable_url};
use jeton_jose::PlainHttp;

use crate::AgentError;

/// Why a text is not the URL of an MCP server that a token can be sent to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UrlProblem {
    /// It is no resource identifier.
    #[error(transparent)]
    Resource(#[from] ResourceUriError),
    /// Tokens do not travel in the clear.
    #[error(
        "plain http is allowed to this machine (loopback) only; use https, or allow plain http with insecure_http (--insecure-http) where nobody can listen in"
    )]
    Insecure,
}

/// An MCP endpoint.
#[derive(Debug, Clone)]
pub(crate) struct McpUrl {
    given: String,
    resource: ResourceUri,
}

impl McpUrl {
    /// The endpoint at `text`, where `plain_http` allows it.
    ///
    /// # Errors
    ///
    /// [`AgentError::Url`].
    pub(crate) fn new(text: &str, plain_http: PlainHttp) -> Result<Self, AgentError> {
        let refused = |problem| AgentError::Url {
            url: presentable_url(text),
            problem,
        };
        // A fragment is refused, whether it stands behind a query or not.
        let identifier = if text.contains('#') {
            text
        } else {
            without_query(text)
        };
        let resource: ResourceUri = identifier
            .parse()
            .map_err(|error: ResourceUriError| refused(error.into()))?;
        if !plain_http.allows(text) {
            return Err(refused(UrlProblem::Insecure));
        }
        Ok(Self {
            given: text.to_owned(),
            resource,
        })
    }

    /// Where requests go, to the character.
    pub(crate) fn as_given(&self) -> &str {
        &self.given
    }

    /// What a token is for: the URL without its query.
    pub(crate) fn resource(&self) -> &ResourceUri {
        &self.resource
    }
}

/// A URL up to its query.
pub(crate) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_part_of_the_request_and_not_of_the_resource() {
        let url = McpUrl::new("https://a.example/mcp?profile=x&k=1", PlainHttp::Loopback).unwrap();
        assert_eq!(url.as_given(), "https://a.example/mcp?profile=x&k=1");
        assert_eq!(url.resource().as_given(), "https://a.example/mcp");
    }

    #[test]
    fn plain_http_to_other_machines_needs_the_switch() {
        let url = "http://mcp:3002/mcp?k=1";
        let refused = McpUrl::new(url, PlainHttp::Loopback)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("insecure_http"), "{refused}");
        assert!(McpUrl::new(url, PlainHttp::Anywhere).is_ok());
        assert!(McpUrl::new("ftp://mcp/mcp", PlainHttp::Anywhere).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_refused_for_its_own_reason_and_without_secrets() {
        for (url, reason) in [
            ("https://a.example/mcp?key=hidden#x", "fragment"),
            ("https://me:hidden@a.example/mcp?key=hidden", "user name"),
            ("http://a.example/mcp?key=hidden", "use https"),
            ("a.example/mcp?key=hidden", "absolute URL"),
            ("ftp://a.example/mcp?key=hidden", "http or https"),
        ] {
            let error = McpUrl::new(url, PlainHttp::Loopback)
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{url}: {error}");
            assert!(error.contains("a.example/mcp"), "{url}: {error}");
            assert!(!error.contains("hidden"), "{url}: {error}");
        }
    }
}
