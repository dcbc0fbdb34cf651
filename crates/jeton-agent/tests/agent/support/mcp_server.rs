//! An MCP server that says of itself what a test wants.

use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::site::{Asked, Site, json as document, status};

/// What it says and does.
#[derive(Debug, Clone)]
pub(crate) struct Saying {
    /// The issuers that its metadata names.
    pub(crate) issuers: Vec<String>,
    /// The resource that its metadata is about; nothing means its URL.
    pub(crate) resource: Option<String>,
    /// Where its challenge says that the metadata is; nothing means where it belongs.
    pub(crate) metadata_url: Option<String>,
    /// Its whole challenge, instead of a good one.
    pub(crate) challenge: Option<String>,
    /// Whether it refuses tokens.
    pub(crate) refuses: bool,
}

#[derive(Clone)]
pub(crate) struct McpServer {
    site: Site,
    saying: Arc<Mutex<Saying>>,
}

impl McpServer {
    /// Takes any token, and names `issuer`.
    pub(crate) async fn start(issuer: &str) -> Self {
        let saying = Arc::new(Mutex::new(Saying {
            issuers: vec![issuer.to_owned()],
            resource: None,
            metadata_url: None,
            challenge: None,
            refuses: false,
        }));
        let state = Arc::clone(&saying);
        let site = Site::start(move |asked: Asked| {
            let saying = state.lock().unwrap().clone();
            async move {
                let origin = format!("http://{}", asked.header("host").unwrap());
                answer(&asked, &origin, &saying)
            }
        })
        .await;
        Self { site, saying }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.site.url)
    }

    pub(crate) fn origin(&self) -> String {
        self.site.url.clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Saying)) {
        change(&mut self.saying.lock().unwrap());
    }

    /// Whether anything that it was asked holds `text`.
    pub(crate) fn has_seen(&self, text: &str) -> bool {
        let asked = self.site.asked();
        asked
            .iter()
            .any(|asked| format!("{asked:?}").contains(text))
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.site.asked()
    }
}

fn answer(asked: &Asked, origin: &str, saying: &Saying) -> Response {
    let own = format!("{origin}/.well-known/oauth-protected-resource/mcp");
    match asked.path.as_str() {
        "/.well-known/oauth-protected-resource/mcp" => document(&metadata(origin, saying)),
        "/mcp" if asked.header("authorization").is_some() && !saying.refuses => {
            document(&json!({}))
        }
        "/mcp" => {
            let url = saying.metadata_url.as_ref().unwrap_or(&own);
            let good = format!(r#"Bearer resource_metadata="{url}", scope="a""#);
            challenge(saying.challenge.as_ref().unwrap_or(&good))
        }
        _ => status(404),
    }
}

fn metadata(origin: &str, saying: &Saying) -> Value {
    let own = format!("{origin}/mcp");
    json!({
        "resource": saying.resource.as_ref().unwrap_or(&own),
        "authorization_servers": saying.issuers,
    })
}

pub(crate) fn challenge(header: &str) -> Response {
    let header = [("www-authenticate", header)];
    (axum::http::StatusCode::UNAUTHORIZED, header).into_response()
}
