//! An authorization server in any mood.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use serde_json::json;

use super::site::{Asked, Site, json as document, status};

/// How the token endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// As it should.
    Issue,
    /// As it should, without `scope`.
    IssueWithoutScope,
    /// As it should, after this time.
    IssueAfter(Duration),
    /// With a token of a minute, whatever is asked.
    Refuse(&'static str),
    /// As it should, without these scopes.
    LeaveOut(&'static str),
    /// Refuses requests for this scope.
    RefuseScope(&'static str),
    /// With this status.
    Fail(u16),
    /// With 503 and this `Retry-After`.
    Busy(&'static str),
    /// Never.
    Hang,
    /// With a body that does not end.
    Endless,
}

#[derive(Clone)]
pub(crate) struct AuthorizationServer {
    site: Site,
    mode: Arc<Mutex<Mode>>,
    /// What the metadata says that the issuer is, if not what was asked for.
    named: Arc<Mutex<Option<String>>>,
}

impl AuthorizationServer {
    pub(crate) async fn start() -> Self {
        let mode = Arc::new(Mutex::new(Mode::Issue));
        let named = Arc::new(Mutex::new(None::<String>));
        let (state, name) = (Arc::clone(&mode), Arc::clone(&named));
        let site = Site::start(move |asked: Asked| {
            let mode = *state.lock().unwrap();
            let name = name.lock().unwrap().clone();
            async move {
                let origin = format!("http://{}", asked.header("host").unwrap());
                match asked
                    .path
                    .strip_prefix("/.well-known/oauth-authorization-server")
                {
                    Some(path) => document(&json!({
                        "issuer": name.unwrap_or_else(|| format!("{origin}{path}")),
                        "token_endpoint": format!("{origin}{path}/oauth/token"),
                    })),
                    None if asked.path.ends_with("/oauth/token") => answer(&asked, mode).await,
                    None => status(404),
                }
            }
        })
        .await;
        Self { site, mode, named }
    }

    pub(crate) fn issuer(&self) -> String {
        self.site.url.clone()
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// The issuer that its metadata names from now on.
    pub(crate) fn call_itself(&self, issuer: &str) {
        *self.named.lock().unwrap() = Some(issuer.to_owned());
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.site.asked()
    }

    /// The token requests so far.
    pub(crate) fn token_requests(&self) -> Vec<Asked> {
        let mut asked = self.site.asked();
        asked.retain(|asked| asked.path.ends_with("/oauth/token"));
        asked
    }
}

async fn answer(asked: &Asked, mode: Mode) -> Response {
    let scope = asked.parameter("scope").unwrap_or_else(|| "all".into());
    match mode {
        Mode::Hang => std::future::pending().await,
        Mode::Fail(code) => status(code),
        Mode::Busy(until) => {
            let mut busy = status(503);
            busy.headers_mut()
                .insert("retry-after", until.parse().unwrap());
            busy
        }
        Mode::Refuse(code) => refuse(code),
        Mode::RefuseScope(refused) if scope.split(' ').any(|scope| scope == refused) => {
            refuse("invalid_scope")
        }
        Mode::Endless => {
            let chunk = Bytes::from(vec![b' '; 16 * 1024]);
            let body = stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Response::new(Body::from_stream(body))
        }
        Mode::IssueAfter(pause) => {
            tokio::time::sleep(pause).await;
            issue(Some(&scope))
        }
        Mode::IssueWithoutScope => issue(None),
        Mode::LeaveOut(left_out) => {
            let kept: Vec<&str> = scope
                .split(' ')
                .filter(|scope| left_out.split(' ').all(|left_out| left_out != *scope))
                .collect();
            issue(Some(&kept.join(" ")))
        }
        Mode::Issue | Mode::RefuseScope(_) => issue(Some(&scope)),
    }
}

/// A token that no other is like, for an hour.
fn issue(scope: Option<&str>) -> Response {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let mut token = json!({
        "access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 3600,
    });
    if let Some(scope) = scope {
        token["scope"] = scope.into();
    }
    document(&token)
}

fn refuse(code: &str) -> Response {
    let mut response = document(&json!({ "error": code }));
    *response.status_mut() = axum::http::StatusCode::BAD_REQUEST;
    response
}
