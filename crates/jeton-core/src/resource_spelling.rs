//! How a resource identifier may be spelt: what two readers could take for different URLs is refused.

use std::str::FromStr;

use url::Url;

use crate::resource::MAX_LEN;
use crate::resource_path;
use crate::{ResourceUri, ResourceUriError};

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
        if normal == uri.canonical() {
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
        Ok(Self::of(text, canonical))
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
    }
}
