//! Who looks at a page, and who may change something: cookies, roles, CSRF tokens.

use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::{COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jeton_core::{Admin, PlainSecret, Role, hex};

use super::error::came_from;
use super::form::PostedForm;
use super::kept_form;
use super::remember::Seen;
use super::still_works::{StillWorks, after_change};
use super::toast::{self, Toast};
use super::zone::Zone;
use super::{PageError, page, privilege, second_factor};
use crate::app::App;
use crate::request_context::RequestContext;
use crate::service::sessions::Use;
use crate::service::{Operator, OperatorId, second_factor as factors, sessions};

/// An admin with a good session.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) admin: Admin,
    pub(crate) operator: Operator,
    pub(crate) token: PlainSecret,
    pub(crate) csrf: String,
    /// What was just done, from the address.
    pub(crate) done: Option<String>,
    /// What was just done, from the answer before.
    pub(crate) toast: Option<Toast>,
    /// By whose clock times are told.
    pub(crate) zone: Zone,
    /// What a change did not stop, where the address says whose tokens it was about.
    pub(crate) still_works: Option<StillWorks>,
}

impl SignedIn {
    /// Whether this admin may change things, and see new secrets.
    pub(crate) fn may_change(&self) -> bool {
        self.admin.role == Role::Admin
    }
}

/// A change that an admin sent by a form of the dashboard's own. Where privileges change, they proved a moment
/// ago who they are.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) signed_in: SignedIn,
    pub(crate) form: PostedForm,
}

/// A form of the signed-in person's about themselves, which viewers send too.
#[derive(Debug)]
pub(crate) struct OwnChange(pub(crate) Change);

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let not_signed_in = || {
            // After signing in one continues where one wanted to go, but does not repeat a change.
            let next = match parts.method {
                Method::GET => parts.uri.path_and_query().map(ToString::to_string),
                _ => None,
            };
            PageError::NotSignedIn(next.unwrap_or_else(|| "/dashboard".into()))
        };
        let token = cookie(&parts.headers, &session_cookie(app))
            .map(PlainSecret::presented)
            .ok_or_else(not_signed_in)?;
        // What a script fetches says so; a person navigates.
        let by_page = parts
            .headers
            .get("sec-fetch-dest")
            .is_some_and(|value| value == "empty");
        let used = if by_page { Use::ByPage } else { Use::ByPerson };
        let admin = sessions::find(app, &token, used)
            .await?
            .ok_or_else(not_signed_in)?;
        if let Some(seen) = parts.extensions.get::<Seen>() {
            seen.note(&admin, &token);
        }
        if !second_factor::may_be_missing(parts.uri.path())
            && factors::is_missing(app, &admin).await?
        {
            return Err(PageError::ComesFirst(second_factor::PAGE.to_owned()));
        }
        let context = context(parts)?;
        let query = parts.uri.query().unwrap_or("");
        let done = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "done")
            .map(|(_, value)| value.into_owned());
        let zone = Zone::of(&parts.headers);
        let still_works = after_change(app, &zone, query).await?;
        Ok(Self {
            operator: Operator {
                id: OperatorId::Admin(admin.id),
                context,
            },
            csrf: csrf_token(token.expose()),
            toast: toast::find(app, &token, &parts.headers),
            zone,
            still_works,
            admin,
            token,
            done,
        })
    }
}

impl FromRequest<Arc<App>> for OwnChange {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        refuse_foreign(&parts.headers)?;
        let signed_in = match SignedIn::from_request_parts(&mut parts, app).await {
            Err(PageError::NotSignedIn(next)) => {
                return Err(session_ended(app, &parts, body, next).await);
            }
            signed_in => signed_in?,
        };
        let form = PostedForm::read(&parts.headers, body).await?;
        require_csrf(&form, &signed_in.csrf)?;
        if form.is_given_back() && !kept_form::can_give_back(parts.uri.path()) {
            return Err(PageError::NotFound);
        }
        Ok(Self(Change { signed_in, form }))
    }
}

impl FromRequest<Arc<App>> for Change {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let path = request.uri().path().to_owned();
        let OwnChange(change) = OwnChange::from_request(request, app).await?;
        if !change.signed_in.may_change() {
            return Err(PageError::Viewer);
        }
        privilege::require_recent(app, &change, &path).await?;
        Ok(change)
    }
}

/// A change of one's own sign-in, which viewers make too. They proved a moment ago who they are.
#[derive(Debug)]
pub(crate) struct OwnPrivilege(pub(crate) Change);

impl FromRequest<Arc<App>> for OwnPrivilege {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let path = request.uri().path().to_owned();
        let OwnChange(change) = OwnChange::from_request(request, app).await?;
        privilege::require_recent(app, &change, &path).await?;
        Ok(Self(change))
    }
}

/// What somebody typed into a form is kept until they have signed in again; else they come back to its page.
async fn session_ended(
    app: &Arc<App>,
    parts: &Parts,
    body: axum::body::Body,
    next: String,
) -> PageError {
    let kept = match PostedForm::read(&parts.headers, body).await {
        Ok(form) => kept_form::keep(app, &parts.headers, (parts.uri.path(), &form)).await,
        Err(_) => Ok(None),
    };
    match kept {
        Ok(Some(page)) => PageError::SignInAgain(Box::new(page)),
        Ok(None) => PageError::NotSignedIn(came_from(app, &parts.headers).unwrap_or(next)),
        Err(error) => error,
    }
}

