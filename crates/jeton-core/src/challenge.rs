//! The `WWW-Authenticate: Bearer` challenge of RFC 6750 §3, with RFC 9728's `resource_metadata`:
//! written by an MCP server, read by an agent.

use std::fmt;

use crate::ScopeSet;

/// A Bearer challenge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// `invalid_token` or `insufficient_scope`; absent where no token was sent.
    pub error: Option<String>,
    /// What was wrong, for people.
    pub error_description: Option<String>,
    /// The scopes that the request needs.
    pub scope: Option<ScopeSet>,
    /// Where the protected resource metadata is (RFC 9728 §5.1).
    pub resource_metadata: Option<String>,
}

/// A `WWW-Authenticate` value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the WWW-Authenticate header holds no readable Bearer challenge")]
pub struct ChallengeError;

/// `text` as an RFC 9110 §5.6.4 quoted string; characters that a header cannot carry become `?`.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = self
            .scope
            .as_ref()
            .filter(|scope| !scope.is_empty())
            .map(ToString::to_string);
        let parameters = [
            ("error", self.error.as_deref()),
            ("error_description", self.error_description.as_deref()),
            ("resource_metadata", self.resource_metadata.as_deref()),
            ("scope", scope.as_deref()),
        ];
        f.write_str("Bearer")?;
        let mut separator = " ";
        for (name, value) in parameters {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", quoted(value))?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

impl Challenge {
    /// Reads the first Bearer challenge of a `WWW-Authenticate` value, which may hold several
    /// challenges of several schemes (RFC 9110 §11.6.1).
    ///
    /// # Errors
    ///
    /// [`ChallengeError`] where none is there or its syntax is broken. Linear in the header.
    pub fn parse(header: &str) -> Result<Self, ChallengeError> {
        let mut scanner = Scanner { rest: header };
        let mut found: Option<Self> = None;
        loop {
            scanner.skip_separators();
            if scanner.rest.is_empty() {
                return found.ok_or(ChallengeError);
            }
            let word = scanner.token().ok_or(ChallengeError)?;
            if let Some(value) = scanner.value()? {
                if let Some(challenge) = found.as_mut() {
                    challenge.set(&word.to_ascii_lowercase(), value);
                }
            } else if found.is_some() {
                return found.ok_or(ChallengeError);
            } else if word.eq_ignore_ascii_case("bearer") {
                found = Some(Self::default());
            } else {
                scanner.skip_token68();
            }
        }
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "error" => self.error = Some(value),
            "error_description" => self.error_description = Some(value),
            "scope" => self.scope = value.parse().ok(),
            "resource_metadata" => self.resource_metadata = Some(value),
            _ => {}
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
        let end = self.rest.find(|c| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// `=` and a value, or nothing where the word before was a scheme.
    fn value(&mut self) -> Result<Option<String>, ChallengeError> {
        let Some(rest) = self.rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            return Ok(None);
        };
        self.rest = rest.trim_start_matches([' ', '\t']);
        if let Some(rest) = self.rest.strip_prefix('"') {
            let mut value = String::new();
            let mut chars = rest.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        self.rest = rest.get(at + 1..).unwrap_or("");
                        return Ok(Some(value));
                    }
                    '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                    other => value.push(other),
                }
            }
            return Err(ChallengeError);
        }
        Ok(Some(self.unquoted().to_owned()))
    }

    /// A value without quotes. RFC 9110 allows a token only, but servers write URLs that way too.
    fn unquoted(&mut self) -> &'a str {
        let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        value
    }

    /// The opaque text that some schemes carry instead of parameters.
    fn skip_token68(&mut self) {
        let next = self.rest.trim_start_matches([' ', '\t']);
        // Up to any separator: a word that is looked at is passed over, here or as the next token.
        let end = next.find([',', ' ', '\t']).unwrap_or(next.len());
        let (word, after) = next.split_at_checked(end).unwrap_or((next, ""));
        let padded = word.trim_end_matches('=');
        if !padded.contains('=') && (after.is_empty() || after.starts_with(',')) {
            self.rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_challenge_reads_back_as_itself() {
        let challenge = Challenge {
            error: Some("insufficient_scope".into()),
            error_description: Some("needs \"more\"".into()),
            scope: Some("todo:read todo:write".parse().unwrap()),
            resource_metadata: Some(
                "https://a.example/.well-known/oauth-protected-resource".into(),
            ),
        };
        assert_eq!(Challenge::parse(&challenge.to_string()), Ok(challenge));
    }

    #[test]
    fn other_schemes_around_it_do_not_matter() {
        for header in [
            r#"Basic realm="x", Bearer scope="a""#,
            r"Negotiate abc==, bearer scope=a",
            r#"Bearer scope="a", Basic realm="x", scope="no""#,
            r#"Negotiate, Bearer realm="r" , scope = "a""#,
        ] {
            let found =
                Challenge::parse(header).unwrap_or_else(|error| panic!("{header}: {error}"));
            assert_eq!(found.scope.unwrap().to_string(), "a", "{header}");
        }
        assert!(Challenge::parse("Basic realm=\"x\"").is_err());
        assert!(Challenge::parse("Bearer scope=\"a").is_err());
    }

    #[test]
    fn values_without_quotes_are_read_to_the_next_separator() {
        for (header, url) in [
            (
                "Bearer resource_metadata=https://a.example/x?y=z, scope=a",
                "https://a.example/x?y=z",
            ),
            ("Bearer resource_metadata=, scope=a", ""),
            ("Bearer scope=a,resource_metadata=/x", "/x"),
        ] {
            let found = Challenge::parse(header).unwrap();
            assert_eq!(found.resource_metadata.as_deref(), Some(url), "{header}");
            assert_eq!(found.scope.unwrap().to_string(), "a", "{header}");
        }
    }

    /// Looked through to the end for each word, these would take minutes.
    #[test]
    fn long_headers_are_read_in_linear_time() {
        let words = format!("{}=x", "a\t".repeat(600_000));
        assert!(Challenge::parse(&words).is_err());
        let schemes = "Basic, ".repeat(100_000) + "Bearer error=\"x\"";
        assert_eq!(Challenge::parse(&schemes).unwrap().error.unwrap(), "x");
        let parameters = format!("Bearer {}", "a=\"b\",".repeat(100_000));
        assert!(Challenge::parse(&parameters).is_ok());
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused_without_a_panic(header in ".{0,80}") {
            let _ = Challenge::parse(&header);
        }

        #[test]
        fn any_description_survives_the_header(text in "[ -~]{0,40}") {
            let challenge = Challenge { error_description: Some(text), ..Challenge::default() };
            prop_assert_eq!(Challenge::parse(&challenge.to_string()), Ok(challenge));
        }
    }
}
