//! `rmcp`'s streamable HTTP client, with tokens.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use jeton_core::{Challenge, presentable_url};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::{Error as SseError, Sse};

use crate::declare::declare;
use crate::{AccessToken, AgentError, TokenSource};

/// A streamable HTTP client for `rmcp` that sends each request with a token: another one once
/// after a 401, a wider one after `insufficient_scope`. It declares MCP's client credentials
/// extension. Made for `StreamableHttpClientTransport::with_client`.
#[derive(Debug, Clone)]
pub struct AuthorizedClient {
    tokens: TokenSource,
}

type Failure = StreamableHttpError<reqwest::Error>;

impl AuthorizedClient {
    /// Sends tokens of `tokens`, with its time limits: [`crate::TokenSourceBuilder::idle_timeout`]
    /// ends a stream on which nothing comes.
    pub fn new(tokens: TokenSource) -> Self {
        Self { tokens }
    }

    async fn authorized<T, F, R>(&self, uri: &str, call: F) -> Result<T, Failure>
    where
        F: Fn(String) -> R + Send,
        R: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        self.called(uri, call).await.map_err(without_url)
    }

    async fn called<T, F, R>(&self, uri: &str, call: F) -> Result<T, Failure>
    where
        F: Fn(String) -> R + Send,
        R: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        if !self.tokens.covers(uri) {
            return Err(failure(AgentError::OtherResource {
                found: presentable_url(uri),
                resource: self.tokens.resource().to_owned(),
            }));
        }
        let token = self.tokens.token().await.map_err(failure)?;
        match call(token.expose().to_owned()).await {
            Err(refused @ StreamableHttpError::AuthRequired(_)) => {
                match self.tokens.replace(&token).await.map_err(failure)? {
                    Some(other) => {
                        let outcome = call(other.expose().to_owned()).await;
                        self.widened(&other, outcome, &call).await
                    }
                    None => Err(refused),
                }
            }
            outcome => self.widened(&token, outcome, &call).await,
        }
    }

    /// Sends once more, where the server asks for a scope that a new token can have.
    async fn widened<T, F, R>(
        &self,
        token: &Arc<AccessToken>,
        outcome: Result<T, Failure>,
        call: &F,
    ) -> Result<T, Failure>
    where
        F: Fn(String) -> R,
        R: Future<Output = Result<T, Failure>>,
    {
        let Err(StreamableHttpError::InsufficientScope(refusal)) = outcome else {
            return outcome;
        };
        let Ok(challenge) = Challenge::parse(&refusal.www_authenticate_header) else {
            return Err(StreamableHttpError::InsufficientScope(refusal));
        };
        match self.tokens.widen(token, &challenge).await {
            Ok(Some(wider)) => call(wider.expose().to_owned()).await,
            Ok(None) => Err(StreamableHttpError::InsufficientScope(refusal)),
            // The scope was not granted: what the server said is the better answer.
            Err(error) => {
                tracing::debug!(%error, "no wider token");
                Err(StreamableHttpError::InsufficientScope(refusal))
            }
        }
    }
}

/// The same error without the URL, whose query may be secret.
fn without_url(error: Failure) -> Failure {
    match error {
        StreamableHttpError::Client(error) => StreamableHttpError::Client(error.without_url()),
        other => other,
    }
}

/// What went wrong before anything was sent, as `rmcp` can carry it.
fn failure(error: AgentError) -> Failure {
    StreamableHttpError::Io(std::io::Error::other(error))
}

impl StreamableHttpClient for AuthorizedClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        mut message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        declare(&mut message);
        self.authorized(&uri, |token| {
            self.tokens.calls().post_message(
                Arc::clone(&uri),
                message.clone(),
                session_id.clone(),
                Some(token),
                headers.clone(),
            )
        })
        .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        mut message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        declare(&mut message);
        self.authorized(&uri, |token| {
            self.tokens.calls().post_message_with_response_limits(
                Arc::clone(&uri),
                message.clone(),
                session_id.clone(),
                Some(token),
                headers.clone(),
                limits,
            )
        })
        .await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        self.authorized(&uri, |token| {
            self.tokens.calls().delete_session(
                Arc::clone(&uri),
                Arc::clone(&session_id),
                Some(token),
                headers.clone(),
            )
        })
        .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        self.authorized(&uri, |token| {
            self.tokens.calls().get_stream(
                Arc::clone(&uri),
                session_id.clone(),
                last_event_id.clone(),
                Some(token),
                headers.clone(),
            )
        })
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        self.authorized(&uri, |token| {
            self.tokens.calls().get_stream_with_max_sse_event_size(
                Arc::clone(&uri),
                session_id.clone(),
                last_event_id.clone(),
                Some(token),
                headers.clone(),
                max_sse_event_size,
            )
        })
        .await
    }
}
