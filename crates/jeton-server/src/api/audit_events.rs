//! `/api/v1/audit-events`: what happened, newest first.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_store::AuditFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::pages::page_request;
use super::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::audit::AuditEventView;
use crate::http::{ApiQuery, Problem};
use crate::service::ServiceError;

/// Which events; every condition given has to hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// The kind, for example `token.issued`.
    kind: Option<String>,
    /// `success` or `refused`.
    outcome: Option<String>,
    /// The client's ID.
    client_id: Option<String>,
    /// The MCP server's ID.
    mcp_server_id: Option<String>,
    /// The `jti` of the token.
    jti: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// The request's ID.
    request_id: Option<String>,
    /// The source address.
    source: Option<String>,
    /// At or after this time, RFC 3339.
    since: Option<String>,
    /// Before this time, RFC 3339.
    until: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

fn parsed<T: FromStr>(
    parameter: &'static str,
    value: Option<&str>,
    expected: &str,
) -> Result<Option<T>, Problem> {
    value
        .map(str::parse)
        .transpose()
        .map_err(|_| Problem::invalid(parameter, format!("expected {expected}")))
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, Problem> {
        let kind = self.kind.as_deref().map(str::parse).transpose();
        let time = "a time like 2026-01-31T12:00:00Z";
        Ok(AuditFilter {
            kind: kind.map_err(|error: String| Problem::invalid("kind", error))?,
            outcome: parsed("outcome", self.outcome.as_deref(), "success or refused")?,
            client_id: parsed(
                "client_id",
                self.client_id.as_deref(),
                "a client's ID, m2m_…",
            )?,
            mcp_server_id: parsed(
                "mcp_server_id",
                self.mcp_server_id.as_deref(),
                "an MCP server's ID, res_…",
            )?,
            jti: self.jti.clone(),
            actor: self.actor.clone(),
            request_id: self.request_id.clone(),
            source: self.source.clone(),
            since: parsed("since", self.since.as_deref(), time)?,
            until: parsed("until", self.until.as_deref(), time)?,
            text: None,
        })
    }
}

/// List audit events, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/audit-events",
    operation_id = "list_audit_events",
    tag = "Audit log",
    params(AuditQuery),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<AuditEventView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<Json<PageOf<AuditEventView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let events = app
        .store
        .audit_events(&query.filter()?, page)
        .await
        .map_err(ServiceError::from)?;
    Ok(Json(PageOf::of(events, AuditEventView::from)))
}
