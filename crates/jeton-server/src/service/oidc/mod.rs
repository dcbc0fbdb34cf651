//! Signing in through an `OpenID` Connect provider: the authorization code flow with PKCE, state and
//! nonce (`OpenID` Connect Core §3.1, RFC 7636, RFC 9207).

mod pending;
mod people;
mod provider;
mod standing;

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::{Actor, Admin, AuditKind, Outcome, PlainSecret};
use serde::Deserialize;
use url::Url;

use super::{ServiceError, sessions};
use crate::app::App;
use crate::audit::Refused;
use crate::request_context::RequestContext;
use crate::source_network::SourceNetwork;
use people::Found;

pub(crate) use pending::{PENDING_FOR, Pending};
pub(crate) use provider::Provider;
pub(crate) use standing::{admits, reconcile};

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    /// There is no such section in the configuration.
    #[error("signing in through a provider is not set up")]
    NotConfigured,
    /// The answer belongs to no sign-in of this browser's.
    #[error("this answer belongs to another sign-in; begin again")]
    State,
    /// The code is wrong, was used, or took too long.
    #[error("the provider no longer accepts this answer; begin again")]
    Code,
    /// The provider said no.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The provider failed, or is not set up as it should be.
    #[error("the provider did not answer as it should; the server's log says why")]
    Provider,
    /// Many sign in at this moment.
    #[error("many people are signing in; try again in a moment")]
    Busy,
    /// Too many failures.
    #[error("too many failed attempts; try again in {}", jeton_core::in_whole_seconds(*.0))]
    Throttled(Duration),
    /// Somebody who may not.
    #[error("{0} may not use this dashboard; ask an admin for an invitation")]
    Unknown(String),
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What the provider sends back.
#[derive(Debug, Deserialize)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Begins: the provider's page to go to, and what to hold until it sends the browser back.
pub(crate) async fn begin(app: &App, next: &str) -> Result<(String, Pending), OidcError> {
    let provider = app.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let metadata = provider.metadata().await?;
    let pending = Pending::begin(app, next)?;
    let challenge = digest::digest(&digest::SHA256, pending.verifier().as_bytes());
    let mut url = Url::parse(&metadata.authorization_endpoint).map_err(|_| OidcError::Provider)?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.config.client_id)
        .append_pair("redirect_uri", &redirect_uri(app))
        .append_pair("scope", "openid email profile")
        .append_pair("state", &pending.state())
        .append_pair("nonce", &pending.nonce())
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
        .append_pair("code_challenge_method", "S256");
    Ok((url.into(), pending))
}

/// Somebody who signed in.
#[derive(Debug)]
pub(crate) struct SignedInThere {
    pub(crate) admin: Admin,
    /// The session's token.
    pub(crate) token: PlainSecret,
    /// Where to go.
    pub(crate) next: String,
}

/// Ends: checks what came back and begins a session.
pub(crate) async fn finish(
    app: &App,
    context: &RequestContext,
    cookie: &str,
    callback: Callback,
) -> Result<SignedInThere, OidcError> {
    let provider = app.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let config = &provider.config;
    let state = callback.state.unwrap_or_default();
    let pending = Pending::find(app, cookie, &state)?.ok_or(OidcError::State)?;
    // RFC 9207: an answer of another provider's is not for this one.
    if callback.iss.is_some_and(|iss| iss != config.issuer) {
        return Err(OidcError::State);
    }
    if let Some(error) = callback.error {
        let plain: String = error
            .chars()
            .filter(char::is_ascii_graphic)
            .take(60)
            .collect();
        return Err(OidcError::Refused(plain));
    }
    let code = callback.code.ok_or(OidcError::State)?;
    // Anybody can begin a sign-in and invent a code: that costs a request to the provider.
    let source = SourceNetwork::from(context.source);
    app.sign_in_throttle
        .begin_from(source, tokio::time::Instant::now())
        .map_err(OidcError::Throttled)?;
    let redirect_uri = redirect_uri(app);
    let now = app.clock.now();
    let claims = provider.redeem(&pending, (&code, &redirect_uri), now).await;
    if !matches!(claims, Err(OidcError::Code)) {
        app.sign_in_throttle.source_succeeded(source);
    }
    let admin = match people::find(app, context, config, &claims?).await? {
        Found::Admin(admin) => admin,
        Found::Refused { who, reason } => {
            refuse(app, context, reason).await?;
            return Err(OidcError::Unknown(who));
        }
    };
    let token = sessions::begin(app, context, &admin).await?;
    Ok(SignedInThere {
        admin,
        token,
        next: pending.next,
    })
}

async fn refuse(app: &App, context: &RequestContext, reason: String) -> Result<(), ServiceError> {
    let mut event = context.event(app, AuditKind::AdminSignInRefused, Actor::Anonymous)?;
    event.outcome = Outcome::Refused;
    event.reason = Some(reason);
    app.audit.record_refusal(event, Refused::Stranger).await;
    Ok(())
}

fn redirect_uri(app: &App) -> String {
    format!("{}/dashboard/oidc/callback", app.issuer)
}
