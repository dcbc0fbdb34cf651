//! `jeton key`.

use clap::Subcommand;
use jeton_core::{SigningAlgorithm, counted};
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::{Admin, Seen};
use crate::arguments::Global;
use crate::output::{self, cell};
use crate::table::table;

#[derive(Subcommand)]
pub(crate) enum Key {
    /// List the signing keys, oldest first.
    List,
    /// Publish the next key, which begins to sign 24 hours later; no agent notices.
    ///
    /// The server does so by itself every 90 days, or as signing_key_rotation_days says.
    Rotate {
        /// Of which algorithm: RS256, ES256 or EdDSA.
        #[arg(long, default_value = "RS256")]
        algorithm: SigningAlgorithm,
        /// For a key that somebody else may have: the new one signs at once, all others are retired
        /// and published no more. Tokens that they signed stop working wherever keys are fetched
        /// anew, and verifiers that have not fetched the new key yet refuse its tokens until they do.
        #[arg(long)]
        emergency: bool,
    },
    /// Seal all private keys under the current master key.
    ///
    /// To replace the master key: keep the old one, start every server with the new one and with
    /// --previous-master-key-file (or JETON_PREVIOUS_MASTER_KEY), run this, and start them without
    /// the old one again.
    Rewrap,
}

pub(crate) async fn run(command: Key, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    match command {
        Key::List => list(&admin, global).await,
        Key::Rotate {
            algorithm,
            emergency,
        } => rotate(&admin, algorithm, emergency, global).await,
        Key::Rewrap => rewrap(&admin, global).await,
    }
}

async fn rewrap(admin: &Admin, global: &Global) -> anyhow::Result<()> {
    let path = "/signing-keys/rewrap";
    let done = admin.send(Method::POST, path, &json!({})).await?;
    if global.json {
        output::json(&done)?;
    }
    output::say(&format!(
        "sealed anew: {}. The previous master key is not needed any more",
        counted(
            done.get("rewrapped").and_then(Value::as_u64).unwrap_or(0),
            "key"
        )
    ));
    Ok(())
}

async fn rotate(
    admin: &Admin,
    algorithm: SigningAlgorithm,
    emergency: bool,
    global: &Global,
) -> anyhow::Result<()> {
    let algorithm = algorithm.as_str();
    let mut body = json!({ "algorithm": algorithm, "emergency": emergency });
    let mut seen = Seen::Unsaid;
    if emergency {
        let keys = admin.list("/signing-keys", &[], None).await?;
        let signing = keys
            .iter()
            .find(|key| cell(key, "algorithm") == algorithm && cell(key, "state") == "active");
        match (signing, body.as_object_mut()) {
            (Some(key), Some(members)) => {
                members.insert("seen_key_id".into(), json!(cell(key, "id")));
            }
            _ => seen = Seen::Anything,
        }
    }
    let key = admin
        .send_if(seen, Method::POST, "/signing-keys/rotate", &body)
        .await?;
    if global.json {
        output::json(&key)?;
    } else {
        output::data(&cell(&key, "id"))?;
    }
    output::say(&if emergency {
        format!(
            "it signs {algorithm} tokens from now on; all keys before it are retired and published no more"
        )
    } else {
        format!(
            "published now; it signs {algorithm} tokens from {}",
            cell(&key, "activated_at")
        )
    });
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
    table(
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
