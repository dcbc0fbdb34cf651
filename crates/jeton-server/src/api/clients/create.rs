//! `POST /api/v1/clients`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{
    ClientProblem, CustomClaims, Description, DisplayName, McpServerId, Scope, Timestamp, TokenTtl,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ClientView;
use crate::api::grants::chosen_scopes;
use crate::api::secrets::{SecretView, expiry};
use crate::api::{AdminWrite, ChangeErrors, Tagged};
use crate::app::App;
use crate::http::{ApiJson, Problem};
use crate::service::clients::{self, CreatedClient, NewClient};
use crate::service::grants::ScopeChoice;

/// A client to register, with its first grant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateClient {
    /// The MCP server of its first grant.
    #[schema(value_type = String, example = "res_…")]
    mcp_server_id: McpServerId,
    /// What it may there; absent means none, and without a scope it gets no token.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Vec<Scope>>,
    /// true instead of `scopes`: every scope that the MCP server defines now.
    #[serde(default)]
    all_scopes: bool,
    /// The MCP server that a token is for where a request names none; absent, that of its first grant.
    #[schema(value_type = Option<String>)]
    default_mcp_server_id: Option<McpServerId>,
    /// What people call it.
    #[schema(value_type = String, example = "nightly-agent")]
    name: DisplayName,
    /// What it is for.
    #[serde(default)]
    #[schema(value_type = String)]
    description: Description,
    /// A lifetime that lowers the MCP server's, in seconds.
    #[schema(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    token_ttl: Option<TokenTtl>,
    /// Claims of its own that each of its tokens carries.
    #[serde(default)]
    #[schema(value_type = Object)]
    custom_claims: CustomClaims,
    /// After how many seconds its first secret expires; absent, never.
    #[schema(minimum = 1, maximum = 315_360_000)]
    secret_expires_in: Option<u64>,
}

/// A client just registered. Its secret is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedClientView {
    #[serde(flatten)]
    client: ClientView,
    /// The secret: this is the only time it is shown.
    client_secret: String,
    /// What is kept of the secret.
    secret: SecretView,
}

/// Register a client on an MCP server.
#[utoipa::path(
    post,
    path = "/api/v1/clients",
    operation_id = "create_client",
    tag = "Clients",
    request_body = CreateClient,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = CreatedClientView), ChangeErrors)
)]
pub(crate) async fn create(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiJson(body): ApiJson<CreateClient>,
) -> Result<Tagged<CreatedClientView>, Problem> {
    let created = clients::create(&app, &operator, body.parse()?).await?;
    Ok(Tagged {
        status: StatusCode::CREATED,
        version: created.client.version,
        body: CreatedClientView::of(created, app.clock.now()),
    })
}

impl CreateClient {
    pub(super) fn parse(self) -> Result<NewClient, Problem> {
        Ok(NewClient {
            id: None,
            mcp_server_id: self.mcp_server_id,
            scopes: chosen_scopes(self.scopes, self.all_scopes)?.unwrap_or_else(ScopeChoice::none),
            default_mcp_server: self.default_mcp_server_id,
            name: self.name,
            description: self.description,
            token_ttl: self.token_ttl,
            custom_claims: self.custom_claims,
            secret_expiry: expiry("secret_expires_in", self.secret_expires_in)?,
        })
    }
}

impl CreatedClientView {
    pub(super) fn of(created: CreatedClient, now: Timestamp) -> Self {
        let (secrets, grants) = ([created.secret.clone()], [created.grant]);
        let problem = ClientProblem::of(&created.client, &secrets, &grants, |_| true, now);
        Self {
            secret: SecretView::of(&created.secret, now),
            client: ClientView::of(created.client, &grants, problem),
            client_secret: created.plain.expose().to_owned(),
        }
    }
}
