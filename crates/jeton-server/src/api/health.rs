//! `/healthz`: the process answers. `/readyz`: it can issue tokens, or which part cannot.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use crate::app::App;
use crate::service::readiness::{self, Document};
use crate::starting::Starting;

/// `GET /healthz`.
pub(crate) async fn alive() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// `GET /readyz`, while the server starts.
pub(crate) fn starting(starting: &Starting) -> Response {
    answer(Document::starting(starting))
}

/// `GET /readyz`: 503 where no token can be issued, with the part that cannot.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    answer(readiness::document(&app).await)
}

/// The same, asked outside the runtime that issues tokens: it is that one which has to say so.
pub(crate) async fn ready_from_outside(State(app): State<Arc<App>>) -> Response {
    answer(readiness::document_from_outside(&app).await)
}

fn answer(document: Document) -> Response {
    let status = if document.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(document)).into_response()
}
