//! Claims, signature, audit: the only place where a token comes to be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jeton_core::{
    AccessTokenClaims, Actor, AuditEvent, AuditKind, ClientId, LONG_TOKEN, Outcome, SecretState,
    SigningAlgorithm, Timestamp, TokenId, TokenProfile, TokenRequest, TokenResponse, TokenType,
    redact,
};
use jeton_jose::{SigningError, SigningKey};

use super::decision::{Issue, Refusal};
use crate::app::App;
use crate::audit::Refused;
use crate::http::OAuthError;
use crate::oauth::client_auth::{Authenticated, Caller};
use crate::service::TokenPreview;

/// What takes longer is decided again before the token leaves.
const SLOW: Duration = Duration::from_millis(200);

/// How long before its issue a token is valid already, in seconds. A verifier whose clock is behind, by a minute and a
/// half for one, would refuse it otherwise; some expect `nbf`, although RFC 9068 §2.2 asks for none.
const NOT_BEFORE: i64 = 120;

/// Issues a token. Its record is durable before it is returned; without a record there is no token.
pub(super) async fn issue(
    app: &App,
    authenticated: &Authenticated,
    issue: Issue,
) -> Result<TokenResponse, OAuthError> {
    let decided = Instant::now();
    let now = app.clock.now();
    let mut claims = claims(app, &issue, now)?;
    let key = app
        .keys
        .active(issue.server.signing_alg)
        .map_err(|error| OAuthError::internal(&error))?;
    let failed = |error: SigningError| OAuthError::internal(&error);
    let unsigned = unsigned(&key, &mut claims).map_err(failed)?;
    let (access_token, under_way) = match key.algorithm() {
        // Most of a millisecond, or a quarter of one. On threads of their own, measured, the hand-over
        // costs throughput and gains nothing: there are as many workers as cores.
        SigningAlgorithm::Rs256 => {
            let signed = app.signing.sign(Arc::clone(&key), unsigned).await;
            (signed, app.audit.under_way())
        }
        SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => {
            let under_way = app.audit.under_way();
            (key.sign_token(unsigned), under_way)
        }
    };
    let access_token = access_token.map_err(failed)?;

    let client_id = issue.client.client.id;
    let mut event = event(app, authenticated, &issue, claims)?;
    event
        .detail
        .insert("key_id".into(), key.id().to_string().into());
    if access_token.len() >= LONG_TOKEN {
        event
            .detail
            .insert("token_bytes".into(), access_token.len().into());
    }
    app.audit
        .record_after(under_way, event)
        .await
        .map_err(|_| OAuthError::unavailable())?;
    if decided.elapsed() > SLOW {
        still_entitled(app, client_id, authenticated, decided).await?;
    }

    Ok(TokenResponse {
        access_token,
        token_type: TokenType::Bearer,
        expires_in: Some(i64::from(issue.token_ttl.as_seconds())),
        scope: Some(issue.scope),
    })
}

/// What is recorded of a token, but for what only its signature tells.
fn event(
    app: &App,
    authenticated: &Authenticated,
    issue: &Issue,
    claims: AccessTokenClaims,
) -> Result<Box<AuditEvent>, OAuthError> {
    let client = Actor::Authenticated(claims.client_id);
    let mut event = authenticated
        .context
        .event(app, AuditKind::TokenIssued, client)
        .map(Box::new)
        .map_err(|error| OAuthError::internal(&error))?;
    event.client_id = Some(issue.client.client.id);
    event.mcp_server_id = Some(issue.server.id);
    event.secret_id = Some(authenticated.secret_id);
    event.scope = Some(issue.scope.clone());
    event.resource = issue
        .resource
        .as_ref()
        .map(|resource| resource.as_given().to_owned());
    event.record_left_out_scopes(&issue.left_out);
    event.jti = Some(claims.jti);
    event.detail.insert(
        "expires_at".into(),
        Timestamp::from_seconds(claims.exp).to_string().into(),
    );
    Ok(event)
}

