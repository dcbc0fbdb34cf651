//! `/api/v1/clients`.

pub(crate) mod create;
pub(crate) mod create_many;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;

use jeton_core::{
    Client, ClientProblem, ClientStatus, CustomClaims, Description, DisplayName, Grant,
    McpServerId, Timestamp,
};
use jeton_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::grants::GrantView;
use crate::app::App;
use crate::service::client_standing;

/// A client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientView {
    /// Its ID.
    id: String,
    /// The same: its OAuth `client_id`.
    client_id: String,
    /// What people call it.
    #[schema(value_type = String)]
    name: DisplayName,
    /// What it is for.
    #[schema(value_type = String)]
    description: Description,
    /// enabled or disabled.
    #[schema(value_type = String)]
    status: ClientStatus,
    /// A lifetime that lowers the MCP server's, in seconds; null where it has none.
    token_ttl: Option<u32>,
    /// Claims of its own.
    #[schema(value_type = Object)]
    custom_claims: CustomClaims,
    /// The MCP server that a token is for where a request names none; null where the client has no grant on
    /// one that was chosen.
    default_mcp_server_id: Option<String>,
    /// What it may, and where.
    grants: Vec<GrantView>,
    /// What keeps it from getting tokens now; null where nothing does.
    problem: Option<ProblemView>,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Its version N: the `ETag` is `"vN"`. Grants have their own.
    version: i64,
}

/// Why a client can't get any token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemView {
    /// `disabled`, `no_secret`, `secret_expired`, `secret_revoked`, `no_grant`, `mcp_server_deleted` or `no_scope`.
    code: &'static str,
    /// When its last secret stopped working, where that is the reason.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
}

impl ClientView {
    /// A client as it is registered now.
    pub(super) async fn read(app: &App, client: Client) -> Result<Self, StoreError> {
        let grants = app.store.grants_of_client(client.id).await?;
        let entry = app.directory.find_client(client.id).await?;
        let problem = entry.and_then(|entry| client_standing::problem(app, &entry));
        Ok(Self::of(client, &grants, problem))
    }

    /// Whether it may anything on an MCP server.
    pub(super) fn has_grant_on(&self, server: McpServerId) -> bool {
        self.grants.iter().any(|grant| grant.is_on(server))
    }

    pub(crate) fn of(client: Client, grants: &[Grant], problem: Option<ClientProblem>) -> Self {
        let default = client.granted_default(grants);
        Self {
            default_mcp_server_id: default.map(|id| id.to_string()),
            id: client.id.to_string(),
            client_id: client.id.to_string(),
            name: client.name,
            description: client.description,
            status: client.status,
            token_ttl: client.token_ttl.map(jeton_core::TokenTtl::as_seconds),
            custom_claims: client.custom_claims,
            grants: grants.iter().map(GrantView::of).collect(),
            problem: problem.map(|problem| ProblemView {
                code: problem.code(),
                since: problem.since(),
            }),
            created_at: client.created_at,
            updated_at: client.updated_at,
            version: client.version,
        }
    }
}
