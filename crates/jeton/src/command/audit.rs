//! `jeton audit`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jeton_core::{AuditKind, Timestamp, counted};
use jeton_server::not_written;
use serde_json::{Value, json};

use super::audit_proof::{self, Acknowledge, Checkpoint, RotateKey, Verify};
use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, Progress, cell};
use crate::table::table;
use crate::usage::Usage;
use crate::value;

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// List what happened, newest first.
    List(List),
    /// Prove that the log is as it was written: that no event was altered, removed, moved or added.
    ///
    /// Walks the chain of hashes over all events, verifies the signed checkpoints, and compares them
    /// with what the server remembers outside the database. Exits with 1 where something does not
    /// fit, and says from which event on, what was expected, what was found and what to do next.
    Verify(Verify),
    /// Write the log as JSON Lines, oldest first: each line is one document.
    Export(Export),
    /// Print the newest signed checkpoint, for keeping elsewhere.
    Checkpoint(Checkpoint),
    /// Let another key sign checkpoints from here on.
    ///
    /// The server does so by itself as often as signing keys change. The key before vouches for no
    /// checkpoint after.
    RotateKey(RotateKey),
    /// Make the list anew by which a search finds a client's events.
    ///
    /// For a list of which jeton audit verify says that it hides something.
    Reindex,
    /// Accept the log as the database has it now, where it does not continue what the server
    /// remembers: after pg_restore, or when the database is known to be right.
    ///
    /// Stop the server first; on PostgreSQL, run this in one data directory, and start that server
    /// first. The server records it, and says so in its next checkpoint. What was altered in the middle
    /// of the log stays unproven.
    Acknowledge(Acknowledge),
}

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write; one that holds an export already is continued after its last event, so
    /// that an interrupted export goes on where it stopped [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only what happened at or after this time: 2026-01-31T12:00:00Z; 2026-01-31 or
    /// 2026-01-31T12:00, in UTC; or how long ago, like 90m, 24h or 7d.
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    since: Option<Timestamp>,
    /// Only what happened before this time; a date is its beginning.
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    until: Option<Timestamp>,
}

#[derive(Args)]
pub(crate) struct List {
    /// Only this kind, for example token.issued, token.refused or client.created.
    #[arg(long)]
    kind: Option<AuditKind>,
    /// Only what was done (success) or refused (refused).
    #[arg(long, value_parser = ["success", "refused"])]
    outcome: Option<String>,
    /// Only what is about this client: its ID, m2m_…, or its name.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only what is about this MCP server: its ID, res_…, its name or its URL.
    #[arg(long, value_name = "ID")]
    mcp_server: Option<String>,
    /// Only what is about the token with this jti.
    #[arg(long)]
    jti: Option<String>,
    /// Only what this client or MCP server (its ID), system or anonymous did.
    #[arg(long)]
    actor: Option<String>,
    /// Only what belongs to this request, the X-Request-Id of an answer.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only what came from this address.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<String>,
    /// Only what happened at or after this time: 2026-01-31T12:00:00Z; 2026-01-31 or
    /// 2026-01-31T12:00, in UTC; or how long ago, like 90m, 24h or 7d.
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    since: Option<Timestamp>,
    /// Only what happened before this time; a date is its beginning.
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    until: Option<Timestamp>,
    /// How many at most; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(command: Audit, global: &Global) -> anyhow::Result<()> {
    // The server does not run.
    if let Audit::Acknowledge(what) = command {
        return audit_proof::acknowledge(what, global).await;
    }
    let admin = Admin::connect(global).await?;
    match command {
        Audit::List(filter) => list(&admin, filter, global).await,
        Audit::Verify(what) => audit_proof::verify(&admin, &what, global).await,
        Audit::Export(what) => export(&admin, &what, global).await,
        Audit::Checkpoint(what) => audit_proof::checkpoint(&admin, &what, global).await,
        Audit::RotateKey(what) => audit_proof::rotate_key(&admin, &what, global).await,
        Audit::Reindex => audit_proof::reindex(&admin, global).await,
        Audit::Acknowledge(_) => Ok(()),
    }
}

/// A span of time that holds nothing is a mistake.
fn check_span(since: Option<Timestamp>, until: Option<Timestamp>) -> anyhow::Result<()> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => Err(Usage::error(format!(
            "nothing lies between --since {since} and --until {until}: --since has to be the earlier one, and a date is its beginning"
        ))),
        _ => Ok(()),
    }
}

