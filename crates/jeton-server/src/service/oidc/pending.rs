//! A sign-in that is under way at the provider. The browser holds a number, in a cookie; what the
//! provider is sent follows from it by a key that only Jeton has. So a hit on the page that begins a
//! sign-in keeps nothing and encrypts nothing, whoever makes it.

use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::{Timestamp, hex};

use crate::app::App;
use crate::keys::{KeyRingError, Purpose};
use crate::service::ServiceError;

/// How long somebody may take at the provider.
pub(crate) const PENDING_FOR: Duration = Duration::from_secs(600);
/// The longest page to go to afterwards, in bytes: it is part of the cookie.
const MAX_NEXT: usize = 1_024;

/// Why somebody goes to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInPurpose {
    /// To sign in.
    SignIn,
    /// To prove again who they are, before privileges change.
    Confirm,
}

impl SignInPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Confirm => "confirm",
        }
    }
}

/// A sign-in that is under way.
#[derive(Debug)]
pub(crate) struct Pending {
    /// What the browser holds.
    pub(crate) cookie: String,
    /// Where to go afterwards.
    pub(crate) next: String,
    pub(crate) purpose: SignInPurpose,
    key: hmac::Key,
}

impl Pending {
    /// Begins one.
    pub(super) fn begin(
        app: &App,
        next: &str,
        purpose: SignInPurpose,
    ) -> Result<Self, ServiceError> {
        let mut number = [0_u8; 32];
        app.entropy.fill(&mut number)?;
        let next = if next.len() <= MAX_NEXT { next } else { "" };
        let until = app.clock.now().plus(PENDING_FOR).as_millis();
        Ok(Self {
            cookie: format!(
                "{until}.{}.{}.{}",
                hex::encode(&number),
                purpose.as_str(),
                URL_SAFE_NO_PAD.encode(next)
            ),
            next: next.to_owned(),
            purpose,
            key: key(app)?,
        })
    }

    /// The one that the browser holds and that an answer with this `state` belongs to, if it is not
    /// too old.
    pub(super) fn find(app: &App, cookie: &str, state: &str) -> Result<Option<Self>, ServiceError> {
        let pending = Self {
            cookie: cookie.to_owned(),
            next: next_of(cookie).unwrap_or_default(),
            purpose: match cookie.split('.').nth(2) {
                Some("confirm") => SignInPurpose::Confirm,
                _ => SignInPurpose::SignIn,
            },
            key: key(app)?,
        };
        let is_ours =
            constant_time::verify_slices_are_equal(state.as_bytes(), pending.state().as_bytes())
                .is_ok();
        let until = cookie.split('.').next().and_then(|text| text.parse().ok());
        let is_new = until.is_some_and(|until| app.clock.now() < Timestamp::from_millis(until));
        Ok((is_ours && is_new).then_some(pending))
    }

    /// `state` (RFC 6749 §10.12).
    pub(super) fn state(&self) -> String {
        self.derive("state")
    }

    /// `nonce` (`OpenID` Connect Core §3.1.2.1).
    pub(super) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// `code_verifier` (RFC 7636 §4.1).
    pub(super) fn verifier(&self) -> String {
        self.derive("verifier")
    }

    fn derive(&self, what: &str) -> String {
        let tag = hmac::sign(&self.key, format!("{what} {}", self.cookie).as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref())
    }
}

fn next_of(cookie: &str) -> Option<String> {
    let encoded = cookie.rsplit('.').next()?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

fn key(app: &App) -> Result<hmac::Key, ServiceError> {
    Purpose::OidcSignIn
        .mac_key(&app.master_keys.current)
        .map_err(|error| KeyRingError::from(error).into())
}
