//! `jeton migrate`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use jeton_core::counted;
use jeton_server::DatabaseUrl;
use jeton_store::{Database, Store, copy_everything};
use serde_json::json;

use super::audit_proof::leave_acknowledgement;
use crate::arguments::Global;
use crate::output::{self, Progress};

/// Move a whole installation to another database.
///
/// Stop every server first. Everything is copied, then counted, and the audit chain of the copy is
/// walked from the first event to the last. Nothing of the source is changed; a move that was
/// interrupted is simply run again. Afterwards start the servers with --database-url naming the new
/// database, and with the same issuer and master key.
#[derive(Args)]
pub(crate) struct Migrate {
    /// The database to move from, like sqlite:jeton-data/jeton.db.
    #[arg(long, value_name = "URL")]
    from: DatabaseUrl,
    /// The database to move to, like postgres://jeton:PASSWORD@db.example.com/jeton; empty, or where
    /// an interrupted move stopped.
    #[arg(long, value_name = "URL")]
    to: DatabaseUrl,
}

pub(crate) async fn run(migrate: Migrate, global: &Global) -> anyhow::Result<()> {
    let (from, to) = (migrate.from.database()?, migrate.to.database()?);
    let mut in_use = None;
    if let Database::Sqlite(file) = &from {
        if !file.is_file() {
            bail!(
                "there is no database at {}; name the file, like sqlite:jeton-data/jeton.db",
                file.display()
            );
        }
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(std::path::Path::new("."));
        if folder.join("jeton.lock").exists() {
            in_use = Some(jeton_server::lock_data_dir(folder)?);
        }
    }
    let source = open(&from).await?;
    let target = open(&to).await?;
    let mut shown = Progress::new("copied", "row");
    let mut table = "";
    let copied = copy_everything(&source, &target, |name, rows| {
        if name != table {
            table = name;
            shown.end();
        }
        shown.show(i64::try_from(rows).unwrap_or(i64::MAX));
    })
    .await;
    shown.end();
    source.close().await;
    target.close().await;
    drop(in_use);
    let copied = copied.context("the move is not complete; what was copied so far is kept")?;
    // Where the servers of either database remember the log, and where the next one may begin.
    for folder in data_dirs(&[&from, &to], global) {
        leave_acknowledgement(&folder, "migrate", copied.audit_end.clone(), None)?;
    }
    if global.json {
        let tables: serde_json::Map<_, _> = copied
            .tables
            .iter()
            .map(|(name, rows)| ((*name).to_owned(), json!(rows)))
            .collect();
        output::json(&json!({ "tables": tables, "audit_events": copied.audit_events }))?;
    }
    let rows: i64 = copied.tables.iter().map(|(_, rows)| rows).sum();
    output::say(&format!(
        "moved {} of {} from {} to {}; both have the same, and the audit chain fits over {}",
        counted(rows, "row"),
        counted(copied.tables.len(), "table"),
        from.redacted(),
        to.redacted(),
        counted(copied.audit_events, "event")
    ));
    Ok(())
}

/// The data directories that are known: that of the command, and those of SQLite files.
fn data_dirs(databases: &[&Database], global: &Global) -> Vec<PathBuf> {
    let files = databases.iter().filter_map(|database| match database {
        Database::Sqlite(file) => file.parent().map(Path::to_owned),
        Database::Postgres(_) => None,
    });
    let mut folders: Vec<_> = files
        .chain(global.data_dir.clone())
        .filter(|folder| folder.join("jeton.lock").exists())
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

async fn open(database: &Database) -> anyhow::Result<Store> {
    Store::open(database)
        .await
        .with_context(|| format!("the database {} cannot be opened", database.redacted()))
}