async fn export(admin: &Admin, what: &Export, global: &Global) -> anyhow::Result<()> {
    check_span(what.since, what.until)?;
    let mut target = Target::open(what.output.as_deref())?;
    if let Some(after) = target.after {
        output::say(&format!("continuing after event {after}"));
    }
    let mut progress = Progress::new("exported", "event");
    let mut exported = 0;
    let mut after = target.after;
    loop {
        let mut query = vec![("limit", "2000".to_owned())];
        query.extend(after.map(|after| ("after", after.to_string())));
        query.extend(what.since.map(|since| ("since", since.to_string())));
        query.extend(what.until.map(|until| ("until", until.to_string())));
        let (lines, next) = admin.read_lines("/audit-events/export", &query).await?;
        match target.write(&lines) {
            // Whoever closed the pipe has had enough.
            Err(error) if what.output.is_none() && error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            written => written.with_context(|| match &what.output {
                Some(file) => format!("{} cannot be written", file.display()),
                None => "stdout cannot be written".to_owned(),
            })?,
        }
        exported += lines.lines().count();
        if what.output.is_some() {
            progress.show(i64::try_from(exported).unwrap_or(i64::MAX));
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    target.finish()?;
    progress.end();
    if let Some(file) = &what.output {
        if global.json {
            output::json(&json!({ "events": exported, "file": file }))?;
        }
        let events = counted(exported, "event");
        output::say(&format!("exported {events} to {}", file.display()));
    }
    Ok(())
}

/// Where an export goes.
struct Target {
    writer: Box<dyn Write>,
    file: Option<File>,
    /// The last event that is there already.
    after: Option<i64>,
}

impl Target {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                writer: Box::new(io::stdout()),
                file: None,
                after: None,
            });
        };
        let cannot = || format!("{} cannot be written", path.display());
        let not_written = |error| not_written(path, error);
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true).mode(0o600);
        let file = options
            .open(path)
            .map_err(not_written)
            .with_context(cannot)?;
        let (whole, after) = whole_lines(&file, path)?;
        file.set_len(whole).with_context(cannot)?;
        Ok(Self {
            writer: Box::new(BufWriter::new(file.try_clone().with_context(cannot)?)),
            file: Some(file),
            after,
        })
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.writer.write_all(lines.as_bytes())?;
        self.writer.flush()
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.writer.flush()?;
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        Ok(())
    }
}

/// How each event begins.
const EVENT: &[u8] = b"{\"seq\":";

/// How far a file holds whole lines of an export, and the number of the last event in it. Nothing is cut from a file
/// of something else, however it ends.
fn whole_lines(file: &File, path: &Path) -> anyhow::Result<(u64, Option<i64>)> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut after) = (0, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        let is_begun = line.starts_with(EVENT) || EVENT.starts_with(&line);
        if is_begun && !line.ends_with(b"\n") {
            return Ok((whole, after));
        }
        let event: Value = serde_json::from_slice(&line).unwrap_or_default();
        let Some(seq) = event.get("seq").and_then(Value::as_i64) else {
            bail!(
                "{} is there already and no export of an audit log; name another file",
                path.display()
            );
        };
        after = Some(seq);
        whole += u64::try_from(read)?;
    }
}

async fn list(admin: &Admin, list: List, global: &Global) -> anyhow::Result<()> {
    check_span(list.since, list.until)?;
    let client = match &list.client {
        Some(client) => Some(admin.client_id(client).await?),
        None => None,
    };
    let server = match &list.mcp_server {
        Some(server) => Some(admin.mcp_server_id(server).await?),
        None => None,
    };
    let query: Vec<(&str, String)> = [
        ("kind", list.kind.map(|kind| kind.as_str().to_owned())),
        ("outcome", list.outcome),
        ("client_id", client),
        ("mcp_server_id", server),
        ("jti", list.jti),
        ("actor", list.actor),
        ("request_id", list.request_id),
        ("source", list.source),
        ("since", list.since.map(|since| since.to_string())),
        ("until", list.until.map(|until| until.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let limit = (list.limit > 0).then_some(list.limit);
    let events = admin.list("/audit-events", &query, limit).await?;
    if global.json {
        return output::json(&json!(events));
    }
    let members = [
        "at",
        "kind",
        "outcome",
        "actor",
        "client_id",
        "scope",
        "reason",
    ];
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            let mut row: Vec<_> = members.iter().map(|name| cell(event, name)).collect();
            let count = event.pointer("/detail/count").and_then(Value::as_u64);
            if let (Some(count), Some(reason)) = (count, row.last_mut()) {
                *reason = format!("{reason} (×{count})");
            }
            row
        })
        .collect();
    table(
        &[
            "TIME", "KIND", "OUTCOME", "ACTOR", "CLIENT", "SCOPE", "REASON",
        ],
        &rows,
    )
}
