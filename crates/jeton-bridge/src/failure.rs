//! What the host is told where there is no answer: a JSON-RPC error with a sentence that says what
//! happened and what to do.

use std::error::Error;

use jeton_agent::{AgentError, ClientCredentials, TokenError, TokenSource};
use jeton_core::{ScopeSet, presentable_url, redact};
use jeton_jose::{DiscoveryError, FetchError, HttpError};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::{Broken, Refusal};
use crate::id::Id;
use crate::message::Message;

/// How much of a server's own words is passed on, in characters.
const MAX_WORDS: usize = 300;

/// What kind of failure it is. The codes are outside the range that JSON-RPC and MCP reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The bridge itself was started wrongly.
    Configuration,
    /// There is no token.
    NoToken,
    /// Nothing answers.
    Unreachable,
    /// The server said no.
    Refused,
    /// The answer did not come, or not whole.
    Interrupted,
    /// What came is not MCP.
    NotMcp,
}

impl Reason {
    fn code(self) -> i32 {
        match self {
            Self::Configuration => -31_000,
            Self::NoToken => -31_001,
            Self::Unreachable => -31_002,
            Self::Refused => -31_003,
            Self::Interrupted => -31_004,
            Self::NotMcp => -31_005,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::NoToken => "no_token",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::NotMcp => "not_mcp",
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    reason: Reason,
    words: String,
    /// Whether the request did not reach the server, so that it can be sent again.
    pub(crate) was_not_sent: bool,
    /// Whether the same is refused whenever it is asked.
    pub(crate) is_final: bool,
    /// An error of the server's own, to be passed on as it is: `{"code":…}`.
    own: Option<String>,
}

#[derive(Deserialize)]
struct ErrorDocument<'a> {
    #[serde(borrow)]
    error: &'a RawValue,
}

#[derive(Deserialize)]
struct OwnError {
    #[expect(dead_code, reason = "it only has to be there")]
    code: i64,
    #[expect(dead_code, reason = "it only has to be there")]
    message: String,
}

impl Failure {
    pub(crate) fn new(reason: Reason, words: impl Into<String>) -> Self {
        Self {
            reason,
            words: redact(&words.into()).into_owned(),
            was_not_sent: false,
            is_final: false,
            own: None,
        }
    }

    /// No token, or no connection.
    pub(crate) fn of_agent(error: &AgentError, tokens: &TokenSource) -> Self {
        let url = tokens.resource();
        let credentials = tokens.credentials();
        let causes = causes(error);
        let failure = match error {
            AgentError::Http(http) => return Self::of_connection(http, url),
            AgentError::Token(token) => {
                Self::new(Reason::NoToken, no_token(token, credentials, url))
            }
            AgentError::OtherIssuer { .. } => Self::new(
                Reason::NoToken,
                format!("{causes} (--issuer or JETON_ISSUER)"),
            ),
            AgentError::ParentResource { .. } => Self::new(
                Reason::NoToken,
                format!("{causes}. Here: --allow-parent-resource"),
            ),
            AgentError::NotProtected { .. } => Self::new(
                Reason::NoToken,
                format!("{causes}. Check the URL in the host's configuration"),
            ),
            _ => Self::new(Reason::NoToken, causes),
        };
        Self {
            was_not_sent: may_pass(error),
            is_final: matches!(error, AgentError::Token(TokenError::Refused { .. })),
            ..failure
        }
    }

    fn of_connection(error: &HttpError, url: &str) -> Self {
        let causes = causes(error);
        if error.is_connect() {
            return Self {
                was_not_sent: true,
                ..Self::new(
                    Reason::Unreachable,
                    format!(
                        "No answer from the MCP server at {url}. Is it running, and can this machine reach it? ({causes})"
                    ),
                )
            };
        }
        Self::interrupted(url, &causes)
    }

    /// An answer that broke off.
    pub(crate) fn of_broken(broken: &Broken, url: &str) -> Self {
        match broken {
            Broken::TooLarge => Self::new(
                Reason::Interrupted,
                format!(
                    "The MCP server at {url} answered with more than 64 MiB, which is not passed on."
                ),
            ),
            Broken::Http(error) => Self::interrupted(url, &causes(error)),
        }
    }

    /// The connection ended before the answer.
    pub(crate) fn interrupted(url: &str, causes: &str) -> Self {
        Self::new(
            Reason::Interrupted,
            format!(
                "The connection to the MCP server at {url} ended before it answered. Whether it did what was asked is not known; check before you repeat it. ({causes})"
            ),
        )
    }

    /// A status that says no.
    pub(crate) fn of_refusal(
        refusal: &Refusal,
        tokens: &TokenSource,
        has: Option<&ScopeSet>,
    ) -> Self {
        let of_token = matches!(
            refusal.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) && refusal.challenge.is_some();
        Self {
            is_final: refusal.is_final(),
            own: own_error(&refusal.body).filter(|_| !of_token),
            ..Self::new(Reason::Refused, refused(refusal, tokens, has))
        }
    }

    /// 2xx, and no answer in it.
    pub(crate) fn unanswered(url: &str) -> Self {
        Self::new(
            Reason::NotMcp,
            format!("The MCP server at {url} accepted the request and sent no answer."),
        )
    }

    /// 2xx, and no JSON-RPC in it.
    pub(crate) fn not_mcp(url: &str, found: &str) -> Self {
        Self::new(
            Reason::NotMcp,
            format!(
                "What answers at {url} is no MCP server: it sent {:?} where a JSON-RPC message was expected. Check the URL in the host's configuration.",
                printable(found)
            ),
        )
    }

    /// As a response to `id`.
    pub(crate) fn response(&self, id: &Id) -> Option<Message> {
        let error = self
            .own
            .clone()
            .unwrap_or_else(|| self.as_error().to_string());
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#,
            id.as_json()
        );
        Message::read(&text)
    }

