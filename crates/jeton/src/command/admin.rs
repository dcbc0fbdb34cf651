//! `jeton admin`.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Make a link that lets somebody into the dashboard, once, within three days.
    Invite {
        /// For whom it is: a note for the list of open invitations.
        #[arg(long)]
        note: String,
        /// What they may do: admin, everything; viewer, see everything but secrets.
        #[arg(long, default_value = "viewer")]
        role: String,
    },
}

pub(crate) async fn run(command: AdminCommand, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    let AdminCommand::Invite { note, role } = command;
    let body = json!({ "note": note, "role": role });
    let made = admin
        .send(Method::POST, "/admin-invitations", &body)
        .await?;
    if global.json {
        output::json(&made)?;
    } else {
        output::data(&cell(&made, "link"))?;
    }
    output::say(&format!(
        "send the link now: it is not shown again. It makes one {} and works until {}",
        cell(&made, "role"),
        cell(&made, "expires_at")
    ));
    Ok(())
}
