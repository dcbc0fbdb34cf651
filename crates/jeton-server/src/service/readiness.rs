//! Whether tokens can be issued, and if not, which part cannot: the document of `/readyz`.
//!
//! Anybody may ask: it holds no names, addresses or errors of the inside (the log has those), and it is made
//! at most once a second, however many ask.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jeton_core::SigningAlgorithm;
use serde::Serialize;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::audit::WRITER;
use crate::keys::SIGNER;
use crate::starting::Starting;
use crate::telemetry::with_causes;

/// How long a document is given to everybody who asks.
const KEPT: Duration = Duration::from_secs(1);
/// A database that takes longer to answer issues no tokens either.
const MAX_ANSWER: Duration = Duration::from_secs(3);
/// A signature takes a millisecond; under load it waits for others.
const MAX_SIGNING: Duration = Duration::from_secs(5);
/// A commit of the audit log that is older says nothing about now.
const RECENT: Duration = Duration::from_secs(5);
/// How long is believed what was written only to see that it can be. Anybody may ask, so it is longer: each time
/// costs a commit.
const PROBE_KEPT: Duration = Duration::from_secs(10);

/// How long somebody outside the runtime waits for its answer.
const MAX_OUTSIDE: Duration = Duration::from_secs(8);

/// What was found out last, and who else wants to know.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    last: Mutex<Last>,
    is_stopping: AtomicBool,
    /// Somebody outside the runtime asks.
    asked: Notify,
    /// Since when there is no answer to that.
    unanswered: std::sync::Mutex<Option<Instant>>,
    /// When was said what.
    told: watch::Sender<Option<Told>>,
}

/// When a document was made, which may be a moment before it is told.
type Told = (Instant, Document);

#[derive(Debug, Default)]
struct Last {
    document: Option<Told>,
    /// When something was written that says nothing, if that succeeded.
    probed: Option<Instant>,
}

/// The document of `/readyz`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Document {
    /// `ready` or `not ready`.
    pub(crate) status: &'static str,
    /// Why it is not ready: the reason of the first part that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Each part by its name.
    pub(crate) parts: BTreeMap<&'static str, Part>,
}

/// One part of what it takes to issue tokens, or to go on issuing them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    status: PartStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How often it was started again after a panic.
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum PartStatus {
    Ok,
    /// Tokens are issued, and somebody should look.
    Warning,
    /// No tokens are issued.
    Failing,
}

impl Part {
    /// All is well.
    pub(crate) fn ok() -> Self {
        Self {
            status: PartStatus::Ok,
            reason: None,
            restarts: None,
        }
    }

    /// Tokens are issued, and an operator should look.
    pub(crate) fn warning(reason: impl Into<String>) -> Self {
        Self {
            status: PartStatus::Warning,
            reason: Some(reason.into()),
            restarts: None,
        }
    }

    /// No tokens can be issued: `/readyz` answers 503.
    pub(crate) fn failing(reason: impl Into<String>) -> Self {
        Self {
            status: PartStatus::Failing,
            reason: Some(reason.into()),
            restarts: None,
        }
    }
}

