//! A server's Metadata tab: the documents as clients fetch them, and a live check of the server.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{McpServer, ProtectedResourceMetadata, ServerMetadata};
use serde::Deserialize;

use super::{ServerView, Tab, find, page};
use crate::app::App;
use crate::dashboard::{Page, PageError, PageQuery, PageResult, SignedIn, html};
use crate::service::listed_scopes;
use crate::service::publication::{self, Check};

#[derive(Template)]
#[template(path = "mcp_server_metadata.html")]
struct MetadataPage {
    page: Page,
    server: ServerView,
    checks: Option<Vec<Check>>,
    documents: Vec<Document>,
}

struct Document {
    id: &'static str,
    title: &'static str,
    text: &'static str,
    url: String,
    json: String,
}

/// Whether to check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataQuery {
    check: Option<String>,
}

/// `/dashboard/mcp-servers/{id}/metadata`
pub(crate) async fn metadata(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<MetadataQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    // It makes this server send requests, so viewers do not.
    let is_wanted = match query.check.as_deref() {
        None | Some("") => false,
        Some("now") => signed_in.may_change(),
        Some(_) => {
            return Err(PageError::Refused(
                StatusCode::BAD_REQUEST,
                "The only check is now.",
            ));
        }
    };
    let checks = if is_wanted {
        Some(publication::check(&app, &server).await)
    } else {
        None
    };
    let page = MetadataPage {
        page: page(&signed_in, &server),
        checks,
        documents: documents(&app, &server),
        server: ServerView::new(&server, Tab::Metadata),
    };
    html(StatusCode::OK, &page)
}

fn documents(app: &App, server: &McpServer) -> Vec<Document> {
    let issuer = app.issuer.as_str();
    let own = server.own_issuer_url(issuer);
    let resource = ProtectedResourceMetadata {
        resource: server.url.as_given().to_owned(),
        authorization_servers: vec![server.token_issuer(issuer)],
        scopes_supported: (!server.scopes.is_empty()).then(|| {
            let names = server.scopes.iter().map(|scope| scope.name.to_string());
            names.collect()
        }),
        bearer_methods_supported: vec!["header".into()],
        resource_name: Some(server.name.to_string()),
    };
    let well_known = ProtectedResourceMetadata::well_known_path(server.url.path());
    vec![
        Document {
            id: "resource-metadata",
            title: "Protected resource metadata",
            text: "What the MCP server itself should publish, at this address (RFC 9728). jeton-guard and FastMCP do so by themselves.",
            url: format!("{}{well_known}", server.url.origin()),
            json: pretty(&resource),
        },
        Document {
            id: "server-metadata",
            title: "Authorization server metadata",
            text: "What Jeton publishes (RFC 8414).",
            url: format!("{issuer}/.well-known/oauth-authorization-server"),
            json: pretty(&ServerMetadata::for_issuer(
                issuer,
                issuer,
                &listed_scopes(app),
            )),
        },
        Document {
            id: "own-metadata",
            title: "The same for this server's own issuer",
            text: "For verifiers that name an authorization server of each MCP server's own.",
            url: format!(
                "{issuer}/.well-known/oauth-authorization-server/resources/{}",
                server.id
            ),
            json: pretty(&ServerMetadata::for_issuer(
                &own,
                issuer,
                &server.scope_set(),
            )),
        },
    ]
}

fn pretty(document: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}
