//! `POST /api/v1/admin-invitations`: a link that makes one admin of the dashboard. Also the way back
//! in for an operator whose admins have all lost their passwords.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{DisplayName, EmailAddress, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiJson, Problem};
use crate::service::invitations::{self, NewInvitation};

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteAdmin {
    /// admin or viewer.
    #[schema(example = "viewer")]
    role: String,
    /// Who it is for: a note shown in the list of open invitations.
    #[schema(value_type = String, example = "Ada")]
    note: DisplayName,
    /// The address they have to join with. Without one, whoever has the link chooses it.
    #[serde(default)]
    #[schema(example = "ada@example.com")]
    email: Option<String>,
}

/// An invitation just made. Its link is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedInvitationView {
    /// Its ID.
    id: String,
    /// admin or viewer.
    role: &'static str,
    /// Who it is for.
    note: String,
    /// Until when it works.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The link, which works once.
    link: String,
}

/// Invite somebody to the dashboard.
#[utoipa::path(
    post,
    path = "/api/v1/admin-invitations",
    operation_id = "invite_admin",
    tag = "Dashboard",
    request_body = InviteAdmin,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = CreatedInvitationView), ChangeErrors)
)]
pub(crate) async fn create(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiJson(body): ApiJson<InviteAdmin>,
) -> Result<(StatusCode, Json<CreatedInvitationView>), Problem> {
    let role = body
        .role
        .parse()
        .map_err(|error: String| Problem::invalid("role", error))?;
    let email = body
        .email
        .map(|email| email.parse::<EmailAddress>())
        .transpose()
        .map_err(|error| Problem::invalid("email", error.to_string()))?;
    let new = NewInvitation {
        role,
        note: body.note,
        email,
    };
    let (invitation, link) = invitations::invite(&app, &operator, new).await?;
    let view = CreatedInvitationView {
        id: invitation.id.to_string(),
        role: invitation.role.as_str(),
        note: invitation.note,
        expires_at: invitation.expires_at,
        link: invitations::link(&app, &link),
    };
    Ok((StatusCode::CREATED, Json(view)))
}
