//! Which registered MCP server each declared one is.

use std::collections::HashMap;

use anyhow::bail;
use jeton_core::counted;
use serde_json::Value;

use super::declaration::{Declaration, DeclaredServer};
use super::document::{ids, text};
use super::present::{self, Present, url_key};
use crate::output::cell;

/// The registered MCP server of each declared one that has one. No two declared ones have the same.
#[derive(Default)]
pub(super) struct Matches<'a> {
    /// By the declared name.
    found: HashMap<&'a str, &'a Value>,
    /// The declared MCP servers by the ID of the registered one.
    declared: HashMap<String, &'a DeclaredServer>,
}

impl<'a> Matches<'a> {
    /// The strongest sign decides first, for all: the same resource identifier; the same name and a shared URL; the
    /// same name, where the server has moved; the resource identifier of one among the aliases of the other.
    pub(super) fn new(declared: &'a Declaration, present: &'a Present) -> anyhow::Result<Self> {
        let mut matches = Self::default();
        matches.claim(declared, |server| {
            let there = present.server_at(&server.url);
            there
                .filter(|there| is_identifier(there, server))
                .into_iter()
                .collect()
        })?;
        matches.claim(declared, |server| {
            let named = present.servers_named(server.name.as_str());
            named.filter(|there| shares_url(there, server)).collect()
        })?;
        matches.claim(declared, |server| {
            let named = present.servers_named(server.name.as_str());
            let moved = named.filter(|there| {
                let key = url_key(text(there, "url"));
                !key.is_some_and(|key| declared.has_url(&key))
            });
            moved.collect()
        })?;
        matches.claim(declared, |server| {
            let mut found: Vec<&Value> = Vec::new();
            for url in server.urls() {
                let there = present.server_at(url);
                let there = there.filter(|there| *url == server.url || identifies(there, url));
                found.extend(there.filter(|there| found.iter().all(|one| !is_same(one, there))));
            }
            found
        })?;
        Ok(matches)
    }

    /// The registered MCP server that a declared one is.
    pub(super) fn of(&self, server: &DeclaredServer) -> Option<&'a Value> {
        self.found.get(server.name.as_str()).copied()
    }

    /// The declared MCP server that a registered one becomes.
    pub(super) fn declared(&self, found: &Value) -> Option<&'a DeclaredServer> {
        self.declared.get(&cell(found, "id")).copied()
    }

    /// Gives each declared server that has none yet the one candidate that no other has.
    fn claim(
        &mut self,
        declared: &'a Declaration,
        candidates: impl Fn(&DeclaredServer) -> Vec<&'a Value>,
    ) -> anyhow::Result<()> {
        let mut claimed: HashMap<String, (&'a DeclaredServer, &'a Value)> = HashMap::new();
        for server in &declared.mcp_servers {
            if self.of(server).is_some() {
                continue;
            }
            let mut free = candidates(server);
            free.retain(|there| self.declared(there).is_none());
            let one = match free.as_slice() {
                [] => continue,
                [one] => *one,
                several => bail!(
                    "{} could be the declared {} ({}), and none of them has the URL {}: give it the url of the one that it is, or rename or delete what is not meant",
                    counted(several.len(), "MCP server"),
                    server.name,
                    ids(several),
                    server.url
                ),
            };
            if let Some((other, _)) = claimed.insert(cell(one, "id"), (server, one)) {
                bail!(
                    "the MCP servers {} and {} both have a URL of {} ({}), and only one can be it: give that one its url, {}, or its name",
                    other.name,
                    server.name,
                    text(one, "name"),
                    cell(one, "id"),
                    text(one, "url")
                );
            }
        }
        for (id, (server, there)) in claimed {
            self.found.insert(server.name.as_str(), there);
            self.declared.insert(id, server);
        }
        Ok(())
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    cell(one, "id") == cell(other, "id")
}

fn is_identifier(there: &Value, server: &DeclaredServer) -> bool {
    identifies(there, &server.url)
}

fn identifies(there: &Value, url: &jeton_core::ResourceUri) -> bool {
    url_key(text(there, "url")).is_some_and(|key| key == url.comparison_key())
}

fn shares_url(there: &Value, server: &DeclaredServer) -> bool {
    let mut keys = present::urls(there).filter_map(url_key);
    keys.any(|key| server.urls().any(|url| url.comparison_key() == key))
}
