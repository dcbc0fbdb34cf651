//! The admin API: `/api/v1`, one verb a file under its noun, protected by Jeton's own tokens.

pub(crate) mod admin_invitations;
pub(crate) mod audit_checkpoints;
pub(crate) mod audit_events;
pub(crate) mod audit_verification;
mod authorization;
pub(crate) mod clients;
mod entity_tag;
mod errors;
pub(crate) mod grants;
pub(crate) mod health;
pub(crate) mod mcp_servers;
mod pages;
pub(crate) mod retired_urls;
pub(crate) mod secrets;
pub(crate) mod signing_keys;
pub(crate) mod tokens;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi;
use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
use utoipa::openapi::server::Server;

pub(crate) use authorization::{AdminRead, AdminWrite};
pub(crate) use entity_tag::{ConfirmQuery, Consenting, IfMatch, IfMatchAny, SeenGrant, Tagged};
pub(crate) use errors::{ChangeErrors, ConditionalErrors, ReadErrors, UpdateErrors};
pub(crate) use pages::PageOf;

use crate::config::TOKEN_ENDPOINT;
use crate::http::Problem;

/// The part of the `OpenAPI` document that no route says.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Jeton admin API",
        description = "Registers MCP servers and clients, and reads the audit log. Send an access token for {issuer}/api with the scope admin:read or admin:write as Authorization: Bearer. MCP servers, clients and grants have versions: to change or delete one, send the ETag that was read in If-Match, or * to overwrite whatever is there; without, the answer is 428. Rotating secrets and releasing a URL name in the body what was seen instead. Errors are RFC 9457 problem details.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&TokenSecurity)
)]
pub(crate) struct Description;

struct TokenSecurity;

impl utoipa::Modify for TokenSecurity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        name_token_endpoint("", document);
    }
}

/// Tokens come from the token endpoint below `issuer_path`.
fn name_token_endpoint(issuer_path: &str, document: &mut utoipa::openapi::OpenApi) {
    let scopes = Scopes::from_iter([
        ("admin:read", "See everything but secrets"),
        ("admin:write", "Register, change and delete everything"),
    ]);
    let url = format!("{issuer_path}{TOKEN_ENDPOINT}");
    let flow = Flow::ClientCredentials(ClientCredentials::new(url, scopes));
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
}

/// Describes the API of a server whose issuer has a path.
pub(crate) fn move_below(issuer_path: &str, document: &mut utoipa::openapi::OpenApi) {
    document.servers = Some(vec![Server::new(issuer_path)]);
    name_token_endpoint(issuer_path, document);
}

/// `GET /api/openapi.json`.
pub(crate) fn openapi_document(document: Bytes) -> Response {
    let mut response = document.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer to a path that is not there.
pub(crate) async fn no_such_path() -> Problem {
    Problem::not_found("there is nothing at this path; / lists what there is")
}

/// The answer to a method that is not there.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}
