//! Before privileges change, whoever changes them proves again who they are, if that was not a moment ago:
//! a session that is left open or stolen makes nobody an admin.

use askama::Template;

use super::assets::VERSION;
use super::session::Change;
use super::{Errors, PageError};
use crate::app::App;
use crate::service::confirmation::{self, Asked};

/// Fields of the form that are not sent along.
const OWN_FIELDS: &[&str] = &["csrf", "current_password"];

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
    if admin.has_password && !change.form.text("current_password").is_empty() {
        let asked = Asked {
            admin,
            operator: &change.signed_in.operator,
            session,
        };
        let presented = change.form.secret("current_password");
        let confirmed = confirmation::confirm(app, &asked, presented).await;
        if errors.accept(confirmed)?.is_some() {
            return Ok(());
        }
    }
    let fields = change.form.without(OWN_FIELDS);
    Err(PageError::Unconfirmed(Box::new(ConfirmPage {
        version: VERSION.as_str(),
        csrf: change.signed_in.csrf.clone(),
        action: path.to_owned(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        email: admin.email.to_string(),
        has_password: admin.has_password,
        provider: app.oidc.as_ref().map(|oidc| oidc.config.name.clone()),
        errors,
    })))
}

/// Whether a change gives or takes what admins, or clients of the admin API, may do.
async fn changes_privileges(app: &App, change: &Change, path: &str) -> Result<bool, PageError> {
    let path = path.split("/dashboard/").nth(1).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let api = app.admin_api.id.to_string();
    Ok(match parts.as_slice() {
        ["settings", "invitations"] | ["settings", "admins", ..] => true,
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
