//! `/api/v1/retired-urls`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{DisplayName, ResourceUri, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AdminRead, AdminWrite, ChangeErrors, IfMatchAny, PageOf, ReadErrors, UpdateErrors};
use crate::app::App;
use crate::http::{ApiJson, Problem};
use crate::service::retired_urls;

/// The URL of an MCP server that was deleted or moved away. Nobody gets tokens for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetiredUrlView {
    /// The URL.
    #[schema(value_type = String, format = "uri")]
    url: ResourceUri,
    /// The MCP server that had it.
    mcp_server_id: String,
    /// That server's name.
    #[schema(value_type = String)]
    name: DisplayName,
    /// When the server was deleted or moved.
    #[schema(value_type = String, format = DateTime)]
    retired_at: Timestamp,
}

/// A URL to release.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseUrl {
    /// The URL.
    #[schema(value_type = String, format = "uri")]
    url: String,
    /// When it was retired, as the list says; where it was retired again since, it is not released. Required
    /// without `If-Match: *`.
    #[schema(value_type = Option<String>, format = DateTime)]
    retired_at: Option<Timestamp>,
}

/// List retired URLs, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/retired-urls",
    operation_id = "list_retired_urls",
    tag = "MCP servers",
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<RetiredUrlView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
) -> Result<Json<PageOf<RetiredUrlView>>, Problem> {
    let items = retired_urls::list(&app).await?.into_iter();
    let view = |retired: jeton_store::RetiredUrl| RetiredUrlView {
        url: retired.url,
        mcp_server_id: retired.mcp_server_id.to_string(),
        name: retired.name,
        retired_at: retired.retired_at,
    };
    Ok(Json(PageOf {
        items: items.map(view).collect(),
        next_cursor: None,
    }))
}

/// Release a retired URL. From then on it belongs to the MCP server whose URL covers it, if there is one:
/// make sure that nothing runs there any more that would accept that server's tokens.
#[utoipa::path(
    post,
    path = "/api/v1/retired-urls/release",
    operation_id = "release_retired_url",
    tag = "MCP servers",
    params(("If-Match" = Option<String>, Header, description = "*: release it whenever it was retired. Without it, send retired_at")),
    request_body = ReleaseUrl,
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It is not retired any more"), ChangeErrors, UpdateErrors)
)]
pub(crate) async fn release(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    any: IfMatchAny,
    ApiJson(body): ApiJson<ReleaseUrl>,
) -> Result<StatusCode, Problem> {
    let url = ResourceUri::from_registered(&body.url)
        .map_err(|error| Problem::invalid("url", error.to_string()))?;
    let seen = any.or_seen(
        body.retired_at,
        "retired_at",
        "the time at which the URL was retired as GET /api/v1/retired-urls says it",
    )?;
    retired_urls::release(&app, &operator, &url, seen).await?;
    Ok(StatusCode::NO_CONTENT)
}
