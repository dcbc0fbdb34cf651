//! The dashboard: pages for operators, rendered here, working without JavaScript.
//!
//! A page asks the same services as the admin API and adds no rule of its own. Reading needs a
//! [`SignedIn`] admin; changing needs a [`Change`], which also checks the role and the form's CSRF
//! token. A change answers with a redirect to a page that shows its result, so that reloading
//! repeats nothing. `templates/` has the HTML, `assets/` the stylesheet and the script; all of it
//! is part of the binary.

pub(crate) mod account;
pub(crate) mod assets;
mod attention;
pub(crate) mod audit_log;
mod chart;
pub(crate) mod clients;
mod confirm;
mod credentials;
pub(crate) mod demote_admin;
pub(crate) mod error;
mod events;
pub(crate) mod factor_questions;
pub(crate) mod find;
mod form;
mod form_key;
mod format;
mod host_snippets;
mod kept_form;
mod last_change;
pub(crate) mod links;
pub(crate) mod mcp_servers;
mod new_secret;
pub(crate) mod oidc;
pub(crate) mod overview;
mod page;
pub(crate) mod passkeys;
mod privilege;
mod problem;
mod qr_code;
mod query;
pub(crate) mod remember;
pub(crate) mod remove_admin;
mod reveal;
pub(crate) mod second_factor;
mod session;
pub(crate) mod settings;
pub(crate) mod signing_keys;
mod snippet;
mod snippets;
mod still_works;
pub(crate) mod toast;
pub(crate) mod try_it;
mod user_agent;
mod verifiers;
mod view;
mod words;
mod zone;

use std::sync::Arc;

use axum::extract::State;

use crate::app::App;

pub(crate) use confirm::{Choice, Confirm, NotStopped};
pub(crate) use error::PageError;
pub(crate) use form::{Errors, PostedForm};
pub(crate) use page::{Crumb, Nav, Page, html};
pub(crate) use query::PageQuery;
pub(crate) use session::{Change, SignedIn};
pub(crate) use toast::Toast;
pub(crate) use try_it::TokenRules;

/// What a page handler gives.
pub(crate) type PageResult = Result<axum::response::Response, PageError>;

/// `/`: people go to the dashboard; programs read what there is.
pub(crate) async fn home(
    State(app): State<Arc<App>>,
    headers: http::HeaderMap,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let wants_html = headers
        .get(http::header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_html {
        return session::see("/dashboard");
    }
    let path = app.issuer.path();
    format!(
        "This is Jeton, an OAuth 2.1 authorization server for agents that call MCP servers.\n\n\
         Dashboard  {path}/dashboard\n\
         Metadata   {path}/.well-known/oauth-authorization-server\n\
         Keys       {path}/keys\n\
         Tokens     POST {path}/oauth/token\n\
         Admin API  {path}/api/openapi.json\n\
         Health     /healthz, /readyz\n"
    )
    .into_response()
}
