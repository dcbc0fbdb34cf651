//! What serde says of a value, in the words of whoever sent it.

use jeton_core::shown;

/// The longest text of a caller's that an error repeats, in characters.
const MAX_FOUND: usize = 400;

/// What is wrong, and with which member.
pub(crate) struct PlainWords {
    /// The member's path, like `scopes[0].name`; empty for the whole.
    pub(crate) parameter: String,
    /// What was expected, and what was found.
    pub(crate) detail: String,
}

impl PlainWords {
    /// Of an error at `path`, as `serde_path_to_error` writes it.
    pub(crate) fn of(path: &str, message: &str) -> Self {
        let path = if path == "." { "" } else { path };
        let message = without_position(message);
        if let Some(name) = quoted_after(message, "missing field ") {
            return Self {
                parameter: below(path, name),
                detail: "it is missing; it is required".to_owned(),
            };
        }
        if let Some(name) = quoted_after(message, "duplicate field ") {
            return Self {
                parameter: below(path, name),
                detail: "it is there twice; send it once".to_owned(),
            };
        }
        if let Some(name) = quoted_after(message, "unknown field ") {
            let expected = message
                .split_once(", expected ")
                .map_or("", |(_, names)| names);
            let names = expected.trim_start_matches("one of ").replace('`', "");
            return Self {
                parameter: below(path.trim_end_matches(name).trim_end_matches('.'), name),
                detail: format!("there is no parameter of this name; there are: {names}"),
            };
        }
        Self {
            parameter: path.to_owned(),
            detail: type_mismatch(message).unwrap_or_else(|| excerpt(message)),
        }
    }
}

/// `serde_json` adds where in the document it stopped, which says nothing to whoever did not write it.
fn without_position(message: &str) -> &str {
    match message.rsplit_once(" at line ") {
        Some((message, place)) if place.contains(" column ") => message,
        _ => message,
    }
}

fn quoted_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(words)?.strip_prefix('`')?;
    rest.split('`').next()
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// `invalid type: string "x", expected u32`.
fn type_mismatch(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    Some(format!(
        "expected {}, found {}",
        expected_words(expected),
        found_words(found)
    ))
}

fn expected_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        named if named.starts_with("struct ") => "an object",
        other => other,
    }
}

fn found_words(found: &str) -> String {
    let found = excerpt(found);
    if let Some(text) = found.strip_prefix("string ") {
        return format!("the text {text}");
    }
    let plain = |kind: &str| found.strip_prefix(kind).map(|value| value.replace('`', ""));
    plain("integer ")
        .or_else(|| plain("floating point "))
        .or_else(|| plain("boolean "))
        .unwrap_or_else(|| match &*found {
            "map" => "an object".to_owned(),
            "sequence" => "a list".to_owned(),
            _ => found.clone(),
        })
}

fn excerpt(text: &str) -> String {
    let text = shown(text);
    match text.char_indices().nth(MAX_FOUND) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_says_names_the_parameter_and_what_was_expected() {
        for (path, message, parameter, detail) in [
            (
                ".",
                "missing field `name` at line 1 column 55",
                "name",
                "it is missing; it is required",
            ),
            (
                "scopes[0]",
                "missing field `name`",
                "scopes[0].name",
                "it is missing; it is required",
            ),
            (
                "nme",
                "unknown field `nme`, expected one of `name`, `url` at line 1 column 8",
                "nme",
                "there is no parameter of this name; there are: name, url",
            ),
            (
                "token_ttl",
                "invalid type: string \"1h\", expected i64 at line 1 column 20",
                "token_ttl",
                "expected a whole number, found the text \"1h\"",
            ),
            (
                "expires_in",
                "invalid value: integer `-5`, expected u64",
                "expires_in",
                "expected a whole number that is not negative, found -5",
            ),
            (
                "scopes",
                "invalid type: map, expected a sequence",
                "scopes",
                "expected a list, found an object",
            ),
            ("url", "a reason of our own", "url", "a reason of our own"),
        ] {
            let words = PlainWords::of(path, message);
            assert_eq!(
                (words.parameter.as_str(), words.detail.as_str()),
                (parameter, detail)
            );
        }
    }
}
