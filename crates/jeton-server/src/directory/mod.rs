//! What the token path knows without asking the database.
//!
//! Clients with their secrets and grants are cached as they are asked for, at most
//! [`MAX_CLIENTS`] of them; that one is not there is cached too, so that asking twice for an
//! unknown client costs what asking twice for a known one does. MCP servers are few and all in
//! memory. A change is announced after its commit and seen by the next request, here at once and on
//! other servers as soon as they hear of it; while one of them hears nothing, it believes what it
//! read for less than a second.

mod freshness;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jeton_core::{
    Client, ClientId, ClientSecret, Grant, McpServer, McpServerId, ResourceUri, Scope, ScopeSet,
};
use jeton_store::{Lock, Locked, RetiredUrl, Store, StoreError, WholeClient};
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use freshness::Freshness;

/// With all that belongs to it, a client takes about half a kilobyte.
const MAX_CLIENTS: usize = 1_000_000;
const MAX_MISSING: usize = 10_000;
/// A database that was away is asked again so much later, where there is something in memory.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// A client with all that a token request needs to know of it.
#[derive(Debug)]
pub(crate) struct ClientEntry {
    pub(crate) client: Client,
    pub(crate) secrets: Vec<ClientSecret>,
    pub(crate) grants: Vec<Grant>,
    /// It was so then.
    read_at: Instant,
}

impl ClientEntry {
    fn new(whole: WholeClient, read_at: Instant) -> Self {
        let WholeClient {
            client,
            mut secrets,
            mut grants,
        } = whole;
        // There may be a million of these.
        secrets.shrink_to_fit();
        grants.shrink_to_fit();
        Self {
            client,
            secrets,
            grants,
            read_at,
        }
    }
}

/// All MCP servers, and the URLs that were theirs.
#[derive(Debug, Clone, Default)]
struct McpServers {
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
        self.by_url
            .insert(server.url.comparison_key().to_owned(), Arc::clone(&server));
        self.by_id.insert(server.id, server);
    }

    /// Takes the server with this ID out, and puts `server` there.
    fn replace(&mut self, id: McpServerId, server: Option<Arc<McpServer>>) {
        self.scopes = OnceLock::new();
        if let Some(before) = self.by_id.remove(&id)
            && self
                .by_url
                .get(before.url.comparison_key())
                .is_some_and(|there| there.id == id)
        {
            self.by_url.remove(before.url.comparison_key());
        }
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

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    store: Store,
    clients: Cache<ClientId, Arc<ClientEntry>>,
    missing: Cache<ClientId, Instant>,
    changes: AtomicU64,
    mcp_servers: ArcSwap<McpServers>,
    changing: Mutex<()>,
    freshness: Arc<Freshness>,
    stale_rather_than_none: bool,
    failed_at: std::sync::Mutex<Option<Instant>>,
}

pub(crate) struct DirectoryOptions {
    pub(crate) store: Store,
    pub(crate) freshness: Arc<Freshness>,
    /// Whether to go on with what is in memory while the database is away.
    pub(crate) stale_rather_than_none: bool,
}

/// Held while MCP servers and grants are changed, here and on other servers.
#[derive(Debug)]
pub(crate) struct Changing<'a> {
    _here: MutexGuard<'a, ()>,
    _elsewhere: Locked,
}

impl Directory {
    pub(crate) async fn open(options: DirectoryOptions) -> Result<Self, StoreError> {
        let directory = Self {
            store: options.store,
            clients: Cache::new(MAX_CLIENTS),
            missing: Cache::new(MAX_MISSING),
            changes: AtomicU64::new(0),
            mcp_servers: ArcSwap::from_pointee(McpServers::default()),
            changing: Mutex::new(()),
            freshness: options.freshness,
            stale_rather_than_none: options.stale_rather_than_none,
            failed_at: std::sync::Mutex::new(None),
        };
        directory.read_mcp_servers().await?;
        Ok(directory)
    }

