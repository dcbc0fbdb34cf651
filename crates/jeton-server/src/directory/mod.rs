//! What the token path knows without asking the database.
//!
//! Clients with their secrets and grants are cached as they are asked for, at most
//! [`MAX_CLIENTS`] of them; that one is not there is cached too, so that asking twice for an
//! unknown client costs what asking twice for a known one does. MCP servers are few and all in
//! memory. A change is announced after its commit and seen by the next request, here at once and on
//! other servers as soon as they hear of it; while one of them hears nothing, it believes what it
//! read for less than a second.

mod freshness;
mod mcp_servers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jeton_core::{Client, ClientId, ClientSecret, Grant};
use jeton_store::{Store, StoreError, WholeClient};
use quick_cache::sync::Cache;
use tokio::sync::Mutex;

pub(crate) use freshness::Freshness;
use mcp_servers::McpServers;

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

/// An ID that no client has.
const NOBODY: &str = "m2m_00000000000000000000000000";

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    store: Store,
    clients: Cache<ClientId, Arc<ClientEntry>>,
    missing: Cache<ClientId, Instant>,
    /// Clients that were claimed with a wrong secret, and since when they take no longer than missing ones.
    claimed: Cache<ClientId, Instant>,
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

impl Directory {
    pub(crate) async fn open(options: DirectoryOptions) -> Result<Self, StoreError> {
        let directory = Self {
            store: options.store,
            clients: Cache::new(MAX_CLIENTS),
            missing: Cache::new(MAX_MISSING),
            claimed: Cache::new(MAX_MISSING),
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

    /// Does for a client that is known what looking for an unknown one does: a read the first time, none
    /// while memory covers it. Otherwise the time that a refusal takes would say which clients exist.
    pub(crate) async fn look_as_if_missing(&self, id: ClientId) -> Result<(), StoreError> {
        if let Some(read_at) = self.claimed.get(&id)
            && self.freshness.covers(read_at)
        {
            return Ok(());
        }
        let read_at = Instant::now();
        if let Ok(nobody) = NOBODY.parse() {
            Box::pin(self.store.find_whole_client(nobody)).await?;
        }
        self.claimed.insert(id, read_at);
        Ok(())
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
}
