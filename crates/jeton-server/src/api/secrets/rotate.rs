//! `POST /api/v1/clients/{client_id}/secrets/rotate`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{ClientId, SecretId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::CreatedSecretView;
use crate::api::{AdminWrite, ChangeErrors, IfMatchAny, UpdateErrors};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::secrets;

/// How to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecrets {
    /// For how many seconds the old secrets go on working; 24 hours if absent, 0 ends them at once.
    #[serde(default = "one_day")]
    #[schema(maximum = 7_776_000, default = 86_400)]
    grace: u64,
    /// The IDs of the secrets that were seen; where another one works, nothing is rotated. Required without
    /// `If-Match: *`.
    #[schema(value_type = Option<Vec<String>>)]
    seen_secret_ids: Option<Vec<SecretId>>,
}

fn one_day() -> u64 {
    86_400
}

/// Make a new secret of a client, and let the old ones expire.
#[utoipa::path(
    post,
    path = "/api/v1/clients/{client_id}/secrets/rotate",
    operation_id = "rotate_client_secrets",
    tag = "Secrets",
    params(
        ("client_id" = String, Path, description = "The client's ID, m2m_…"),
        ("If-Match" = Option<String>, Header, description = "*: rotate whatever secrets there are. Without it, send seen_secret_ids")
    ),
    request_body = RotateSecrets,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = CreatedSecretView), ChangeErrors, UpdateErrors)
)]
pub(crate) async fn of_client(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(client_id): ApiPath<ClientId>,
    any: IfMatchAny,
    ApiJson(body): ApiJson<RotateSecrets>,
) -> Result<(StatusCode, Json<CreatedSecretView>), Problem> {
    if body.grace > 7_776_000 {
        let detail = format!(
            "expected at most 90 days (7776000 seconds), not {}",
            body.grace
        );
        return Err(Problem::invalid("grace", detail));
    }
    let grace = Duration::from_secs(body.grace);
    let seen = any.or_seen(
        body.seen_secret_ids,
        "seen_secret_ids",
        "the IDs of the client's secrets as GET …/secrets lists them",
    )?;
    let (secret, plain) =
        secrets::rotate(&app, &operator, client_id, Some(grace), seen.as_deref()).await?;
    let view = CreatedSecretView::of(&secret, &plain, app.clock.now());
    Ok((StatusCode::CREATED, Json(view)))
}
