//! Device cookies: a browser in which an admin signed in is remembered, so that attempts to guess the
//! admin's password from elsewhere do not lock it out.

use std::time::Duration;

use aws_lc_rs::hmac;
use jeton_core::{Admin, AdminId, PlainSecret, Timestamp, hex};

use super::ServiceError;
use crate::app::App;
use crate::keys::{KeyRingError, Purpose};

/// How long a browser is remembered after the last sign-in.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// A browser in which somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Device(String);

#[cfg(test)]
impl Device {
    pub(super) fn for_tests(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// The value of the cookie for a browser in which this admin is signed in. A session is one device, however
/// often it is asked for: otherwise whoever steals it could guess the password without end.
pub(crate) fn remember(
    app: &App,
    admin: AdminId,
    session: &PlainSecret,
) -> Result<String, ServiceError> {
    let key = key(app)?;
    let Device(number) = of_session(app, session)?;
    let until = app.clock.now().plus(REMEMBERED).as_millis();
    let text = format!("{admin}.{until}.{number}");
    let tag = hmac::sign(&key, text.as_bytes());
    Ok(format!("{text}.{}", hex::encode(tag.as_ref())))
}

/// The device that a session is.
pub(super) fn of_session(app: &App, session: &PlainSecret) -> Result<Device, ServiceError> {
    let text = format!("number {}", session.expose());
    let number = hmac::sign(&key(app)?, text.as_bytes());
    Ok(Device(hex::encode(number.as_ref())))
}

/// The device of these cookies on which this admin signed in, if there is one that is not forgotten.
pub(crate) fn find(app: &App, cookies: &[String], admin: &Admin) -> Option<Device> {
    cookies.iter().find_map(|cookie| read(app, cookie, admin))
}

fn read(app: &App, cookie: &str, admin: &Admin) -> Option<Device> {
    let (text, tag) = cookie.rsplit_once('.')?;
    let tag: [u8; 32] = hex::decode(tag)?;
    hmac::verify(&key(app).ok()?, text.as_bytes(), &tag).ok()?;
    let mut parts = text.split('.');
    let (whose, until, number) = (parts.next()?, parts.next()?, parts.next()?);
    let until = Timestamp::from_millis(until.parse().ok()?);
    let is_forgotten = admin
        .browsers_forgotten_at
        .is_some_and(|at| until < at.plus(REMEMBERED));
    let is_known = whose == admin.id.to_string() && app.clock.now() < until && !is_forgotten;
    is_known.then(|| Device(number.to_owned()))
}

fn key(app: &App) -> Result<hmac::Key, ServiceError> {
    Purpose::DeviceCookie
        .mac_key(&app.master_keys.current)
        .map_err(|error| KeyRingError::from(error).into())
}
