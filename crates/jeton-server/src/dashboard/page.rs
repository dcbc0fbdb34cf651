//! What every page has: the frame around it, and the headers of its answer.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use super::assets::VERSION;
use super::confirm::Confirm;
use super::error::PageError;
use super::form::Errors;
use super::new_secret::NewSecret;
use super::session::SignedIn;
use super::still_works::StillWorks;
use super::toast::Toast;

/// The places in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nav {
    Overview,
    McpServers,
    Clients,
    AuditLog,
    SigningKeys,
    Settings,
}

impl Nav {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Overview, "/dashboard", "Overview"),
        (Self::McpServers, "/dashboard/mcp-servers", "MCP Servers"),
        (Self::Clients, "/dashboard/clients", "Clients"),
        (Self::AuditLog, "/dashboard/audit", "Audit log"),
        (Self::SigningKeys, "/dashboard/signing-keys", "Signing keys"),
        (Self::Settings, "/dashboard/settings", "Settings"),
    ];
}

/// A step of the way to a page.
#[derive(Debug, Clone)]
pub(crate) struct Crumb {
    pub(crate) name: String,
    pub(crate) href: String,
}

impl Crumb {
    pub(crate) fn new(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            href: href.into(),
        }
    }
}

/// The frame of a page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) crumbs: Vec<Crumb>,
    pub(crate) nav: Nav,
    pub(crate) admin_name: String,
    pub(crate) may_change: bool,
    pub(crate) csrf: String,
    /// Something that was just done, from the address.
    pub(crate) notice: Option<&'static str>,
    /// The same, in words of its own.
    pub(crate) toast: Option<Toast>,
    /// What is asked before it is done.
    pub(crate) confirm: Option<Confirm>,
    /// What is shown this once.
    pub(crate) new_secret: Option<NewSecret>,
    /// Whether a sheet is open: the rest of the page is inert then.
    pub(crate) has_sheet: bool,
    /// Of the assets.
    pub(crate) version: &'static str,
    /// The zone of its times.
    pub(crate) zone: String,
    /// What the change that was just made did not stop.
    pub(crate) still_works: Option<StillWorks>,
}

impl Page {
    pub(crate) fn new(signed_in: &SignedIn, nav: Nav, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            crumbs: Vec::new(),
            nav,
            admin_name: signed_in.admin.name.to_string(),
            may_change: signed_in.may_change(),
            csrf: signed_in.csrf.clone(),
            notice: signed_in.done.as_deref().and_then(notice),
            toast: signed_in.toast.clone(),
            confirm: None,
            new_secret: None,
            has_sheet: false,
            version: VERSION.as_str(),
            zone: signed_in.zone.name().to_owned(),
            still_works: signed_in.still_works.clone(),
        }
    }

    #[must_use]
    pub(crate) fn under(mut self, crumbs: impl IntoIterator<Item = Crumb>) -> Self {
        self.crumbs.extend(crumbs);
        self
    }

    #[must_use]
    pub(crate) fn with_sheet(mut self, has_sheet: bool) -> Self {
        self.has_sheet = has_sheet;
        self
    }

    /// Opens a sheet that asks.
    pub(crate) fn ask(&mut self, confirm: Confirm) {
        self.has_sheet = true;
        self.confirm = Some(confirm);
    }

    /// Opens the sheet of what is shown this once.
    pub(crate) fn reveal(&mut self, new_secret: NewSecret) {
        self.has_sheet = true;
        self.new_secret = Some(new_secret);
    }

    /// The navigation: address, name, whether it is here.
    pub(crate) fn navigation(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let here = self.nav;
        Nav::ALL
            .into_iter()
            .map(move |(nav, href, name)| (href, name, nav == here))
    }

    /// Of the field for a name: where the form is all there is to do, one begins there, unless another field is
    /// wrong.
    pub(crate) fn name_attributes(&self, errors: &Errors) -> &'static str {
        if self.has_sheet
            && self.confirm.is_none()
            && self.new_secret.is_none()
            && errors.is_empty()
        {
            " required maxlength=\"100\" autofocus"
        } else {
            " required maxlength=\"100\""
        }
    }
}

/// What was just done, by the word in the address: only these sentences can be shown.
fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "saved" => "Saved.",
        "created" => "Created.",
        "server-deleted" => "The MCP server and its grants were deleted.",
        "client-deleted" => "The client, its secrets and its grants were deleted.",
        "disabled" => "The client is disabled: it gets no more tokens.",
        "enabled" => "The client is enabled and gets tokens again.",
        "grant-deleted" => "Access was removed.",
        "tokens-revoked" => "The tokens are revoked: they are inactive at introspection.",
        "scope-renamed" => "The scope was renamed, also in the grants.",
        "url-released" => "The URL was released.",
        "revoked" => "The secret was revoked. It no longer works.",
        "rotating" => "The next key is published. It starts signing in 24 hours.",
        "invitation-revoked" => "The invitation was cancelled.",
        "admin-removed" => {
            "The admin was removed and signed out everywhere. Their open invitations were cancelled."
        }
        "demoted" => "The role was changed. Open invitations they had made were cancelled.",
        "session-ended" => "The session was ended.",
        "others-ended" => "All your other sessions were ended.",
        "handed-over" => {
            "You now sign in through the provider. The account's password was removed, and all other sessions were ended."
        }
        "password" => "Your password was changed. Sign in again with the new one.",
        "signed-out" => "You are signed out.",
        "signed-out-everywhere" => "You are signed out on all devices.",
        _ => return None,
    })
}

pub(super) fn notice_for(done: Option<&str>) -> Option<&'static str> {
    done.and_then(notice)
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// A page as an answer.
pub(crate) fn html(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    let body = template
        .render()
        .map_err(|error| PageError::Render(error.to_string()))?;
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    protect(headers);
    Ok(response)
}

/// The headers of everything that the dashboard answers.
pub(super) fn protect(headers: &mut http::HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
