//! Resource identifiers: the URL of an MCP server, and the `resource` parameter (RFC 8707).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::resource_path;

/// The longest resource identifier accepted, in bytes.
const MAX_LEN: usize = 2048;

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
    #[error("a resource must not have a fragment (#)")]
    Fragment,
    /// A query, which says nothing about which MCP server it is.
    #[error(
        "an MCP server is identified by its URL without the query; write it as {0}. Clients may call it with any query"
    )]
    Query(String),
    /// `user:password@` in the URL.
    #[error("a resource must not carry a user name or password")]
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

    fn has_path(&self) -> bool {
        let authority = self.canonical.find("://").map_or(0, |at| at + 3);
        self.canonical
            .get(authority..)
            .is_some_and(|rest| rest.contains('/'))
    }
}

impl FromStr for ResourceUri {
    type Err = ResourceUriError;

    /// A spelling that a normalising reader would take for another path is refused, with the normal
    /// one in the error: for such a reader a token for `/%6dcp` would be a token for `/mcp`.
    fn from_str(text: &str) -> Result<Self, ResourceUriError> {
        if split(text).is_some_and(|(origin, _)| origin.contains('*')) {
            return Err(ResourceUriError::Wildcard);
        }
        let uri = Self::from_registered(text).map_err(|error| match error {
            ResourceUriError::NotNormal(url) => Self::from_registered(&url)
                .and_then(|uri| uri.normal())
                .map_or_else(|error| error, ResourceUriError::NotNormal),
            ResourceUriError::Query(url) => match url.parse::<Self>() {
                Ok(_) => ResourceUriError::Query(url),
                Err(ResourceUriError::NotNormal(normal)) => ResourceUriError::Query(normal),
                Err(other) => other,
            },
            other => other,
        })?;
        let normal = uri.normal()?;
        if normal == uri.canonical {
            Ok(uri)
        } else {
            Err(ResourceUriError::NotNormal(normal))
        }
    }
}

impl ResourceUri {
    /// The spelling that no reader would change.
    fn normal(&self) -> Result<String, ResourceUriError> {
        // A host with the root's dot is the same host.
        let origin = self.origin().trim_end_matches('.').replace(".:", ":");
        if !self.has_path() {
            return Ok(origin);
        }
        let path = resource_path::normal(self.path()).ok_or(ResourceUriError::Escape)?;
        Ok(format!("{origin}{path}"))
    }
}

impl ResourceUri {
    /// Parses a resource as a client asks for it. Hosted MCP servers have URLs with a query
    /// (`https://host/mcp?profile=x`), which some hosts send whole: it is left out, since it says nothing
    /// about which MCP server it is.
    ///
    /// # Errors
    ///
    /// [`ResourceUriError`]: for a fragment, too (RFC 8707 §2).
    pub fn from_request(text: &str) -> Result<Self, ResourceUriError> {
        match text.split_once('?') {
            Some((_, query)) if query.contains('#') => Err(ResourceUriError::Fragment),
            Some((url, _)) => url.parse(),
            None => text.parse(),
        }
    }

    /// Parses a URL that is in the store: an earlier version may have registered one that
    /// [`Self::from_str`] refuses today.
    ///
    /// # Errors
    ///
    /// [`ResourceUriError`].
    pub fn from_registered(text: &str) -> Result<Self, ResourceUriError> {
        if text.len() > MAX_LEN {
            return Err(ResourceUriError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| ResourceUriError::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ResourceUriError::Scheme);
        }
        if url.fragment().is_some() {
            return Err(ResourceUriError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ResourceUriError::UserInfo);
        }
        if let Some((without_query, _)) = text.split_once('?') {
            return Err(ResourceUriError::Query(without_query.to_owned()));
        }
        // The parser repairs what it reads (dot segments, backslashes, white space, hosts not in
        // ASCII). Whatever it had to repair is refused, so that no two readers can differ.
        let (origin, path) = split(text).ok_or(ResourceUriError::NotAbsolute)?;
        let normal_origin = url.origin().ascii_serialization();
        if without_default_port(&origin.to_ascii_lowercase()) != normal_origin
            || !(path == url.path() || path.is_empty())
        {
            return Err(ResourceUriError::NotNormal(url.to_string()));
        }
        let canonical = format!("{normal_origin}{path}");
        let key = canonical.strip_suffix('/').unwrap_or(&canonical).to_owned();
        Ok(Self {
            given: text.to_owned(),
            canonical,
            key,
        })
    }
}

/// Scheme with authority, and path, as they stand in the text.
fn split(text: &str) -> Option<(&str, &str)> {
    let authority = text.find("://")? + 3;
    let path = text
        .get(authority..)?
        .find('/')
        .map_or(text.len(), |at| authority + at);
    text.split_at_checked(path)
}

