//! Work that nobody waits for: counting for the dashboard, moving signing keys on, forgetting what is
//! over, proving the audit log and sending it on.
//!
//! Of several servers, one does each of these at a time: whichever takes the lock. Should it die,
//! another takes it.

use std::sync::Arc;
use std::time::Duration;

use jeton_store::Lock;
use tokio::sync::Mutex;

use crate::app::App;
use crate::audit::forward::Forwarding;
use crate::job;
use crate::service::{
    ServiceError, audit_retention, audit_schema, checkpoints, clock, expiry, notable_clients,
    readiness, signing_keys, statistics,
};
use crate::telemetry::{Recurring, with_causes};

/// How often the counts are brought up to the audit log.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How often new events are made easy to find.
const INDEX_EVERY: Duration = Duration::from_secs(2);
/// How often the disk is looked at, and refusals that were counted are recorded.
const REFUSALS_EVERY: Duration = Duration::from_millis(500);
/// How often signing keys are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(30);
/// How often the clock is looked at.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// How often what is over is forgotten.
const EXPIRY_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the end of the audit log is signed.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How often is noted how far this server wrote.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);
/// How often old events are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often what was committed is moved to its place.
const TIDY_EVERY: Duration = Duration::from_millis(200);
/// How often the files of the database are looked at.
const FILES_EVERY: Duration = Duration::from_secs(1);
/// How often new events are sent on.
const FORWARD_EVERY: Duration = Duration::from_secs(1);
/// So many clients are read at once.
const READ_AHEAD: u32 = 500;

/// Starts all of it; it stops with the app.
pub(crate) fn start(app: &Arc<App>) {
    every(app, "statistics", COUNT_EVERY, count);
    every(app, "audit index", INDEX_EVERY, |app| async move {
        if let Some(alone) = app.store.try_lock(Lock::AuditIndex).await? {
            let _indexing = app.audit_memory.indexing.lock().await;
            // Others want to write too.
            let pause = Duration::from_millis(5);
            while app.store.note_clock_steps(&alone).await? {
                tokio::time::sleep(pause).await;
            }
            while app.store.index_audit(&alone).await? {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    });
    every(app, "counted refusals", REFUSALS_EVERY, |app| async move {
        keep_reserve(&app).await;
        let (clock, entropy) = (app.clock.as_ref(), app.entropy.as_ref());
        let recorded = app.audit.record_counted(clock, entropy, false).await;
        recorded.map_err(|error| ServiceError::Conflict(error.to_string()))
    });
    // Takes its lock itself, as a manual rotation does.
    every(app, "signing keys", KEYS_EVERY, |app| async move {
        signing_keys::advance(&app).await
    });
    every(app, "clock", CLOCK_EVERY, |app| async move {
        clock::look(&app).await.map(drop)
    });
    // For clients that a server of an older version changed meanwhile.
    every(app, "names to search", EXPIRY_EVERY, |app| async move {
        Ok(app.store.fold_clients().await?)
    });
    every(app, "expiry", EXPIRY_EVERY, |app| async move {
        match app.store.try_lock(Lock::Expiry).await? {
            Some(alone) => expiry::forget(&app, &alone).await,
            None => Ok(()),
        }
    });
    start_remembering(app);
    every(app, "audit retention", PRUNE_EVERY, |app| async move {
        let Some(alone) = app.store.try_lock(Lock::AuditRetention).await? else {
            return Ok(());
        };
        match app.audit_retention {
            Some(retention) => audit_retention::prune(&app, retention, &alone).await,
            None => audit_retention::finish(&app, &alone).await,
        }
    });
    every(app, "tidying the database", TIDY_EVERY, |app| async move {
        Ok(app.store.tidy().await?)
    });
    every(app, "database files", FILES_EVERY, |app| async move {
        Ok(app.store.look_at_files()?)
    });
    start_forwarding(app);
    start_telling(app);
    let (reading, stopping) = (Arc::clone(app), app.stopping.clone());
    job::spawn("reading clients ahead", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = read_ahead(&reading) => {}
        }
    });
}

/// Keeps room for tokens: strangers could fill the disk with refusals.
async fn keep_reserve(app: &App) {
    let Some(reserve) = app.reserve.clone() else {
        return;
    };
    let mib = reserve.bytes >> 20;
    let reached = tokio::task::spawn_blocking(move || reserve.is_reached()).await;
    // A disk that cannot be looked at is no reason to lose records.
    let reached = matches!(reached, Ok(Ok(true)));
    if app.audit.only_count_refusals(reached) {
        if reached {
            tracing::warn!(
                reserve_mib = mib,
                "the disk is nearly full: refused requests are counted and not recorded, so that there is room for tokens; make room"
            );
        } else {
            tracing::info!("there is room again: refused requests are recorded");
        }
    }
}

