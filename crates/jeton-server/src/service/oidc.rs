//! Signing in through an `OpenID` Connect provider: the authorization code flow with PKCE, state and
//! nonce (`OpenID` Connect Core §3.1, RFC 7636, RFC 9207).

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::{
    Actor, Admin, AdminId, AuditKind, DisplayName, EmailAddress, Outcome, PlainSecret, hex,
};
use jeton_jose::{
    ExpectedIdToken, IdTokenClaims, KeysLocation, RemoteKeys, UnverifiedToken, fetch_json,
    http_client, is_trustworthy_url, verify_id_token,
};
use jeton_store::retry_on_conflict;
use reqwest::Client;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ServiceError, sessions};
use crate::app::App;
use crate::config::OidcConfig;
use crate::request_context::RequestContext;

/// Why somebody is not signed in. What a person cannot mend is in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    /// There is no such section in the configuration.
    #[error("signing in through a provider is not set up")]
    NotConfigured,
    /// The answer belongs to no sign-in of this browser's.
    #[error("this answer belongs to another sign-in; begin again")]
    State,
    /// The provider said no.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The provider failed, or is not set up as it should be.
    #[error("the provider did not answer as it should; the server's log says why")]
    Provider(String),
    /// Somebody who may not.
    #[error("{0} may not use this dashboard; ask an admin for an invitation")]
    Unknown(String),
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What the browser holds, sealed, while it is at the provider.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards.
    pub(crate) next: String,
}

/// What the provider sends back.
#[derive(Debug, Deserialize)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct ProviderMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// Begins: the provider's page to go to, and what to hold until it sends the browser back.
pub(crate) async fn begin(app: &App, next: String) -> Result<(String, Pending), OidcError> {
    let config = app.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let client = http_client().map_err(|error| provider(&error))?;
    let metadata = metadata(&client, config).await?;
    let pending = Pending {
        state: random(app)?,
        nonce: random(app)?,
        verifier: random(app)?,
        next,
    };
    let challenge = digest::digest(&digest::SHA256, pending.verifier.as_bytes());
    let mut url = Url::parse(&metadata.authorization_endpoint)
        .map_err(|error| OidcError::Provider(error.to_string()))?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", &redirect_uri(app))
        .append_pair("scope", "openid email profile")
        .append_pair("state", &pending.state)
        .append_pair("nonce", &pending.nonce)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
        .append_pair("code_challenge_method", "S256");
    Ok((url.into(), pending))
}

/// Ends: checks what came back and begins a session; gives its token.
pub(crate) async fn finish(
    app: &App,
    context: &RequestContext,
    pending: &Pending,
    callback: Callback,
) -> Result<PlainSecret, OidcError> {
    let config = app.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let state = callback.state.unwrap_or_default();
    constant_time::verify_slices_are_equal(state.as_bytes(), pending.state.as_bytes())
        .map_err(|_| OidcError::State)?;
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
    let claims = redeem(app, config, pending, &code).await?;
    let verified = claims.email_verified == Some(true);
    let email = claims
        .email
        .as_deref()
        .filter(|_| verified)
        .and_then(|email| email.parse::<EmailAddress>().ok());
    let Some(email) = email else {
        refuse(app, context, "no verified e-mail address").await?;
        return Err(OidcError::Unknown(
            "Somebody without a verified e-mail address".into(),
        ));
    };
    let Some(admin) = find_or_make(app, context, config, &claims, &email).await? else {
        refuse(app, context, &format!("{email} is no admin and on no list")).await?;
        return Err(OidcError::Unknown(email.to_string()));
    };
    Ok(sessions::begin(app, context, &admin).await?)
}