/// A form that is sent before anybody is signed in: signing in, accepting an invitation. Its CSRF
/// token belongs to a cookie that the page with the form set.
#[derive(Debug)]
pub(crate) struct EarlyForm {
    pub(crate) context: RequestContext,
    pub(crate) form: PostedForm,
    /// The device cookies.
    pub(crate) devices: Vec<String>,
    /// The cookie that the form belongs to.
    pub(crate) held: String,
    pub(crate) user_agent: Option<String>,
}

impl FromRequest<Arc<App>> for EarlyForm {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        refuse_foreign(&parts.headers)?;
        let form = PostedForm::read(&parts.headers, body).await?;
        let held = cookie(&parts.headers, &early_cookie(app)).ok_or(PageError::Csrf)?;
        require_csrf(&form, &csrf_token(&held))?;
        Ok(Self {
            context: context(&parts)?,
            devices: cookies(&parts.headers, &device_cookie(app), DEVICES),
            held,
            user_agent: user_agent(&parts.headers),
            form,
        })
    }
}

/// The browser, in its own words, up to a limit.
pub(super) fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(300).collect())
}

fn context(parts: &Parts) -> Result<RequestContext, PageError> {
    parts
        .extensions
        .get::<RequestContext>()
        .cloned()
        .ok_or_else(|| PageError::Render("a route lacks the request context".into()))
}

/// Browsers say where a request comes from; another site's forms are not for us.
fn refuse_foreign(headers: &HeaderMap) -> Result<(), PageError> {
    match headers
        .get("sec-fetch-site")
        .and_then(|value| value.to_str().ok())
    {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(PageError::Refused(
            StatusCode::FORBIDDEN,
            "The form was sent by another site. Nothing was changed.",
        )),
    }
}

fn require_csrf(form: &PostedForm, expected: &str) -> Result<(), PageError> {
    let found = form.text("csrf");
    constant_time::verify_slices_are_equal(found.as_bytes(), expected.as_bytes())
        .map_err(|_| PageError::Csrf)
}

/// The token that the forms of a session carry. It follows from the session's own token, which no
/// other site knows, and does not give it away.
pub(super) fn csrf_token(session: &str) -> String {
    let text = format!("jeton dashboard csrf {session}");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hex::encode(hash.as_ref())
}

/// Over https the cookies have the prefix `__Host-`: no other host can set them, and they are never
/// sent over http. Browsers take that prefix over https only, and for a whole host only: where the issuer has
/// a path, other applications share the host and must not be sent these cookies, so it is `__Secure-` there.
fn is_https(app: &App) -> bool {
    app.issuer.as_str().starts_with("https:")
}

fn named(app: &App, name: &str) -> String {
    let prefix = match (is_https(app), app.issuer.path().is_empty()) {
        (true, true) => "__Host-",
        (true, false) => "__Secure-",
        (false, _) => "",
    };
    format!("{prefix}{name}")
}

pub(super) fn session_cookie(app: &App) -> String {
    named(app, "jeton_session")
}

pub(super) fn early_cookie(app: &App) -> String {
    named(app, "jeton_form")
}

/// What the names of device cookies begin with; the admin's ID follows.
pub(super) fn device_cookie(app: &App) -> String {
    named(app, "jeton_device")
}

pub(super) fn oidc_cookie(app: &App) -> String {
    named(app, "jeton_oidc")
}

pub(super) fn reveal_cookie(app: &App) -> String {
    named(app, "jeton_reveal")
}

pub(super) fn toast_cookie(app: &App) -> String {
    named(app, "jeton_toast")
}

/// A cookie's value.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    pairs(headers)
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// How many device cookies are looked at.
pub(super) const DEVICES: usize = 32;

/// The values of at most `limit` cookies whose names begin so.
pub(super) fn cookies(headers: &HeaderMap, name: &str, limit: usize) -> Vec<String> {
    pairs(headers)
        .filter(|(found, _)| found.starts_with(name))
        .map(|(_, value)| value.to_owned())
        .take(limit)
        .collect()
}

/// Sets a cookie for `seconds`; zero takes it away.
pub(super) fn set_cookie(
    app: &App,
    name: &str,
    value: &str,
    seconds: u64,
) -> Result<HeaderValue, PageError> {
    let secure = if is_https(app) { "; Secure" } else { "" };
    let path = match app.issuer.path() {
        "" => "/",
        path => path,
    };
    let mut header = HeaderValue::try_from(format!(
        "{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    ))
    .map_err(|error| PageError::Render(error.to_string()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// A redirect to a page that shows what was done.
pub(super) fn see(path: &str) -> axum::response::Response {
    use axum::response::{IntoResponse as _, Redirect};
    let mut response = Redirect::to(path).into_response();
    page::protect(response.headers_mut());
    response
}