async fn count(app: Arc<App>) -> Result<(), ServiceError> {
    statistics::count(&app).await?;
    notable_clients::refresh(&app).await
}

/// Proving, signing and remembering the audit log.
fn start_remembering(app: &Arc<App>) {
    // Takes its lock by itself: every server looks whether the log continues, one signs.
    every(
        app,
        "audit checkpoints",
        CHECKPOINT_EVERY,
        |app| async move { checkpoints::advance(&app).await },
    );
    every(app, "schema", EXPIRY_EVERY, |app| async move {
        audit_schema::tell(&app).await
    });
    let settling = Arc::clone(app);
    app.jobs.supervise("audit continuity", move || {
        let app = Arc::clone(&settling);
        async move {
            let mut doubts = app.store.audit_doubts();
            // Not seen yet, should one have come up before this began.
            doubts.mark_changed();
            loop {
                tokio::select! {
                    () = app.stopping.cancelled() => return,
                    changed = doubts.changed() => if changed.is_err() { return; }
                }
                let doubt = *doubts.borrow_and_update();
                if doubt > 0
                    && let Err(error) = checkpoints::settle(&app).await
                {
                    tracing::error!(
                        error = with_causes(&error),
                        "whether the audit log continues what this server wrote could not be looked at"
                    );
                }
                app.store.settle_audit_doubts(doubt);
            }
        }
    });
    let written = Arc::new(Mutex::new(None));
    every(app, "audit memory", REMEMBER_EVERY, move |app| {
        let written = Arc::clone(&written);
        async move { checkpoints::keep_end(&app, &mut *written.lock().await) }
    });
}

/// Says to the thread for health how things are here.
fn start_telling(app: &Arc<App>) {
    let telling = Arc::clone(app);
    app.jobs.supervise("readiness", move || {
        let app = Arc::clone(&telling);
        async move {
            tokio::select! {
                () = app.stopping.cancelled() => {}
                () = readiness::tell_outside(&app) => {}
            }
        }
    });
}

/// Each destination by itself: one that is away holds up no other.
fn start_forwarding(app: &Arc<App>) {
    let names: Arc<Vec<String>> = Arc::new(
        app.audit_forward
            .iter()
            .map(|forward| forward.name.clone())
            .collect(),
    );
    every(app, "audit destinations", EXPIRY_EVERY, move |app| {
        let names = Arc::clone(&names);
        async move { Ok(app.store.keep_audit_forwards(&names).await?) }
    });
    for (number, forward) in (0..=u8::MAX).zip(&app.audit_forward) {
        let forwarding = match Forwarding::to(forward, app.issuer.host()) {
            Ok(forwarding) => Arc::new(Mutex::new(forwarding)),
            Err(error) => {
                tracing::error!(error = with_causes(&error), "no HTTP client");
                continue;
            }
        };
        every(app, "audit forwarding", FORWARD_EVERY, move |app| {
            let forwarding = Arc::clone(&forwarding);
            async move {
                match app.store.try_lock(Lock::AuditForward(number)).await? {
                    Some(alone) => {
                        let from = (&app.store, &app.audit_memory.known);
                        Ok(forwarding.lock().await.round(from, &alone).await?)
                    }
                    None => Ok(()),
                }
            }
        });
    }
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
                tracing::debug!(error = with_causes(&error), "reading clients ahead");
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn every<W, F>(app: &Arc<App>, name: &'static str, period: Duration, work: W)
where
    W: Fn(Arc<App>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send,
{
    let (app, work, jobs) = (Arc::clone(app), Arc::new(work), app.jobs.clone());
    jobs.supervise(name, move || {
        let (app, work) = (Arc::clone(&app), Arc::clone(&work));
        async move {
            tokio::select! {
                () = app.stopping.cancelled() => {}
                () = repeat(&app, (name, period), work.as_ref()) => {}
            }
        }
    });
}

async fn repeat<W, F>(app: &Arc<App>, (name, period): (&'static str, Duration), work: &W)
where
    W: Fn(Arc<App>) -> F,
    F: Future<Output = Result<(), ServiceError>>,
{
    let mut trouble = Recurring::default();
    let mut rounds = app.jobs.rounds(name);
    loop {
        let done = work(Arc::clone(app)).await;
        rounds.ended(done.is_err());
        if done.is_ok() && trouble.worked() {
            tracing::info!(job = name, "a background job works again");
        }
        if let Err(error) = done
            && trouble.failed()
        {
            tracing::warn!(
                job = name,
                error = with_causes(&error),
                "a background job failed, and will be tried again"
            );
        }
        tokio::time::sleep(period).await;
    }
}
