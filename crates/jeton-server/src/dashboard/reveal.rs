//! Showing a new secret once.
//!
//! The answer to the form that made it is a redirect, so that reloading makes no second one. Between
//! the two answers the secret travels in a cookie, sealed for this session and
//! this page, for a minute; the page that shows it takes the cookie away. Nothing is kept on the
//! server, so any replica may answer.
//!
//! A sheet that shows a secret and has buttons of its own keeps it, sealed, in its form: the answer to such a
//! button can show it again. Whoever has left that page has no such form any more.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use jeton_core::{PlainSecret, Timestamp};

use super::session::{SignedIn, cookie, reveal_cookie, see, set_cookie};
use super::{PageError, PageResult};
use crate::app::App;
use crate::keys::Purpose;

const SHOWN_WITHIN: Duration = Duration::from_secs(60);

fn context(signed_in: &SignedIn, place: &str) -> String {
    format!(
        "jeton dashboard secret {} {place}",
        signed_in.token.digest().to_hex()
    )
}

/// A sheet with a new secret may stay open for so long.
const KEPT_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// Redirects to `path`, where the secret will be shown. `place` is what the secret belongs to.
pub(super) fn redirect(
    app: &App,
    signed_in: &SignedIn,
    place: &str,
    path: &str,
    secret: &PlainSecret,
) -> Result<Response, PageError> {
    let mut response = see(path);
    carry(app, signed_in, place, secret, &mut response)?;
    Ok(response)
}

/// The same for a redirect that is there already.
pub(super) fn carry(
    app: &App,
    signed_in: &SignedIn,
    place: &str,
    secret: &PlainSecret,
    response: &mut Response,
) -> Result<(), PageError> {
    let sealed = seal(app, &context(signed_in, place), secret, SHOWN_WITHIN)?;
    response.headers_mut().append(
        SET_COOKIE,
        set_cookie(app, &reveal_cookie(app), &sealed, SHOWN_WITHIN.as_secs())?,
    );
    Ok(())
}

fn seal(
    app: &App,
    context: &str,
    secret: &PlainSecret,
    within: Duration,
) -> Result<String, PageError> {
    let until = app.clock.now().plus(within).as_millis();
    let text = zeroize::Zeroizing::new(format!("{until} {}", secret.expose()));
    Purpose::Reveal
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(text.as_bytes(), context, app.entropy.as_ref()))
        .map_err(|error| PageError::Render(error.to_string()))
}

fn open(app: &App, context: &str, sealed: &str) -> Option<PlainSecret> {
    let text = app
        .master_keys
        .open(Purpose::Reveal, sealed, context)
        .ok()?;
    let (until, secret) = std::str::from_utf8(&text).ok()?.split_once(' ')?;
    let until = Timestamp::from_millis(until.parse().ok()?);
    (app.clock.now() < until).then(|| PlainSecret::presented(secret.to_owned()))
}

/// The secret to show here, if there is one.
pub(super) fn take(
    app: &App,
    signed_in: &SignedIn,
    headers: &HeaderMap,
    place: &str,
) -> Option<PlainSecret> {
    let sealed = cookie(headers, &reveal_cookie(app))?;
    let secret = open(app, &context(signed_in, place), &sealed)?;
    signed_in.may_change().then_some(secret)
}

/// The same for what is one's own, which viewers see too.
pub(super) fn take_own(
    app: &App,
    signed_in: &SignedIn,
    headers: &HeaderMap,
    place: &str,
) -> Option<PlainSecret> {
    let sealed = cookie(headers, &reveal_cookie(app))?;
    open(app, &context(signed_in, place), &sealed)
}

/// For a field of the sheet that shows the secret.
pub(super) fn keep(
    app: &App,
    signed_in: &SignedIn,
    place: &str,
    secret: &PlainSecret,
) -> Result<String, PageError> {
    let context = format!("kept {}", context(signed_in, place));
    seal(app, &context, secret, KEPT_FOR)
}

/// The secret that a sheet kept.
pub(super) fn kept(
    app: &App,
    signed_in: &SignedIn,
    place: &str,
    field: &str,
) -> Option<PlainSecret> {
    open(app, &format!("kept {}", context(signed_in, place)), field)
}

/// A page as an answer; one that shows a secret takes the cookie away.
pub(super) fn html(app: &App, secret: Option<&PlainSecret>, page: &impl Template) -> PageResult {
    let mut response = super::html(StatusCode::OK, page)?;
    if secret.is_some() {
        response
            .headers_mut()
            .append(SET_COOKIE, set_cookie(app, &reveal_cookie(app), "", 0)?);
    }
    Ok(response)
}
