//! Asking for a token (OAuth 2.1 §4.2), and asking again when the server cannot answer now.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{ErrorResponse, ScopeSet, ServerMetadata, TokenResponse};
use jeton_jose::{FetchError, is_trustworthy_url};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response};
use url::form_urlencoded;

use crate::ClientSecret;

/// How often a request is made in all before giving up.
const ATTEMPTS: u32 = 4;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why the token endpoint gave no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Secrets do not travel in the clear.
    #[error(transparent)]
    Insecure(FetchError),
    /// The endpoint offers no way of authenticating that a secret serves.
    #[error("{endpoint} takes no client secret; it takes {}", offered.join(", "))]
    NoSecretMethod {
        /// The token endpoint.
        endpoint: String,
        /// What it takes.
        offered: Vec<String>,
    },
    /// No answer.
    #[error("the token endpoint {endpoint} could not be reached")]
    Unreachable {
        /// The token endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: reqwest::Error,
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
    },
    /// Not an OAuth answer.
    #[error("the token endpoint {endpoint} answered {status} without an OAuth response")]
    Unreadable {
        /// The token endpoint.
        endpoint: String,
        /// The status.
        status: u16,
    },
}

/// What failed, and whether another try may help.
struct Failure {
    error: TokenError,
    /// The pause that the server asks for, if another try may help.
    retry_after: Option<Duration>,
}

/// Asks the token endpoint of `server` for a token for `resource`. Where the server cannot be
/// reached, is overloaded or fails, it is asked up to four times in all, with growing pauses.
///
/// # Errors
///
/// [`TokenError`], without any secret in it.
pub async fn request_token(
    client: &Client,
    server: &ServerMetadata,
    credentials: &ClientSecret,
    resource: Option<&str>,
    scope: Option<&ScopeSet>,
) -> Result<TokenResponse, TokenError> {
    let endpoint = &server.token_endpoint;
    if !is_trustworthy_url(endpoint) {
        return Err(TokenError::Insecure(FetchError::Insecure(endpoint.clone())));
    }
    let in_header = uses_header(server)?;
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt(
            client,
            endpoint,
            &form(credentials, resource, scope, in_header),
        )
        .await
        {
            Ok(response) => return Ok(response),
            Err(Failure {
                error,
                retry_after: None,
            }) => return Err(error),
            Err(Failure {
                error,
                retry_after: Some(asked),
            }) => {
                tracing::debug!(%error, "asking for a token again");
                tokio::time::sleep(pause.max(asked).min(LONGEST_PAUSE)).await;
                pause *= 2;
            }
        }
    }
    attempt(
        client,
        endpoint,
        &form(credentials, resource, scope, in_header),
    )
    .await
    .map_err(|failure| failure.error)
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
            endpoint: server.token_endpoint.clone(),
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
    credentials: &ClientSecret,
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
) -> Result<TokenResponse, Failure> {
    let mut request = client
        .post(endpoint)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(form.body.clone());
    if let Some(authorization) = &form.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let unreachable = |source: reqwest::Error| Failure {
        error: TokenError::Unreachable {
            endpoint: endpoint.to_owned(),
            source: source.without_url(),
        },
        retry_after: Some(Duration::ZERO),
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let retry_after = (status.is_server_error() || status.as_u16() == 429)
        .then(|| asked_pause(&response).unwrap_or(Duration::ZERO));
    let body = response.bytes().await.map_err(unreachable)?;
    let unreadable = || TokenError::Unreadable {
        endpoint: endpoint.to_owned(),
        status: status.as_u16(),
    };
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| Failure {
            error: unreadable(),
            retry_after: None,
        });
    }
    let error = match serde_json::from_slice::<ErrorResponse>(&body) {
        Ok(refusal) => TokenError::Refused {
            status: status.as_u16(),
            code: refusal.error,
            description: refusal.error_description,
        },
        Err(_) => unreadable(),
    };
    Err(Failure { error, retry_after })
}

/// RFC 9110 §10.2.3, in seconds.
fn asked_pause(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
