//! `jeton admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jeton_core::{DisplayName, EmailAddress};
use jeton_server::{Config, DatabaseUrl, RawConfig, recover_admin};
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Create a link that admits one person to the dashboard; it works once and expires after three days.
    Invite {
        /// Who it is for: a note shown in the list of open invitations.
        #[arg(long)]
        note: DisplayName,
        /// Their role: admin (may do everything) or viewer (may see everything except secrets).
        #[arg(long, default_value = "viewer", value_parser = ["viewer", "admin"])]
        role: String,
        /// The email address they have to join with [default: whoever has the link chooses one].
        #[arg(long, value_name = "ADDRESS")]
        email: Option<EmailAddress>,
    },
    /// Regain access when admin.json is lost or the password forgotten.
    ///
    /// Makes a new admin client and writes its credentials to admin.json, and prints a link that makes a new
    /// admin of the dashboard, once, within an hour; with --email, the link gives that admin a new password
    /// and removes their second factor. It needs the database and the master key; with SQLite,
    /// stop the server first. Existing admins and clients stay as they are. The audit log records it.
    Recover(Recover),
}

#[derive(Args)]
pub(crate) struct Recover {
    /// The database, as for jeton serve [env: JETON_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// The file with the master key, as for jeton serve [env: JETON_MASTER_KEY_FILE].
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// The admin who gets a new password by the link, and loses their second factor.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<EmailAddress>,
    /// The issuer, where it is no longer the one that the server had [env: JETON_ISSUER].
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

pub(crate) async fn run(command: AdminCommand, global: &Global) -> anyhow::Result<()> {
    match command {
        AdminCommand::Invite { note, role, email } => {
            let body = json!({ "note": note, "role": role, "email": email.as_ref().map(EmailAddress::as_str) });
            invite(&body, global).await
        }
        AdminCommand::Recover(recover) => recovery(recover, global).await,
    }
}

async fn recovery(recover: Recover, global: &Global) -> anyhow::Result<()> {
    let flags = RawConfig {
        data_dir: global.data_dir.clone(),
        database_url: recover.database_url,
        master_key_file: recover.master_key_file,
        issuer: recover.issuer,
        ..RawConfig::default()
    };
    let config = Config::load(global.config.as_deref(), &flags)?;
    let email = recover.email;
    let recovered = recover_admin(&config, email.as_ref()).await?;
    if global.json {
        output::json(&json!({
            "client_id": recovered.client_id,
            "file": recovered.file,
            "link": recovered.link,
        }))?;
    } else {
        output::data(&recovered.link)?;
    }
    if let Some(replaced) = &recovered.replaced {
        output::say(&format!("the old file is now {}", replaced.display()));
    }
    let does = match &email {
        None => "makes one admin of the dashboard".to_owned(),
        Some(email) => format!("gives {email} a new password and removes their second factor"),
    };
    output::say(&format!(
        "{} holds the credentials of a new admin client, {}. Start the server, then open the link within an hour: it {does}. Whoever was an admin before still is: if somebody else may have the old credentials, revoke them",
        recovered.file.display(),
        recovered.client_id
    ));
    Ok(())
}

async fn invite(body: &Value, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    let made = admin.send(Method::POST, "/admin-invitations", body).await?;
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
