//! Resource identifiers: the URL of an MCP server, and the `resource` parameter (RFC 8707).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest resource identifier accepted, in bytes.
pub(crate) const MAX_LEN: usize = 2048;

/// Why a text is not a resource identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceUriError {
    /// Not an absolute URL at all.
    #[error("expected an absolute URL like https://mcp.example.com/mcp")]
    NotAbsolute,
    /// Another scheme.
    #[error("expected an http or https URL, like https://mcp.example.com/mcp")]
    Scheme,
    /// RFC 8707 §2: no fragment.
    #[error("a resource must not have a fragment; leave out # and what follows it")]
    Fragment,
    /// A query, which says nothing about which MCP server it is.
    #[error(
        "an MCP server is identified by its URL without the query; write it as {0}. Clients may call it with any query"
    )]
    Query(String),
    /// `user:password@` in the URL.
    #[error("a resource must not carry a user name or password; leave them out")]
    UserInfo,
    /// `*` in the host: every server is registered by itself.
    #[error(
        "the host of a URL cannot have a * in it: a token is for one MCP server. Register each by its own URL; one URL covers the paths below it"
    )]
    Wildcard,
    /// Dot segments, encoded letters or slashes, backslashes, a host not in ASCII, …
    #[error("the URL is not in its normal form; write it as {0}")]
    NotNormal(String),
    /// `%` without two hexadecimal digits, with bytes that are not text, or escaped itself.
    #[error("the URL has a % escape that readers understand differently; leave it out")]
    Escape,
    /// Over 2,048 bytes.
    #[error("a resource has at most {MAX_LEN} characters")]
    TooLong,
}

/// An `http` or `https` URL that identifies an MCP server.
///
/// It keeps the text as it was given and, beside it, what comparison looks at: scheme and host
/// in lower case, no default port, no trailing slash.
#[derive(Clone)]
pub struct ResourceUri {
    given: String,
    canonical: String,
    key: String,
}

impl ResourceUri {
    /// The text as it was given, with its canonical form.
    pub(crate) fn of(given: &str, canonical: String) -> Self {
        let key = canonical.strip_suffix('/').unwrap_or(&canonical).to_owned();
        Self {
            given: given.to_owned(),
            canonical,
            key,
        }
    }

    /// The text to the character as it was given.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The text with scheme and host in lower case and a default port dropped; the path as given.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What makes two resources the same: the canonical text without a trailing slash.
    pub fn comparison_key(&self) -> &str {
        &self.key
    }

    /// Whether this registered URL is `resource` itself or a parent of it at a segment boundary:
    /// `http://localhost:3002/` covers `http://localhost:3002/mcp`.
    pub fn covers(&self, resource: &Self) -> bool {
        match resource.key.strip_prefix(&self.key) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// This resource's key and those of all its parents, longest first.
    pub fn covering_keys(&self) -> impl Iterator<Item = &str> {
        let authority = self.key.find("://").map_or(0, |at| at + 3);
        let mut end = Some(self.key.len());
        std::iter::from_fn(move || {
            let current = self.key.get(..end?)?;
            end = current.rfind('/').filter(|slash| *slash >= authority);
            Some(current)
        })
    }

    /// The path, beginning with a slash.
    pub fn path(&self) -> &str {
        let authority = self.canonical.find("://").map_or(0, |at| at + 3);
        let rest = self.canonical.get(authority..).unwrap_or("");
        rest.find('/')
            .and_then(|slash| rest.get(slash..))
            .unwrap_or("/")
    }

    /// Scheme, host and port, without a path.
    pub fn origin(&self) -> &str {
        let length = self.canonical.len()
            - if self.has_path() {
                self.path().len()
            } else {
                0
            };
        self.canonical.get(..length).unwrap_or(&self.canonical)
    }

    pub(crate) fn has_path(&self) -> bool {
        let authority = self.canonical.find("://").map_or(0, |at| at + 3);
        self.canonical
            .get(authority..)
            .is_some_and(|rest| rest.contains('/'))
    }
}

impl PartialEq for ResourceUri {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for ResourceUri {}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl fmt::Debug for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.given)
    }
}

impl Serialize for ResourceUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.given)
    }
}

impl<'de> Deserialize<'de> for ResourceUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uri(text: &str) -> ResourceUri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn scheme_host_port_and_trailing_slash_do_not_matter() {
        for same in [
            "HTTPS://MCP.Example.com/mcp",
            "https://mcp.example.com:443/mcp",
            "https://mcp.example.com/mcp/",
        ] {
            assert_eq!(uri(same), uri("https://mcp.example.com/mcp"), "{same}");
        }
        assert_eq!(uri("http://localhost:3002"), uri("http://localhost:3002/"));
        assert_ne!(
            uri("https://mcp.example.com/MCP"),
            uri("https://mcp.example.com/mcp")
        );
        assert_ne!(
            uri("https://mcp.example.com:8443/mcp"),
            uri("https://mcp.example.com/mcp")
        );
        assert_eq!(
            uri("HTTPS://MCP.Example.com:443/Mcp/").canonical(),
            "https://mcp.example.com/Mcp/"
        );
    }

    #[test]
    fn a_parent_covers_at_a_segment_boundary_only() {
        assert!(uri("http://localhost:3002/").covers(&uri("http://localhost:3002/mcp")));
        assert!(uri("http://localhost:3002").covers(&uri("http://localhost:3002/a/b")));
        assert!(uri("https://a.example/mcp").covers(&uri("https://a.example/mcp/x")));
        assert!(!uri("https://a.example/mcp").covers(&uri("https://a.example/mcpx")));
        assert!(!uri("https://a.example/mcp/x").covers(&uri("https://a.example/mcp")));
        assert!(!uri("http://localhost:300").covers(&uri("http://localhost:3002/")));
        assert!(!uri("https://a.example").covers(&uri("https://a.example.evil.test/")));
    }

    #[test]
    fn covering_keys_run_from_the_longest_to_the_origin() {
        let keys: Vec<_> = uri("https://a.example/x/y")
            .covering_keys()
            .map(str::to_owned)
            .collect();
        assert_eq!(
            keys,
            [
                "https://a.example/x/y",
                "https://a.example/x",
                "https://a.example"
            ]
        );
    }

    #[test]
    fn origin_and_path_are_taken_apart() {
        assert_eq!(uri("http://localhost:3002/mcp").path(), "/mcp");
        assert_eq!(
            uri("http://localhost:3002/mcp").origin(),
            "http://localhost:3002"
        );
        assert_eq!(uri("http://localhost:3002").path(), "/");
        assert_eq!(
            uri("http://localhost:3002").origin(),
            "http://localhost:3002"
        );
    }

    proptest! {
        #[test]
        fn covering_keys_agree_with_covers(path in "(/[a-c]{1,2}){0,4}", parent in "(/[a-c]{1,2}){0,4}") {
            let resource = uri(&format!("https://a.example{path}"));
            let parent = uri(&format!("https://a.example{parent}"));
            prop_assert_eq!(parent.covers(&resource), resource.covering_keys().any(|key| key == parent.comparison_key()));
        }
    }
}
