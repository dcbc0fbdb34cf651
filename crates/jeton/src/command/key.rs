//! `jeton key`.

use clap::Subcommand;
use serde_json::json;

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Key {
    /// List the signing keys, oldest first.
    List,
}

pub(crate) async fn run(command: Key, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    let Key::List = command;
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
            "ACTIVE SINCE",
            "RETIRED",
        ],
        &rows,
    )
}
