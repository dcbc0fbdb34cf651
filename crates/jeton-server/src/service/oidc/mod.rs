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
use jeton_core::{Actor, Admin, AuditKind, EmailAddress, Outcome, PlainSecret, Timestamp};
use jeton_jose::IdTokenClaims;
use jeton_store::retry_on_conflict;
use serde::Deserialize;
use url::Url;

use super::ServiceError;
use super::sessions::{self, SignInMethod};
use crate::app::App;
use crate::audit::Refused;
use crate::request_context::RequestContext;
use crate::source_network::SourceNetwork;
use people::Found;

pub(crate) use pending::{PENDING_FOR, Pending, SignInPurpose};
pub(crate) use provider::Provider;
pub(crate) use standing::{admits, can_sign_in, has_passwords, reconcile};

/// How long ago the provider may have asked, in seconds, where it has to ask again.
const ASKED_WITHIN: i64 = 120;

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
    /// Somebody whose address another account has, made by whoever had a link.
    #[error(
        "there is an account with the address {0}, but nobody confirmed that it is yours; sign in with its password, or ask an admin to remove it and to invite {0} by name"
    )]
    Unconfirmed(EmailAddress),
    /// The provider did not ask again, as it was told to.
    #[error("the provider did not ask who you are again; sign out there and begin again")]
    NotAsked,
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
pub(crate) async fn begin(
    app: &App,
    next: &str,
    purpose: SignInPurpose,
) -> Result<(String, Pending), OidcError> {
    let provider = app.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let metadata = provider.metadata().await?;
    let pending = Pending::begin(app, next, purpose)?;
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
    if purpose == SignInPurpose::Confirm {
        // OpenID Connect Core §3.1.2.1: who they are is asked again, however long they are signed in there.
        url.query_pairs_mut()
            .append_pair("prompt", "login")
            .append_pair("max_age", "0");
    }
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
    /// Whether the account had a password until now.
    pub(crate) is_handed_over: bool,
}

/// Ends: checks what came back and begins a session.
pub(crate) async fn finish(
    app: &App,
    context: &RequestContext,
    (cookie, user_agent): (&str, Option<String>),
    callback: Callback,
) -> Result<SignedInThere, OidcError> {
    let provider = app.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let state = callback.state.as_deref().unwrap_or_default();
    let pending = Pending::find(app, cookie, state)?.ok_or(OidcError::State)?;
    let claims = redeem(app, provider, (context, &pending), callback).await?;
    let config = &provider.config;
    let (admin, is_handed_over) = match people::find(app, context, config, &claims).await? {
        Found::Admin(admin) => (admin, false),
        Found::HandedOver(admin) => (admin, true),
        Found::Unconfirmed(email) => {
            let reason = format!(
                "{email} is the address of an account with a password, and nobody named it"
            );
            refuse(app, context, reason).await?;
            return Err(OidcError::Unconfirmed(email));
        }
        Found::Refused { who, reason } => {
            refuse(app, context, reason).await?;
            return Err(OidcError::Unknown(who));
        }
    };
    let token = sessions::begin(app, context, &admin, (SignInMethod::Provider, user_agent)).await?;
    Ok(SignedInThere {
        admin,
        token,
        next: pending.next,
        is_handed_over,
    })
}

/// Checks what came back, and has the provider say who it is about.
async fn redeem(
    app: &App,
    provider: &Provider,
    (context, pending): (&RequestContext, &Pending),
    callback: Callback,
) -> Result<IdTokenClaims, OidcError> {
    // RFC 9207 §2.4: an answer of another provider's is not for this one, nor one that does not say whose it
    // is, where the provider says that it always does.
    let metadata = provider.metadata().await?;
    let is_named = match &callback.iss {
        Some(iss) => *iss == provider.config.issuer,
        None => !metadata.authorization_response_iss_parameter_supported,
    };
    if !is_named {
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
    if !take(app, &pending.state(), now).await? {
        return Err(OidcError::State);
    }
    let claims = provider.redeem(pending, (&code, &redirect_uri), now).await;
    if !matches!(claims, Err(OidcError::Code)) {
        app.sign_in_throttle.source_succeeded(source);
    }
    let claims = claims?;
    if pending.purpose == SignInPurpose::Confirm && !is_fresh(&claims, now) {
        return Err(OidcError::NotAsked);
    }
    Ok(claims)
}

/// Takes the answer of a sign-in, once: whoever has seen it and the cookie cannot use it again.
async fn take(app: &App, state: &str, now: Timestamp) -> Result<bool, ServiceError> {
    let forget_at = now.plus(PENDING_FOR);
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let is_first = tx.use_sign_in(state, forget_at).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(is_first)
    })
    .await
}

/// `OpenID` Connect Core §3.1.3.7 number 13: whether they were asked a moment ago.
fn is_fresh(claims: &IdTokenClaims, now: Timestamp) -> bool {
    let asked = claims.auth_time.unwrap_or_default();
    now.as_seconds().saturating_sub(asked) <= ASKED_WITHIN
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
