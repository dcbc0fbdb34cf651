//! `/api/v1/audit-verification`: whether the log is as it was written, a span at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AdminRead, ReadErrors};
use crate::app::App;
use crate::http::{ApiQuery, Problem};
use crate::service::ServiceError;
use crate::service::audit_proof::{self, Verified};

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerificationQuery {
    /// The `last_seq` of the span before; absent, the beginning of the log.
    after: Option<i64>,
}

/// A span of the log that was walked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditVerification {
    /// The last event that is proven.
    last_seq: i64,
    /// How many events were walked.
    events: u64,
    /// How many signed checkpoints were verified.
    checkpoints: usize,
    /// Whether this is the end of the log; if not, ask on after `last_seq`.
    complete: bool,
    /// What does not fit; null if everything does.
    broken: Option<BrokenView>,
    /// What the database holds that Jeton did not make, and on which the proof does not depend; with the first span only.
    foreign_objects: Vec<String>,
}

/// What does not fit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenView {
    /// The first event that is not proven.
    seq: i64,
    /// What is wrong.
    reason: String,
    /// What this server remembers, where it remembers another log.
    expected: Option<String>,
    /// What the database holds instead.
    found: Option<String>,
    /// What to do next.
    next_step: String,
}

impl From<Verified> for AuditVerification {
    fn from(span: Verified) -> Self {
        Self {
            last_seq: span.last,
            events: span.events,
            checkpoints: span.checkpoints,
            complete: span.is_end,
            foreign_objects: span.foreign,
            broken: span.broken.map(|broken| BrokenView {
                seq: broken.seq,
                reason: broken.reason,
                expected: broken.expected,
                found: broken.found,
                next_step: broken.next_step.to_owned(),
            }),
        }
    }
}

/// Verify the audit log: that no event was altered, removed, moved or added behind Jeton's back.
#[utoipa::path(
    get,
    path = "/api/v1/audit-verification",
    operation_id = "verify_audit_log",
    tag = "Audit log",
    params(VerificationQuery),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = AuditVerification), ReadErrors)
)]
pub(crate) async fn verify(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<VerificationQuery>,
) -> Result<Json<AuditVerification>, Problem> {
    let after = query.after.unwrap_or(0);
    match audit_proof::verify(&app, after).await {
        Ok(span) => Ok(Json(span.into())),
        Err(ServiceError::Stale | ServiceError::Store(StoreError::Stale)) => Err(Problem::invalid(
            "after",
            format!(
                "no batch ends with event {after}; give the last_seq of the span before, unchanged"
            ),
        )),
        Err(error) => Err(error.into()),
    }
}
