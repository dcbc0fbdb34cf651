//! Signing in and out, and becoming an admin by a link.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jeton_core::{
    Admin, AdminId, DisplayName, EmailAddress, Invitation, PlainSecret, whole_seconds,
};
use serde::Deserialize;

use super::assets::VERSION;
use super::error::sentence;
use super::page::notice_for;
use super::passkeys::PasskeyForm;
use super::session::{
    EarlyForm, OwnChange, cookie, csrf_token, early_cookie, see, session_cookie, set_cookie,
};
use super::{Errors, PageError, PageResult, html, kept_form, remember};
use crate::app::App;
use crate::service::invitations::NewAdmin;
use crate::service::second_factor::passkeys::{self, PresentedPasskey};
use crate::service::sessions::{
    ABSOLUTE, Presented, PresentedCode, SignIn, SignInError, SignInMethod,
};
use crate::service::{invitations, oidc, sessions};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    version: &'static str,
    csrf: String,
    next: String,
    email: String,
    notice: Option<&'static str>,
    problem: Option<String>,
    first_run: bool,
    /// The name of the provider through which one may sign in as well.
    provider: Option<String>,
    /// A form that was sent after its session had ended, sealed.
    kept_form: String,
    /// Whether one may sign in by password.
    has_passwords: bool,
    /// For signing in by a passkey.
    passkey: Option<PasskeyForm>,
}

/// Where to go after signing in, and what was just done.
#[derive(Deserialize)]
pub(crate) struct SignInQuery {
    next: Option<String>,
    done: Option<String>,
}

/// The form.
pub(crate) async fn sign_in_page(
    State(app): State<Arc<App>>,
    Query(query): Query<SignInQuery>,
    headers: HeaderMap,
) -> PageResult {
    let (held, fresh) = early_token(&app, &headers)?;
    let page = SignInPage {
        version: VERSION.as_str(),
        csrf: csrf_token(&held),
        next: query.next.unwrap_or_default(),
        email: String::new(),
        notice: notice_for(query.done.as_deref()),
        problem: None,
        first_run: app.store.admins().await?.is_empty(),
        provider: provider(&app),
        kept_form: String::new(),
        has_passwords: oidc::has_passwords(&app),
        passkey: passkey(&app, &held)?,
    };
    Ok(with_cookie(html(StatusCode::OK, &page)?, fresh))
}

const PASSWORDS_ARE_OFF: PageError = PageError::Refused(
    StatusCode::FORBIDDEN,
    "Passwords are off. Go back and sign in through the provider.",
);

