//! Who may pass: the story of one request.

use std::borrow::Cow;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, LengthLimitError, Limited};
use jeton_core::{AccessTokenClaims, Challenge, Clock, ScopeSet};
use jeton_jose::{RemoteKeys, RemoteKeysError, TokenVerifier, UnverifiedToken, VerifyError};

use crate::mcp_message::UnreadableMessage;
use crate::policy::ScopePolicy;
use crate::{Body, BoxError, answer, mcp_message, request_headers};

/// JSON-RPC 2.0 §5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
/// MCP 2026-07-28, Server Validation.
const HEADER_MISMATCH: i32 = -32020;

/// A verified token's claims, in the request's extensions.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    claims: Arc<AccessTokenClaims>,
    /// With what they imply, where that is more.
    scopes: Option<Arc<ScopeSet>>,
}

impl VerifiedToken {
    /// The scopes of the token, and all that they imply, as
    /// [`scope_implies`](crate::GuardBuilder::scope_implies) says. The claim alone is `scope`.
    pub fn scopes(&self) -> &ScopeSet {
        self.scopes.as_deref().unwrap_or(&self.claims.scope)
    }
}

impl Deref for VerifiedToken {
    type Target = AccessTokenClaims;

    fn deref(&self) -> &AccessTokenClaims {
        &self.claims
    }
}

/// Whether a request goes on to the service.
pub(crate) enum Admission {
    Pass(Box<Request<Body>>),
    Answer(Box<Response<Body>>),
}

/// Everything that decides.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) metadata_url: String,
    pub(crate) well_known: String,
    pub(crate) metadata: Bytes,
    pub(crate) verifier: TokenVerifier,
    pub(crate) keys: RemoteKeys,
    pub(crate) policy: ScopePolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_body: usize,
}

/// Why a request does not pass.
enum Denial {
    /// RFC 6750 §3.1: no token, so no error code.
    NoToken,
    /// Two `Authorization` headers, of which each reader could take another.
    TwoTokens,
    Token(VerifyError),
    KeysUnavailable(Arc<RemoteKeysError>),
    /// The scopes that the request needs, all of them.
    InsufficientScope(ScopeSet),
    Body(StatusCode, &'static str),
    /// A message that cannot be read for certain, or headers that say something else.
    Message {
        code: i32,
        words: String,
        /// The JSON text of the message's ID.
        id: Option<String>,
    },
}

impl Rules {
    pub(crate) async fn admit(&self, request: Request<Body>) -> Admission {
        if self.is_metadata_request(&request) {
            return Admission::Answer(Box::new(answer::document(&self.metadata)));
        }
        // A browser asks before it may send a token.
        if request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Admission::Pass(Box::new(request));
        }
        match self.authorize(request).await {
            Ok(request) => Admission::Pass(Box::new(request)),
            Err(denial) => Admission::Answer(Box::new(self.deny(denial))),
        }
    }

