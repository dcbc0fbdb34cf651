//! `PATCH /api/v1/mcp-servers/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{
    Description, DisplayName, McpServer, McpServerId, Scope, SigningAlgorithm, TokenProfile,
    TokenTtl,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{DefineScope, McpServerView};
use crate::api::{AdminWrite, ChangeErrors, ConditionalErrors, ConfirmQuery, Consenting, Tagged};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::ScopeRename;
use crate::service::mcp_servers::{self, McpServerChange};
use crate::service::server_urls::{self, UrlChange};

/// What to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMcpServer {
    /// What people call it.
    #[schema(value_type = Option<String>)]
    name: Option<DisplayName>,
    /// What it is for.
    #[schema(value_type = Option<String>)]
    description: Option<Description>,
    /// Its URL, with the MCP path.
    #[schema(value_type = Option<String>, format = "uri")]
    url: Option<String>,
    /// All aliases from now on. One that is removed is retired, as a URL is that the server leaves.
    aliases: Option<Vec<String>>,
    /// Aliases to add.
    #[serde(default)]
    add_aliases: Vec<String>,
    /// Aliases to remove. They are retired.
    #[serde(default)]
    remove_aliases: Vec<String>,
    /// All scopes it defines from now on. One that is removed goes from every grant too; where a client
    /// has it, that has to be confirmed.
    scopes: Option<Vec<DefineScope>>,
    /// Scopes to add. One that is there gets the description and what it implies, if that is said.
    #[serde(default)]
    add_scopes: Vec<DefineScope>,
    /// Scopes to remove, from every grant too; where a client has one, that has to be confirmed.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    remove_scopes: Vec<Scope>,
    /// Scopes to rename, in every grant too.
    #[serde(default)]
    rename_scopes: Vec<RenameScope>,
    /// How long its tokens live, in seconds.
    #[schema(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    token_ttl: Option<TokenTtl>,
    /// What its tokens are signed with.
    #[schema(value_type = Option<String>)]
    signing_alg: Option<SigningAlgorithm>,
    /// The shape of its tokens: compatible or strict.
    #[schema(value_type = Option<String>)]
    token_profile: Option<TokenProfile>,
    /// Whether its tokens name its own issuer.
    own_issuer: Option<bool>,
}

impl UpdateMcpServer {
    fn urls(&self, before: &McpServer) -> Result<UrlChange, Problem> {
        // The text is not repeated: there may be a password in it.
        let parse = |parameter: &'static str, text: &String, words: &str| {
            server_urls::parse(before, text)
                .map_err(|error| Problem::invalid(parameter, format!("{words}{error}")))
        };
        let all = |parameter, texts: &[String]| -> Result<Vec<_>, Problem> {
            let numbered = (1..).zip(texts);
            numbered
                .map(|(number, text)| parse(parameter, text, &format!("URL number {number}: ")))
                .collect()
        };
        let url = self.url.as_ref().map(|text| parse("url", text, ""));
        let aliases = self.aliases.as_ref().map(|texts| all("aliases", texts));
        Ok(UrlChange {
            url: url.transpose()?,
            aliases: aliases.transpose()?,
            add_aliases: all("add_aliases", &self.add_aliases)?,
            remove_aliases: all("remove_aliases", &self.remove_aliases)?,
        })
    }
}

/// A scope's new name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameScope {
    /// Its name now.
    #[schema(value_type = String, example = "todo:read")]
    from: Scope,
    /// The new name.
    #[schema(value_type = String, example = "todos:read")]
    to: Scope,
}

/// Change an MCP server. A URL that it leaves is retired: nobody gets tokens for it until it is released or
/// registered again. Where it lies under another server's URL, that has to be confirmed.
#[utoipa::path(
    patch,
    path = "/api/v1/mcp-servers/{id}",
    operation_id = "update_mcp_server",
    tag = "MCP servers",
    params(
        ("id" = String, Path, description = "The MCP server's ID, res_…"),
        ("If-Match" = String, Header, description = "The ETag that was read, or *: whatever is there"),
        ConfirmQuery
    ),
    request_body = UpdateMcpServer,
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = McpServerView), ChangeErrors, ConditionalErrors)
)]
pub(crate) async fn update(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<McpServerId>,
    Consenting(consent): Consenting,
    ApiJson(body): ApiJson<UpdateMcpServer>,
) -> Result<Tagged<McpServerView>, Problem> {
    let urls = body.urls(&*mcp_servers::find(&app, id).await?)?;
    let change = McpServerChange {
        name: body.name,
        description: body.description,
        urls,
        scopes: body
            .scopes
            .map(|scopes| scopes.into_iter().map(Into::into).collect()),
        add_scopes: body.add_scopes.into_iter().map(Into::into).collect(),
        clear_descriptions: false,
        remove_scopes: body.remove_scopes,
        rename_scopes: body
            .rename_scopes
            .into_iter()
            .map(|RenameScope { from, to }| ScopeRename { from, to })
            .collect(),
        token_ttl: body.token_ttl,
        signing_alg: body.signing_alg,
        token_profile: body.token_profile,
        own_issuer: body.own_issuer,
    };
    let server = mcp_servers::update(&app, &operator, id, change, consent).await?;
    Ok(Tagged {
        status: StatusCode::OK,
        version: server.version,
        body: McpServerView::of(&app, &server),
    })
}
