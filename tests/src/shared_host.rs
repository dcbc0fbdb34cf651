//! A host that several applications share, behind one reverse proxy: one of them is a Jeton with a path.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Jeton, JetonOptions, http};

/// The path of Jeton on the host.
pub const SHARED_PATH: &str = "/auth";

/// The host, with a Jeton at `/auth`; at every other path answers another application.
pub struct SharedHost {
    pub jeton: Jeton,
    /// Scheme, host and port.
    pub origin: String,
    elsewhere: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Forwarding {
    to: String,
    elsewhere: Arc<Mutex<Vec<String>>>,
}

impl SharedHost {
    /// The proxy passes on what is below `/auth` and the metadata that belongs to it at the root of the host.
    pub async fn start(options: JetonOptions<'_>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", socket.local_addr().unwrap());
        let issuer = format!("{origin}{SHARED_PATH}");
        let mut options = options;
        options.flags.extend(["--issuer", issuer.as_str()]);
        let jeton = Jeton::start_with(options).await;
        let elsewhere = Arc::new(Mutex::new(Vec::new()));
        let forwarding = Forwarding {
            to: jeton.listening(),
            elsewhere: Arc::clone(&elsewhere),
        };
        let router = Router::new().fallback(answer).with_state(forwarding);
        let serving = tokio::spawn(async move { axum::serve(socket, router).await.unwrap() });
        Self {
            jeton,
            origin,
            elsewhere,
            serving,
        }
    }

    /// What the other application was asked, with the cookies that it was sent.
    pub fn elsewhere(&self) -> Vec<String> {
        self.elsewhere.lock().unwrap().clone()
    }
}

impl Drop for SharedHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn is_jetons(path: &str) -> bool {
    let below = |path: &str| {
        let rest = path.strip_prefix(SHARED_PATH);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let document = path
        .strip_prefix("/.well-known/")
        .and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    below(path) || document.is_some_and(below)
}

async fn answer(State(forwarding): State<Forwarding>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if !is_jetons(&path) {
        let cookies = request.headers().get_all("cookie").iter();
        let cookies: Vec<_> = cookies.map(|value| value.to_str().unwrap()).collect();
        let asked = format!("{path} {}", cookies.join("; "));
        forwarding.elsewhere.lock().unwrap().push(asked);
        return "another application".into_response();
    }
    let (parts, body) = request.into_parts();
    let url = format!("{}{}", forwarding.to, parts.uri);
    let sent = http()
        .request(parts.method, url)
        .headers(without_framing(parts.headers))
        .body(to_bytes(body, usize::MAX).await.unwrap())
        .send()
        .await
        .unwrap();
    let (status, headers) = (sent.status(), without_framing(sent.headers().clone()));
    let mut answer = Response::new(Body::from(sent.bytes().await.unwrap()));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

fn without_framing(mut headers: HeaderMap) -> HeaderMap {
    for name in ["connection", "content-length", "host", "transfer-encoding"] {
        headers.remove(name);
    }
    headers
}
