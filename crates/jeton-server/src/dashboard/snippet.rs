//! Something ready to paste, and texts as they are written in it.

/// A piece of code or configuration.
#[derive(Debug)]
pub(crate) struct Snippet {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) code: String,
}

/// A text as a literal: of what is registered, JSON escapes quotes and backslashes only, and as
/// Rust, Python and JavaScript do.
pub(super) fn literal(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A text as one word of a shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
