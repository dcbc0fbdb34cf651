//! MCP servers in memory, with the URLs that were retired: to which of them a resource belongs.
//!
//! Every change counts up a generation, so that what was read from the database is never put over a
//! change made since the read began.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use jeton_core::{McpServer, McpServerId, ResourceUri, Scope, ScopeSet};
use jeton_store::{Lock, Locked, RetiredUrl, StoreError};
use tokio::sync::MutexGuard;

use super::Directory;

/// All MCP servers, and the URLs that were theirs.
#[derive(Debug, Clone, Default)]
pub(super) struct McpServers {
    by_id: HashMap<McpServerId, Arc<McpServer>>,
    by_url: HashMap<String, Arc<McpServer>>,
    /// Every scope that an operator's MCP server defines, once somebody asked.
    scopes: OnceLock<Arc<ScopeSet>>,
    retired: Arc<HashMap<String, RetiredUrl>>,
    /// Counts the changes.
    generation: u64,
}

/// To what a resource belongs.
#[derive(Debug)]
enum Covering<'a> {
    Server(&'a Arc<McpServer>),
    Retired(&'a RetiredUrl),
}

impl McpServers {
    /// Of the registered and the retired URLs that cover a resource the longest; a URL that is
    /// registered is not retired.
    fn covering<'a>(&'a self, resource: &ResourceUri) -> Option<Covering<'a>> {
        resource.covering_keys().find_map(|key| {
            let server = self.by_url.get(key).map(Covering::Server);
            server.or_else(|| self.retired.get(key).map(Covering::Retired))
        })
    }

    fn insert(&mut self, server: Arc<McpServer>) {
        for url in server.urls() {
            self.by_url
                .insert(url.comparison_key().to_owned(), Arc::clone(&server));
        }
        self.by_id.insert(server.id, server);
    }

    /// Takes a server out with all its URLs.
    fn remove(&mut self, id: McpServerId) {
        let Some(server) = self.by_id.remove(&id) else {
            return;
        };
        for url in server.urls() {
            let key = url.comparison_key();
            if self.by_url.get(key).is_some_and(|there| there.id == id) {
                self.by_url.remove(key);
            }
        }
    }

    /// Takes the server with this ID out, and puts `server` there.
    fn replace(&mut self, id: McpServerId, server: Option<Arc<McpServer>>) {
        self.scopes = OnceLock::new();
        self.remove(id);
        if let Some(server) = server {
            self.insert(server);
        }
    }

    fn all_scopes(&self) -> ScopeSet {
        let servers = self.by_id.values().filter(|server| !server.system);
        let mut names: Vec<&Scope> = servers
            .flat_map(|server| server.scopes.iter().map(|scope| &scope.name))
            .collect();
        names.sort();
        names.into_iter().cloned().collect()
    }
}

/// Held while MCP servers and grants are changed, here and on other servers.
#[derive(Debug)]
pub(crate) struct Changing<'a> {
    _here: MutexGuard<'a, ()>,
    _elsewhere: Locked,
}

