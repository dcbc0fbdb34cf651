//! A client's Activity tab.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_store::AuditFilter;

use super::{ClientView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::events::{EventDay, event_days};
use crate::dashboard::mcp_servers::activity::ActivityQuery;
use crate::dashboard::view::ROWS;
use crate::dashboard::{Page, PageQuery, PageResult, SignedIn, html};

#[derive(Template)]
#[template(path = "client_activity.html")]
struct ActivityPage {
    page: Page,
    client: ClientView,
    days: Vec<EventDay>,
    older: Option<String>,
}

/// `/dashboard/clients/{id}/activity`
pub(crate) async fn activity(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<ActivityQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let filter = AuditFilter {
        client_id: Some(entry.client.id),
        ..AuditFilter::default()
    };
    let found = app.store.search_audit(&filter, query.before, ROWS).await?;
    let page = ActivityPage {
        page: page(&signed_in, &entry.client),
        client: ClientView::of(&app, &entry, Tab::Activity),
        days: event_days(&app, &signed_in.zone, found.events).await?,
        older: found
            .next
            .map(|seq| format!("{}/activity?before={seq}", path(&id))),
    };
    html(StatusCode::OK, &page)
}
