//! Secrets and tokens that somebody put where they do not belong: they must not travel on into an
//! error, a log or the audit log.

use std::borrow::Cow;

/// What begins a Jeton secret, and a JWT (the base64url of `{"`).
const MARKS: [&str; 2] = ["jeton_", "eyJ"];
/// The fewest characters after a mark that make it a secret.
const MIN_LEN: usize = 16;

/// `text` with everything that looks like a secret or a token replaced by `[redacted]`. Linear in
/// the text.
pub fn redact(text: &str) -> Cow<'_, str> {
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
