//! The one place where a page's failure becomes a response.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CONTENT_LENGTH, REFERER, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use jeton_core::EntropyError;
use jeton_store::StoreError;

use super::account::local_path;
use super::assets::VERSION;
use super::page::{html, protect};
use super::privilege::ConfirmPage;
use super::session::see;
use crate::app::App;
use crate::service::ServiceError;
use crate::telemetry::with_causes;

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum PageError {
    /// Nobody is signed in; where they wanted to go.
    NotSignedIn(String),
    /// The session of a form ended; this page asks to sign in and keeps what was typed.
    SignInAgain(Box<Response>),
    /// Another page comes first, at this address.
    ComesFirst(String),
    /// A viewer cannot do this.
    Viewer,
    /// The form's token is missing or another session's.
    Csrf,
    /// Refused for another reason, told in a sentence.
    Refused(StatusCode, &'static str),
    /// The same, with a sentence made for the occasion.
    RefusedBecause(StatusCode, String),
    /// They have to prove again who they are.
    Unconfirmed(Box<ConfirmPage>),
    /// There is no such page.
    NotFound,
    /// The service said no.
    Service(ServiceError),
    /// A template failed.
    Render(String),
}

impl From<ServiceError> for PageError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl From<EntropyError> for PageError {
    fn from(error: EntropyError) -> Self {
        Self::Service(error.into())
    }
}

#[derive(Template, Clone)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    text: String,
    version: &'static str,
    /// The page with the form that was sent.
    back: Option<String>,
}

impl PageError {
    fn words(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::NotSignedIn(_) | Self::SignInAgain(_) => (
                StatusCode::UNAUTHORIZED,
                "Sign in first",
                "Nobody is signed in.".into(),
            ),
            Self::ComesFirst(_) => (
                StatusCode::FORBIDDEN,
                "Another step comes first",
                "Nothing was changed.".into(),
            ),
            Self::Viewer => (
                StatusCode::FORBIDDEN,
                "You are a viewer",
                "Viewers see everything and change nothing. Ask an admin to do this, or to make you one.".into(),
            ),
            Self::Csrf => (
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "It was made for another session, or by another site. Nothing was changed: go back, reload the page and send the form again.".into(),
            ),
            Self::Unconfirmed(_) => (
                StatusCode::FORBIDDEN,
                "Confirm it's you",
                "Nothing was changed.".into(),
            ),
            Self::Refused(status, text) => (status, "That did not work", text.into()),
            Self::RefusedBecause(status, text) => (status, "That did not work", text),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing at this address. It may have been deleted.".into(),
            ),
            Self::Service(error) => service(&error),
            Self::Render(error) => {
                tracing::error!(error, "a page could not be rendered");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "That did not work",
                    "The page could not be made; the server's log says why.".into(),
                )
            }
        }
    }
}

fn service(error: &ServiceError) -> (StatusCode, &'static str, String) {
    match error {
        ServiceError::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found", sentence(error)),
        ServiceError::Invalid { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "That cannot be used",
            sentence(error),
        ),
        ServiceError::Conflict(_) => (
            StatusCode::CONFLICT,
            "That cannot be done as things are",
            sentence(error),
        ),
        ServiceError::Unconfirmed(_) => (
            StatusCode::CONFLICT,
            "That has to be confirmed",
            format!("{} Nothing was changed.", sentence(error)),
        ),
        ServiceError::Stale => (
            StatusCode::CONFLICT,
            "Someone else changed this",
            "It was changed after you opened the page. Nothing was saved: go back, reload and repeat your change.".into(),
        ),
        ServiceError::Store(StoreError::InDoubt(_)) => {
            tracing::error!(error = with_causes(error), "the dashboard failed");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "Was it saved?",
                "The database was lost in the middle of the change, which may have been made. Look before you try again.".into(),
            )
        }
        ServiceError::Store(_)
            | ServiceError::Keys(_)
            | ServiceError::Audit(_)
            | ServiceError::Entropy(_) => {
            tracing::error!(error = with_causes(error), "the dashboard failed");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "That does not work right now",
                "Nothing was changed; try again in a moment. The server's log says why.".into(),
            )
        }
    }
}

/// A message as a sentence: capital first, full stop last.
pub(super) fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let mut sentence: String = characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default();
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::NotSignedIn(next) = &self {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("next", next);
            let mut response =
                Redirect::to(&format!("/dashboard/sign-in?{}", query.finish())).into_response();
            protect(response.headers_mut());
            return response;
        }
        if let Self::ComesFirst(path) = &self {
            return see(path);
        }
        if let Self::Unconfirmed(page) = &self {
            let status = StatusCode::FORBIDDEN;
            return html(status, page.as_ref()).unwrap_or_else(|_| status.into_response());
        }
        if let Self::SignInAgain(page) = self {
            return *page;
        }
        let (status, title, text) = self.words();
        let page = ErrorPage {
            title,
            text,
            version: VERSION.as_str(),
            back: None,
        };
        let mut response = html(status, &page).unwrap_or_else(|_| status.into_response());
        response.extensions_mut().insert(page);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        response
    }
}

/// A form that could not be carried out leads back to its page.
pub(crate) async fn way_back(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let back = match *request.method() {
        Method::POST => came_from(&app, request.headers()),
        _ => None,
    };
    let mut response = next.run(request).await;
    let page = response.extensions_mut().remove::<ErrorPage>();
    if let (Some(page), Some(back)) = (page, back) {
        let page = ErrorPage {
            back: Some(back),
            ..page
        };
        if let Ok(text) = page.render() {
            *response.body_mut() = text.into();
            response.headers_mut().remove(CONTENT_LENGTH);
        }
    }
    response
}

/// The page of the dashboard on which a form was sent, as browsers say it of their own site.
pub(super) fn came_from(app: &App, headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer).ok()?;
    let path = url.path().strip_prefix(app.issuer.path())?;
    let query = url
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let page = format!("{path}{query}");
    (local_path(&page) == page).then_some(page)
}

/// The answer to a path of the dashboard that is not there.
pub(crate) async fn no_such_page() -> PageError {
    PageError::NotFound
}
