//! `/api/v1/audit-checkpoint`: the newest signed checkpoint, proving the log against one that was kept
//! elsewhere, and another key. `/api/v1/audit-index/rebuild`: what leads to events, made anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AdminRead, AdminWrite, ChangeErrors, IfMatchAny, ReadErrors, UpdateErrors};
use crate::app::App;
use crate::audit::Checkpoint;
use crate::http::{ApiJson, ApiQuery, Problem};
use crate::service::checkpoint_keys::{self, Rotation};
use crate::service::{audit_index, checkpoint_note, checkpoints};

/// Which checkpoint somebody has seen.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckpointQuery {
    /// The number of a checkpoint that a witness has seen: the answer proves that the newest one continues
    /// it.
    old: Option<i64>,
}

/// The newest checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointView {
    /// Its number: the size of the tree.
    number: i64,
    /// The last event that it covers.
    seq: i64,
    /// The hash of the batch that ends there.
    batch_hash: String,
    /// Signing time.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The signed note (C2SP `tlog-checkpoint`).
    note: String,
    /// The key that signs now, as a verifier names it: NAME+HASH+KEY.
    key: String,
    /// Where `old` was given: the hashes that prove that this checkpoint continues that one (RFC 6962
    /// §2.1.2), base64.
    consistency_proof: Option<Vec<String>>,
}

/// Find the newest signed checkpoint, for keeping elsewhere.
#[utoipa::path(
    get,
    path = "/api/v1/audit-checkpoint",
    operation_id = "get_audit_checkpoint",
    tag = "Audit log",
    params(CheckpointQuery),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = CheckpointView), ReadErrors)
)]
pub(crate) async fn show(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<CheckpointQuery>,
) -> Result<Json<CheckpointView>, Problem> {
    let (newest, note, key) = checkpoints::newest(&app).await.ok_or_else(|| {
        Problem::not_found("no checkpoint is signed yet; the first one follows within a minute")
    })?;
    let consistency_proof = match query.old {
        Some(old) if !(0..=newest.number).contains(&old) => {
            return Err(Problem::invalid(
                "old",
                format!("the checkpoints are numbered from 0 to {}", newest.number),
            ));
        }
        Some(old) => {
            let proof = checkpoint_note::prove_consistency(&app, old, newest.number).await?;
            Some(proof.iter().map(|hash| STANDARD.encode(hash)).collect())
        }
        None => None,
    };
    Ok(Json(CheckpointView {
        number: newest.number,
        seq: newest.end.seq,
        batch_hash: newest.end.hash,
        at: newest.at,
        note,
        key,
        consistency_proof,
    }))
}

/// A checkpoint that was kept elsewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptCheckpoint {
    /// The signed note, unchanged.
    note: String,
    /// The key that has to have signed it, as NAME+HASH+KEY; absent, one of this installation.
    key: Option<String>,
}

/// What it proves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointProof {
    /// Whether it is a checkpoint of this log, and the log holds what it covers.
    verified: bool,
    /// Its number.
    number: i64,
    /// The last event that it covers.
    seq: i64,
    /// Signing time.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What does not fit; null if everything does.
    reason: Option<String>,
}

/// Prove the audit log against a checkpoint that was kept elsewhere.
#[utoipa::path(
    post,
    path = "/api/v1/audit-checkpoint/verify",
    operation_id = "verify_audit_checkpoint",
    tag = "Audit log",
    request_body = KeptCheckpoint,
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = CheckpointProof), ReadErrors)
)]
pub(crate) async fn verify(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiJson(kept): ApiJson<KeptCheckpoint>,
) -> Result<Json<CheckpointProof>, Problem> {
    let proof = checkpoint_note::verify(&app, &kept.note, kept.key.as_deref()).await?;
    Ok(Json(CheckpointProof {
        verified: proof.reason.is_none(),
        number: proof.checkpoint.number,
        seq: proof.checkpoint.end.seq,
        at: proof.checkpoint.at,
        reason: proof.reason,
    }))
}

/// How to change the key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateCheckpointKey {
    /// For a key that somebody else may have: it does not sign the change.
    #[serde(default)]
    emergency: bool,
    /// In an emergency: the key that was seen signing, as NAME+HASH+KEY; where another one signs, nothing is replaced.
    /// Required then, without `If-Match: *`.
    seen_key: Option<String>,
}

/// The key that signs from here on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointKeyView {
    /// As a verifier names it: NAME+HASH+KEY.
    key: String,
    /// The first checkpoint that it signed; the key before vouches for none from this one on.
    first_checkpoint: i64,
}

impl CheckpointKeyView {
    fn of(first: &Checkpoint, key: String) -> Self {
        Self {
            key,
            first_checkpoint: first.number,
        }
    }
}

/// Let another key sign checkpoints from here on. The one before vouches for nothing after.
#[utoipa::path(
    post,
    path = "/api/v1/audit-checkpoint/rotate-key",
    operation_id = "rotate_audit_checkpoint_key",
    tag = "Audit log",
    params(
        ("If-Match" = Option<String>, Header, description = "*: in an emergency, replace whatever key signs. Without it, send seen_key")
    ),
    request_body = RotateCheckpointKey,
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = CheckpointKeyView), ChangeErrors, UpdateErrors)
)]
pub(crate) async fn rotate_key(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    any: IfMatchAny,
    ApiJson(body): ApiJson<RotateCheckpointKey>,
) -> Result<Json<CheckpointKeyView>, Problem> {
    let rotation = if body.emergency {
        let what = "the key as GET …/audit-checkpoint gives it";
        let seen = any.or_seen(body.seen_key, "seen_key", what)?;
        Rotation::Emergency { seen }
    } else {
        Rotation::Orderly
    };
    let (first, key) = checkpoint_keys::rotate(&app, &operator, rotation).await?;
    Ok(Json(CheckpointKeyView::of(&first, key)))
}

/// What was discarded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rebuilding {
    /// Always true: the server makes the list anew behind the tokens.
    rebuilding: bool,
}

/// Make anew what leads to events by client and by time. Until that is done, searches take longer.
#[utoipa::path(
    post,
    path = "/api/v1/audit-index/rebuild",
    operation_id = "rebuild_audit_index",
    tag = "Audit log",
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = Rebuilding), ChangeErrors)
)]
pub(crate) async fn rebuild_index(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
) -> Result<Json<Rebuilding>, Problem> {
    audit_index::rebuild(&app, &operator).await?;
    Ok(Json(Rebuilding { rebuilding: true }))
}
