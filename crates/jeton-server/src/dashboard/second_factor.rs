//! Two-step sign-in: one's own one-time codes, passkeys and recovery codes.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use http::{HeaderMap, StatusCode};
use jeton_core::{OneTimeSecret, PlainSecret, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::account::local_path;
use super::format::{When, when};
use super::passkeys::{self, PasskeyRow};
use super::privilege::{self, require_recent_for_page};
use super::qr_code::QrCode;
use super::session::{OwnPrivilege, see};
use super::toast::Toast;
use super::{
    Change, Confirm, Crumb, Errors, Nav, Page, PageError, PageResult, SignedIn, html, reveal, toast,
};
use crate::app::App;
use crate::keys::Purpose;
use crate::service::confirmation::{self, Asked};
use crate::service::oidc;
use crate::service::second_factor::{self, one_time_codes, recovery_codes};

/// The page, and what its forms' addresses begin with.
pub(crate) const PAGE: &str = "/dashboard/settings/second-factor";
/// Where the password that a page asks for is sent.
pub(crate) const CONFIRM: &str = "/dashboard/settings/second-factor/confirm";

const ONE_TIME_CODES: &str = "/dashboard/settings/second-factor/one-time-codes";
/// What recovery codes belong to, for showing them once.
const RECOVERY_CODES: &str = "recovery codes";

/// Whether a page is there for somebody who has to set up a second factor first: those on which they do it, and
/// signing out.
pub(super) fn may_be_missing(path: &str) -> bool {
    let rest = path.strip_prefix(PAGE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || ["/dashboard/sign-out", "/dashboard/sign-out-everywhere"].contains(&path)
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage {
    page: Page,
    /// Whether they sign in by password.
    is_possible: bool,
    is_required: bool,
    /// Whether nothing else can be done before one is set up.
    is_missing: bool,
    one_time_codes: Option<OneTimeCodes>,
    passkeys: Vec<PasskeyRow>,
    /// Why there are none for this server, and what to do.
    no_passkeys: Option<String>,
    recovery_codes_left: i64,
    /// New recovery codes, to be shown this once.
    recovery_codes: Vec<String>,
}

struct OneTimeCodes {
    created: When,
    last_used: Option<When>,
}

/// `/dashboard/settings/second-factor`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let codes = reveal::take_own(&app, &signed_in, &headers, RECOVERY_CODES);
    let mut page = assemble(&app, &signed_in).await?;
    if let Some(codes) = &codes {
        page.recovery_codes = codes.expose().split(' ').map(str::to_owned).collect();
    }
    reveal::html(&app, codes.as_ref(), &page)
}

/// The page with a question.
pub(super) async fn ask(app: &App, signed_in: &SignedIn, confirm: Confirm) -> PageResult {
    let mut page = assemble(app, signed_in).await?;
    page.page.ask(confirm);
    html(StatusCode::OK, &page)
}

async fn assemble(app: &App, signed_in: &SignedIn) -> Result<SecondFactorPage, PageError> {
    let id = signed_in.admin.id;
    let now = app.clock.now();
    let stored = app.store.find_one_time_code(id).await?;
    Ok(SecondFactorPage {
        page: page(signed_in, "Two-step sign-in").under([settings()]),
        is_possible: signed_in.admin.has_password && oidc::has_passwords(app),
        is_required: second_factor::is_required(app),
        is_missing: second_factor::is_missing(app, &signed_in.admin).await?,
        one_time_codes: stored.map(|stored| OneTimeCodes {
            created: when(stored.created_at, now),
            last_used: stored.last_used_at.map(|at| when(at, now)),
        }),
        passkeys: passkeys::rows(app, signed_in).await?,
        no_passkeys: passkeys::unavailable(app),
        recovery_codes_left: app.store.count_recovery_codes(id).await?,
        recovery_codes: Vec::new(),
    })
}

fn page(signed_in: &SignedIn, title: &str) -> Page {
    Page::new(signed_in, Nav::Settings, title)
}

fn settings() -> Crumb {
    Crumb::new("Settings", "/dashboard/settings")
}

/// Where to go after the password.
#[derive(Deserialize)]
pub(crate) struct ConfirmQuery {
    #[serde(default)]
    next: String,
}

/// Asks for the password before a page is shown.
pub(crate) async fn confirm_page(
    State(app): State<Arc<App>>,
    Query(query): Query<ConfirmQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let next = local_path(&query.next);
    if confirmation::is_recent(&app, &signed_in.token).await? {
        return Ok(see(&next));
    }
    let form = (CONFIRM.to_owned(), vec![("next".to_owned(), next)]);
    let page = privilege::page(&app, &signed_in, form, Errors::default()).await?;
    html(StatusCode::OK, &page)
}

/// The way to the pages below.
pub(super) fn crumbs() -> [Crumb; 2] {
    [settings(), Crumb::new("Two-step sign-in", PAGE)]
}

/// The password that a page asked for was right: on to the page.
pub(crate) async fn confirm(OwnPrivilege(change): OwnPrivilege) -> PageResult {
    Ok(see(&local_path(change.form.text("next"))))
}

#[derive(Template)]
#[template(path = "one_time_codes.html")]
struct SetUpPage {
    page: Page,
    errors: Errors,
    secret: Zeroizing<String>,
    uri: Zeroizing<String>,
    qr_code: QrCode,
    /// The secret, sealed: nothing is kept before a code proves that an app has it.
    sealed: String,
}

/// A new secret for an app.
pub(crate) async fn one_time_codes(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    require_recent_for_page(&app, &signed_in, ONE_TIME_CODES).await?;
    if app
        .store
        .find_one_time_code(signed_in.admin.id)
        .await?
        .is_some()
    {
        return Ok(see(PAGE));
    }
    let secret = OneTimeSecret::generate(app.entropy.as_ref())?;
    set_up_page(&app, &signed_in, &secret, Errors::default())
}

fn set_up_page(
    app: &App,
    signed_in: &SignedIn,
    secret: &OneTimeSecret,
    errors: Errors,
) -> PageResult {
    let host = app.issuer.host();
    let uri = secret.uri(&format!("Jeton {host}"), signed_in.admin.email.as_str());
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let page = SetUpPage {
        page: page(signed_in, "Set up one-time codes").under(crumbs()),
        errors,
        qr_code: QrCode::of(&uri)?,
        uri,
        secret: secret.to_base32(),
        sealed: seal(app, signed_in, secret)?,
    };
    html(status, &page)
}

fn context(signed_in: &SignedIn) -> String {
    let session = signed_in.token.digest().to_hex();
    format!("jeton new one-time codes {session}")
}

fn seal(app: &App, signed_in: &SignedIn, secret: &OneTimeSecret) -> Result<String, PageError> {
    let until = app
        .clock
        .now()
        .plus(std::time::Duration::from_secs(60 * 60))
        .as_millis();
    let mut text = Zeroizing::new(until.to_be_bytes().to_vec());
    text.extend_from_slice(secret.expose());
    Purpose::SecondFactor
        .sealing_key(&app.master_keys.current)
        .and_then(|key| key.seal(&text, &context(signed_in), app.entropy.as_ref()))
        .map_err(|error| PageError::Render(error.to_string()))
}

fn open(app: &App, signed_in: &SignedIn, sealed: &str) -> Option<OneTimeSecret> {
    let keys = &app.master_keys;
    let text = keys
        .open(Purpose::SecondFactor, sealed, &context(signed_in))
        .ok()?;
    let (until, secret) = text.split_first_chunk::<8>()?;
    let until = Timestamp::from_millis(i64::from_be_bytes(*until));
    let secret = Zeroizing::new(secret.to_vec());
    (app.clock.now() < until).then(|| OneTimeSecret::from_bytes(secret))
}

/// The first code of an app.
pub(crate) async fn set_up_one_time_codes(
    State(app): State<Arc<App>>,
    OwnPrivilege(change): OwnPrivilege,
) -> PageResult {
    let signed_in = &change.signed_in;
    let Some(secret) = open(&app, signed_in, change.form.text("secret")) else {
        return Ok(see(ONE_TIME_CODES));
    };
    let mut errors = Errors::default();
    let code = change.form.text("code");
    let set_up = one_time_codes::set_up(&app, &asked(&change), (&secret, code)).await;
    match errors.accept(set_up)? {
        Some(codes) => done(&app, signed_in, "One-time codes are set up.", codes),
        None => set_up_page(&app, signed_in, &secret, errors),
    }
}

/// Back to the page, with new recovery codes if there are some.
pub(super) fn done(
    app: &App,
    signed_in: &SignedIn,
    words: &str,
    codes: Option<PlainSecret>,
) -> PageResult {
    let mut response = toast::redirect(app, signed_in, PAGE, Toast::new(words))?;
    if let Some(codes) = codes {
        reveal::carry(app, signed_in, RECOVERY_CODES, &codes, &mut response)?;
    }
    Ok(response)
}

pub(super) fn asked(change: &Change) -> Asked<'_> {
    Asked {
        admin: &change.signed_in.admin,
        operator: &change.signed_in.operator,
        session: &change.signed_in.token,
    }
}

/// Removes one's one-time codes.
pub(crate) async fn remove_one_time_codes(
    State(app): State<Arc<App>>,
    OwnPrivilege(change): OwnPrivilege,
) -> PageResult {
    one_time_codes::remove_own(&app, &asked(&change)).await?;
    done(
        &app,
        &change.signed_in,
        "One-time codes were removed.",
        None,
    )
}

/// Makes new recovery codes.
pub(crate) async fn renew_recovery_codes(
    State(app): State<Arc<App>>,
    OwnPrivilege(change): OwnPrivilege,
) -> PageResult {
    let codes = recovery_codes::renew(&app, &asked(&change)).await?;
    let words = "New recovery codes were created. Earlier ones no longer work.";
    done(&app, &change.signed_in, words, Some(codes))
}
