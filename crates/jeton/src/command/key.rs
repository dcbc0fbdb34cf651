//! `jeton key`.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Key {
    /// List the signing keys, oldest first.
    List,
    /// Publish the next key, which begins to sign 24 hours later; no agent notices.
    Rotate {
        /// Of which algorithm: RS256, ES256 or EdDSA.
        #[arg(long, default_value = "RS256")]
        algorithm: String,
    },
}

pub(crate) async fn run(command: Key, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    match command {
        Key::List => list(&admin, global).await,
        Key::Rotate { algorithm } => rotate(&admin, &algorithm, global).await,
    }
}

async fn rotate(admin: &Admin, algorithm: &str, global: &Global) -> anyhow::Result<()> {
    let body = json!({ "algorithm": algorithm });
    let key = admin
        .send(Method::POST, "/signing-keys/rotate", &body)
        .await?;
    if global.json {
        output::json(&key)?;
    } else {
        output::data(&cell(&key, "id"))?;
    }
    output::say(&format!(
        "published now; it signs {algorithm} tokens from {}",
        cell(&key, "activated_at")
    ));
    Ok(())
}

async fn list(admin: &Admin, global: &Global) -> anyhow::Result<()> {
    let keys = admin.list("/signing-keys", &[], None).await?;
    if global.json {
        return output::json(&json!(keys));
    }
    let members = [
        "id",
        "algorithm",
        "state",
        "created_at",
        "activated_at",
        "retired_at",
    ];
    let rows: Vec<_> = keys
        .iter()
        .map(|key| members.iter().map(|name| cell(key, name)).collect())
        .collect();
    output::table(
        &[
            "ID",
            "ALGORITHM",
            "STATE",
            "CREATED",
            "SIGNS FROM",
            "RETIRED",
        ],
        &rows,
    )
}
