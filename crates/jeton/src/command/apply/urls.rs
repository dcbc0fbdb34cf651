//! URLs that an MCP server leaves.

use jeton_core::ResourceUri;
use serde_json::Value;

use super::declaration::DeclaredServer;
use super::document::text;
use super::present;

/// What has to be known before `server` leaves URLs, if one of them lies under another that stays: `stays` says
/// whether a URL does, by its comparison key. `after` is what becomes of the server.
pub(super) fn opened(
    server: &Value,
    after: Option<&DeclaredServer>,
    stays: impl Fn(&str) -> bool,
) -> Option<String> {
    let left = present::urls(server).filter_map(|url| ResourceUri::from_registered(url).ok());
    let left = left.filter(|url| after.is_none_or(|after| after.urls().all(|kept| kept != url)));
    let opened: Vec<_> = left
        .filter_map(|url| {
            let parent = url.covering_keys().skip(1).find(|key| stays(key))?;
            let is_own = |after: &DeclaredServer| {
                let mut urls = after.urls();
                urls.any(|url| url.comparison_key() == parent)
            };
            if after.is_some_and(is_own) {
                return None;
            }
            Some(format!(
                "the URL {url} of {} lies under {parent}: it is retired, and clients of {parent} can get \
                 tokens for it once it is released",
                text(server, "name")
            ))
        })
        .collect();
    (!opened.is_empty()).then(|| opened.join("\n"))
}
