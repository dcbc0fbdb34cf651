//! What the remote server answers to one HTTP request.

use std::collections::VecDeque;
use std::time::Duration;

use jeton_core::Challenge;
use jeton_jose::{BodyError, HttpError, bearer_challenge, read_body, retry_after};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::events::{Event, Events, MAX_MESSAGE, TooLarge};
use crate::id::Id;
use crate::message::Message;

/// The longest explanation read, in bytes.
const MAX_EXPLANATION: usize = 64 * 1024;
/// The longest pause that a server is granted.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What servers say with 400 to a session that they do not know: the SDKs for TypeScript and Python,
/// and their examples, which many servers are made from.
const UNKNOWN_SESSION: [&str; 7] = [
    "Bad Request: Server not initialized",
    "Bad Request: Mcp-Session-Id header is required",
    "Bad Request: No valid session ID provided",
    "Bad Request: No valid session ID",
    "Bad Request: Missing session ID",
    "Invalid or missing session ID",
    "Session not found",
];

/// An answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Accepted, and nothing to say.
    Nothing,
    /// One document.
    Document(String),
    /// Events, of which one may be the answer.
    Stream(EventStream),
    /// Another status than 2xx.
    Refused(Refusal),
}

/// A status that says no, and what came with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub(crate) body: String,
}

/// An answer that ended before it was complete.
#[derive(Debug)]
pub(crate) enum Broken {
    /// More than is read.
    TooLarge,
    /// The connection failed.
    Http(HttpError),
}

impl From<BodyError> for Broken {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(_) => Self::TooLarge,
            BodyError::Http(error) => Self::Http(error),
        }
    }
}

impl From<TooLarge> for Broken {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl Answer {
    /// Reads a response, or the beginning of a stream.
    pub(crate) async fn of(response: Response) -> Result<Self, Broken> {
        let status = response.status();
        if !status.is_success() {
            return Ok(Self::Refused(Refusal::of(response).await));
        }
        if is_stream(response.headers()) {
            return Ok(Self::Stream(EventStream::new(response, Events::default())));
        }
        let body = read_body(response, MAX_MESSAGE).await?;
        if body.trim_ascii().is_empty() {
            return Ok(Self::Nothing);
        }
        Ok(Self::Document(String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Whether the body is a stream of events.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

impl Refusal {
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status();
        let challenge = bearer_challenge(response.headers());
        let retry_after = retry_after(response.headers(), LONGEST_PAUSE);
        // A refusal is one with or without its explanation.
        let body = read_body(response, MAX_EXPLANATION)
            .await
            .unwrap_or_default();
        Self {
            status,
            challenge,
            retry_after,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Whether it says that the session it was asked in is no more: 404, or what servers say with
    /// 400 that do not keep to that. An error with the ID of `request` is its answer, and no word on
    /// the session.
    pub(crate) fn is_of_session(&self, request: Option<&Id>) -> bool {
        let is_answer = request.is_some_and(|id| self.is_answer_to(id));
        match self.status {
            StatusCode::NOT_FOUND => !is_answer || self.names_unknown_session(),
            StatusCode::BAD_REQUEST => !is_answer && self.names_unknown_session(),
            _ => false,
        }
    }

    fn is_answer_to(&self, request: &Id) -> bool {
        let answer = Message::read(&self.body);
        answer.is_some_and(|answer| answer.id() == Some(request) && answer.answers(request))
    }

    fn names_unknown_session(&self) -> bool {
        let document: Option<Value> = serde_json::from_str(&self.body).ok();
        let error = document.as_ref().and_then(|document| document.get("error"));
        let words = error
            .and_then(|error| error.get("message").unwrap_or(error).as_str())
            .unwrap_or(&self.body)
            .trim();
        UNKNOWN_SESSION
            .iter()
            .any(|known| known.eq_ignore_ascii_case(words))
    }

    /// Whether the same may be taken in a moment.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        )
    }

    /// Whether asking again later would be refused as well.
    pub(crate) fn is_final(&self) -> bool {
        self.status.is_client_error()
            && !matches!(
                self.status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
            )
    }
}

/// Events as they come.
#[derive(Debug)]
pub(crate) struct EventStream {
    response: Response,
    events: Events,
    ready: VecDeque<Event>,
}

impl EventStream {
    /// The stream of `response`, which goes on where `events` broke.
    pub(crate) fn new(response: Response, events: Events) -> Self {
        Self {
            response,
            events,
            ready: VecDeque::new(),
        }
    }

    /// The next event; nothing where the stream ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.ready.extend(self.events.take(&piece)?),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Broken::Http(error.into())),
            }
        }
    }

    /// What is needed to go on.
    pub(crate) fn into_events(self) -> Events {
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            challenge: None,
            retry_after: None,
            body: body.to_owned(),
        }
    }

    #[test]
    fn a_session_is_gone_by_404_or_by_the_words_of_the_sdks() {
        let request = Message::read(r#"{"id":1,"method":"a"}"#).unwrap();
        let error = |id: &str, words: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"{words}"}}}}"#
            )
        };
        let known = "Bad Request: No valid session ID provided";
        for (status, body, expected) in [
            (404, String::new(), true),
            (404, error("null", "Session not found"), true),
            (404, error("1", "Session not found"), true),
            (404, error("1", "no such method"), false),
            (400, known.to_owned(), true),
            (400, error("null", known), true),
            (400, error("\"server-error\"", known), true),
            (400, format!(r#"{{"error":"{known}"}}"#), true),
            (400, error("1", known), false),
            (400, error("null", "no chat session named x"), false),
            (400, "invalid session data".to_owned(), false),
            (500, known.to_owned(), false),
        ] {
            let refusal = refusal(status, &body);
            assert_eq!(
                refusal.is_of_session(request.id()),
                expected,
                "{status} {body}"
            );
        }
    }
}
