//! A server's Activity tab.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_store::AuditFilter;
use serde::Deserialize;

use super::{ServerView, Tab, find, page};
use crate::app::App;
use crate::dashboard::events::{EventDay, event_days};
use crate::dashboard::view::ROWS;
use crate::dashboard::{Page, PageQuery, PageResult, SignedIn, html};

/// Where to go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivityQuery {
    pub(in crate::dashboard) before: Option<i64>,
}

#[derive(Template)]
#[template(path = "mcp_server_activity.html")]
struct ActivityPage {
    page: Page,
    server: ServerView,
    days: Vec<EventDay>,
    older: Option<String>,
}

/// `/dashboard/mcp-servers/{id}/activity`
pub(crate) async fn activity(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<ActivityQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let filter = AuditFilter {
        mcp_server_id: Some(server.id),
        ..AuditFilter::default()
    };
    let found = app.store.search_audit(&filter, query.before, ROWS).await?;
    let view = ServerView::new(&server, Tab::Activity);
    let page = ActivityPage {
        page: page(&signed_in, &server),
        days: event_days(&app, &signed_in.zone, found.events).await?,
        older: found
            .next
            .map(|seq| format!("{}/activity?before={seq}", view.path())),
        server: view,
    };
    html(StatusCode::OK, &page)
}