    fn as_error(&self) -> Value {
        json!({
            "code": self.reason.code(),
            "message": format!("jeton bridge: {}", self.words),
            "data": { "source": "jeton bridge", "reason": self.reason.name() },
        })
    }

    /// The sentence.
    pub(crate) fn words(&self) -> &str {
        &self.words
    }
}

/// Whether the same may work in a moment: something could not be reached.
fn may_pass(error: &AgentError) -> bool {
    matches!(
        error,
        AgentError::Discovery(DiscoveryError::Fetch(FetchError::Unreachable { .. }))
            | AgentError::ResourceMetadata(FetchError::Unreachable { .. })
    )
}

fn no_token(error: &TokenError, credentials: &ClientCredentials, url: &str) -> String {
    let (id, issuer) = (
        credentials.client_id(),
        presentable_url(credentials.issuer()),
    );
    let causes = causes(error);
    match error {
        TokenError::Refused { code, .. } => match code.as_str() {
            "invalid_client" => format!(
                "{issuer} does not accept the credentials of the client {id}: {causes}. Check JETON_CLIENT_ID and JETON_CLIENT_SECRET in the host's configuration; an admin can rotate the secret on the client's page."
            ),
            "invalid_target" => format!(
                "The client {id} has no access to {url}: {causes}. An admin of {issuer} can grant it."
            ),
            "invalid_scope" => format!(
                "The client {id} was not granted the scopes that were asked for: {causes}. An admin of {issuer} can grant them, or leave out --scope (JETON_SCOPE)."
            ),
            _ => format!("{issuer} issued no token to the client {id}: {causes}."),
        },
        TokenError::Unreachable { .. } => {
            format!("{causes}. Is {issuer} running, and can this machine reach it?")
        }
        _ => format!("{issuer} issued no token to the client {id}: {causes}."),
    }
}

/// What a status means here, and what to do.
fn refused(refusal: &Refusal, tokens: &TokenSource, has: Option<&ScopeSet>) -> String {
    let url = tokens.resource();
    let credentials = tokens.credentials();
    let (id, issuer) = (
        credentials.client_id(),
        presentable_url(credentials.issuer()),
    );
    let wanted = refusal
        .challenge
        .as_ref()
        .and_then(|challenge| challenge.scope.as_ref());
    match (refusal.status, wanted) {
        (StatusCode::UNAUTHORIZED, _) => format!(
            "The MCP server at {url} does not accept tokens of {issuer}{}. It has to verify tokens of that issuer, issued for this URL.",
            described(refusal)
        ),
        (StatusCode::FORBIDDEN, Some(wanted)) => {
            let missing = has.map_or_else(|| wanted.clone(), |has| wanted.difference(has));
            let missing = missing.summary();
            let advice = if tokens.has_fixed_scope() {
                format!(
                    "It asks for what --scope (JETON_SCOPE) names: leave that out, or add {missing}."
                )
            } else if tokens.was_left_out(wanted) {
                format!("An admin of {issuer} can grant {missing}.")
            } else {
                format!(
                    "{missing} is not asked for now, because asking brought nothing new of late. Try again in a minute."
                )
            };
            format!(
                "The MCP server at {url} asks for the scope {} for this, and the client {id} has {}. {advice}",
                wanted.summary(),
                has.map_or_else(|| "another".to_owned(), ScopeSet::summary),
            )
        }
        (StatusCode::FORBIDDEN, None) => format!(
            "The MCP server at {url} does not allow this to the client {id}{}.",
            described(refusal)
        ),
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => format!(
            "There is no MCP endpoint at {url}: it answered {}{}. Check the URL in the host's configuration.",
            refusal.status,
            described(refusal)
        ),
        (status, _) if status.is_redirection() => format!(
            "{url} answered {status}. Redirects are not followed with a token: give the URL that it leads to."
        ),
        (status, _) if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            format!(
                "The MCP server at {url} cannot answer now: {status}{}. Try again later.",
                described(refusal)
            )
        }
        (status, _) => format!(
            "The MCP server at {url} refused the request: {status}{}.",
            described(refusal)
        ),
    }
}

/// The server's own words in brackets, if it said something for people.
fn described(refusal: &Refusal) -> String {
    let challenge = refusal.challenge.as_ref();
    let told = challenge.and_then(|challenge| {
        challenge
            .error_description
            .clone()
            .or_else(|| challenge.error.clone())
    });
    let words = told.unwrap_or_else(|| {
        let body = refusal.body.trim();
        // A page is no explanation.
        if body.starts_with('<') {
            String::new()
        } else {
            body.to_owned()
        }
    });
    match printable(&words) {
        words if words.is_empty() => String::new(),
        words => format!(" ({words})"),
    }
}

/// The `error` of a JSON-RPC error response.
fn own_error(body: &str) -> Option<String> {
    let document: ErrorDocument<'_> = serde_json::from_str(body).ok()?;
    let _: OwnError = serde_json::from_str(document.error.get()).ok()?;
    Some(document.error.get().to_owned())
}

/// The beginning of a server's text, fit for a message.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_WORDS)
        .collect()
}

/// An error with its causes, on one line.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        // Some tell their cause themselves.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_rpc_errors_are_passed_on_as_they_are() {
        let own = r#"{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["x"]}}"#;
        let body = format!(r#"{{"jsonrpc":"2.0","id":null,"error":{own}}}"#);
        assert_eq!(own_error(&body).as_deref(), Some(own));
        for other in [
            r#"{"error":"invalid_token","error_description":"no"}"#,
            r#"{"error":{"message":"x"}}"#,
            "<html>",
            "",
        ] {
            assert_eq!(own_error(other), None, "{other}");
        }
    }
}
