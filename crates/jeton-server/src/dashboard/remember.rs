//! Browsers with a session that lack the device cookie of its admin get one: those that signed in before there
//! were any, or whose cookie was cleared.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::SET_COOKIE;
use jeton_core::{Admin, AdminId, PlainSecret};

use super::PageError;
use super::session::{DEVICES, cookies, device_cookie, set_cookie};
use crate::app::App;
use crate::service::device;

/// Whose session a request has, once that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<OnceLock<(Admin, PlainSecret)>>);

impl Seen {
    pub(super) fn note(&self, admin: &Admin, session: &PlainSecret) {
        let _ = self.0.set((
            admin.clone(),
            PlainSecret::presented(session.expose().to_owned()),
        ));
    }
}

/// Sets the cookie on whatever the request is answered with.
pub(crate) async fn remember(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, PageError> {
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let held = cookies(request.headers(), &device_cookie(&app), DEVICES);
    let mut response = next.run(request).await;
    if let Some((admin, session)) = seen.0.get()
        && device::find(&app, &held, admin).is_none()
    {
        let cookie = of_session(&app, admin.id, session)?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The cookie that remembers a session's browser.
pub(super) fn of_session(
    app: &App,
    admin: AdminId,
    session: &PlainSecret,
) -> Result<http::HeaderValue, PageError> {
    let value = device::remember(app, admin, session)?;
    let name = format!("{}_{admin}", device_cookie(app));
    set_cookie(app, &name, &value, device::REMEMBERED.as_secs())
}
