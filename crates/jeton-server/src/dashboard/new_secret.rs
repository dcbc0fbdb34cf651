//! The sheet that shows what is shown only once: a new secret, an invitation's link.
//!
//! It covers the page until somebody leaves it, and whoever did not copy asks for nothing else by accident: leaving
//! asks first. Both work without the script, which only notes what was copied.

use serde::Deserialize;

use jeton_core::PlainSecret;

use super::session::see;
use super::view::address;
use super::{Change, PageError, PageResult, SignedIn, reveal};
use crate::app::App;

/// What the sheet is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    title: &'static str,
    label: &'static str,
    /// The element that holds it.
    element: &'static str,
    /// What to do with it, or if it is lost.
    words: &'static str,
}

pub(super) const CLIENT_SECRET: Kind = Kind {
    title: "The new secret",
    label: "Client secret",
    element: "client-secret",
    words: "Jeton stores only a hash. If you lose it, rotate it again.",
};

pub(super) const SERVER_SECRET: Kind = Kind {
    title: "New credentials of this server",
    words: "Jeton stores only a hash. If you lose it, revoke it and create another one.",
    ..CLIENT_SECRET
};

pub(super) const INVITATION: Kind = Kind {
    title: "Invitation link",
    label: "Link",
    element: "invitation-link",
    words: "Send it to whom it is for. It works once. An invitation expires in three days, a link for a new password \
            in one.",
};

/// The open sheet. Not in `Debug`, for it has the secret.
#[derive(Clone)]
pub(crate) struct NewSecret {
    pub(crate) kind: Kind,
    /// Whose secret it is, where that is sent with it.
    pub(crate) client_id: Option<String>,
    pub(crate) secret: String,
    /// The same, sealed, for the sheet's own buttons.
    pub(crate) kept: String,
    pub(crate) action: String,
    /// Whether somebody wants to leave without having copied it.
    pub(crate) is_leaving: bool,
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSecret")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Kind {
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn label(&self) -> &'static str {
        self.label
    }

    pub(crate) fn element(&self) -> &'static str {
        self.element
    }

    pub(crate) fn words(&self) -> &'static str {
        self.words
    }
}

/// How the sheet came to be shown. Every answer to its buttons is a redirect, so that no form that a browser
/// remembers and sends again shows the secret again.
#[derive(Debug, Deserialize, Default)]
pub(crate) struct ShownQuery {
    #[serde(default)]
    leaving: String,
}

impl NewSecret {
    /// The sheet for a secret that belongs to `place`, whose buttons send to `action`.
    pub(super) fn new(
        app: &App,
        signed_in: &SignedIn,
        (kind, place, action): (Kind, &str, String),
        (secret, query): (&PlainSecret, &ShownQuery),
    ) -> Result<Self, PageError> {
        Ok(Self {
            kind,
            client_id: (kind.element == CLIENT_SECRET.element).then(|| place.to_owned()),
            secret: secret.expose().to_owned(),
            kept: reveal::keep(app, signed_in, place, secret)?,
            action,
            is_leaving: query.leaving == "yes",
        })
    }
}

/// Close and Done, to the page `path` that the sheet lies over: asks first where the secret was not copied.
pub(super) fn leave(app: &App, change: &Change, place: &str, path: &str) -> PageResult {
    let form = &change.form;
    let secret = reveal::kept(app, &change.signed_in, place, form.text("kept"));
    match secret {
        Some(secret) if form.text("copied") != "yes" && !form.is_ticked("anyway") => {
            let again = address(path, &[("leaving", "yes")]);
            reveal::redirect(app, &change.signed_in, place, &again, &secret)
        }
        _ => Ok(see(path)),
    }
}
