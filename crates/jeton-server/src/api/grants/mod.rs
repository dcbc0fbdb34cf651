//! `/api/v1/clients/{client_id}/grants`.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod put;

use jeton_core::{Grant, McpServerId, Scope, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Problem;
use crate::service::grants::ScopeChoice;

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantView {
    /// The MCP server's ID.
    mcp_server_id: String,
    /// The scopes that the client may request there.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// Creation time.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Its version N: the `ETag` is `"vN"`.
    version: i64,
}

impl GrantView {
    /// Whether it is a grant on an MCP server.
    pub(crate) fn is_on(&self, server: McpServerId) -> bool {
        self.mcp_server_id == server.to_string()
    }

    pub(crate) fn of(grant: &Grant) -> Self {
        Self {
            mcp_server_id: grant.mcp_server_id.to_string(),
            scopes: grant.scopes.iter().cloned().collect(),
            created_at: grant.created_at,
            version: grant.version,
        }
    }
}

/// What `scopes` and `all_scopes` of a request choose, if they choose anything.
pub(crate) fn chosen_scopes(
    scopes: Option<Vec<Scope>>,
    all_scopes: bool,
) -> Result<Option<ScopeChoice>, Problem> {
    match (scopes, all_scopes) {
        (Some(_), true) => Err(Problem::invalid(
            "all_scopes",
            "expected scopes or all_scopes: true, not both",
        )),
        (None, true) => Ok(Some(ScopeChoice::All)),
        (Some(scopes), false) => Ok(Some(ScopeChoice::These(scopes.into_iter().collect()))),
        (None, false) => Ok(None),
    }
}
