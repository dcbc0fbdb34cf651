//! `jeton backup` and `jeton restore`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use jeton_core::counted;
use jeton_server::{Config, DatabaseUrl, RawConfig, not_written};
use jeton_store::{BackupSummary, Database, back_up_sqlite, verify_sqlite_copy};
use serde_json::{Value, json};

use super::audit_proof::leave_acknowledgement;
use crate::arguments::Global;
use crate::output;

/// Copy the database into a file while the server goes on.
///
/// The copy is what the database was at one moment; it is opened and checked, its audit chain from
/// the first event to the last, before this says that it is made. Signing keys in it are sealed: keep
/// the master key too, and apart from it. It does not include admin.json.
///
/// A server that was started with --database-url needs the same here, unless jeton.toml has it: without it, the
/// file in the data directory is copied.
#[derive(Args)]
pub(crate) struct Backup {
    /// The file to make.
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    overwrite: bool,
    /// The database, as for jeton serve [env: JETON_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
}

/// Put a backup where the server keeps its data. The server must not be running.
///
/// The backup is checked first. The server that starts next records that the audit log stepped back. Start the server with the same issuer and the same master key:
/// MCP servers then accept its tokens as before.
#[derive(Args)]
pub(crate) struct Restore {
    /// The backup.
    file: PathBuf,
    /// Replace a database that is there; it is kept beside the new one, as jeton.db.replaced.
    #[arg(long)]
    overwrite: bool,
    /// The database, as for jeton serve [env: JETON_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
}

pub(crate) async fn back_up(backup: Backup, global: &Global) -> anyhow::Result<()> {
    let (database, _) = sqlite_file(
        global,
        backup.database_url,
        "backed up",
        "pg_dump --format=custom --file=FILE DATABASE",
    )?;
    if !database.is_file() {
        bail!(
            "there is no database at {}; run this where jeton serve runs, or name its data directory with --data-dir",
            database.display()
        );
    }
    if backup.file.is_dir() {
        bail!(
            "{} is a directory; name a file in it",
            backup.file.display()
        );
    }
    if backup.file.exists() && !backup.overwrite {
        bail!(
            "{} is there already; name another file, or replace it with --overwrite",
            backup.file.display()
        );
    }
    let unfinished = beside(&backup.file, ".unfinished");
    // Empty and private from the start.
    jeton_server::write_private_file(&unfinished, b"")
        .map_err(|error| not_written(&backup.file, error))
        .with_context(|| format!("{} cannot be written", backup.file.display()))?;
    let made = async {
        back_up_sqlite(&database, &unfinished).await?;
        let summary = verify_sqlite_copy(&unfinished)
            .await
            .context("the copy was made but cannot be trusted")?;
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, &backup.file)?;
        Ok::<_, anyhow::Error>(summary)
    };
    let made = made.await;
    if made.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    let summary = made?;
    let size = fs::metadata(&backup.file)?.len();
    tell(global, &backup.file, &summary, Some(size))?;
    output::say(&format!(
        "backed up to {}: {}. Keep a copy of the master key too, apart from it",
        backup.file.display(),
        words(&summary)
    ));
    Ok(())
}

pub(crate) async fn restore(restore: Restore, global: &Global) -> anyhow::Result<()> {
    let (database, data_dir) = sqlite_file(
        global,
        restore.database_url,
        "restored",
        "pg_restore --dbname=DATABASE FILE",
    )?;
    let summary = verify_sqlite_copy(&restore.file)
        .await
        .with_context(|| format!("{} cannot be restored", restore.file.display()))?;
    let _not_in_use = jeton_server::lock_data_dir(&data_dir)?;
    if database.exists() {
        if !restore.overwrite {
            bail!(
                "there is a database at {} already; replace it with --overwrite, which keeps it as {}, or name another --data-dir",
                database.display(),
                beside(&database, ".replaced").display()
            );
        }
        // What is in its log belongs to it.
        for ending in ["-wal", "-shm"] {
            let part = beside(&database, ending);
            if part.exists() {
                fs::rename(&part, beside(&beside(&database, ".replaced"), ending))?;
            }
        }
        fs::rename(&database, beside(&database, ".replaced"))?;
    }
    let mut backup = fs::File::open(&restore.file)?;
    jeton_server::copy_into_private_file(&database, &mut backup)
        .map_err(|error| not_written(&database, error))
        .with_context(|| format!("{} cannot be written", database.display()))?;
    // So that the server does not take what is missing for stolen.
    leave_acknowledgement(&data_dir, "restore", summary.audit_end.clone(), None)?;
    tell(global, &database, &summary, None)?;
    output::say(&format!(
        "restored to {}: {}. Start the server with the issuer and the master key that it had; admin.json, if you need it, is not in a backup",
        database.display(),
        words(&summary)
    ));
    Ok(())
}

fn tell(
    global: &Global,
    file: &Path,
    summary: &BackupSummary,
    bytes: Option<u64>,
) -> anyhow::Result<()> {
    if !global.json {
        return Ok(());
    }
    let mut document = json!({
        "file": file,
        "mcp_servers": summary.mcp_servers,
        "clients": summary.clients,
        "signing_keys": summary.signing_keys,
        "audit_events": summary.audit_events,
    });
    if let (Some(bytes), Some(members)) = (bytes, document.as_object_mut()) {
        members.insert("bytes".into(), Value::from(bytes));
    }
    output::json(&document)
}

fn words(summary: &BackupSummary) -> String {
    format!(
        "{}, {}, {}, {}",
        counted(summary.mcp_servers, "MCP server"),
        counted(summary.clients, "client"),
        counted(summary.signing_keys, "signing key"),
        counted(summary.audit_events, "audit event")
    )
}

/// The database, and the data directory of the server that uses it.
fn sqlite_file(
    global: &Global,
    database_url: Option<DatabaseUrl>,
    done: &str,
    instead: &str,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let flags = RawConfig {
        data_dir: global.data_dir.clone(),
        database_url,
        ..RawConfig::default()
    };
    let config = Config::load(global.config.as_deref(), &flags)?;
    match config.database() {
        Database::Sqlite(file) => Ok((file.clone(), config.data_dir.clone())),
        Database::Postgres(_) => {
            bail!(
                "a PostgreSQL database is {done} with PostgreSQL's own tools: {instead}; after restoring, run jeton audit acknowledge"
            )
        }
    }
}

/// The same name with an ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
