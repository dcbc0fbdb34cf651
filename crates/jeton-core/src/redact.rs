//! Secrets and tokens that somebody put where they do not belong, and passwords in URLs: they must
//! not travel on into an error, a log or the audit log.

use std::borrow::Cow;

use crate::shown;

/// What begins a Jeton secret, and a JWT (the base64url of `{"`).
const MARKS: [&str; 2] = ["jeton_", "eyJ"];
/// The fewest characters after a mark that make it a secret.
const MIN_LEN: usize = 16;

/// `text` with everything that looks like a secret or a token, and with the user name and password of
/// each URL in it, replaced by `[redacted]`. Linear in the text.
pub fn redact(text: &str) -> Cow<'_, str> {
    match without_secrets(text) {
        Cow::Borrowed(text) => without_userinfo(text),
        Cow::Owned(text) => match without_userinfo(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(redacted) => Cow::Owned(redacted),
        },
    }
}

/// A URL as an error, a log or a host may repeat it: without its query and its fragment, where keys often stand,
/// without user name and password, and fit for a terminal. The one place that takes them out of a URL.
pub fn presentable_url(url: &str) -> String {
    // A password may hold what would begin a query.
    let url = redact(url);
    let url = url.split(['?', '#']).next().unwrap_or_default();
    shown(url).into_owned()
}

/// The longest text that an error repeats, in characters.
const MAX_EXCERPT: usize = 60;

/// What somebody sent, in quotation marks, as an error may repeat it: without secrets, fit for a
/// terminal, and not longer than helps to recognise it.
pub fn excerpt(text: &str) -> String {
    let text = redact(text);
    let text = shown(&text);
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("\"{}…\"", text.get(..end).unwrap_or_default()),
        None => format!("\"{text}\""),
    }
}

