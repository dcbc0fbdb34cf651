//! A session belongs to the client that made it, as MCP's *Security Best Practices* ask: its ID proves nothing. Who
//! presents it with the token of another client is answered as if there were no such session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jeton_guard::VerifiedToken;
use rmcp::transport::streamable_http_server::session::SessionId;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// How many owners of sessions that have ended may be remembered.
const MOST_ENDED: usize = 1_000;

/// Who made which session.
#[derive(Debug, Clone)]
pub(crate) struct Owners {
    sessions: Arc<LocalSessionManager>,
    clients: Arc<Mutex<HashMap<SessionId, String>>>,
}

impl Owners {
    pub(crate) fn of(sessions: Arc<LocalSessionManager>) -> Self {
        Self {
            sessions,
            clients: Arc::default(),
        }
    }

    fn owns(&self, client: &str, session: &SessionId) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(session).is_some_and(|owner| owner == client)
    }

    async fn note(&self, client: String, session: SessionId) {
        let open = self.sessions.sessions.read().await;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(session, client);
        if clients.len() > open.len() + MOST_ENDED {
            clients.retain(|session, _| open.contains_key(session));
        }
    }
}

/// Binds sessions to clients. It stands behind the guard, which says whose token it is.
pub(crate) async fn bind(State(owners): State<Owners>, request: Request, next: Next) -> Response {
    let Some(token) = request.extensions().get::<VerifiedToken>() else {
        // Nobody comes here without a token.
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let client = token.sub.clone();
    let named = request.headers().contains_key(SESSION);
    if named && !session_in(request.headers()).is_some_and(|session| owners.owns(&client, &session))
    {
        return (StatusCode::NOT_FOUND, "Not Found: Session not found").into_response();
    }
    let response = next.run(request).await;
    if !named && let Some(session) = session_in(response.headers()) {
        owners.note(client, session).await;
    }
    response
}

fn session_in(headers: &HeaderMap) -> Option<SessionId> {
    headers.get(SESSION)?.to_str().ok().map(Into::into)
}
