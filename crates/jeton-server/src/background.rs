//! Work that nobody waits for: counting for the dashboard, moving signing keys on, forgetting old
//! sessions, noting which secrets are used.
//!
//! Of several servers, one does each of these at a time: whichever takes the lock. Should it die,
//! another takes it.

use std::sync::Arc;
use std::time::Duration;

use jeton_store::Lock;

use crate::app::App;
use crate::job;
use crate::service::{ServiceError, audit_proof, sessions, signing_keys, statistics};

/// How often the counts are brought up to the audit log.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How often signing keys are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(30);
/// How often old sessions are forgotten.
const SESSIONS_EVERY: Duration = Duration::from_secs(60 * 60);

/// How often the end of the audit log is signed.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How often old events are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often it is written when secrets were last used.
const USED_EVERY: Duration = Duration::from_secs(10);

/// Starts all of it; it stops with the app.
pub(crate) fn start(app: &Arc<App>) {
    let counting = Arc::clone(app);
    every(app, "statistics", COUNT_EVERY, move || {
        let app = Arc::clone(&counting);
        async move {
            let Some(_alone) = app.store.try_lock(Lock::Statistics).await? else {
                return statistics::refresh_outstanding_clients(&app).await;
            };
            while !statistics::catch_up(&app, 1).await? {
                // Others want to write too.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            statistics::refresh_outstanding_clients(&app).await
        }
    });
    let reading = Arc::clone(app);
    let stopping = app.stopping.clone();
    job::spawn("reading clients ahead", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = read_ahead(&reading) => {}
        }
    });
    let keys = Arc::clone(app);
    every(app, "signing keys", KEYS_EVERY, move || {
        let app = Arc::clone(&keys);
        async move { signing_keys::advance(&app).await }
    });
    let old = Arc::clone(app);
    every(app, "sessions", SESSIONS_EVERY, move || {
        let app = Arc::clone(&old);
        async move {
            match app.store.try_lock(Lock::Expiry).await? {
                Some(_alone) => sessions::forget_old(&app).await,
                None => Ok(()),
            }
        }
    });
    let proving = Arc::clone(app);
    every(app, "audit checkpoints", CHECKPOINT_EVERY, move || {
        let app = Arc::clone(&proving);
        async move {
            match app.store.try_lock(Lock::AuditLog).await? {
                Some(_alone) => audit_proof::sign_end(&app).await,
                None => Ok(()),
            }
        }
    });
    if let Some(retention) = app.audit_retention {
        let pruning = Arc::clone(app);
        every(app, "audit retention", PRUNE_EVERY, move || {
            let app = Arc::clone(&pruning);
            async move {
                match app.store.try_lock(Lock::Expiry).await? {
                    Some(_alone) => audit_proof::prune(&app, retention).await,
                    None => Ok(()),
                }
            }
        });
    }
    let used = Arc::clone(app);
    every(app, "used secrets", USED_EVERY, move || {
        let app = Arc::clone(&used);
        async move { Ok(app.used_secrets.write(&app.store).await?) }
    });
}

/// Reads all clients into memory, as many as there is room for, so that the first token of each
/// costs no more than the next. It takes its time.
async fn read_ahead(app: &App) {
    let mut after = None;
    loop {
        match app.directory.read_ahead(after, READ_AHEAD).await {
            Ok(Some(last)) => after = Some(last),
            Ok(None) => {
                let clients = app.directory.clients_in_memory();
                tracing::debug!(clients, "all clients are in memory");
                return;
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "reading clients ahead"
                );
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// So many clients are read at once.
const READ_AHEAD: u32 = 500;

fn every<W, F>(app: &Arc<App>, name: &'static str, period: Duration, work: W)
where
    W: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send,
{
    let stopping = app.stopping.clone();
    job::spawn(name, async move {
        loop {
            let round = async {
                if let Err(error) = work().await {
                    tracing::warn!(
                        job = name,
                        error = &error as &dyn std::error::Error,
                        "a background job failed, and will be tried again"
                    );
                }
                tokio::time::sleep(period).await;
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                () = round => {}
            }
        }
    });
}
