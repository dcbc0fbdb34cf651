//! A sign-in whose password was right and whose code is awaited. It travels, sealed for the browser, in the form that
//! asks for the code; nothing is kept on the server, so any replica may take the code.

use std::time::Duration;

use aws_lc_rs::digest;
use jeton_core::{Admin, Timestamp, hex};
use secrecy::ExposeSecret as _;

use super::ServiceError;
use crate::app::App;
use crate::keys::{KeyRingError, Purpose};

/// How long somebody may take to find the code.
const WITHIN: Duration = Duration::from_secs(10 * 60);

fn context(held: &str) -> String {
    format!("jeton half sign-in {held}")
}

/// For the form of the browser that holds this cookie.
pub(super) async fn seal(app: &App, admin: &Admin, held: &str) -> Result<String, ServiceError> {
    let until = app.clock.now().plus(WITHIN).as_millis();
    let password = fingerprint(app, admin).await?;
    let text = format!("{} {until} {password}", admin.email);
    Purpose::SecondFactor
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(text.as_bytes(), &context(held), app.entropy.as_ref()))
        .map_err(|error| KeyRingError::from(error).into())
}

/// Whose it is, if it is this browser's, not too old, and the password is still the same.
pub(super) async fn open(
    app: &App,
    sealed: &str,
    held: &str,
) -> Result<Option<Admin>, ServiceError> {
    let keys = &app.master_keys;
    let Ok(text) = keys.open(Purpose::SecondFactor, sealed, &context(held)) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&text);
    let mut parts = text.split(' ');
    let (email, until, password) = (parts.next(), parts.next(), parts.next());
    let until = until.and_then(|until| until.parse().ok());
    let is_new = until.is_some_and(|until| app.clock.now() < Timestamp::from_millis(until));
    let Some(email) = email
        .and_then(|email| email.parse().ok())
        .filter(|_| is_new)
    else {
        return Ok(None);
    };
    let Some((admin, _)) = app.store.find_admin_by_email(&email).await? else {
        return Ok(None);
    };
    let now = fingerprint(app, &admin).await?;
    Ok((Some(now.as_str()) == password).then_some(admin))
}

/// What changes with the password.
async fn fingerprint(app: &App, admin: &Admin) -> Result<String, ServiceError> {
    let found = app.store.find_admin_by_email(&admin.email).await?;
    let hash = found.and_then(|(_, hash)| hash);
    let hash = hash.as_ref().map_or("", |hash| hash.expose_secret());
    let text = format!("{} {hash}", admin.id);
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    Ok(hex::encode(hash.as_ref()))
}