    /// A client, from memory or from the store.
    pub(crate) async fn find_client(
        &self,
        id: ClientId,
    ) -> Result<Option<Arc<ClientEntry>>, StoreError> {
        let known = self.clients.get(&id);
        if let Some(entry) = &known
            && self.freshness.covers(entry.read_at)
        {
            return Ok(known);
        }
        if let Some(read_at) = self.missing.get(&id)
            && self.freshness.covers(read_at)
        {
            return Ok(None);
        }
        if known.is_none() || !self.stale_rather_than_none {
            return self.read_client(id).await;
        }
        if self.failed_lately() {
            return Ok(known);
        }
        let read = self.read_client(id).await;
        if read.is_err() {
            *self
                .failed_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            return Ok(known);
        }
        read
    }

    /// A client as it is now, or was at `moment` or later.
    pub(crate) async fn find_client_since(
        &self,
        id: ClientId,
        moment: Instant,
    ) -> Result<Option<Arc<ClientEntry>>, StoreError> {
        if self.freshness.is_hearing() {
            return self.find_client(id).await;
        }
        match self.clients.get(&id) {
            Some(entry) if entry.read_at >= moment => Ok(Some(entry)),
            _ => self.read_client(id).await,
        }
    }

    /// Whether the database was away a moment ago, so that nobody else has to wait for it.
    fn failed_lately(&self) -> bool {
        let failed_at = *self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER)
    }

    async fn read_client(&self, id: ClientId) -> Result<Option<Arc<ClientEntry>>, StoreError> {
        let changes = self.changes.load(Ordering::SeqCst);
        let read_at = Instant::now();
        // Boxed, for it is rare and large: who finds a client in memory need not carry it.
        let found = Box::pin(self.load_client(id, read_at)).await?.map(Arc::new);
        match &found {
            Some(entry) => self.clients.insert(id, Arc::clone(entry)),
            None => self.missing.insert(id, read_at),
        }
        // A change committed while this was loading may have been missed: forget it then. A change
        // after this check removes the entry itself.
        if self.changes.load(Ordering::SeqCst) != changes {
            self.forget_client(id);
        }
        Ok(found)
    }

    /// Reads the next clients into memory, before anybody asks for them; gives the last one, or
    /// nothing at the end. They are there for speed alone: what is not read is read when asked for.
    pub(crate) async fn read_ahead(
        &self,
        after: Option<ClientId>,
        limit: u32,
    ) -> Result<Option<ClientId>, StoreError> {
        let changes = self.changes.load(Ordering::SeqCst);
        let read_at = Instant::now();
        let clients = self.store.whole_clients_after(after, limit).await?;
        let full = u32::try_from(clients.len()).is_ok_and(|read| read == limit);
        let last = clients.last().map(|whole| whole.client.id);
        let ids: Vec<_> = clients.iter().map(|whole| whole.client.id).collect();
        for whole in clients {
            if self.clients.len() >= MAX_CLIENTS {
                return Ok(None);
            }
            let id = whole.client.id;
            self.clients
                .insert(id, Arc::new(ClientEntry::new(whole, read_at)));
        }
        // What changed meanwhile may have been read before, and put here after it was forgotten.
        if self.changes.load(Ordering::SeqCst) != changes {
            for id in ids {
                self.forget_client(id);
            }
        }
        Ok(last.filter(|_| full))
    }

    async fn load_client(
        &self,
        id: ClientId,
        read_at: Instant,
    ) -> Result<Option<ClientEntry>, StoreError> {
        let Some(whole) = self.store.find_whole_client(id).await? else {
            return Ok(None);
        };
        for grant in &whole.grants {
            // Registered elsewhere a moment ago, and not heard of yet.
            if self.find_mcp_server(grant.mcp_server_id).is_none() {
                self.read_mcp_server(grant.mcp_server_id).await?;
            }
        }
        Ok(Some(ClientEntry::new(whole, read_at)))
    }

    /// To be called after a change of a client, its secrets or its grants was committed.
    pub(crate) fn client_changed(&self, id: ClientId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.forget_client(id);
    }

    /// How many clients are in memory.
    pub(crate) fn clients_in_memory(&self) -> usize {
        self.clients.len()
    }

    /// To be called after clients were registered that were not there before.
    pub(crate) fn clients_added(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.missing.clear();
    }

    /// To be called where changes may have been missed.
    pub(crate) fn forget_clients(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.clients.clear();
        self.missing.clear();
    }

    fn forget_client(&self, id: ClientId) {
        self.clients.remove(&id);
        self.missing.remove(&id);
    }

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
            if self.put_unless_changed(seen, |current| *current = servers.clone()) {
                return Ok(());
            }
        }
    }

    /// Puts what was read, unless something was put since `seen`: that may be missing in it.
    fn put_unless_changed(&self, seen: u64, put: impl Fn(&mut McpServers)) -> bool {
        let mut is_put = false;
        self.mcp_servers.rcu(|current| {
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

    /// The retired URL that a resource belongs to.
    pub(crate) fn retired_covering(&self, resource: &ResourceUri) -> Option<RetiredUrl> {
        match self.mcp_servers.load().covering(resource)? {
            Covering::Retired(retired) => Some(retired.clone()),
            Covering::Server(_) => None,
        }
    }

    /// The MCP server that a URL would belong to if the server at it were not there.
    pub(crate) fn covering_besides(
        &self,
        id: McpServerId,
        url: &ResourceUri,
    ) -> Option<Arc<McpServer>> {
        let mut servers = McpServers::clone(&self.mcp_servers.load());
        if let Some(own) = servers.by_id.remove(&id) {
            servers.by_url.remove(own.url.comparison_key());
        }
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
                || self.put_unless_changed(current.generation, replace)
            {
                return Ok(server);
            }
        }
    }

    /// To be called after an MCP server was registered or changed, and perhaps left a URL. Its own is
    /// not retired any more.
    pub(crate) fn mcp_server_changed(&self, server: McpServer, left: Option<&RetiredUrl>) {
        let url = server.url.clone();
        self.change_retired(left, None);
        self.replace_mcp_server(server.id, Some(&Arc::new(server)));
        self.change_retired(None, Some(&url));
    }

    /// To be called after an MCP server was deleted. Its URL is retired first: in between nobody gets a
    /// token for it.
    pub(crate) fn mcp_server_deleted(&self, id: McpServerId, left: &RetiredUrl) {
        self.change_retired(Some(left), None);
        self.replace_mcp_server(id, None);
    }

    /// To be called after a URL was released.
    pub(crate) fn url_released(&self, url: &ResourceUri) {
        self.change_retired(None, Some(url));
    }

    fn change_retired(&self, retire: Option<&RetiredUrl>, release: Option<&ResourceUri>) {
        self.mcp_servers.rcu(|current| {
            let mut servers = McpServers::clone(current);
            servers.generation += 1;
            let retired = Arc::make_mut(&mut servers.retired);
            retired.extend(by_key(retire.cloned().into_iter().collect()));
            if let Some(url) = release {
                retired.remove(url.comparison_key());
            }
            servers
        });
    }

    fn replace_mcp_server(&self, id: McpServerId, server: Option<&Arc<McpServer>>) {
        self.mcp_servers.rcu(|current| {
            let mut servers = McpServers::clone(current);
            servers.generation += 1;
            servers.replace(id, server.cloned());
            servers
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

    /// The MCP server that a resource belongs to: the registered URL that covers it, and of several
    /// the longest. Where a longer one was retired there is none. All servers count, whoever may use them, since a token for a path must never
    /// come from the grant on its parent when the path is a server of its own.
    pub(crate) fn find_covering(&self, resource: &ResourceUri) -> Option<Arc<McpServer>> {
        match self.mcp_servers.load().covering(resource)? {
            Covering::Server(server) => Some(Arc::clone(server)),
            Covering::Retired(_) => None,
        }
    }
}

fn by_key(retired: Vec<RetiredUrl>) -> HashMap<String, RetiredUrl> {
    let keyed = |retired: RetiredUrl| (retired.url.comparison_key().to_owned(), retired);
    retired.into_iter().map(keyed).collect()
}
