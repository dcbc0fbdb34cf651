//! What only one server does at a time: advisory locks of PostgreSQL. One server alone has nobody to wait
//! for.
//!
//! A lock is held by a transaction, so that it ends with its server. A server that stands still loses it
//! after a minute (`idle_in_transaction_session_timeout`); one that works says so every few seconds, however
//! long the work takes, and finds out if the lock is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::row::Columns as _;
use crate::{Store, StoreError, Transaction};

/// What only one server does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Bringing the database up to date, and the first start.
    Start,
    /// Changing MCP servers and grants.
    McpServers,
    /// Changing signing keys.
    SigningKeys,
    /// Counting for the dashboard.
    Statistics,
    /// Making the audit log easy to search.
    AuditIndex,
    /// Checkpoints of the audit log.
    AuditCheckpoints,
    /// Removing old events.
    AuditRetention,
    /// Forwarding the audit log to the destination with this number.
    AuditForward(u8),
    /// Forgetting what is over.
    Expiry,
    /// One migration.
    Migration,
    /// Changing who is an admin, and their second factors.
    Admins,
    /// Changing how many secrets somebody has.
    Secrets,
}

impl Lock {
    /// An advisory lock's number, beginning with "jeton" in ASCII so that it is nobody else's.
    pub(crate) fn number(self) -> i64 {
        let own: i64 = match self {
            Self::Start => 1,
            Self::McpServers => 2,
            Self::SigningKeys => 3,
            Self::Statistics => 4,
            Self::AuditCheckpoints => 5,
            Self::AuditRetention => 6,
            Self::Expiry => 7,
            Self::AuditIndex => 8,
            Self::Migration => 9,
            Self::Admins => 10,
            Self::Secrets => 11,
            Self::AuditForward(number) => 0x100 + i64::from(number),
        };
        0x6a65_746f_6e00_0000 + own
    }
}

/// How often a server says that it still holds a lock.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// What was proven a moment ago is not asked again.
const PROVEN: Duration = Duration::from_secs(1);

/// Held until dropped, or until its server dies.
#[derive(Debug)]
pub struct Locked {
    held: Option<Arc<Mutex<Held>>>,
}

#[derive(Debug)]
struct Held {
    transaction: Transaction,
    proven: Instant,
    is_lost: bool,
}

impl Held {
    async fn prove(&mut self) -> Result<(), StoreError> {
        if !self.is_lost {
            let asked = Instant::now();
            let answer = self.transaction.execute(sqlx::query("SELECT 1")).await;
            self.is_lost = answer.is_err();
            self.proven = asked;
        }
        if self.is_lost {
            return Err(StoreError::LockLost);
        }
        Ok(())
    }
}

impl Locked {
    /// Where there is nobody to lock out.
    fn alone() -> Self {
        Self { held: None }
    }

    fn keep(transaction: Transaction) -> Self {
        let held = Arc::new(Mutex::new(Held {
            transaction,
            proven: Instant::now(),
            is_lost: false,
        }));
        let kept = Arc::downgrade(&held);
        spawn(async move {
            loop {
                tokio::time::sleep(KEEP_EVERY).await;
                let Some(held) = kept.upgrade() else {
                    return;
                };
                if held.lock().await.prove().await.is_err() {
                    return;
                }
            }
        });
        Self { held: Some(held) }
    }

    /// Makes sure that it is still held: to be called before each step of long work.
    ///
    /// # Errors
    ///
    /// [`StoreError::LockLost`] where another server may hold it by now.
    pub async fn check(&self) -> Result<(), StoreError> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        let mut held = held.lock().await;
        if !held.is_lost && held.proven.elapsed() < PROVEN {
            return Ok(());
        }
        held.prove().await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "ends by itself with the lock, and has nothing in it that panics"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

impl Store {
    /// Waits until no other server holds `lock`. One server alone has nobody to wait for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lock(&self, lock: Lock) -> Result<Locked, StoreError> {
        let Some(statement) = self.dialect.lock else {
            return Ok(Locked::alone());
        };
        let mut transaction = self.begin_on(&self.locks, None).await?;
        transaction
            .execute(sqlx::query(statement).bind(lock.number()))
            .await?;
        Ok(Locked::keep(transaction))
    }

    /// Takes `lock` unless another server holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn try_lock(&self, lock: Lock) -> Result<Option<Locked>, StoreError> {
        let Some(statement) = self.dialect.try_lock else {
            return Ok(Some(Locked::alone()));
        };
        let mut transaction = self.begin_on(&self.locks, None).await?;
        let row = transaction
            .one(sqlx::query(statement).bind(lock.number()))
            .await?;
        Ok(row.truth("taken")?.then(|| Locked::keep(transaction)))
    }
}

impl Transaction {
    /// Waits until no other write holds `lock`, and holds it until this one ends: what it reads from here on
    /// is not changed by another that takes it too. To be called first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lock(&mut self, lock: Lock) -> Result<(), StoreError> {
        if let Some(statement) = self.dialect.lock {
            self.execute(sqlx::query(statement).bind(lock.number()))
                .await?;
        }
        Ok(())
    }
}
