//! What was just done, told once: it names the thing, says what is next, and how to undo it.
//!
//! The answer to a change is a redirect. Between the two answers the words travel in a cookie sealed for this
//! session, and the page that shows them takes it away: reloading does not repeat them, and no address
//! carries them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use jeton_core::PlainSecret;
use serde::{Deserialize, Serialize};

use super::session::{SignedIn, cookie, see, set_cookie, toast_cookie};
use super::{PageError, PageResult};
use crate::app::App;
use crate::keys::Purpose;

/// A page that does not come within this time shows nothing.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
/// Browsers keep cookies of up to 4 KiB; what is too long loses its way to undo it.
const MAX_COOKIE: usize = 3_500;

/// Words about a change, for the next page.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Toast {
    /// What was done, in a sentence or two.
    pub(crate) text: String,
    /// Where one usually goes on.
    pub(crate) next: Option<NextStep>,
    /// The form that undoes it.
    pub(crate) undo: Option<Undo>,
    /// Whether it tells what was not done.
    pub(crate) is_problem: bool,
}

/// A link to what usually comes next.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NextStep {
    pub(crate) label: String,
    pub(crate) href: String,
}

/// A form without visible fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Toast {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// What was not done, and why.
    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self {
            is_problem: true,
            ..Self::new(text)
        }
    }

    #[must_use]
    pub(crate) fn next(mut self, label: &str, href: String) -> Self {
        self.next = Some(NextStep {
            label: label.to_owned(),
            href,
        });
        self
    }

    #[must_use]
    pub(crate) fn undo(
        mut self,
        action: String,
        fields: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let fields = fields.into_iter();
        self.undo = Some(Undo {
            action,
            fields: fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        });
        self
    }
}

fn context(session: &PlainSecret) -> String {
    format!("jeton dashboard toast {}", session.digest().to_hex())
}

/// Redirects to `path`, where the words will be shown.
pub(crate) fn redirect(app: &App, signed_in: &SignedIn, path: &str, toast: Toast) -> PageResult {
    let mut sealed = seal(app, signed_in, &toast)?;
    if sealed.len() > MAX_COOKIE {
        let shorter = Toast {
            undo: None,
            ..toast
        };
        sealed = seal(app, signed_in, &shorter)?;
    }
    let mut response = see(path);
    response.headers_mut().append(
        SET_COOKIE,
        set_cookie(app, &toast_cookie(app), &sealed, SHOWN_WITHIN.as_secs())?,
    );
    Ok(response)
}

fn seal(app: &App, signed_in: &SignedIn, toast: &Toast) -> Result<String, PageError> {
    let text = serde_json::to_vec(toast).map_err(|error| PageError::Render(error.to_string()))?;
    Purpose::Toast
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(&text, &context(&signed_in.token), app.entropy.as_ref()))
        .map_err(|error| PageError::Render(error.to_string()))
}

/// The words to show, if there are any for this session.
pub(super) fn find(app: &App, session: &PlainSecret, headers: &HeaderMap) -> Option<Toast> {
    let sealed = cookie(headers, &toast_cookie(app))?;
    let text = app
        .master_keys
        .open(Purpose::Toast, &sealed, &context(session))
        .ok()?;
    serde_json::from_slice(&text).ok()
}

/// Takes the cookie away with the page that showed its words.
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, PageError> {
    let name = toast_cookie(&app);
    let held = cookie(request.headers(), &name).is_some();
    let mut response = next.run(request).await;
    let is_page = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if held && is_page {
        let gone = set_cookie(&app, &name, "", 0)?;
        response.headers_mut().append(SET_COOKIE, gone);
    }
    Ok(response)
}
