//! A protected MCP server, with its authorization server, that does as a test tells it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures_util::stream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::host::Host;

/// What came to the MCP endpoint with a token.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) verb: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or("")
    }

    /// A response with a result to this request.
    pub(crate) fn result(&self, result: Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": self.body["id"], "result": result })
    }
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
type Script = Arc<dyn Fn(Asked) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    tokens: AtomicUsize,
    /// Bodies of token requests.
    token_requests: Mutex<Vec<String>>,
    /// What the token endpoint does; nothing means a token with what is asked for.
    refuses: Mutex<Option<&'static str>>,
    /// The only scopes granted.
    granted: Mutex<Option<&'static str>>,
}

pub(crate) struct Remote {
    pub(crate) origin: String,
    state: Arc<State>,
    script: Script,
    serving: JoinHandle<()>,
}

impl Remote {
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Asked) -> R + Send + Sync + 'static,
        R: Future<Output = Response> + Send + 'static,
    {
        let script: Script = Arc::new(move |asked| Box::pin(script(asked)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let serving = serve(listener, &origin, &state, &script);
        Self {
            origin,
            state,
            script,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    /// A host whose bridge leads here.
    pub(crate) fn host(&self) -> Host {
        self.host_with(&[])
    }

    pub(crate) fn host_with(&self, flags: &[&str]) -> Host {
        let url = self.url();
        let arguments = [&[url.as_str()], flags].concat();
        Host::start(
            &arguments,
            &[
                ("JETON_ISSUER", &self.origin),
                ("JETON_CLIENT_ID", "m2m_x"),
                ("JETON_CLIENT_SECRET", "jeton_x-secret"),
            ],
        )
    }

    /// Ends the server: connections break and new ones are refused.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Starts it at the same address.
    pub(crate) async fn restart(&mut self) {
        let address = self.origin.trim_start_matches("http://").to_owned();
        let listener = loop {
            match TcpListener::bind(&address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        self.serving = serve(listener, &self.origin, &self.state, &self.script);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// What was asked by this JSON-RPC method.
    pub(crate) fn asked_for(&self, method: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.method() == method);
        asked
    }

    pub(crate) fn token_requests(&self) -> Vec<String> {
        self.state.token_requests.lock().unwrap().clone()
    }

    /// From now on the token endpoint refuses with this code.
    pub(crate) fn refuse_tokens(&self, code: Option<&'static str>) {
        *self.state.refuses.lock().unwrap() = code;
    }

    /// From now on no other scopes than these are granted.
    pub(crate) fn grant_only(&self, scopes: &'static str) {
        *self.state.granted.lock().unwrap() = Some(scopes);
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn serve(
    listener: TcpListener,
    origin: &str,
    state: &Arc<State>,
    script: &Script,
) -> JoinHandle<()> {
    let (origin, state, script) = (origin.to_owned(), Arc::clone(state), Arc::clone(script));
    let router = Router::new().fallback(move |request: Request| {
        let (origin, state, script) = (origin.clone(), Arc::clone(&state), Arc::clone(&script));
        async move { answer(request, &origin, &state, &script).await }
    });
    // Connections are tasks of the same set, so that they end with the server.
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(router.clone());
            connections.spawn(async move {
                let mut connection =
                    hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A connection that breaks is what some tests want. None is kept for a next request: whether its client
                // noticed that it ended would be a matter of time.
                let _ = connection
                    .http1()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

async fn answer(request: Request, origin: &str, state: &State, script: &Script) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 26).await.unwrap();
    match parts.uri.path() {
        "/.well-known/oauth-protected-resource/mcp" => Json(json!({
            "resource": format!("{origin}/mcp"), "authorization_servers": [origin],
        }))
        .into_response(),
        "/.well-known/oauth-authorization-server" => Json(json!({
            "issuer": origin, "token_endpoint": format!("{origin}/oauth/token"),
        }))
        .into_response(),
        "/oauth/token" => token(state, std::str::from_utf8(&body).unwrap()),
        "/mcp" if parts.headers.contains_key("authorization") => {
            let asked = Asked {
                verb: parts.method.to_string(),
                query: parts.uri.query().map(str::to_owned),
                headers: parts.headers,
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            state.asked.lock().unwrap().push(asked.clone());
            script(asked).await
        }
        "/mcp" => refused(401, r#"Bearer scope="a""#),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn token(state: &State, body: &str) -> Response {
    state.token_requests.lock().unwrap().push(body.to_owned());
    if let Some(code) = *state.refuses.lock().unwrap() {
        let refusal = Json(json!({ "error": code, "error_description": "as the test wants" }));
        return (StatusCode::BAD_REQUEST, refusal).into_response();
    }
    let asked = url::form_urlencoded::parse(body.as_bytes())
        .find(|(name, _)| name == "scope")
        .map_or_else(|| "a".to_owned(), |(_, scope)| scope.into_owned());
    let granted = state.granted.lock().unwrap().map(str::to_owned);
    let number = state.tokens.fetch_add(1, Ordering::SeqCst);
    Json(json!({
        "access_token": format!("token-{number}"), "token_type": "Bearer",
        "expires_in": 3600, "scope": granted.unwrap_or(asked),
    }))
    .into_response()
}

/// An empty result.
pub(crate) fn done(asked: &Asked) -> Response {
    document(&asked.result(json!({})))
}

pub(crate) fn document(message: &Value) -> Response {
    Json(message).into_response()
}

pub(crate) fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

pub(crate) fn refused(code: u16, challenge: &str) -> Response {
    let header = [("www-authenticate", challenge)];
    (StatusCode::from_u16(code).unwrap(), header).into_response()
}

/// A stream of events that a test feeds.
#[derive(Clone)]
pub(crate) struct Feed(mpsc::UnboundedSender<String>);

impl Feed {
    pub(crate) fn new() -> (Self, Response) {
        let (sender, receiver) = mpsc::unbounded_channel::<String>();
        let pieces = stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(Bytes::from(piece)), receiver))
        });
        let header = [("content-type", "text/event-stream")];
        let response = (header, Body::from_stream(pieces)).into_response();
        (Self(sender), response)
    }

    /// Sends a message, with an event ID if there is one.
    pub(crate) fn send(&self, id: &str, message: &Value) {
        let id = if id.is_empty() {
            String::new()
        } else {
            format!("id: {id}\n")
        };
        let _ = self.0.send(format!("{id}data: {message}\n\n"));
    }

    /// Sends a piece of a stream as it is.
    pub(crate) fn write(&self, piece: &str) {
        let _ = self.0.send(piece.to_owned());
    }

    /// Waits until nobody reads it any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A stream of these messages, complete.
pub(crate) fn events(messages: &[Value]) -> Response {
    let (feed, response) = Feed::new();
    for message in messages {
        feed.send("", message);
    }
    response
}
