//! `jeton audit verify`, `checkpoint`, `rotate-key`, `reindex` and `acknowledge`: the proof of the audit log.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use jeton_core::{Clock as _, SystemClock, counted};
use jeton_server::{Acknowledgement, Config, DatabaseUrl, RawConfig, lock_data_dir};
use jeton_store::{AuditEnd, Store};
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, Progress, cell};

#[derive(Args)]
pub(crate) struct Verify {
    /// Also prove the log against a checkpoint that was kept elsewhere, as jeton audit checkpoint
    /// prints it.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The key that has to have signed that checkpoint, as NAME+HASH+KEY [default: any checkpoint key
    /// of this installation].
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    key: Option<String>,
}

#[derive(Args)]
pub(crate) struct Checkpoint {
    /// For a witness that has seen the checkpoint with this number (0: none): print what its
    /// add-checkpoint takes, with the proof that the newest checkpoint continues that one.
    #[arg(long, value_name = "NUMBER")]
    witness: Option<u64>,
}

#[derive(Args)]
pub(crate) struct RotateKey {
    /// For a key that somebody else may have: it does not sign the change.
    #[arg(long)]
    emergency: bool,
}

#[derive(Args)]
pub(crate) struct Acknowledge {
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// The database, as for jeton serve [env: JETON_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
}

pub(crate) async fn verify(admin: &Admin, verify: &Verify, global: &Global) -> anyhow::Result<()> {
    let kept = match &verify.checkpoint {
        Some(file) => Some(verify_checkpoint(admin, file, verify.key.as_deref()).await?),
        None => None,
    };
    let is_kept = |kept: &Value| kept.get("verified").and_then(Value::as_bool) == Some(true);
    let kept_fits = kept.as_ref().is_none_or(is_kept);
    let walked = walk(admin).await?;
    if global.json {
        let mut document = walked.document(kept_fits);
        if let (Some(kept), Some(members)) = (&kept, document.as_object_mut()) {
            members.insert("checkpoint".into(), kept.clone());
        }
        output::json(&document)?;
    }
    for foreign in walked.foreign.iter().filter_map(Value::as_str) {
        output::say(&format!(
            "warning: {foreign}. The proof of the events does not depend on it; remove it from the database if it is not yours"
        ));
    }
    if let Some(kept) = kept.filter(|_| !kept_fits) {
        bail!(
            "the audit log is not the one of this checkpoint, number {} of {}: {}",
            cell(&kept, "number"),
            cell(&kept, "at"),
            cell(&kept, "reason")
        );
    }
    if let Some(broken) = &walked.broken {
        bail!(
            "the audit log is not as it was written, from event {} on: {}. Next: {}",
            cell(broken, "seq"),
            cell(broken, "reason"),
            cell(broken, "next_step")
        );
    }
    output::say(&format!(
        "the audit log is as it was written: {} up to number {}, {}",
        counted(walked.events, "event"),
        walked.last,
        counted(walked.checkpoints, "signed checkpoint")
    ));
    if let Some(file) = &verify.checkpoint {
        output::say(&format!(
            "it continues the checkpoint in {}",
            file.display()
        ));
    }
    Ok(())
}

