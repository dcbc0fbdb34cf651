//! Passkeys on pages: the forms that a script completes, and one's own page to register and remove them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jeton_core::DisplayName;
use serde_json::{Value, json};

use super::format::{When, when};
use super::privilege::require_recent_for_page;
use super::second_factor::{PAGE, asked, crumbs, done};
use super::session::{OwnPrivilege, see};
use super::{Errors, Nav, Page, PageError, PageResult, SignedIn, html};
use crate::app::App;
use crate::service::oidc;
use crate::service::second_factor::passkeys::{
    self, ChallengeFor, NewPasskey, challenge, relying_party, user_handle,
};
use crate::webauthn::{ALGORITHMS, Unavailable};

const NEW: &str = "/dashboard/settings/second-factor/passkeys/new";

/// A form that asks for a passkey.
#[derive(Debug)]
pub(super) struct PasskeyForm {
    /// What the browser is asked, as JSON.
    pub(super) options: String,
    /// The challenge, sealed.
    pub(super) challenge: String,
}

impl PasskeyForm {
    /// For signing in by whichever passkey there is; nothing where there are none for this server.
    pub(super) fn to_sign_in(app: &App, held: &str) -> Result<Option<Self>, PageError> {
        Self::to_get(app, ChallengeFor::SignIn(held), &[])
    }

    /// For confirming a change by one of these.
    fn to_get(app: &App, of: ChallengeFor<'_>, ids: &[String]) -> Result<Option<Self>, PageError> {
        let Ok(party) = relying_party(app) else {
            return Ok(None);
        };
        let challenge = challenge(app, of)?;
        let options = json!({
            "challenge": challenge.text,
            "rpId": party.id,
            "allowCredentials": ids,
            "userVerification": "required",
        });
        Ok(Some(Self {
            options: options.to_string(),
            challenge: challenge.sealed,
        }))
    }

    /// For confirming a change, where the admin has a passkey.
    pub(super) async fn to_confirm(
        app: &App,
        signed_in: &SignedIn,
    ) -> Result<Option<Self>, PageError> {
        let passkeys = app.store.passkeys_of(signed_in.admin.id).await?;
        let ids: Vec<_> = passkeys.into_iter().map(|passkey| passkey.id).collect();
        if ids.is_empty() || !oidc::has_passwords(app) {
            return Ok(None);
        }
        Self::to_get(app, ChallengeFor::Confirm(&signed_in.token), &ids)
    }

    async fn to_register(app: &App, signed_in: &SignedIn) -> Result<Option<Self>, PageError> {
        let Ok(party) = relying_party(app) else {
            return Ok(None);
        };
        let admin = &signed_in.admin;
        let passkeys = app.store.passkeys_of(admin.id).await?;
        let known: Vec<_> = passkeys.into_iter().map(|passkey| passkey.id).collect();
        let challenge = challenge(app, ChallengeFor::Register(&signed_in.token))?;
        let algorithms: Vec<Value> = ALGORITHMS
            .iter()
            .map(|number| json!({ "type": "public-key", "alg": number }))
            .collect();
        let options = json!({
            "challenge": challenge.text,
            "rp": { "id": party.id, "name": format!("Jeton {}", party.id) },
            "user": {
                "id": URL_SAFE_NO_PAD.encode(user_handle(admin.id)),
                "name": admin.email.as_str(),
                "displayName": admin.name.as_str(),
            },
            "pubKeyCredParams": algorithms,
            "excludeCredentials": known,
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        });
        Ok(Some(Self {
            options: options.to_string(),
            challenge: challenge.sealed,
        }))
    }
}

/// Why there are no passkeys for this server, and what to do.
pub(super) fn unavailable(app: &App) -> Option<String> {
    let issuer = app.issuer.as_str();
    let port = app
        .issuer
        .origin()
        .rsplit_once(':')
        .map(|(_, port)| port)
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or_else(String::new, |port| format!(":{port}"));
    Some(match relying_party(app).err()? {
        Unavailable::Address => format!(
            "Browsers have passkeys for host names only, and this server's issuer is an address, {issuer}. \
             Start Jeton with --issuer and an https name, or on your own machine with \
             --issuer http://localhost{port}, and open the dashboard there."
        ),
        Unavailable::Insecure => format!(
            "Browsers have passkeys over https only, and this server's issuer is {issuer}. Start Jeton with an \
             https issuer, behind a TLS proxy or with --tls-cert and --tls-key."
        ),
    })
}

/// A passkey in a list.
pub(super) struct PasskeyRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: When,
    pub(super) last_used: Option<When>,
}

/// An admin's own.
pub(super) async fn rows(app: &App, signed_in: &SignedIn) -> Result<Vec<PasskeyRow>, PageError> {
    let now = app.clock.now();
    let passkeys = app.store.passkeys_of(signed_in.admin.id).await?;
    Ok(passkeys
        .into_iter()
        .map(|passkey| PasskeyRow {
            id: passkey.id,
            name: passkey.name.to_string(),
            created: when(passkey.created_at, now),
            last_used: passkey.last_used_at.map(|at| when(at, now)),
        })
        .collect())
}

#[derive(Template)]
#[template(path = "new_passkey.html")]
struct NewPasskeyPage {
    page: Page,
    errors: Errors,
    name: String,
    passkey: PasskeyForm,
}

/// The form of a new passkey.
pub(crate) async fn new(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    require_recent_for_page(&app, &signed_in, NEW).await?;
    form(
        &app,
        &signed_in,
        (StatusCode::OK, String::new()),
        Errors::default(),
    )
    .await
}

async fn form(
    app: &App,
    signed_in: &SignedIn,
    (status, name): (StatusCode, String),
    errors: Errors,
) -> PageResult {
    let Some(passkey) = PasskeyForm::to_register(app, signed_in).await? else {
        return Ok(see(PAGE));
    };
    let page = NewPasskeyPage {
        page: Page::new(signed_in, Nav::Settings, "Add a passkey").under(crumbs()),
        errors,
        name,
        passkey,
    };
    html(status, &page)
}

/// Registers a passkey.
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    OwnPrivilege(change): OwnPrivilege,
) -> PageResult {
    let mut errors = Errors::default();
    let name = change.form.parse::<DisplayName>("name", &mut errors);
    if let Some(name) = name {
        let words = format!("The passkey {name} was added.");
        let new = NewPasskey {
            name,
            challenge: change.form.text("challenge"),
            credential: change.form.text("credential"),
        };
        let registered = passkeys::register(&app, &asked(&change), new).await;
        if let Some(codes) = errors.accept(registered)? {
            return done(&app, &change.signed_in, &words, codes);
        }
    }
    let again = (
        StatusCode::UNPROCESSABLE_ENTITY,
        change.form.text("name").to_owned(),
    );
    form(&app, &change.signed_in, again, errors).await
}

/// Removes one.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(passkey): Path<String>,
    OwnPrivilege(change): OwnPrivilege,
) -> PageResult {
    passkeys::remove_own(&app, &asked(&change), &passkey).await?;
    done(&app, &change.signed_in, "The passkey was removed.", None)
}
