//! Before privileges change, whoever changes them proves again who they are, if that was not a moment ago:
//! a session that is left open or stolen makes nobody an admin.

use askama::Template;

use super::assets::VERSION;
use super::passkeys::PasskeyForm;
use super::session::{Change, SignedIn};
use super::{Errors, PageError, second_factor};
use crate::app::App;
use crate::service::confirmation::{self, Asked};
use crate::service::second_factor as factors;

/// Fields of the form that are not sent along.
const OWN_FIELDS: &[&str] = &[
    "csrf",
    "current_password",
    "current_code",
    "passkey",
    "passkey_challenge",
];

/// The page that asks, with the form that was sent.
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub(crate) struct ConfirmPage {
    version: &'static str,
    csrf: String,
    action: String,
    fields: Vec<(String, String)>,
    email: String,
    has_password: bool,
    /// Whether a code goes with the password.
    has_code: bool,
    /// Whether it is about how they sign in themselves.
    is_own: bool,
    /// For confirming by a passkey.
    passkey: Option<PasskeyForm>,
    /// The name of the provider that can ask instead.
    provider: Option<String>,
    errors: Errors,
}

/// Lets a change pass that touches no privileges, or whose admin proved who they are.
pub(super) async fn require_recent(
    app: &App,
    change: &Change,
    path: &str,
) -> Result<(), PageError> {
    let session = &change.signed_in.token;
    if !changes_privileges(app, change, path).await?
        || confirmation::is_recent(app, session).await?
    {
        return Ok(());
    }
    let mut errors = Errors::default();
    let admin = &change.signed_in.admin;
    let is_passkey = !change.form.text("passkey").is_empty();
    let asked = Asked {
        admin,
        operator: &change.signed_in.operator,
        session,
    };
    if is_passkey {
        let presented = (
            change.form.text("passkey_challenge"),
            change.form.text("passkey"),
        );
        let confirmed = confirmation::confirm_by_passkey(app, &asked, presented).await;
        if errors.accept(confirmed)?.is_some() {
            return Ok(());
        }
    } else if admin.has_password && !change.form.text("current_password").is_empty() {
        let presented = (
            change.form.secret("current_password"),
            change.form.text("current_code"),
        );
        let confirmed = confirmation::confirm(app, &asked, presented).await;
        if errors.accept(confirmed)?.is_some() {
            return Ok(());
        }
    }
    let fields = change.form.without(OWN_FIELDS);
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let form = (path.to_owned(), fields.collect());
    let page = page(app, &change.signed_in, form, errors).await?;
    Err(PageError::Unconfirmed(Box::new(page)))
}

/// Lets a page pass whose admin proved who they are, and asks them before it is shown.
pub(super) async fn require_recent_for_page(
    app: &App,
    signed_in: &SignedIn,
    path: &str,
) -> Result<(), PageError> {
    if confirmation::is_recent(app, &signed_in.token).await? {
        return Ok(());
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", path);
    let ask = format!("{}?{}", second_factor::CONFIRM, query.finish());
    Err(PageError::ComesFirst(ask))
}

/// The page that asks; what is confirmed is sent to `action` with the fields.
pub(super) async fn page(
    app: &App,
    signed_in: &SignedIn,
    (action, fields): (String, Vec<(String, String)>),
    errors: Errors,
) -> Result<ConfirmPage, PageError> {
    let admin = &signed_in.admin;
    Ok(ConfirmPage {
        version: VERSION.as_str(),
        csrf: signed_in.csrf.clone(),
        is_own: action.starts_with(second_factor::PAGE),
        action,
        fields,
        email: admin.email.to_string(),
        has_password: admin.has_password,
        passkey: PasskeyForm::to_confirm(app, signed_in).await?,
        has_code: factors::is_set_up(app, admin.id).await?,
        provider: app.oidc.as_ref().map(|oidc| oidc.config.name.clone()),
        errors,
    })
}

/// Whether a change gives or takes what admins, or clients of the admin API, may do.
async fn changes_privileges(app: &App, change: &Change, path: &str) -> Result<bool, PageError> {
    let path = path.split("/dashboard/").nth(1).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let api = app.admin_api.id.to_string();
    Ok(match parts.as_slice() {
        // Leaving the sheet with a new secret changes nothing.
        [.., "secrets", "shown"] => false,
        ["settings", "invitations"] | ["settings", "admins" | "second-factor", ..] => true,
        ["mcp-servers", id, ..] => *id == api,
        ["clients", _, "grants"] => change.form.text("mcp_server_id") == api,
        ["clients", id, "secrets", ..] | ["clients", id, "enable"] => {
            let Ok(id) = id.parse() else {
                return Ok(false);
            };
            let grants = app.store.grants_of_client(id).await?;
            grants
                .iter()
                .any(|grant| grant.mcp_server_id == app.admin_api.id)
        }
        _ => false,
    })
}
