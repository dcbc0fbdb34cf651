//! Following the changes that other servers make, and knowing when they are not heard of.
//!
//! Where several servers share one PostgreSQL, a connection of its own hears of every change. It is
//! asked several times a second whether it is still there; while it is not, what is in memory is
//! believed for less than a second (`directory/freshness.rs`), and what is small is read anew all
//! the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jeton_store::{Change, ChangeFeed, Database, StoreError};

use crate::app::App;
use crate::keys::KeyRingError;
use crate::telemetry::with_causes;

/// How often the connection has to prove itself.
const PROVE_EVERY: Duration = Duration::from_millis(200);
/// How often a lost connection is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(300);

/// Why changes are not heard of.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeyRingError),
}

/// Starts to listen, where there are others.
pub(crate) fn start(app: &Arc<App>, database: &Database) {
    if !ChangeFeed::is_needed(database) {
        return;
    }
    let (app, database) = (Arc::clone(app), database.clone());
    app.jobs.clone().supervise("propagation", move || {
        let (app, database) = (Arc::clone(&app), database.clone());
        async move {
            tokio::select! {
                () = app.stopping.cancelled() => {}
                () = run(&app, &database) => {}
            }
        }
    });
}

async fn run(app: &App, database: &Database) {
    let mut told = false;
    loop {
        match ChangeFeed::open(database).await {
            Ok(feed) => {
                if told {
                    tracing::info!("changes of other servers are heard again");
                }
                let Err(lost) = follow(app, feed).await;
                app.freshness.lost();
                tracing::warn!(
                    error = with_causes(&lost),
                    "changes of other servers are not heard; until they are, every client is read anew after a moment"
                );
                told = true;
            }
            Err(error) => {
                if !told {
                    tracing::warn!(
                        error = with_causes(&error),
                        "no connection to hear changes of other servers on; it is tried again and again"
                    );
                    told = true;
                }
                // The database itself may be there all the same.
                if let Err(error) = read_what_is_small(app).await {
                    tracing::debug!(error = with_causes(&error), "nor can they be read");
                }
                tokio::time::sleep(RETRY_EVERY).await;
            }
        }
    }
}

async fn follow(app: &App, mut feed: ChangeFeed) -> Result<std::convert::Infallible, Lost> {
    // What was committed before the feed began was not told.
    let mut asked = Instant::now();
    read_all(app).await?;
    loop {
        app.freshness.heard_everything_before(asked);
        let until = Instant::now() + PROVE_EVERY;
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            let heard = feed.next(wait).await?;
            match heard {
                Some(change) => apply(app, change).await?,
                None => break,
            }
        }
        asked = Instant::now();
        feed.prove().await?;
        while let Some(change) = feed.next(Duration::ZERO).await? {
            apply(app, change).await?;
        }
    }
}

async fn apply(app: &App, change: Change) -> Result<(), Lost> {
    match change {
        Change::Client(id) => app.directory.client_changed(id),
        Change::NewClients => app.directory.clients_added(),
        Change::McpServer(id) => {
            app.directory.read_mcp_server(id).await?;
        }
        Change::RetiredUrls => app.directory.read_mcp_servers().await?,
        Change::SigningKeys => read_keys(app).await?,
        Change::Everything => read_all(app).await?,
    }
    Ok(())
}

async fn read_all(app: &App) -> Result<(), Lost> {
    read_what_is_small(app).await?;
    app.directory.forget_clients();
    Ok(())
}

async fn read_what_is_small(app: &App) -> Result<(), Lost> {
    app.directory.read_mcp_servers().await?;
    read_keys(app).await
}

async fn read_keys(app: &App) -> Result<(), Lost> {
    app.keys
        .reload(&app.store, &app.master_keys, app.clock.now())
        .await?;
    Ok(())
}
