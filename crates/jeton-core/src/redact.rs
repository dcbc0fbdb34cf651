//! Secrets and tokens that somebody put where they do not belong: they must not travel on into an
//! error, a log or the audit log.

use std::borrow::Cow;

/// What begins a Jeton secret, and a JWT (the base64url of `{"`).
const MARKS: [&str; 2] = ["jeton_", "eyJ"];
/// So many characters after it make it one.
const TELLING: usize = 16;

/// `text` with everything that looks like a secret or a token replaced by `[redacted]`.
pub fn redact(text: &str) -> Cow<'_, str> {
    let Some((start, end)) = find(text) else {
        return Cow::Borrowed(text);
    };
    let before = text.get(..start).unwrap_or("");
    let after = text.get(end..).unwrap_or("");
    Cow::Owned(format!("{before}[redacted]{}", redact(after)))
}

/// Whether `text` holds something that looks like a secret or a token.
pub fn looks_secret(text: &str) -> bool {
    find(text).is_some()
}

fn find(text: &str) -> Option<(usize, usize)> {
    MARKS
        .iter()
        .flat_map(|mark| text.match_indices(mark))
        .filter_map(|(start, mark)| {
            let rest = text.get(start + mark.len()..)?;
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (length >= TELLING).then(|| (start, start + mark.len() + length))
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

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