    /// RFC 9728 §3.1, and the bare well-known path, where some clients look.
    fn is_metadata_request(&self, request: &Request<Body>) -> bool {
        let path = request.uri().path();
        matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        ) && (path == self.well_known || path == "/.well-known/oauth-protected-resource")
    }

    async fn authorize(&self, request: Request<Body>) -> Result<Request<Body>, Denial> {
        let claims = self.verify(request.headers()).await?;
        let (mut parts, body) = request.into_parts();
        let is_read = self.policy.reads_messages() || request_headers::are_expected(&parts.headers);
        let body = if parts.method == Method::POST && is_read {
            self.require_for_calls(&parts.headers, body, &claims.scope)
                .await?
        } else {
            self.require(&ScopeSet::empty(), &claims.scope)?;
            body
        };
        let scopes = match self.policy.hierarchy.expand(&claims.scope) {
            Cow::Borrowed(_) => None,
            Cow::Owned(scopes) => Some(Arc::new(scopes)),
        };
        parts.extensions.insert(VerifiedToken {
            claims: Arc::new(claims),
            scopes,
        });
        Ok(Request::from_parts(parts, body))
    }

    /// Requires what every request needs, and `calls` beside it. A refusal tells both: clients ask for what
    /// it names at once (MCP 2026-07-28, *Scope Challenge Handling*).
    fn require(&self, calls: &ScopeSet, granted: &ScopeSet) -> Result<(), Denial> {
        let always = &self.policy.always;
        if self.policy.suffices(granted, always) && self.policy.suffices(granted, calls) {
            Ok(())
        } else {
            Err(Denial::InsufficientScope(always.union(calls)))
        }
    }

    async fn verify(&self, headers: &HeaderMap) -> Result<AccessTokenClaims, Denial> {
        let token = bearer_token(headers)?;
        let token =
            UnverifiedToken::parse(token).map_err(|_| Denial::Token(VerifyError::Malformed))?;
        self.verifier.precheck(&token).map_err(Denial::Token)?;
        let key = self
            .keys
            .find(token.kid())
            .await
            .map_err(Denial::KeysUnavailable)?
            .ok_or(Denial::Token(VerifyError::UnknownKey))?;
        self.verifier
            .verify(&token, &key, self.clock.now())
            .map_err(Denial::Token)
    }

    /// Requires what the calls in the body need; hands the same bytes on.
    async fn require_for_calls(
        &self,
        headers: &HeaderMap,
        body: Body,
        granted: &ScopeSet,
    ) -> Result<Body, Denial> {
        match self.read_calls(headers, body).await {
            Ok((bytes, needed)) => {
                self.require(&needed, granted)?;
                Ok(Full::new(bytes)
                    .map_err(|never| match never {})
                    .boxed_unsync())
            }
            // A token that is not enough for any request comes first.
            Err(unreadable) => {
                self.require(&ScopeSet::empty(), granted)?;
                Err(unreadable)
            }
        }
    }

    /// Reads the body, and what its calls need.
    async fn read_calls(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, ScopeSet), Denial> {
        if headers.contains_key(CONTENT_ENCODING) {
            let words = "a request body with Content-Encoding cannot be checked; send it plain";
            return Err(Denial::Body(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
        }
        let bytes = match collect(body, self.max_body).await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let words = "the request body is too large";
                return Err(Denial::Body(StatusCode::PAYLOAD_TOO_LARGE, words));
            }
            Err(_) => {
                let words = "the request body did not arrive whole";
                return Err(Denial::Body(StatusCode::BAD_REQUEST, words));
            }
        };
        let needed = self.needed(headers, &bytes)?;
        Ok((bytes, needed))
    }

    /// What the message in a body needs, if it says the same as the headers.
    fn needed(&self, headers: &HeaderMap, body: &[u8]) -> Result<ScopeSet, Denial> {
        let message = mcp_message::read(body).map_err(|error| Denial::Message {
            code: match error {
                UnreadableMessage::NotJson => PARSE_ERROR,
                _ => INVALID_REQUEST,
            },
            words: error.to_string(),
            id: mcp_message::id(body).map(str::to_owned),
        })?;
        request_headers::check(headers, &message).map_err(|error| Denial::Message {
            code: HEADER_MISMATCH,
            words: format!("Header mismatch: {error}"),
            id: message.id.map(str::to_owned),
        })?;
        Ok(self.policy.needed(&message.calls))
    }

    fn deny(&self, denial: Denial) -> Response<Body> {
        match denial {
            Denial::NoToken => {
                let words = "send an access token as Authorization: Bearer; the resource_metadata \
                             in WWW-Authenticate says where to get one";
                answer::challenge(StatusCode::UNAUTHORIZED, &self.challenge(None, None), words)
            }
            Denial::TwoTokens => answer::error(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "send one Authorization header, not several",
            ),
            Denial::Token(error) => {
                tracing::debug!(%error, "refused a token");
                let words = error.to_string();
                let challenge = self.challenge(Some("invalid_token"), Some(&words));
                answer::challenge(StatusCode::UNAUTHORIZED, &challenge, &words)
            }
            Denial::KeysUnavailable(error) => {
                // The fetch that failed has been reported, once for all who wait for the keys.
                tracing::debug!(%error, "no signing keys: a token cannot be verified");
                answer::error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    "the token cannot be verified now, since the authorization server's keys could not be fetched; try again in a moment",
                )
            }
            Denial::InsufficientScope(needed) => {
                let words = format!("this needs the scope {needed}");
                // Not what the token has beside it: clients unite the two (MCP 2026-07-28, *Scope
                // Challenge Handling*).
                let challenge = Challenge {
                    scope: Some(needed),
                    ..self.challenge(Some("insufficient_scope"), Some(&words))
                };
                answer::challenge(StatusCode::FORBIDDEN, &challenge, &words)
            }
            Denial::Body(status, words) => answer::error(status, "invalid_request", words),
            Denial::Message { code, words, id } => {
                answer::json_rpc_error(code, &words, id.as_deref())
            }
        }
    }

    fn challenge(&self, error: Option<&str>, words: Option<&str>) -> Challenge {
        Challenge {
            error: error.map(str::to_owned),
            error_description: words.map(str::to_owned),
            scope: Some(self.policy.suggested.clone()),
            resource_metadata: Some(self.metadata_url.clone()),
        }
    }
}

/// Boxed, because the compiler cannot see through [`Limited`]'s error that this future is `Send`.
fn collect(
    body: Body,
    limit: usize,
) -> Pin<Box<dyn Future<Output = Result<Collected<Bytes>, BoxError>> + Send>> {
    Box::pin(Limited::new(body, limit).collect())
}

/// RFC 6750 §2.1, the only place a token is taken from.
fn bearer_token(headers: &HeaderMap) -> Result<&str, Denial> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Denial::NoToken)?;
    if values.next().is_some() {
        return Err(Denial::TwoTokens);
    }
    let value = value
        .to_str()
        .map_err(|_| Denial::Token(VerifyError::Malformed))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(Denial::NoToken)
    }
}