/// The form, sent.
pub(crate) async fn sign_in(State(app): State<Arc<App>>, early: EarlyForm) -> PageResult {
    if !oidc::has_passwords(&app) {
        return Err(PASSWORDS_ARE_OFF);
    }
    let email = early.form.text("email").to_owned();
    let presented = Presented {
        email: email.clone(),
        password: early.form.secret("password"),
        devices: early.devices.clone(),
        user_agent: early.user_agent.clone(),
    };
    let outcome = sessions::sign_in(&app, &early.context, (presented, &early.held)).await;
    let error = match outcome {
        Ok(SignIn::Session(admin, token)) => return signed_in(&app, &early, admin.id, &token),
        Ok(SignIn::CodeNeeded(half)) => {
            let page = CodePage::of(&app, &early, half, None)?;
            return html(StatusCode::OK, &page);
        }
        Err(error) => error,
    };
    let failure = Failure::of(error)?;
    let page = SignInPage::again(&app, &early, email, &failure)?;
    failure.answer(&page)
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage {
    version: &'static str,
    csrf: String,
    next: String,
    kept_form: String,
    /// The sign-in that the code is for, sealed.
    half: String,
    problem: Option<String>,
    passkey: Option<PasskeyForm>,
}

impl CodePage {
    fn of(
        app: &App,
        early: &EarlyForm,
        half: String,
        problem: Option<String>,
    ) -> Result<Self, PageError> {
        let form = &early.form;
        Ok(Self {
            version: VERSION.as_str(),
            csrf: form.text("csrf").to_owned(),
            next: form.text("next").to_owned(),
            kept_form: form.text("kept_form").to_owned(),
            half,
            problem,
            passkey: passkey(app, &early.held)?,
        })
    }
}

/// The address of that page alone says nothing: one begins with the password.
pub(crate) async fn sign_in_code_page() -> Response {
    see("/dashboard/sign-in")
}

/// The code that was asked for after the password.
pub(crate) async fn sign_in_by_code(State(app): State<Arc<App>>, early: EarlyForm) -> PageResult {
    if !oidc::has_passwords(&app) {
        return Err(PASSWORDS_ARE_OFF);
    }
    let half = early.form.text("half");
    let presented = PresentedCode {
        half,
        code: early.form.text("code"),
        held: &early.held,
        devices: &early.devices,
        user_agent: early.user_agent.clone(),
    };
    let error = match sessions::sign_in_by_code(&app, &early.context, presented).await {
        Ok((admin, token)) => return signed_in(&app, &early, admin.id, &token),
        Err(error) => error,
    };
    let is_too_late = matches!(error, SignInError::TooLate);
    let failure = Failure::of(error)?;
    if is_too_late {
        let page = SignInPage::again(&app, &early, String::new(), &failure)?;
        return failure.answer(&page);
    }
    let problem = Some(failure.problem.clone());
    failure.answer(&CodePage::of(&app, &early, half.to_owned(), problem)?)
}

/// A passkey's answer.
pub(crate) async fn sign_in_by_passkey(
    State(app): State<Arc<App>>,
    early: EarlyForm,
) -> PageResult {
    let presented = PresentedPasskey {
        challenge: early.form.text("challenge"),
        credential: early.form.text("credential"),
        held: &early.held,
        user_agent: early.user_agent.clone(),
    };
    match passkeys::sign_in(&app, &early.context, presented).await {
        Ok((admin, token)) => signed_in(&app, &early, admin.id, &token),
        Err(error) => {
            let failure = Failure::of(error)?;
            failure.answer(&SignInPage::again(&app, &early, String::new(), &failure)?)
        }
    }
}

/// The session begins, with the form that was kept or the page that was wanted.
fn signed_in(app: &App, early: &EarlyForm, admin: AdminId, token: &PlainSecret) -> PageResult {
    let kept = kept_form::read(app, &early.held, early.form.text("kept_form"));
    let page = match kept {
        Some(kept) => kept_form::give_back(kept, token.expose())?,
        None => see(&local_path(early.form.text("next"))),
    };
    with_session(app, admin, token, page)
}

/// A sign-in that was refused.
struct Failure {
    status: StatusCode,
    wait: Option<Duration>,
    problem: String,
}

impl Failure {
    fn of(error: SignInError) -> Result<Self, PageError> {
        let problem = sentence(&error);
        let (status, wait) = match error {
            SignInError::Service(error) => return Err(error.into()),
            SignInError::Wrong
            | SignInError::WrongCode
            | SignInError::TooLate
            | SignInError::WrongPasskey
            | SignInError::PasskeyTooLate => (StatusCode::UNAUTHORIZED, None),
            SignInError::Throttled(wait) => (StatusCode::TOO_MANY_REQUESTS, Some(wait)),
        };
        Ok(Self {
            status,
            wait,
            problem,
        })
    }

    fn answer(&self, page: &impl Template) -> PageResult {
        let mut response = html(self.status, page)?;
        if let Some(wait) = self.wait {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        Ok(response)
    }
}

impl SignInPage {
    /// The form again, which says what was wrong.
    fn again(
        app: &App,
        early: &EarlyForm,
        email: String,
        failure: &Failure,
    ) -> Result<Self, PageError> {
        let form = &early.form;
        Ok(Self {
            version: VERSION.as_str(),
            csrf: form.text("csrf").to_owned(),
            next: form.text("next").to_owned(),
            email,
            notice: None,
            problem: Some(failure.problem.clone()),
            first_run: false,
            provider: provider(app),
            kept_form: form.text("kept_form").to_owned(),
            has_passwords: oidc::has_passwords(app),
            passkey: passkey(app, &early.held)?,
        })
    }
}

/// The form, for somebody whose session ended: `seal` keeps what they sent for the cookie of this form.
pub(super) async fn sign_in_again(
    app: &App,
    headers: &HeaderMap,
    next: String,
    seal: impl Fn(&str) -> Result<String, PageError>,
) -> PageResult {
    let (held, fresh) = early_token(app, headers)?;
    let page = SignInPage {
        version: VERSION.as_str(),
        csrf: csrf_token(&held),
        next,
        email: String::new(),
        notice: None,
        problem: Some(
            "Your session has ended. Sign in again: what you entered is kept and comes back, without secrets.".into(),
        ),
        first_run: false,
        // Its way back cannot carry the form.
        provider: None,
        kept_form: seal(&held)?,
        has_passwords: oidc::has_passwords(app),
        passkey: passkey(app, &held)?,
    };
    Ok(with_cookie(html(StatusCode::UNAUTHORIZED, &page)?, fresh))
}

fn passkey(app: &App, held: &str) -> Result<Option<PasskeyForm>, PageError> {
    if oidc::has_passwords(app) {
        PasskeyForm::to_sign_in(app, held)
    } else {
        Ok(None)
    }
}

fn provider(app: &App) -> Option<String> {
    app.oidc.as_ref().map(|oidc| oidc.config.name.clone())
}

/// Sets the cookies of a session that just began, and of the browser it began in.
pub(super) fn begin(app: &App, admin: AdminId, token: &PlainSecret, path: &str) -> PageResult {
    with_session(app, admin, token, see(path))
}

fn with_session(app: &App, admin: AdminId, token: &PlainSecret, page: Response) -> PageResult {
    let device = remember::of_session(app, admin, token)?;
    let cookie = set_cookie(
        app,
        &session_cookie(app),
        token.expose(),
        ABSOLUTE.as_secs(),
    )?;
    Ok(with_cookie(with_cookie(page, Some(cookie)), Some(device)))
}

/// Only a page of the dashboard's own: nobody is sent to another site after signing in.
pub(super) fn local_path(next: &str) -> String {
    let is_ours =
        next == "/dashboard" || next.starts_with("/dashboard/") || next.starts_with("/dashboard?");
    let is_plain = next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_ours && is_plain && !next.contains("//") {
        next.to_owned()
    } else {
        "/dashboard".to_owned()
    }
}

/// Ends this session.
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    OwnChange(change): OwnChange,
) -> PageResult {
    let signed_in = change.signed_in;
    sessions::sign_out(&app, &signed_in.operator, &signed_in.token).await?;
    leave(&app, "signed-out")
}

/// Ends all sessions of this admin.
pub(crate) async fn sign_out_everywhere(
    State(app): State<Arc<App>>,
    OwnChange(change): OwnChange,
) -> PageResult {
    sessions::sign_out_everywhere(&app, &change.signed_in.operator).await?;
    leave(&app, "signed-out-everywhere")
}

/// Ends one of this admin's sessions.
pub(crate) async fn end_session(
    State(app): State<Arc<App>>,
    OwnChange(change): OwnChange,
) -> PageResult {
    let handle = change.form.text("session");
    sessions::end(&app, &change.signed_in.operator, handle).await?;
    Ok(see("/dashboard/settings?done=session-ended"))
}

/// Ends this admin's other sessions.
pub(crate) async fn end_other_sessions(
    State(app): State<Arc<App>>,
    OwnChange(change): OwnChange,
) -> PageResult {
    let signed_in = change.signed_in;
    sessions::end_others(&app, &signed_in.operator, &signed_in.token).await?;
    Ok(see("/dashboard/settings?done=others-ended"))
}

pub(super) fn leave(app: &App, done: &str) -> PageResult {
    let cookie = set_cookie(app, &session_cookie(app), "", 0)?;
    Ok(with_cookie(
        see(&format!("/dashboard/sign-in?done={done}")),
        Some(cookie),
    ))
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage {
    version: &'static str,
    csrf: String,
    first: bool,
    /// Whether the link gives an admin a new password.
    is_reset: bool,
    role: &'static str,
    name: String,
    email: String,
    /// Whether the inviter named the address.
    is_email_named: bool,
    errors: Errors,
}

impl JoinPage {
    fn of(invitation: &Invitation, csrf: String) -> Self {
        let named = invitation.email.as_ref();
        Self {
            version: VERSION.as_str(),
            csrf,
            first: invitation.first,
            is_reset: invitation.resets.is_some(),
            role: invitation.role.as_str(),
            name: match invitation.resets {
                Some(_) => invitation.note.clone(),
                None => String::new(),
            },
            email: named.map(ToString::to_string).unwrap_or_default(),
            is_email_named: named.is_some(),
            errors: Errors::default(),
        }
    }
}

const DEAD_LINK: PageError = PageError::Refused(
    StatusCode::GONE,
    "This link isn't valid: it was used or cancelled, or it has expired. Ask an admin for a new one. If there is no admin yet, restart the server and it prints one.",
);

/// The page behind a link.
pub(crate) async fn join_page(
    State(app): State<Arc<App>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> PageResult {
    let invitation = invitations::find_by_link(&app, &PlainSecret::presented(link))
        .await?
        .ok_or(DEAD_LINK)?;
    let (csrf, fresh) = early_csrf(&app, &headers)?;
    let page = JoinPage::of(&invitation, csrf);
    Ok(with_cookie(html(StatusCode::OK, &page)?, fresh))
}

/// The form behind a link, sent.
pub(crate) async fn join(
    State(app): State<Arc<App>>,
    Path(link): Path<String>,
    early: EarlyForm,
) -> PageResult {
    let link = PlainSecret::presented(link);
    let invitation = invitations::find_by_link(&app, &link)
        .await?
        .ok_or(DEAD_LINK)?;
    let mut errors = Errors::default();
    let admin = accept(&app, &link, &early, (&invitation, &mut errors)).await?;
    if let Some(admin) = admin {
        let token = sessions::begin(
            &app,
            &early.context,
            &admin,
            (SignInMethod::Link, early.user_agent),
        )
        .await?;
        return begin(&app, admin.id, &token, "/dashboard");
    }
    let mut page = JoinPage::of(&invitation, early.form.text("csrf").to_owned());
    if invitation.resets.is_none() {
        early.form.text("name").clone_into(&mut page.name);
        early.form.text("email").clone_into(&mut page.email);
    }
    page.errors = errors;
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn accept(
    app: &App,
    link: &PlainSecret,
    early: &EarlyForm,
    (invitation, errors): (&Invitation, &mut Errors),
) -> Result<Option<Admin>, PageError> {
    let form = &early.form;
    let password = form.secret("password");
    if invitation.resets.is_some() {
        let admin = invitations::accept_reset(app, &early.context, link, password).await;
        return errors.accept(admin);
    }
    let name = form.parse::<DisplayName>("name", errors);
    let email = form.parse::<EmailAddress>("email", errors);
    let (Some(name), Some(email)) = (name, email) else {
        return Ok(None);
    };
    let new = NewAdmin {
        name,
        email,
        password,
    };
    errors.accept(invitations::accept(app, &early.context, link, new).await)
}

/// The CSRF token of a form before sign-in, and the cookie that it belongs to, if it is new.
fn early_csrf(app: &App, headers: &HeaderMap) -> Result<(String, Option<HeaderValue>), PageError> {
    let (held, fresh) = early_token(app, headers)?;
    Ok((csrf_token(&held), fresh))
}

fn early_token(app: &App, headers: &HeaderMap) -> Result<(String, Option<HeaderValue>), PageError> {
    let name = early_cookie(app);
    if let Some(held) = cookie(headers, &name) {
        return Ok((held, None));
    }
    let made = PlainSecret::generate(app.entropy.as_ref())?;
    let header = set_cookie(app, &name, made.expose(), 24 * 60 * 60)?;
    Ok((made.expose().to_owned(), Some(header)))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site_after_signing_in() {
        assert_eq!(local_path("/dashboard/audit?q=a"), "/dashboard/audit?q=a");
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "/dashboard//evil.example",
            "/dashboard.evil.example",
            "/dashboard/\\evil.example",
            "/dashboard/\nLocation:x",
            "javascript:alert(1)",
        ] {
            assert_eq!(local_path(foreign), "/dashboard", "{foreign:?}");
        }
    }
}
