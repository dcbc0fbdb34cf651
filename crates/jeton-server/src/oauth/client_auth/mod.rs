//! Who sends a request to an OAuth endpoint: the form, and the caller it authenticates.

mod refusal;
mod secret;

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jeton_core::{
    Actor, AuditEvent, AuditKind, ClientId, Form, McpServer, PresentedSecret, SecretId,
    SecretOwner, TokenRequestError,
};

pub(crate) use refusal::AuthRefusal;

use crate::app::App;
use crate::audit::Refused;
use crate::directory::ClientEntry;
use crate::http::{BodyError, OAuthError, has_media_type, read_body};
use crate::request_context::RequestContext;
use crate::service::ServiceError;
use crate::telemetry::with_causes;

/// The largest form, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A client.
    Client(Arc<ClientEntry>),
    /// An MCP server, with credentials of its own.
    McpServer(Arc<McpServer>),
}

impl Caller {
    pub(crate) fn actor(&self) -> Actor {
        Actor::Authenticated(match self {
            Self::Client(entry) => entry.client.id.to_string(),
            Self::McpServer(server) => server.id.to_string(),
        })
    }
}

/// A form whose sender is authenticated. A sender that is not is refused here, and the refusal is
/// recorded or counted.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    pub(crate) secret_id: SecretId,
    pub(crate) form: Form,
    pub(crate) context: RequestContext,
}

impl FromRequest<Arc<App>> for Authenticated {
    type Rejection = OAuthError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, OAuthError> {
        let context = request.extensions().get::<RequestContext>().cloned();
        let context = context.ok_or_else(|| {
            OAuthError::internal(&std::io::Error::other("a route lacks the request context"))
        })?;
        Self::read(app, context, request).await
    }
}

impl Authenticated {
    /// Reads the form of `request` and finds out whose it is.
    pub(crate) async fn read(
        app: &App,
        context: RequestContext,
        request: Request,
    ) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(OAuthError::invalid_request(
                StatusCode::BAD_REQUEST,
                "send the parameters in the body; a secret in a URL ends up in logs",
            ));
        }
        require_form(&parts.headers)?;
        let body = read_body(&parts.headers, body, MAX_FORM)
            .await
            .map_err(body_error)?;
        let is_token = parts.uri.path().ends_with("/token");
        let (claimed, outcome) = match read(&parts.headers, &body, is_token) {
            Ok((form, presented)) => {
                let claimed = presented.client_id.parse::<SecretOwner>().ok();
                let outcome = secret::authenticate(app, &presented, claimed).await;
                (
                    claimed,
                    outcome.map(|(caller, secret_id)| (caller, secret_id, form)),
                )
            }
            Err((error, in_header)) => (None, Err(AuthRefusal::Request { error, in_header })),
        };
        match outcome {
            Ok((caller, secret_id, form)) => Ok(Self {
                caller,
                secret_id,
                form,
                context,
            }),
            Err(refusal) => {
                let kind = if is_token {
                    AuditKind::TokenRefused
                } else {
                    AuditKind::AuthenticationRefused
                };
                let event = context.event(app, kind, Actor::Anonymous);
                let event = event.map(|mut event| {
                    if kind == AuditKind::AuthenticationRefused {
                        let endpoint = parts.uri.path().rsplit('/').next().unwrap_or_default();
                        event.detail.insert("endpoint".into(), endpoint.into());
                    }
                    event
                });
                let wait = refusal.is_wrong_secret().then(|| {
                    let now = tokio::time::Instant::now();
                    app.secret_throttle
                        .failed(context.source.into(), claimed, now)
                });
                let error = Box::pin(refused(app, event, claimed, refusal)).await;
                Err(match wait.flatten() {
                    Some(wait) => OAuthError::too_many_failures(wait),
                    None => error,
                })
            }
        }
    }
}

/// Form and credentials, before anything is looked up.
fn read(
    headers: &HeaderMap,
    body: &[u8],
    is_token: bool,
) -> Result<(Form, PresentedSecret), (TokenRequestError, bool)> {
    let mut authorization = headers.get_all(AUTHORIZATION).iter();
    let first = authorization.next().map(http::HeaderValue::as_bytes);
    let in_header = first.is_some_and(|value| !value.to_ascii_lowercase().starts_with(b"bearer "));
    let form = Form::parse(body).map_err(|error| {
        // Only the token endpoint has a code of its own for a resource sent twice.
        let error = if is_token {
            error.into()
        } else {
            TokenRequestError::Form(error)
        };
        (error, false)
    })?;
    if authorization.next().is_some() {
        return Err((TokenRequestError::TwoMethods, in_header));
    }
    let presented = PresentedSecret::find(first, &form).map_err(|error| {
        // Where nothing was sent at all, the challenge says what could be (RFC 9110 §15.5.2).
        let challenge = in_header || error == TokenRequestError::MissingCredentials;
        (error, challenge)
    })?;
    Ok((form, presented))
}

/// OAuth 2.1 §3.2: form-encoded, nothing else.
fn require_form(headers: &HeaderMap) -> Result<(), OAuthError> {
    if has_media_type(headers, "application/x-www-form-urlencoded") {
        Ok(())
    } else {
        Err(OAuthError::invalid_request(
            StatusCode::BAD_REQUEST,
            "send the parameters as Content-Type: application/x-www-form-urlencoded",
        ))
    }
}

fn body_error(error: BodyError) -> OAuthError {
    match error {
        BodyError::Compressed => OAuthError::invalid_request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is compressed (Content-Encoding); send it uncompressed",
        ),
        BodyError::TooLarge => {
            OAuthError::invalid_request(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 64 KiB")
        }
        BodyError::TooSlow => OAuthError::invalid_request(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
        ),
        BodyError::Broken => {
            OAuthError::invalid_request(StatusCode::BAD_REQUEST, "the body did not arrive whole")
        }
    }
}

/// Records a failed authentication, and makes its answer.
async fn refused(
    app: &App,
    event: Result<AuditEvent, ServiceError>,
    claimed: Option<SecretOwner>,
    refusal: AuthRefusal,
) -> OAuthError {
    if let AuthRefusal::Service(error) = &refusal {
        tracing::error!(error = with_causes(error), "authenticating a client failed");
        return OAuthError::unavailable();
    }
    let client_id: Option<ClientId> = match claimed {
        Some(SecretOwner::Client(id)) => Some(id),
        _ => None,
    };
    let reason = refusal.reason();
    let secret_id = refusal.secret_id();
    let who = match secret_id {
        Some(_) => Refused::Known,
        None => Refused::Stranger,
    };
    let error = OAuthError::from(refusal);
    let mut event = match event {
        Ok(event) => event,
        Err(error) => return OAuthError::internal(&error),
    };
    event.outcome = jeton_core::Outcome::Refused;
    event.reason = Some(reason);
    event.client_id = client_id;
    event.secret_id = secret_id;
    app.audit.record_refusal(event, who).await;
    error
}