/// A client that was disabled meanwhile, somewhere, gets no token, nor does a secret that was revoked:
/// where recording took long, the decision may be older than the second that is promised.
async fn still_entitled(
    app: &App,
    client_id: ClientId,
    authenticated: &Authenticated,
    decided: Instant,
) -> Result<(), OAuthError> {
    let entry = app
        .directory
        .find_client_since(client_id, decided)
        .await
        .map_err(|error| OAuthError::unavailable_because(&error))?;
    let now = app.clock.now();
    let entitled = entry.is_some_and(|entry| {
        entry.client.is_enabled()
            && entry.secrets.iter().any(|secret| {
                secret.id == authenticated.secret_id && secret.state(now) == SecretState::Active
            })
    });
    if entitled {
        Ok(())
    } else {
        Err(OAuthError::unavailable())
    }
}

/// What [`issue`] would put into the token.
pub(super) fn preview(app: &App, issue: &Issue) -> Result<TokenPreview, OAuthError> {
    let key = app
        .keys
        .active(issue.server.signing_alg)
        .map_err(|error| OAuthError::internal(&error))?;
    let mut claims = claims(app, issue, app.clock.now())?;
    let unsigned = unsigned(&key, &mut claims).map_err(|error| OAuthError::internal(&error))?;
    Ok(TokenPreview::Issued {
        alg: issue.server.signing_alg.as_str(),
        kid: key.id().to_string(),
        length: key.token_length(&unsigned),
        left_out: issue.left_out.clone(),
        claims: Box::new(claims),
    })
}

/// A token up to its signature. `scopes` repeats `scope` only while that keeps the token short.
fn unsigned(key: &SigningKey, claims: &mut AccessTokenClaims) -> Result<String, SigningError> {
    let unsigned = key.unsigned_access_token(claims)?;
    if key.token_length(&unsigned) < LONG_TOKEN || claims.scopes.take().is_none() {
        return Ok(unsigned);
    }
    key.unsigned_access_token(claims)
}

/// RFC 9068 §2.2.
fn claims(app: &App, issue: &Issue, now: Timestamp) -> Result<AccessTokenClaims, OAuthError> {
    let jti =
        TokenId::generate(now, &app.id_entropy).map_err(|error| OAuthError::internal(&error))?;
    let client = &issue.client.client;
    let client_id = client.id.to_string();
    let scopes = match issue.server.token_profile {
        TokenProfile::Compatible => Some(issue.scope.iter().map(ToString::to_string).collect()),
        TokenProfile::Strict => None,
    };
    let iat = now.as_seconds();
    Ok(AccessTokenClaims {
        iss: issue.server.token_issuer(app.issuer.as_str()),
        sub: client_id.clone(),
        aud: issue.server.audience(issue.resource.as_ref()),
        exp: iat + i64::from(issue.token_ttl.as_seconds()),
        iat,
        nbf: Some(iat - NOT_BEFORE),
        jti: jti.to_string(),
        client_id,
        scope: issue.scope.clone(),
        scopes,
        custom: client.custom_claims.as_map().clone(),
    })
}

/// Records a refusal, and makes its answer.
pub(super) async fn refuse(
    app: &App,
    authenticated: &Authenticated,
    request: Option<TokenRequest>,
    refusal: Refusal,
) -> OAuthError {
    let error = OAuthError::from(&refusal);
    let event =
        authenticated
            .context
            .event(app, AuditKind::TokenRefused, authenticated.caller.actor());
    let mut event = match event {
        Ok(event) => event,
        Err(error) => return OAuthError::internal(&error),
    };
    event.outcome = Outcome::Refused;
    event.reason = Some(error.reason());
    event.client_id = caller_id(&authenticated.caller);
    event.mcp_server_id = refusal.mcp_server();
    event.secret_id = Some(authenticated.secret_id);
    // What was asked for is recorded, unless it is a secret in the wrong place.
    if let Some(scope) = authenticated.form.value("scope") {
        event.record_requested_scope(scope);
    }
    event.resource = request
        .and_then(|request| request.resource)
        .map(|resource| redact(resource.as_given()).into_owned());
    app.audit.record_refusal(event, Refused::Known).await;
    error
}

fn caller_id(caller: &Caller) -> Option<ClientId> {
    match caller {
        Caller::Client(entry) => Some(entry.client.id),
        Caller::McpServer(_) => None,
    }
}
