//! One message over HTTP to the remote MCP server, with a token.

use jeton_agent::{AgentError, TokenSource};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response};
use url::Url;

use crate::headers::LAST_EVENT;

/// The remote MCP server.
#[derive(Debug)]
pub(crate) struct Remote {
    tokens: TokenSource,
    url: Url,
}

impl Remote {
    pub(crate) fn new(tokens: TokenSource) -> Result<Self, url::ParseError> {
        let url = tokens.url().parse()?;
        Ok(Self { tokens, url })
    }

    pub(crate) fn tokens(&self) -> &TokenSource {
        &self.tokens
    }

    /// Sends a JSON-RPC message.
    pub(crate) async fn post(
        &self,
        body: &str,
        headers: HeaderMap,
    ) -> Result<Response, AgentError> {
        let mut request = self.request(Method::POST, headers);
        let own = request.headers_mut();
        own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        own.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        *request.body_mut() = Some(body.to_owned().into());
        self.tokens.send(request).await
    }

    /// Asks for a stream, or for the rest of the one that broke after `last_event`.
    pub(crate) async fn listen(
        &self,
        headers: HeaderMap,
        last_event: Option<&str>,
    ) -> Result<Response, AgentError> {
        let mut request = self.request(Method::GET, headers);
        let own = request.headers_mut();
        own.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let last_event = last_event.and_then(|id| HeaderValue::from_str(id).ok());
        if let Some(id) = last_event {
            own.insert(LAST_EVENT, id);
        }
        self.tokens.send(request).await
    }

    /// Ends a session.
    pub(crate) async fn end(&self, headers: HeaderMap) -> Result<Response, AgentError> {
        self.tokens
            .send(self.request(Method::DELETE, headers))
            .await
    }

    fn request(&self, method: Method, headers: HeaderMap) -> Request {
        let mut request = Request::new(method, self.url.clone());
        *request.headers_mut() = headers;
        request
    }
}