impl Directory {
    /// To be held from before a change of an MCP server or of a grant is read for and committed
    /// until it is announced: changes then follow one another, and are announced in that order.
    pub(crate) async fn changing_mcp_servers(&self) -> Result<Changing<'_>, StoreError> {
        let here = self.changing.lock().await;
        Ok(Changing {
            _here: here,
            _elsewhere: self.store.lock(Lock::McpServers).await?,
        })
    }

    /// Reads all MCP servers and retired URLs anew, as they were at one moment.
    pub(crate) async fn read_mcp_servers(&self) -> Result<(), StoreError> {
        loop {
            let seen = self.mcp_servers.load().generation;
            let (all, retired) = self.store.mcp_servers_and_retired_urls().await?;
            let mut servers = McpServers {
                retired: Arc::new(by_key(retired)),
                ..McpServers::default()
            };
            for server in all {
                servers.insert(Arc::new(server));
            }
            if put_unless_changed(&self.mcp_servers, seen, |current| {
                *current = servers.clone();
            }) {
                return Ok(());
            }
        }
    }

    /// The retired URL that a resource belongs to.
    pub(crate) fn retired_covering(&self, resource: &ResourceUri) -> Option<RetiredUrl> {
        match self.mcp_servers.load().covering(resource)? {
            Covering::Retired(retired) => Some(retired.clone()),
            Covering::Server(_) => None,
        }
    }

    /// The MCP server that a URL would belong to without the server that has it.
    pub(crate) fn covering_besides(
        &self,
        id: McpServerId,
        url: &ResourceUri,
    ) -> Option<Arc<McpServer>> {
        let mut servers = McpServers::clone(&self.mcp_servers.load());
        servers.remove(id);
        match servers.covering(url)? {
            Covering::Server(server) => Some(Arc::clone(server)),
            Covering::Retired(_) => None,
        }
    }

    /// Whether `url` would belong to `changed`, once that is as it says.
    pub(crate) fn would_keep(&self, changed: &McpServer, url: &ResourceUri) -> bool {
        let mut servers = McpServers::clone(&self.mcp_servers.load());
        servers.replace(changed.id, Some(Arc::new(changed.clone())));
        match servers.covering(url) {
            Some(Covering::Server(server)) => server.id == changed.id,
            Some(Covering::Retired(_)) | None => false,
        }
    }

    /// Reads one MCP server anew, after somebody else changed it.
    pub(crate) async fn read_mcp_server(
        &self,
        id: McpServerId,
    ) -> Result<Option<Arc<McpServer>>, StoreError> {
        loop {
            let current = self.mcp_servers.load_full();
            let server = self.store.find_mcp_server(id).await?.map(Arc::new);
            let replace = |servers: &mut McpServers| servers.replace(id, server.clone());
            if current.by_id.get(&id) == server.as_ref()
                || put_unless_changed(&self.mcp_servers, current.generation, replace)
            {
                return Ok(server);
            }
        }
    }

    /// To be called after an MCP server was registered or changed, and perhaps left URLs. Its own are
    /// not retired any more.
    pub(crate) fn mcp_server_changed(&self, server: McpServer, left: &[RetiredUrl]) {
        let urls: Vec<_> = server.urls().cloned().collect();
        self.change_retired(left, &[]);
        self.replace_mcp_server(server.id, Some(&Arc::new(server)));
        self.change_retired(&[], &urls);
    }

    /// To be called after an MCP server was deleted. Its URLs are retired first: in between nobody gets a
    /// token for them.
    pub(crate) fn mcp_server_deleted(&self, id: McpServerId, left: &[RetiredUrl]) {
        self.change_retired(left, &[]);
        self.replace_mcp_server(id, None);
    }

    /// To be called after a URL was released.
    pub(crate) fn url_released(&self, url: &ResourceUri) {
        self.change_retired(&[], std::slice::from_ref(url));
    }

    fn change_retired(&self, retire: &[RetiredUrl], release: &[ResourceUri]) {
        change(&self.mcp_servers, |servers| {
            let retired = Arc::make_mut(&mut servers.retired);
            retired.extend(by_key(retire.to_vec()));
            for url in release {
                retired.remove(url.comparison_key());
            }
        });
    }

    fn replace_mcp_server(&self, id: McpServerId, server: Option<&Arc<McpServer>>) {
        change(&self.mcp_servers, |servers| {
            servers.replace(id, server.cloned());
        });
    }

    pub(crate) fn find_mcp_server(&self, id: McpServerId) -> Option<Arc<McpServer>> {
        self.mcp_servers.load().by_id.get(&id).cloned()
    }

    /// The MCP servers that operators registered, newest first.
    pub(crate) fn mcp_servers(&self) -> Vec<Arc<McpServer>> {
        let servers = self.mcp_servers.load();
        let mut all: Vec<_> = servers
            .by_id
            .values()
            .filter(|server| !server.system)
            .cloned()
            .collect();
        all.sort_by_key(|server| std::cmp::Reverse(server.id));
        all
    }

    /// Every scope that an operator's MCP server defines: collected once between changes.
    pub(crate) fn all_scopes(&self) -> Arc<ScopeSet> {
        let servers = self.mcp_servers.load();
        Arc::clone(
            servers
                .scopes
                .get_or_init(|| Arc::new(servers.all_scopes())),
        )
    }

    /// The MCP server that a resource belongs to: the one with the longest registered URL that covers it,
    /// or none where a longer one is retired. All servers count, whoever may use them, since a token
    /// for a path must never come from the grant on its parent when the path is a server of its own.
    pub(crate) fn find_covering(&self, resource: &ResourceUri) -> Option<Arc<McpServer>> {
        match self.mcp_servers.load().covering(resource)? {
            Covering::Server(server) => Some(Arc::clone(server)),
            Covering::Retired(_) => None,
        }
    }
}

/// Puts what was read, unless something was put since `seen`: that may be missing in it.
fn put_unless_changed(
    servers: &ArcSwap<McpServers>,
    seen: u64,
    put: impl Fn(&mut McpServers),
) -> bool {
    let mut is_put = false;
    servers.rcu(|current| {
        let mut servers = McpServers::clone(current);
        is_put = servers.generation == seen;
        if is_put {
            put(&mut servers);
            servers.generation = seen + 1;
        }
        servers
    });
    is_put
}

/// Makes a change that was committed.
fn change(servers: &ArcSwap<McpServers>, change: impl Fn(&mut McpServers)) {
    servers.rcu(|current| {
        let mut servers = McpServers::clone(current);
        change(&mut servers);
        servers.generation += 1;
        servers
    });
}

fn by_key(retired: Vec<RetiredUrl>) -> HashMap<String, RetiredUrl> {
    let keyed = |retired: RetiredUrl| (retired.url.comparison_key().to_owned(), retired);
    retired.into_iter().map(keyed).collect()
}

#[cfg(test)]
mod tests {
    use jeton_core::Timestamp;

    use super::*;

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let retired = RetiredUrl {
            url: "https://gone.example.com/mcp".parse().unwrap(),
            mcp_server_id: McpServerId::generate(
                Timestamp::from_seconds(1_000),
                &jeton_jose::OsEntropy,
            )
            .unwrap(),
            name: "Gone".parse().unwrap(),
            retired_at: Timestamp::from_seconds(1_000),
        };
        let servers = ArcSwap::from_pointee(McpServers::default());
        let seen = servers.load().generation;
        // A URL is retired while all of them are being read.
        change(&servers, |servers| {
            servers.retired = Arc::new(by_key(vec![retired.clone()]));
        });
        let read = McpServers::default();
        assert!(!put_unless_changed(&servers, seen, |current| {
            current.clone_from(&read);
        }));
        let is_retired = |servers: &ArcSwap<McpServers>| {
            let covering = servers.load();
            matches!(covering.covering(&retired.url), Some(Covering::Retired(_)))
        };
        assert!(is_retired(&servers));
        // What was read after it counts, once.
        let seen = servers.load().generation;
        for is_first in [true, false] {
            let is_put = put_unless_changed(&servers, seen, |current| current.clone_from(&read));
            assert_eq!(is_put, is_first);
        }
        assert!(!is_retired(&servers));
    }
}
