//! Asking for a token (OAuth 2.1 §4.2), and asking again when the server cannot answer now.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{ErrorResponse, ScopeSet, ServerMetadata, TokenResponse, presentable_url, redact};
use jeton_jose::{BodyError, FetchError, HttpError, read_body, retry_after};
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use tokio::time::Instant;
use url::form_urlencoded;

use crate::ClientCredentials;

/// How often a request is made in all before giving up.
const ATTEMPTS: u32 = 4;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long one attempt may take, the answer's body included.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long all attempts and pauses may take.
const ALL_ATTEMPTS: Duration = Duration::from_secs(30);
/// The longest pause that a server is granted, whatever it asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// The largest answer read, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How much of a server's explanation is kept, in characters.
const MAX_DESCRIPTION: usize = 500;

/// Why the token endpoint gave no token. No secret is in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The endpoint is another authorization server's.
    #[error("the credentials belong to {issuer}; they are not sent to {found}")]
    OtherIssuer {
        /// Where the credentials belong.
        issuer: String,
        /// Whose endpoint it is.
        found: String,
    },
    /// Secrets do not travel in the clear.
    #[error(transparent)]
    Insecure(FetchError),
    /// The endpoint takes no client secret.
    #[error("{endpoint} takes no client secret; it takes {}", offered.join(", "))]
    NoSecretMethod {
        /// The token endpoint.
        endpoint: String,
        /// What it takes.
        offered: Vec<String>,
    },
    /// No answer, or one that broke off.
    #[error("the token endpoint {endpoint} could not be reached")]
    Unreachable {
        /// The token endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// The server said no.
    #[error("the token endpoint refused: {code}{}", description.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// OAuth's error code.
        code: String,
        /// What to change.
        description: Option<String>,
        /// How long it asks to wait before another try.
        retry_after: Option<Duration>,
    },
    /// Over 64 KiB.
    #[error("the token endpoint {0} answered with more than 64 KiB")]
    TooLarge(String),
    /// Not an OAuth answer.
    #[error("the token endpoint {endpoint} answered {status} without an OAuth response")]
    Unreadable {
        /// The token endpoint.
        endpoint: String,
        /// The status.
        status: u16,
        /// How long it asks to wait before another try.
        retry_after: Option<Duration>,
    },
}

impl TokenError {
    /// How long the server asks to wait before another try (RFC 9110 §10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Unreadable { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Whether the server answered, and an attempt like this one will be refused as well.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if !may_pass(*status))
    }

    /// Whether the server refused with this OAuth error code.
    pub(crate) fn is_refused_with(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } | Self::Unreadable { status, .. } => may_pass(*status),
            _ => false,
        }
    }
}

/// Overloaded, or failing.
fn may_pass(status: u16) -> bool {
    status == 429 || status >= 500
}

/// Asks the token endpoint of `server` for a token for `resource`. Where the server cannot be
/// reached, is overloaded or fails, it is asked up to four times in all, with growing pauses or
/// those that it asks for, for at most 30 seconds.
///
/// # Errors
///
/// [`TokenError`], without any secret in it; before anything is sent,
/// [`TokenError::OtherIssuer`] where `server` is not the credentials' authorization server.
pub async fn request_token(
    client: &Client,
    server: &ServerMetadata,
    credentials: &ClientCredentials,
    resource: Option<&str>,
    scope: Option<&ScopeSet>,
) -> Result<TokenResponse, TokenError> {
    let endpoint = &server.token_endpoint;
    if !credentials.belong_to(&server.issuer) {
        return Err(TokenError::OtherIssuer {
            issuer: presentable_url(credentials.issuer()),
            found: presentable_url(&server.issuer),
        });
    }
    let allowed = credentials.plain_http().check(endpoint);
    allowed.map_err(TokenError::Insecure)?;
    let form = form(credentials, resource, scope, uses_header(server)?);
    let deadline = Instant::now() + ALL_ATTEMPTS;
    let mut pause = FIRST_PAUSE;
    let mut attempts = 1;
    loop {
        let limit = ATTEMPT.min(deadline.saturating_duration_since(Instant::now()));
        let error = match attempt(client, endpoint, &form, limit).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let next = Instant::now() + pause.max(error.retry_after().unwrap_or_default());
        if attempts == ATTEMPTS || !error.is_worth_another_try() || next >= deadline {
            return Err(error);
        }
        tracing::debug!(%error, "asking for a token again");
        tokio::time::sleep_until(next).await;
        pause *= 2;
        attempts += 1;
    }
}

/// RFC 8414 §2: without a list, `client_secret_basic`.
fn uses_header(server: &ServerMetadata) -> Result<bool, TokenError> {
    let offered = &server.token_endpoint_auth_methods_supported;
    let offers = |method: &str| offered.iter().any(|offered| offered == method);
    if offered.is_empty() || offers("client_secret_basic") {
        Ok(true)
    } else if offers("client_secret_post") {
        Ok(false)
    } else {
        Err(TokenError::NoSecretMethod {
            endpoint: presentable_url(&server.token_endpoint),
            offered: offered.clone(),
        })
    }
}

/// The parts of a token request.
struct TokenForm {
    authorization: Option<String>,
    body: String,
}

fn form(
    credentials: &ClientCredentials,
    resource: Option<&str>,
    scope: Option<&ScopeSet>,
    in_header: bool,
) -> TokenForm {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("grant_type", "client_credentials");
    if let Some(resource) = resource {
        body.append_pair("resource", resource);
    }
    if let Some(scope) = scope {
        body.append_pair("scope", &scope.to_string());
    }
    let authorization = if in_header {
        let encoded =
            |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = format!(
            "{}:{}",
            encoded(credentials.client_id()),
            encoded(credentials.expose_secret())
        );
        Some(format!("Basic {}", STANDARD.encode(pair)))
    } else {
        body.append_pair("client_id", credentials.client_id());
        body.append_pair("client_secret", credentials.expose_secret());
        None
    };
    TokenForm {
        authorization,
        body: body.finish(),
    }
}

async fn attempt(
    client: &Client,
    endpoint: &str,
    form: &TokenForm,
    limit: Duration,
) -> Result<TokenResponse, TokenError> {
    let mut request = client
        .post(endpoint)
        .timeout(limit)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(form.body.clone());
    if let Some(authorization) = &form.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let unreachable = |source| TokenError::Unreachable {
        endpoint: presentable_url(endpoint),
        source,
    };
    let response = request
        .send()
        .await
        .map_err(|error| unreachable(HttpError::at(endpoint, error)))?;
    let status = response.status();
    let retry_after =
        retry_after(response.headers(), LONGEST_PAUSE).filter(|_| may_pass(status.as_u16()));
    let body = read_body(response, MAX_BODY)
        .await
        .map_err(|error| match error {
            BodyError::TooLarge(_) => TokenError::TooLarge(presentable_url(endpoint)),
            BodyError::Http(source) => unreachable(source),
        })?;
    let unreadable = TokenError::Unreadable {
        endpoint: presentable_url(endpoint),
        status: status.as_u16(),
        retry_after,
    };
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| unreadable);
    }
    match serde_json::from_slice::<ErrorResponse>(&body) {
        Ok(refusal) => Err(TokenError::Refused {
            status: status.as_u16(),
            code: printable(&refusal.error),
            description: refusal.error_description.as_deref().map(printable),
            retry_after,
        }),
        Err(_) => Err(unreadable),
    }
}

/// The beginning of a server's text, fit for a log and a terminal.
fn printable(text: &str) -> String {
    redact(text)
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_DESCRIPTION)
        .collect()
}
