//! Showing a new secret once.
//!
//! The answer to the form that made it is a redirect, so that reloading makes no second one. Between
//! the two answers the secret travels in a cookie, sealed for this session and
//! this page, for a minute; the page that shows it takes the cookie away. Nothing is kept on the
//! server, so any replica may answer.

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

/// Redirects to `path`, where the secret will be shown. `place` is what the secret belongs to.
pub(super) fn redirect(
    app: &App,
    signed_in: &SignedIn,
    place: &str,
    path: &str,
    secret: &PlainSecret,
) -> Result<Response, PageError> {
    let until = app.clock.now().plus(SHOWN_WITHIN).as_millis();
    let text = zeroize::Zeroizing::new(format!("{until} {}", secret.expose()));
    let sealed = Purpose::Reveal
        .sealing_key(&app.master_keys.current)
        .and_then(|key| {
            let context = context(signed_in, place);
            key.seal(text.as_bytes(), &context, app.entropy.as_ref())
        })
        .map_err(|error| PageError::Render(error.to_string()))?;
    let mut response = see(path);
    response.headers_mut().append(
        SET_COOKIE,
        set_cookie(app, &reveal_cookie(app), &sealed, SHOWN_WITHIN.as_secs())?,
    );
    Ok(response)
}

/// The secret to show here, if there is one.
pub(super) fn take(
    app: &App,
    signed_in: &SignedIn,
    headers: &HeaderMap,
    place: &str,
) -> Option<PlainSecret> {
    let sealed = cookie(headers, &reveal_cookie(app))?;
    let text = app
        .master_keys
        .open(Purpose::Reveal, &sealed, &context(signed_in, place))
        .ok()?;
    let (until, secret) = std::str::from_utf8(&text).ok()?.split_once(' ')?;
    let until = Timestamp::from_millis(until.parse().ok()?);
    (app.clock.now() < until && signed_in.may_change())
        .then(|| PlainSecret::presented(secret.to_owned()))
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