/// RFC 3986 §6.2.3: the scheme's own port says nothing.
fn without_default_port(origin: &str) -> &str {
    let port = if origin.starts_with("https:") {
        ":443"
    } else {
        ":80"
    };
    origin
        .strip_suffix(port)
        .or_else(|| origin.strip_suffix(':'))
        .unwrap_or(origin)
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

    /// A path with its escapes decoded once.
    fn decoded(path: &str) -> String {
        let pair = format!("p={}", path.replace('+', "%2B").replace('&', "%26"));
        let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
        pairs.next().unwrap().1.into_owned()
    }

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

    #[test]
    fn anything_that_two_parsers_could_read_differently_is_refused() {
        for bad in [
            "",
            "mcp",
            "/mcp",
            "ftp://a.example/",
            "https://a.example/#x",
            "https://a.example/?x",
            "https://u:p@a.example/",
            "https://a.example/b/../c",
            "https://a.example/b/%2e%2e/c",
            "https://a.example\\@evil.test/",
            "https:/a.example/",
            "https:a.example",
            " https://a.example/",
            "https://a.example/a b",
            "https://ä.example/",
            "https://a.example/\n",
            "http://0x7f.1/",
            "http://[::1",
            "https://a.example/%",
            "https://a.example/%zz",
            "https://a.example/%ff",
            "https://a.example/%C0%AF",
        ] {
            assert!(bad.parse::<ResourceUri>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_query_is_left_out_of_what_is_asked_for_and_refused_where_a_server_is_named() {
        for text in [
            "https://a.example/mcp?profile=x",
            "https://a.example/mcp?",
            "https://a.example/mcp?a=b?c=/d",
        ] {
            let asked = ResourceUri::from_request(text).unwrap();
            assert_eq!(asked.as_given(), "https://a.example/mcp");
            assert_eq!(
                text.parse::<ResourceUri>().unwrap_err(),
                ResourceUriError::Query("https://a.example/mcp".into())
            );
        }
        for fragment in [
            "https://a.example/mcp#x",
            "https://a.example/mcp?x#y",
            "https://a.example/mcp#x?y",
        ] {
            assert_eq!(
                ResourceUri::from_request(fragment).unwrap_err(),
                ResourceUriError::Fragment,
                "{fragment}"
            );
        }
        assert_eq!(
            "https://a.example/x/../mcp?y"
                .parse::<ResourceUri>()
                .unwrap_err(),
            ResourceUriError::Query("https://a.example/mcp".into())
        );
        // No password is repeated in an error.
        assert_eq!(
            "https://u:p@a.example/mcp?x"
                .parse::<ResourceUri>()
                .unwrap_err(),
            ResourceUriError::UserInfo
        );
    }

    /// What some reader takes for `https://a.example/mcp`.
    const OTHER_SPELLINGS: &[&str] = &[
        "https://a.example/%6dcp",
        "https://a.example/%6Dcp",
        "https://a.example/m%63p",
        "https://a.example/%256dcp",
        "https://a.example//mcp",
        "https://a.example/./mcp",
        "https://a.example/x/../mcp",
        "https://a.example/x/%2e%2E/mcp",
        "https://a.example/x%2F..%2fmcp",
        "https://a.example/%2fmcp",
        "https://a.example/%5Cmcp",
        "https://a.example\\mcp",
        "https://a.example/m\tcp",
        "https://a.example/m%09cp",
        "https://a.example/mcp.",
        "https://a.example/mcp%2e",
        "https://a.example/mcp%20",
        "https://a.example/mcp;x=1",
        "https://a.example/mcp%3bx=1",
        "https://a.example/mcp%3Fx=1",
        "https://a.example/mcp%23x",
        "https://a.example/%EF%BD%8Dcp",
        "https://a.example/ｍcp",
        "https://a.example/ⓜcp",
        "https://a.example/%E2%93%9Ccp",
        "https://a.example/𝐦cp",
        "https://a.example/m\u{200b}cp",
        "https://a.example/m%E2%80%8Bcp",
        "https://a.example/%C2%ADmcp",
        "https://a.example/mcp%E2%80%8E",
        "https://a.example/%EF%BB%BFmcp",
        "https://a.example/mc%EF%B8%8Fp",
        "https://a.example/m%E2%81%A0cp",
        "https://a.example/m%CD%8Fcp",
        "https://a.example/%F3%A0%81%ADmcp",
        "https://a.example/mcp%E2%80%A8",
        "https://a.example/mcp%C2%85",
        "https://a.example/mcp%C2%A0",
        "https://a.example/mcp%E2%80%AF",
        "https://a.example/mcp%EF%BC%8E",
        "https://a.example/%EF%BC%8Fmcp",
        "https://a.example/mcp%EF%BC%9Bx",
        "https://a.example/mcp%EF%BC%9Fx",
        "https://a.example/x%EF%BC%8F%E2%80%A5/mcp",
        "https://a.example/%EF%BC%856dcp",
        "https://a.example/mcp%EF%BF%BD",
        "https://a.example/%EE%80%80mcp",
        "https://a.example./mcp",
    ];

    #[test]
    fn a_host_with_a_star_is_refused_as_that_and_a_path_with_one_is_not() {
        for wild in [
            "https://*.example.com/mcp",
            "https://*/mcp",
            "http://localhost:*/mcp",
        ] {
            let error = wild.parse::<ResourceUri>().unwrap_err();
            assert_eq!(error, ResourceUriError::Wildcard, "{wild}");
        }
        assert!("https://a.example/*".parse::<ResourceUri>().is_ok());
        assert!(ResourceUri::from_registered("https://*.example.com/mcp").is_ok());
    }

    #[test]
    fn another_spelling_of_a_path_is_refused_with_the_normal_one() {
        for other in OTHER_SPELLINGS {
            match other.parse::<ResourceUri>() {
                Err(ResourceUriError::NotNormal(normal)) => {
                    assert_eq!(normal, "https://a.example/mcp", "{other}");
                }
                parsed => panic!("{other}: {parsed:?}"),
            }
        }
        for (other, normal) in [
            ("https://a.example/mcp//", "https://a.example/mcp/"),
            ("https://a.example/a%3a", "https://a.example/a:"),
            ("https://a.example/%c3%a9", "https://a.example/%C3%A9"),
            ("https://a.example/e%CC%81", "https://a.example/%C3%A9"),
            (
                "https://a.example/e%E2%80%8C%CC%81",
                "https://a.example/%C3%A9",
            ),
            ("https://a.example/é", "https://a.example/%C3%A9"),
            ("https://a.example/%EF%AC%81le", "https://a.example/file"),
            ("https://a.example/%E2%84%80", "https://a.example/a/c"),
            ("https://a.example./", "https://a.example/"),
        ] {
            let error = other.parse::<ResourceUri>().unwrap_err();
            assert_eq!(error, ResourceUriError::NotNormal(normal.into()));
            assert!(normal.parse::<ResourceUri>().is_ok(), "{normal}");
        }
        assert!(
            "https://a.example/%C3%A9/a%20b"
                .parse::<ResourceUri>()
                .is_ok()
        );
        for kept in ["%E5%B7%A5%E5%85%B7", "%D0%B9", "%F0%9F%98%80", "a~b"] {
            let text = format!("https://a.example/{kept}");
            assert!(text.parse::<ResourceUri>().is_ok(), "{text}");
        }
        assert!(ResourceUri::from_registered("https://a.example//mcp").is_ok());
    }

    proptest! {
        #[test]
        fn the_normal_spelling_that_an_error_names_is_accepted(path in "(/|%2[ef5]|%6d|%5c|;|\\.|[a-z]|%C3%A9){0,12}") {
            let text = format!("https://a.example/{path}");
            if let Err(ResourceUriError::NotNormal(normal)) = text.parse::<ResourceUri>() {
                prop_assert!(normal.parse::<ResourceUri>().is_ok(), "{} -> {}", text, normal);
            }
        }

        #[test]
        fn no_reader_that_normalises_takes_an_accepted_path_for_another(path in "\\PC{0,8}|[a-z\u{301}\u{200b}\u{ff05}\u{ff0e}\u{2025}é.%/]{0,10}", rounds in 1..3_u32) {
            use unicode_normalization::UnicodeNormalization as _;
            let mut escaped = path.clone();
            for _ in 0..rounds {
                let mut url: url::Url = "https://a.example/".parse().unwrap();
                url.set_path(&escaped);
                escaped = url.path().replace("%25", "%2525");
            }
            let text = format!("https://a.example{escaped}");
            match text.parse::<ResourceUri>() {
                Ok(uri) => {
                    let decoded = decoded(uri.path());
                    prop_assert_eq!(decoded.nfkc().collect::<String>(), decoded.as_str());
                    prop_assert!(!decoded.contains(['\u{200b}', '%', '\\', ';']), "{}", text);
                }
                Err(ResourceUriError::NotNormal(normal)) => {
                    prop_assert!(normal.parse::<ResourceUri>().is_ok(), "{} -> {}", text, normal);
                }
                Err(_) => {}
            }
        }

        #[test]
        fn parsing_never_panics_and_accepted_text_is_kept(text in ".{0,60}") {
            if let Ok(uri) = text.parse::<ResourceUri>() {
                prop_assert_eq!(uri.as_given(), &text);
            }
        }

        #[test]
        fn covering_keys_agree_with_covers(path in "(/[a-c]{1,2}){0,4}", parent in "(/[a-c]{1,2}){0,4}") {
            let resource = uri(&format!("https://a.example{path}"));
            let parent = uri(&format!("https://a.example{parent}"));
            prop_assert_eq!(parent.covers(&resource), resource.covering_keys().any(|key| key == parent.comparison_key()));
        }
    }
}
