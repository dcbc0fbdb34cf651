//! URLs that an MCP server leaves.

use jeton_core::ResourceUri;
use serde_json::Value;

use super::plan::text;

/// What has to be known before `server` leaves its URL for `new`, if that lies under another that stays: `stays`
/// says whether a URL does, by its comparison key.
pub(super) fn opened(
    server: &Value,
    new: Option<&ResourceUri>,
    stays: impl Fn(&str) -> bool,
) -> Option<String> {
    let url = ResourceUri::from_registered(text(server, "url")).ok()?;
    let parent = url.covering_keys().skip(1).find(|key| stays(key))?;
    if new.is_some_and(|new| new.comparison_key() == parent) {
        return None;
    }
    Some(format!(
        "the URL {url} of {} lies under {parent}: it is retired, and clients of {parent} can get tokens for it \
         once it is released",
        text(server, "name")
    ))
}