impl Document {
    fn of(parts: impl IntoIterator<Item = (&'static str, Part)>) -> Self {
        let parts: Vec<_> = parts.into_iter().collect();
        let failing = parts
            .iter()
            .find(|(_, part)| part.status == PartStatus::Failing);
        Self {
            status: if failing.is_some() {
                "not ready"
            } else {
                "ready"
            },
            reason: failing.and_then(|(_, part)| part.reason.clone()),
            parts: parts.into_iter().collect(),
        }
    }

    /// That of a server that starts.
    pub(crate) fn starting(starting: &Starting) -> Self {
        Self::of([("server", Part::failing(starting.reason()))])
    }

    /// Whether tokens can be issued.
    pub(crate) fn is_ready(&self) -> bool {
        self.reason.is_none()
    }
}

impl Readiness {
    /// The server was told to stop, and takes no more connections.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// What is said from then on.
    fn stopping(&self) -> Option<Document> {
        let is_stopping = self.is_stopping.load(Ordering::Relaxed);
        let document = || Document::of([("server", Part::failing("the server is stopping"))]);
        is_stopping.then(document)
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers those who ask outside the runtime; never ends.
pub(crate) async fn tell_outside(app: &App) {
    loop {
        app.readiness.asked.notified().await;
        let document = document(app).await;
        *app.readiness.unanswered() = None;
        let told = Some((Instant::now(), document));
        app.readiness.told.send_replace(told);
    }
}

/// The document, for whoever asks outside the runtime that issues tokens. Where that does not say soon whether it
/// can, it cannot; after that, nobody waits for it again.
pub(crate) async fn document_from_outside(app: &App) -> Document {
    let readiness = &app.readiness;
    if let Some(document) = readiness.stopping() {
        return document;
    }
    let now = Instant::now();
    let mut told = readiness.told.subscribe();
    let since = *readiness.unanswered().get_or_insert(now);
    readiness.asked.notify_one();
    let answer = told.wait_for(|told| told.as_ref().is_some_and(|(at, _)| *at >= now));
    match timeout_at(since + MAX_OUTSIDE, answer).await {
        Ok(Ok(told)) => told.as_ref().map(|(_, document)| document.clone()),
        _ => None,
    }
    .unwrap_or_else(|| {
        let reason = "the server does not say in time whether it can issue tokens; it is overloaded or stuck";
        Document::of([("server", Part::failing(reason))])
    })
}

/// The document, at most a second old.
pub(crate) async fn document(app: &App) -> Document {
    if let Some(document) = app.readiness.stopping() {
        return document;
    }
    let mut last = app.readiness.last.lock().await;
    if let Some((made, document)) = &last.document
        && made.elapsed() < KEPT
    {
        return document.clone();
    }
    let document = look(app, &mut last.probed).await;
    last.document = Some((Instant::now(), document.clone()));
    document
}

/// Where something fails, the first reason is the document's: causes come before what follows from them.
async fn look(app: &App, probed: &mut Option<Instant>) -> Document {
    let stored = async {
        let database = database(app).await;
        let audit_log = match database.status {
            PartStatus::Failing => Part::failing("the database cannot be used"),
            _ => audit_log(app, probed).await,
        };
        (database, audit_log)
    };
    let ((database, audit_log), signing, clock) = tokio::join!(stored, signing(app), clock(app));
    Document::of([
        ("database", database),
        ("audit_log", audit_log),
        ("audit_memory", audit_memory(app)),
        ("signing_keys", signing_keys(app)),
        ("signing", signing),
        ("directory", directory(app)),
        ("clock", clock),
        ("jobs", jobs(app)),
    ])
}

async fn database(app: &App) -> Part {
    if app.store.look_at_files().is_err() {
        return Part::failing("the files of the database were removed or replaced");
    }
    match timeout(MAX_ANSWER, app.store.ping()).await {
        Ok(Ok(())) => Part::ok(),
        Ok(Err(error)) => {
            tracing::warn!(error = with_causes(&error), "not ready");
            Part::failing("the database does not answer")
        }
        Err(_) => Part::failing("the database does not answer in time"),
    }
}

/// What the writer wrote a moment ago shows that it can; where it wrote nothing, or failed, something is
/// written that says nothing.
async fn audit_log(app: &App, probed: &mut Option<Instant>) -> Part {
    if app.jobs.find(WRITER).down > 0 {
        return Part::failing("the audit writer panicked and is being started again");
    }
    let written = app.audit.last_written();
    if written.is_some_and(|written| !written.failed && written.age < RECENT) {
        return Part::ok();
    }
    // A failure since then is newer.
    let failed = written.filter(|written| written.failed);
    if let Some(age) = probed.map(|at| at.elapsed())
        && age < PROBE_KEPT
        && failed.is_none_or(|failed| failed.age > age)
    {
        return Part::ok();
    }
    *probed = None;
    match timeout(MAX_ANSWER, app.store.probe_write()).await {
        Ok(Ok(())) => {
            *probed = Some(Instant::now());
            Part::ok()
        }
        Ok(Err(error)) => {
            tracing::warn!(error = with_causes(&error), "not ready");
            Part::failing("the audit log cannot be written; the server's log says why")
        }
        Err(_) => Part::failing("the audit log cannot be written in time"),
    }
}

/// Whether the audit log continues what this server remembers of it. Where it does not, the server goes on
/// or not, as the operator chose.
fn audit_memory(app: &App) -> Part {
    const REASON: &str = "the audit log in the database does not continue what this server remembers \
                          of it; jeton audit verify says more";
    if app.audit_memory.discontinuity().is_none() {
        Part::ok()
    } else if app.audit.is_halted() {
        Part::failing(REASON)
    } else {
        Part::warning(REASON)
    }
}

/// Every algorithm that an MCP server's tokens are signed with has a key.
fn signing_keys(app: &App) -> Part {
    let servers = app.directory.mcp_servers();
    let used = servers.iter().map(|server| server.signing_alg);
    let mut used: Vec<SigningAlgorithm> = used.chain([app.admin_api.signing_alg]).collect();
    used.sort_unstable_by_key(|algorithm| algorithm.as_str());
    used.dedup();
    let missing: Vec<_> = used
        .into_iter()
        .filter(|algorithm| app.keys.active(*algorithm).is_err())
        .map(SigningAlgorithm::as_str)
        .collect();
    if missing.is_empty() {
        Part::ok()
    } else {
        Part::failing(format!("no active signing key: {}", missing.join(", ")))
    }
}

/// A signature is made, by those who make the tokens' where that takes long.
async fn signing(app: &App) -> Part {
    let Ok(key) = app.keys.active(SigningAlgorithm::Rs256) else {
        return Part::ok();
    };
    // Of a text that is no token.
    let signing = app.signing.sign(key, "readiness".to_owned());
    let mut part = match timeout(MAX_SIGNING, signing).await {
        Ok(Ok(_)) => Part::ok(),
        Ok(Err(_)) => Part::failing("a signature could not be made"),
        Err(_) => Part::failing("signatures are not made in time"),
    };
    part.restarts = Some(app.jobs.find(SIGNER).restarts);
    part
}

fn directory(app: &App) -> Part {
    if app.freshness.is_hearing() {
        Part::ok()
    } else {
        Part::warning(
            "changes of other servers are not heard; everything is read from the database",
        )
    }
}

async fn clock(app: &App) -> Part {
    if super::clock::is_doubted(app).await {
        Part::warning("the clock jumped; nothing is removed or rotated until its time has lasted")
    } else {
        Part::ok()
    }
}

/// Tokens are issued without them, for a while.
fn jobs(app: &App) -> Part {
    let all = app.jobs.all();
    let names = |troubled: fn(&crate::job::JobState) -> bool| {
        let troubled = all.iter().filter(|(_, job)| troubled(job));
        let names: Vec<_> = troubled.map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let (down, failing) = (names(|job| job.down > 0), names(|job| job.failing > 0));
    let mut part = match (down.as_str(), failing.as_str()) {
        ("", "") => Part::ok(),
        ("", failing) => Part::warning(format!("background jobs fail: {failing}")),
        (down, _) => Part::warning(format!("background jobs are being started again: {down}")),
    };
    part.restarts = Some(all.values().map(|job| job.restarts).sum());
    part
}