/// `text` with the user name and password of each URL in it (RFC 3986 §3.2.1) replaced by
/// `[redacted]`, also where a password holds a character that would have to be escaped. Linear in
/// the text.
pub fn without_userinfo(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut redacted = String::new();
    let mut kept = 0;
    let mut run = Run {
        end: 0,
        last_at: None,
    };
    for (mark, _) in text.match_indices("://") {
        let start = mark + 3;
        if start < kept {
            continue;
        }
        if start >= run.end {
            run = Run::from(text, start);
        }
        if let Some(at) = run.userinfo_end(text, start) {
            redacted.push_str(text.get(kept..start).unwrap_or_default());
            redacted.push_str("[redacted]");
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    redacted.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

/// A part of a text in which a URL may stand: up to white space or a quotation mark.
struct Run {
    end: usize,
    /// The last `@` in it.
    last_at: Option<usize>,
}

impl Run {
    fn from(text: &str, start: usize) -> Self {
        let rest = text.get(start..).unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`');
        let rest = rest.split(ends).next().unwrap_or_default();
        Self {
            end: start + rest.len(),
            last_at: rest.rfind('@').map(|at| start + at),
        }
    }

    /// Where the user name and password of the URL end whose authority begins at `start`.
    fn userinfo_end(&self, text: &str, start: usize) -> Option<usize> {
        let last = self.last_at.filter(|at| *at >= start)?;
        let rest = text.get(start..self.end)?;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        // As help texts write it.
        if authority.starts_with("USER:PASSWORD@") {
            return None;
        }
        if let Some(at) = authority.rfind('@') {
            return Some(start + at);
        }
        // A password with a slash in it; of other schemes than http, none has an @ in its path.
        let is_port =
            |port: &str| port.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit());
        let is_odd = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !is_port(port));
        let before = text
            .as_bytes()
            .get(..start.saturating_sub(3))
            .unwrap_or_default();
        let ends_with = |scheme: &[u8]| {
            let at = before.len().checked_sub(scheme.len());
            at.and_then(|at| before.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(scheme))
        };
        (is_odd || !(ends_with(b"http") || ends_with(b"https"))).then_some(last)
    }
}

/// `text` with everything that looks like a secret or a token replaced by `[redacted]`.
fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut redacted = String::new();
    let mut kept = 0;
    for (start, end) in secrets(text) {
        redacted.push_str(text.get(kept..start).unwrap_or_default());
        redacted.push_str("[redacted]");
        kept = end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    redacted.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

/// Whether `text` holds something that looks like a secret or a token.
pub fn looks_secret(text: &str) -> bool {
    secrets(text).next().is_some()
}

/// Where secrets begin and end, one after the other.
fn secrets(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut end = 0;
    text.match_indices(['j', 'e'])
        .filter_map(move |(start, _)| {
            if start < end {
                return None;
            }
            end = secret_at(text, start)?;
            Some((start, end))
        })
}

/// The end of the secret that begins at `start`, if one does.
fn secret_at(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let secret = MARKS.iter().find_map(|mark| rest.strip_prefix(mark))?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = secret.bytes().take_while(is_part).count();
    (length >= MIN_LEN).then(|| text.len() - secret.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looked at from each mark to the end of the text, these would take minutes.
    #[test]
    fn long_texts_are_redacted_in_linear_time() {
        let many = "eyJ012345678901234567 ".repeat(50_000);
        assert_eq!(redact(&many), "[redacted] ".repeat(50_000));
        assert_eq!(redact(&"eyJ".repeat(600_000)), "[redacted]");
        for harmless in ["eyJ ".repeat(300_000), "jeton_ ".repeat(200_000)] {
            assert!(!looks_secret(&harmless));
            assert_eq!(redact(&harmless), harmless);
        }
    }

    #[test]
    fn user_names_and_passwords_of_urls_are_taken_out_whatever_is_in_them() {
        for (text, redacted) in [
            (
                "https://u:hunter2@a.example/x",
                "https://[redacted]@a.example/x",
            ),
            (
                "the URL \"https://tok@a.example\" is",
                "the URL \"https://[redacted]@a.example\" is",
            ),
            ("postgres://u:p/w?x#@h:1/d", "postgres://[redacted]@h:1/d"),
            ("postgres://u:12/w@h/d", "postgres://[redacted]@h/d"),
            ("HTTPS://u:p/w@h/d", "HTTPS://[redacted]@h/d"),
            (
                "http://u:p@w@h/d and ftp://a@b",
                "http://[redacted]@h/d and ftp://[redacted]@b",
            ),
        ] {
            assert_eq!(without_userinfo(text), redacted);
            assert_eq!(redact(text), redacted);
        }
        for harmless in [
            "https://a.example/@user/mcp",
            "postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            "https://a.example:8443/x?mail=ada@example.com",
            "http://[::1]:8420/@x",
            "ada@example.com",
            "a://b",
        ] {
            assert_eq!(without_userinfo(harmless), harmless);
        }
        let many = "x://".repeat(100_000) + "@";
        assert!(without_userinfo(&many).ends_with("[redacted]@"));
    }

    #[test]
    fn a_url_is_presented_without_query_fragment_and_credentials() {
        for (url, presented) in [
            ("https://a.example/mcp", "https://a.example/mcp"),
            ("https://a.example/mcp?key=hidden", "https://a.example/mcp"),
            ("https://a.example?key=hidden#x", "https://a.example"),
            (
                "https://a.example/#access_token=hidden",
                "https://a.example/",
            ),
            (
                "https://me:hidden@a.example/mcp?key=hidden",
                "https://[redacted]@a.example/mcp",
            ),
            (
                "https://me:hid?den#@a.example/mcp?key=hidden",
                "https://[redacted]@a.example/mcp",
            ),
            ("a.example/mcp?key=hidden", "a.example/mcp"),
            (
                "https://a.example/\u{1b}[31m",
                "https://a.example/\\u{1b}[31m",
            ),
            ("", ""),
        ] {
            assert_eq!(presentable_url(url), presented, "{url}");
        }
    }

    #[test]
    fn secrets_and_tokens_are_taken_out_and_the_rest_stays() {
        let secret = "jeton_BSXEsesI6fTClCe4sEjs71HUMjgqbLNPgxuSIxcGf1h2CS8gW";
        let token = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln";
        assert_eq!(
            redact(&format!("the scope {secret} is not")),
            "the scope [redacted] is not"
        );
        assert_eq!(
            redact(&format!("{token} and {secret}")),
            "[redacted] and [redacted]"
        );
        for harmless in [
            "",
            "jeton_",
            "the jeton_ prefix",
            "todo:read",
            "key_01m870104qf5z8rq9r3rtttj8p",
        ] {
            assert_eq!(redact(harmless), harmless);
            assert!(!looks_secret(harmless));
        }
    }
}