async fn find_or_make(
    app: &App,
    context: &RequestContext,
    config: &OidcConfig,
    claims: &IdTokenClaims,
    email: &EmailAddress,
) -> Result<Option<Admin>, ServiceError> {
    if let Some((admin, _)) = app.store.find_admin_by_email(email).await? {
        return Ok(Some(admin));
    }
    let Some(role) = config.role_of(email) else {
        return Ok(None);
    };
    let now = app.clock.now();
    let name = claims
        .name
        .as_deref()
        .and_then(|name| name.parse::<DisplayName>().ok());
    let name = match name {
        Some(name) => name,
        None => email
            .as_str()
            .chars()
            .take(100)
            .collect::<String>()
            .parse()
            .map_err(|error| ServiceError::Conflict(format!("{email}: {error}")))?,
    };
    let admin = Admin {
        id: AdminId::generate(now, app.entropy.as_ref())?,
        name,
        email: email.clone(),
        role,
        created_at: now,
        last_sign_in_at: None,
    };
    let actor = Actor::Authenticated(admin.id.to_string());
    let mut event = context.event(app, AuditKind::AdminCreated, actor)?;
    event
        .detail
        .insert("admin_id".into(), admin.id.to_string().into());
    event.detail.insert("role".into(), role.as_str().into());
    event
        .detail
        .insert("provider".into(), config.issuer.as_str().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_admin(&admin, None).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(Some(admin))
}

async fn refuse(app: &App, context: &RequestContext, reason: &str) -> Result<(), ServiceError> {
    let mut event = context.event(app, AuditKind::AdminSignInRefused, Actor::Anonymous)?;
    event.outcome = Outcome::Refused;
    event.reason = Some(reason.to_owned());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Trades the code for an ID token and verifies it.
async fn redeem(
    app: &App,
    config: &OidcConfig,
    pending: &Pending,
    code: &str,
) -> Result<IdTokenClaims, OidcError> {
    let client = http_client().map_err(|error| provider(&error))?;
    let metadata = metadata(&client, config).await?;
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let (id, secret): (String, String) = (
        encode(&config.client_id),
        encode(config.client_secret.expose_secret()),
    );
    let answer = client
        .post(&metadata.token_endpoint)
        .basic_auth(id, Some(secret))
        .form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri(app)),
            ("code_verifier", &pending.verifier),
        ])
        .send()
        .await
        .map_err(|error| provider(&error.without_url()))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(provider(&format!("the token endpoint answered {status}")));
    }
    let answer: TokenAnswer = answer
        .json()
        .await
        .map_err(|error| provider(&error.without_url()))?;
    let token = UnverifiedToken::parse(&answer.id_token).map_err(|error| provider(&error))?;
    let keys = RemoteKeys::builder(KeysLocation::JwksUri(metadata.jwks_uri), client).build();
    let key = keys
        .find(token.kid())
        .await
        .map_err(|error| provider(&error))?
        .ok_or_else(|| provider(&"the ID token names no key of the provider's"))?;
    let expected = ExpectedIdToken {
        issuer: &config.issuer,
        client_id: &config.client_id,
        nonce: &pending.nonce,
    };
    verify_id_token(&token, &key, expected, app.clock.now()).map_err(|error| provider(&error))
}

async fn metadata(client: &Client, config: &OidcConfig) -> Result<ProviderMetadata, OidcError> {
    let issuer = config.issuer.trim_end_matches('/');
    let url = format!("{issuer}/.well-known/openid-configuration");
    let metadata: ProviderMetadata = fetch_json(client, &url)
        .await
        .map_err(|error| provider(&error))?;
    if metadata.issuer != config.issuer {
        return Err(provider(&format!(
            "its metadata is for the issuer {:?}, where {:?} is configured",
            metadata.issuer, config.issuer
        )));
    }
    let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint];
    if !endpoints.iter().all(|url| is_trustworthy_url(url)) {
        return Err(provider(&"its endpoints are not https"));
    }
    Ok(metadata)
}

fn provider(error: &impl ToString) -> OidcError {
    OidcError::Provider(error.to_string())
}

fn redirect_uri(app: &App) -> String {
    format!("{}/dashboard/oidc/callback", app.issuer)
}

fn random(app: &App) -> Result<String, ServiceError> {
    let mut bytes = [0_u8; 32];
    app.entropy.fill(&mut bytes)?;
    Ok(hex::encode(&bytes))
}
