//! A form that creates something carries the ID that this thing will have, sealed for the session: sent twice, or
//! again after going back, it finds what it created already.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use jeton_core::Timestamp;

use super::session::SignedIn;
use super::{Change, PageError};
use crate::app::App;
use crate::keys::Purpose;

/// A form may be open for as long as a session lasts.
const GOOD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

fn context(signed_in: &SignedIn) -> String {
    format!(
        "jeton dashboard form key {}",
        signed_in.token.digest().to_hex()
    )
}

/// The field of a form that will create the thing with this ID.
pub(super) fn make(
    app: &App,
    signed_in: &SignedIn,
    id: &impl Display,
) -> Result<String, PageError> {
    let text = format!("{} {id}", app.clock.now().as_millis());
    Purpose::Reveal
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(text.as_bytes(), &context(signed_in), app.entropy.as_ref()))
        .map_err(|error| PageError::Render(error.to_string()))
}

/// The ID that a form carries, if it carries one that can be used.
pub(super) fn read<T: FromStr>(app: &App, change: &Change) -> Option<T> {
    let field = change.form.text("form_key");
    let context = context(&change.signed_in);
    let text = app
        .master_keys
        .open(Purpose::Reveal, field, &context)
        .ok()?;
    let (made_at, id) = std::str::from_utf8(&text).ok()?.split_once(' ')?;
    let made_at = Timestamp::from_millis(made_at.parse().ok()?);
    (app.clock.now() < made_at.plus(GOOD_FOR)).then(|| id.parse().ok())?
}
