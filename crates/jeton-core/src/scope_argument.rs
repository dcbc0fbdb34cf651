//! Scopes as the command line writes them: `NAME=DESCRIPTION`, `OLD=NEW`.

/// A scope's name and what stands behind the first `=`. In the name `\=` is a `=` of its own, which
/// is unambiguous: no scope holds a backslash (RFC 6749 §3.3).
pub fn split_scope(text: &str) -> (String, Option<&str>) {
    let mut before = None;
    let end = text.char_indices().find(|&(_, c)| {
        let found = c == '=' && before != Some('\\');
        before = Some(c);
        found
    });
    let (name, rest) = match end {
        Some((end, _)) => (text.get(..end), text.get(end + 1..)),
        None => (Some(text), None),
    };
    (name.unwrap_or_default().replace("\\=", "="), rest)
}

#[cfg(test)]
mod tests {
    use crate::ScopeDefinition;

    #[test]
    fn a_scope_with_an_equals_sign_in_its_name_can_be_written() {
        for (text, name, description) in [
            ("todo:read", "todo:read", ""),
            ("todo:read=Read = see", "todo:read", "Read = see"),
            (r"k\=v", "k=v", ""),
            (r"k\=v=What it permits", "k=v", "What it permits"),
        ] {
            let scope: ScopeDefinition = text.parse().unwrap();
            assert_eq!(
                (scope.name.as_str(), scope.description.as_str()),
                (name, description)
            );
        }
        assert!("=x".parse::<ScopeDefinition>().is_err());
        assert!(r"a\b".parse::<ScopeDefinition>().is_err());
    }
}