async fn verify_checkpoint(admin: &Admin, file: &Path, key: Option<&str>) -> anyhow::Result<Value> {
    let note = jeton_server::read_named_text(file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let body = json!({ "note": note, "key": key });
    admin
        .send(Method::POST, "/audit-checkpoint/verify", &body)
        .await
}

/// The whole log, walked.
struct Walked {
    events: i64,
    checkpoints: i64,
    last: i64,
    broken: Option<Value>,
    foreign: Vec<Value>,
}

impl Walked {
    fn document(&self, kept_fits: bool) -> Value {
        json!({
            "verified": self.broken.is_none() && kept_fits,
            "events": self.events,
            "checkpoints": self.checkpoints,
            "last_seq": self.last,
            "broken": self.broken,
            "foreign_objects": self.foreign,
        })
    }
}

async fn walk(admin: &Admin) -> anyhow::Result<Walked> {
    let mut walked = Walked {
        events: 0,
        checkpoints: 0,
        last: 0,
        broken: None,
        foreign: Vec::new(),
    };
    let mut progress = Progress::new("verified", "event");
    let mut path = "/audit-verification".to_owned();
    loop {
        let span = admin.read(&path).await?;
        let number = |name: &str| span.get(name).and_then(Value::as_i64).unwrap_or(0);
        walked.last = number("last_seq");
        walked.events += number("events");
        walked.checkpoints += number("checkpoints");
        progress.show(walked.events);
        let foreign = span.get("foreign_objects").and_then(Value::as_array);
        walked
            .foreign
            .extend(foreign.into_iter().flatten().cloned());
        walked.broken = span
            .get("broken")
            .filter(|broken| !broken.is_null())
            .cloned();
        if walked.broken.is_some() || span.get("complete").and_then(Value::as_bool) == Some(true) {
            progress.end();
            return Ok(walked);
        }
        path = format!("/audit-verification?after={}", walked.last);
    }
}

pub(crate) async fn checkpoint(
    admin: &Admin,
    checkpoint: &Checkpoint,
    global: &Global,
) -> anyhow::Result<()> {
    let path = match checkpoint.witness {
        Some(old) => format!("/audit-checkpoint?old={old}"),
        None => "/audit-checkpoint".to_owned(),
    };
    let newest = admin.read(&path).await?;
    if global.json {
        return output::json(&newest);
    }
    let note = cell(&newest, "note");
    if let Some(old) = checkpoint.witness {
        // C2SP tlog-witness, add-checkpoint.
        let mut request = format!("old {old}\n");
        let proof = newest.get("consistency_proof").and_then(Value::as_array);
        for hash in proof.into_iter().flatten().filter_map(Value::as_str) {
            request.push_str(hash);
            request.push('\n');
        }
        return output::data(&format!("{request}\n{}", note.trim_end()));
    }
    output::data(note.trim_end())?;
    output::say(&format!(
        "checkpoint {} covers the log up to event {}. Keep it where nobody who can write to the database can write: jeton audit verify --checkpoint FILE proves the log against it. The key is {}",
        cell(&newest, "number"),
        cell(&newest, "seq"),
        cell(&newest, "key")
    ));
    Ok(())
}

pub(crate) async fn rotate_key(
    admin: &Admin,
    rotate: &RotateKey,
    global: &Global,
) -> anyhow::Result<()> {
    let mut body = json!({ "emergency": rotate.emergency });
    if rotate.emergency {
        let newest = admin.read("/audit-checkpoint").await?;
        if let Some(members) = body.as_object_mut() {
            members.insert("seen_key".into(), json!(cell(&newest, "key")));
        }
    }
    let path = "/audit-checkpoint/rotate-key";
    let done = admin.send(Method::POST, path, &body).await?;
    if global.json {
        output::json(&done)?;
    } else {
        output::data(&cell(&done, "key"))?;
    }
    output::say(&format!(
        "this key signs checkpoints from number {} on; the one before vouches for none after",
        cell(&done, "first_checkpoint")
    ));
    Ok(())
}

pub(crate) async fn reindex(admin: &Admin, global: &Global) -> anyhow::Result<()> {
    let done = admin
        .send(Method::POST, "/audit-index/rebuild", &json!({}))
        .await?;
    if global.json {
        output::json(&done)?;
    }
    output::say(
        "the list by which events are found is made anew while the server goes on; until then, searches by client take longer",
    );
    Ok(())
}

/// The log as the database has it now is acknowledged, for the server that starts next.
pub(crate) async fn acknowledge(acknowledge: Acknowledge, global: &Global) -> anyhow::Result<()> {
    let flags = RawConfig {
        data_dir: global.data_dir.clone(),
        database_url: acknowledge.database_url,
        ..RawConfig::default()
    };
    let config = Config::load(global.config.as_deref(), &flags)?;
    if !config.data_dir.is_dir() {
        bail!(
            "there is no data directory {}; run this where jeton serve runs, or name it with --data-dir",
            config.data_dir.display()
        );
    }
    let _not_in_use = lock_data_dir(&config.data_dir)?;
    if !acknowledge.yes {
        bail!(
            "this accepts the audit log as the database {} has it now, whatever was removed from it or replaced in it. Compare it with an export or a backup first; then repeat with --yes",
            config.database().redacted()
        );
    }
    let store = Store::open(config.database()).await.with_context(|| {
        format!(
            "the database {} cannot be opened",
            config.database().redacted()
        )
    })?;
    let end = store.audit_end().await;
    store.close().await;
    let end = end?.unwrap_or_else(AuditEnd::genesis);
    let seq = end.seq;
    leave_acknowledgement(
        &config.data_dir,
        "audit acknowledge",
        end,
        acknowledge.reason,
    )?;
    if global.json {
        output::json(&json!({ "acknowledged": true, "last_seq": seq }))?;
    }
    output::say(&format!(
        "the audit log of {} up to event {seq} is accepted; the server says so in the log and in its next checkpoint when it starts",
        config.database().redacted()
    ));
    Ok(())
}

/// Leaves word in a data directory that the log may step back.
pub(crate) fn leave_acknowledgement(
    data_dir: &Path,
    command: &str,
    end: AuditEnd,
    reason: Option<String>,
) -> anyhow::Result<()> {
    let acknowledgement = Acknowledgement {
        command: command.to_owned(),
        at: SystemClock.now(),
        seq: end.seq,
        batch_hash: end.hash,
        reason,
    };
    acknowledgement.leave_in(data_dir).with_context(|| {
        format!(
            "{} cannot be written: the server would take this for a theft",
            data_dir.join("audit-acknowledgement.json").display()
        )
    })
}
