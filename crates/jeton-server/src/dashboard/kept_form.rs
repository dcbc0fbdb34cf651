//! A form that was sent after its session had ended: it asks to sign in, and comes back with what was typed.
//!
//! What was typed travels, sealed for this browser, in the sign-in form itself; nothing is kept on the server. It
//! is given back and not sent: whoever signed in sees it and decides. Secrets are left out.

use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::account::{local_path, sign_in_again};
use super::assets::VERSION;
use super::error::came_from;
use super::form::PostedForm;
use super::session::csrf_token;
use super::{PageError, PageResult, html};
use crate::app::App;
use crate::keys::Purpose;

/// A form, and where it was sent.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptForm {
    action: String,
    fields: Vec<(String, String)>,
}

/// What belongs to the session that ended, or is a secret.
const LEFT_OUT: [&str; 11] = [
    "csrf",
    "form_key",
    "kept",
    "copied",
    "password",
    "old_password",
    "current_password",
    "current_code",
    "passkey",
    "passkey_challenge",
    "given_back",
];

/// Whether the page behind an address shows a form again without saving it: those in which people type.
pub(super) fn can_give_back(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    matches!(
        parts.as_slice(),
        ["dashboard", "mcp-servers"]
            | [
                "dashboard",
                "mcp-servers",
                _,
                "settings" | "scopes" | "clients"
            ]
            | ["dashboard", "clients", _, "settings" | "grants"]
    )
}

fn context(early: &str) -> String {
    format!("jeton dashboard kept form {early}")
}

/// The sign-in page that keeps a form. Only a form that this site sent is kept.
pub(super) async fn keep(
    app: &Arc<App>,
    headers: &HeaderMap,
    (path, form): (&str, &PostedForm),
) -> Result<Option<Response>, PageError> {
    let is_own = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "same-origin");
    let fields: Vec<_> = form
        .pairs()
        .filter(|(name, _)| !LEFT_OUT.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !is_own || fields.is_empty() || !can_give_back(path) {
        return Ok(None);
    }
    let kept = KeptForm {
        action: path.to_owned(),
        fields,
    };
    let next = came_from(app, headers).unwrap_or_else(|| path.to_owned());
    let seal = |early: &str| seal(app, early, &kept);
    sign_in_again(app, headers, next, seal).await.map(Some)
}

fn seal(app: &App, early: &str, kept: &KeptForm) -> Result<String, PageError> {
    let text = serde_json::to_vec(kept).map_err(|error| PageError::Render(error.to_string()))?;
    Purpose::Toast
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(&text, &context(early), app.entropy.as_ref()))
        .map_err(|error| PageError::Render(error.to_string()))
}

/// The form that a sign-in form carries.
pub(super) fn read(app: &App, early: &str, field: &str) -> Option<KeptForm> {
    let text = app
        .master_keys
        .open(Purpose::Toast, field, &context(early))
        .ok()?;
    serde_json::from_slice(&text).ok()
}

#[derive(Template)]
#[template(path = "kept_form.html")]
struct KeptFormPage {
    version: &'static str,
    csrf: String,
    action: String,
    fields: Vec<(String, String)>,
}

/// The page after signing in, which leads back to the form.
pub(super) fn give_back(kept: KeptForm, session: &str) -> PageResult {
    let page = KeptFormPage {
        version: VERSION.as_str(),
        csrf: csrf_token(session),
        action: local_path(&kept.action),
        fields: kept.fields,
    };
    html(StatusCode::OK, &page)
}

/// What a form says that was given back.
pub(super) const GIVEN_BACK: &str =
    "You signed in again. This is what you had entered; nothing was saved yet.";
