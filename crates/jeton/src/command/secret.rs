//! `jeton secret`.

use std::time::Duration;

use clap::Subcommand;
use jeton_core::{SecretId, parse_duration};
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};
use crate::table::table;

#[derive(Subcommand)]
pub(crate) enum Secret {
    /// Create another secret, and show it once.
    Create {
        /// The client's ID, m2m_…, an MCP server's, res_…, or the name of either.
        #[arg(value_name = "CLIENT_ID")]
        owner: String,
        /// After which time it expires, for example 90d [default: never].
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        expires_in: Option<Duration>,
    },
    /// List secrets: suffix, dates and last use, never the secrets.
    List {
        /// The client's ID, m2m_…, an MCP server's, res_…, or the name of either.
        #[arg(value_name = "CLIENT_ID")]
        owner: String,
    },
    /// Revoke a secret at once; one that is revoked stays revoked.
    Revoke {
        /// The secret's ID, sec_…
        #[arg(value_name = "SECRET_ID")]
        id: SecretId,
        /// Also revoke the tokens that were issued with it: introspection refuses them immediately; a
        /// server that only checks signatures accepts them until they expire.
        #[arg(long)]
        tokens: bool,
    },
    /// Create a new secret, show it once, and let the old ones expire.
    Rotate {
        /// The client's ID, m2m_…, or its name.
        client_id: String,
        /// For which time the old secrets go on working; 0s ends them at once.
        #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "24h")]
        grace: Duration,
    },
}

pub(crate) async fn run(command: Secret, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    match command {
        Secret::Create { owner, expires_in } => {
            let body = json!({ "expires_in": expires_in.map(|expiry| expiry.as_secs()) });
            let path = admin.secrets_path(&owner).await?;
            created(&admin.send(Method::POST, &path, &body).await?, global)
        }
        Secret::Rotate { client_id, grace } => {
            let path = admin.secrets_path(&client_id).await?;
            let secrets = admin.list(&path, &[], None).await?;
            let seen: Vec<_> = secrets
                .iter()
                .filter(|secret| secret.get("revoked_at").is_none_or(Value::is_null))
                .map(|secret| cell(secret, "id"))
                .collect();
            let body = json!({ "grace": grace.as_secs(), "seen_secret_ids": seen });
            let path = format!("{path}/rotate");
            created(&admin.send(Method::POST, &path, &body).await?, global)
        }
        Secret::List { owner } => {
            let path = admin.secrets_path(&owner).await?;
            list(&admin.list(&path, &[], None).await?, global)
        }
        Secret::Revoke { id, tokens } => {
            let query = if tokens { "?revoke_tokens=true" } else { "" };
            admin.revoke(&format!("/secrets/{id}{query}")).await?;
            let words = if tokens {
                ", and the tokens that were issued with it"
            } else {
                "; tokens that were issued with it work until they expire, unless you add --tokens"
            };
            output::ended(global.json, &id.to_string(), "revoked", words)
        }
    }
}

fn created(secret: &Value, global: &Global) -> anyhow::Result<()> {
    if global.json {
        output::json(secret)?;
    } else {
        let members = ["id", "client_id", "client_secret", "expires_at"];
        let fields: Vec<_> = members
            .iter()
            .map(|name| (*name, cell(secret, name)))
            .collect();
        output::fields(&fields)?;
    }
    output::say("copy the secret now: it is not shown again");
    Ok(())
}

fn list(secrets: &[Value], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(&json!(secrets));
    }
    let members = [
        "id",
        "suffix",
        "state",
        "created_at",
        "expires_at",
        "last_used_at",
    ];
    let rows: Vec<_> = secrets
        .iter()
        .map(|secret| members.iter().map(|name| cell(secret, name)).collect())
        .collect();
    table(
        &["ID", "SUFFIX", "STATE", "CREATED", "EXPIRES", "LAST USED"],
        &rows,
    )
}
