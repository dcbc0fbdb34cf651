//! The provider: its metadata and keys, fetched once for everybody and kept, and the exchange of a
//! code for an ID token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jeton_core::{Timestamp, presentable_url};
use jeton_jose::{
    ExpectedIdToken, HttpError, IdTokenClaims, KeysLocation, PlainHttp, RemoteKeys,
    UnverifiedToken, check_link, check_resolved_link, fetch_json, http_client, verify_id_token,
};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::{OidcError, Pending};
use crate::config::OidcConfig;
use crate::telemetry::{Recurring, with_causes};

/// How long metadata is used before it is fetched again. While that fails, it is used on.
const FRESH_FOR: Duration = Duration::from_secs(60 * 60);
/// How long after a failure nothing is fetched.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Codes that are exchanged at the same time.
const MAX_EXCHANGES: usize = 8;
/// The largest token response, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// What is used of the provider's metadata (`OpenID` Connect Discovery §3).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ProviderMetadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    /// RFC 9207 §3.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

struct Known {
    metadata: ProviderMetadata,
    keys: RemoteKeys,
    fetched: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// See the module.
pub(crate) struct Provider {
    pub(crate) config: OidcConfig,
    client: Client,
    known: ArcSwapOption<Known>,
    /// When fetching last failed; holding it is the right to fetch.
    flight: Mutex<Option<Instant>>,
    exchanges: Semaphore,
    trouble: std::sync::Mutex<Recurring>,
}

impl Provider {
    /// Fetches nothing yet.
    pub(crate) fn new(config: OidcConfig) -> Result<Self, reqwest::Error> {
        Ok(Self {
            config,
            client: http_client()?,
            known: ArcSwapOption::empty(),
            flight: Mutex::new(None),
            exchanges: Semaphore::new(MAX_EXCHANGES),
            trouble: std::sync::Mutex::default(),
        })
    }

    /// Its metadata.
    pub(super) async fn metadata(&self) -> Result<ProviderMetadata, OidcError> {
        Ok(self.known().await?.metadata.clone())
    }

    /// What is known, fetched if it is not. One fetch serves all who wait for it.
    async fn known(&self) -> Result<Arc<Known>, OidcError> {
        let now = Instant::now();
        let kept = self.known.load_full();
        let mut failed = match &kept {
            Some(kept) if now.duration_since(kept.fetched) < FRESH_FOR => {
                return Ok(Arc::clone(kept));
            }
            // Somebody else fetches it: what there is will do.
            Some(kept) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(Arc::clone(kept)),
            },
            None => self.flight.lock().await,
        };
        let meanwhile = self.known.load_full();
        if let Some(meanwhile) = meanwhile
            && meanwhile.fetched > now
        {
            return Ok(meanwhile);
        }
        if failed.is_none_or(|at| at.elapsed() >= RETRY_AFTER) {
            match self.fetch(kept.as_deref()).await {
                Ok(known) => {
                    let known = Arc::new(known);
                    self.known.store(Some(Arc::clone(&known)));
                    *failed = None;
                    return Ok(known);
                }
                Err(cause) => {
                    self.report(&cause);
                    *failed = Some(Instant::now());
                }
            }
        }
        kept.ok_or(OidcError::Provider)
    }

    async fn fetch(&self, before: Option<&Known>) -> Result<Known, String> {
        let configured = &self.config.issuer;
        let issuer = configured.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let metadata: ProviderMetadata = fetch_json(&self.client, &url)
            .await
            .map_err(|error| with_causes(&error))?;
        if metadata.issuer != *configured {
            return Err(format!(
                "its metadata is for the issuer {}, where {} is configured",
                presentable_url(&metadata.issuer),
                presentable_url(configured)
            ));
        }
        check_endpoints(configured, &metadata)?;
        for (name, url) in metadata.links() {
            check_resolved_link(configured, url, PlainHttp::Loopback)
                .await
                .map_err(|error| format!("its {name}: {error}"))?;
        }
        let keys = before
            .filter(|before| before.metadata.jwks_uri == metadata.jwks_uri)
            .map_or_else(
                || {
                    let location = KeysLocation::JwksUri(metadata.jwks_uri.clone());
                    RemoteKeys::builder(location, self.client.clone()).build()
                },
                |before| before.keys.clone(),
            );
        Ok(Known {
            metadata,
            keys,
            fetched: Instant::now(),
        })
    }

    /// Exchanges the code for an ID token and verifies it.
    pub(super) async fn redeem(
        &self,
        pending: &Pending,
        (code, redirect_uri): (&str, &str),
        now: Timestamp,
    ) -> Result<IdTokenClaims, OidcError> {
        let known = self.known().await?;
        let answer = self.exchange(&known, pending, code, redirect_uri).await?;
        let token =
            UnverifiedToken::parse(&answer.id_token).map_err(|error| self.failed(&error))?;
        let key = known
            .keys
            .find(token.kid())
            .await
            .map_err(|error| self.failed(&error))?
            .ok_or_else(|| self.failed(&"the ID token names no key of the provider's"))?;
        let expected = ExpectedIdToken {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &pending.nonce(),
            algorithm: self.config.algorithm,
        };
        if token.alg() != expected.algorithm.as_str() {
            return Err(self.failed(&format!(
                "the ID token is signed with {:?}, where {} is expected: change it at the provider, or set \
                 id_token_signing_alg in [oidc]",
                token.alg(),
                expected.algorithm
            )));
        }
        verify_id_token(&token, &key, expected, now).map_err(|error| self.failed(&error))
    }

    async fn exchange(
        &self,
        known: &Known,
        pending: &Pending,
        code: &str,
        redirect_uri: &str,
    ) -> Result<TokenAnswer, OidcError> {
        let _place = self.exchanges.try_acquire().map_err(|_| OidcError::Busy)?;
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let (id, secret): (String, String) = (
            encode(&self.config.client_id),
            encode(self.config.client_secret.expose_secret()),
        );
        let mut answer = self
            .client
            .post(&known.metadata.token_endpoint)
            .basic_auth(id, Some(secret))
            .form(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", redirect_uri),
                ("code_verifier", &pending.verifier()),
            ])
            .send()
            .await
            .map_err(|error| self.failed(&with_causes(&HttpError::from(error))))?;
        match answer.status() {
            status if status.is_success() => {}
            // RFC 6749 §5.2: the code is wrong, used or too old.
            StatusCode::BAD_REQUEST => return Err(OidcError::Code),
            status => return Err(self.failed(&format!("the token endpoint answered {status}"))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| self.failed(&error.without_url()))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(self.failed(&"the token response is over 256 KiB"));
            }
        }
        serde_json::from_slice(&body).map_err(|_| self.failed(&"no token response came back"))
    }

    /// The provider failed. Strangers can make it do so: the log says so now and then only.
    fn failed(&self, cause: &impl ToString) -> OidcError {
        self.report(&cause.to_string());
        OidcError::Provider
    }

    fn report(&self, cause: &str) {
        let trouble = self.trouble.lock();
        let mut trouble = trouble.unwrap_or_else(std::sync::PoisonError::into_inner);
        if trouble.failed() {
            tracing::error!(cause, "signing in through the provider failed");
        }
    }
}

impl ProviderMetadata {
    /// What this server itself asks.
    fn links(&self) -> [(&'static str, &str); 2] {
        [
            ("token_endpoint", &self.token_endpoint),
            ("jwks_uri", &self.jwks_uri),
        ]
    }
}

/// A provider elsewhere leads nobody to where only this machine, or the browser's network, can reach.
fn check_endpoints(issuer: &str, metadata: &ProviderMetadata) -> Result<(), String> {
    let authorization = (
        "authorization_endpoint",
        metadata.authorization_endpoint.as_str(),
    );
    for (name, url) in metadata.links().into_iter().chain([authorization]) {
        check_link(issuer, url, PlainHttp::Loopback)
            .map_err(|error| format!("its {name}: {error}"))?;
    }
    Ok(())
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider")
            .field(&presentable_url(&self.config.issuer))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(of: &str, token: &str, keys: &str) -> ProviderMetadata {
        ProviderMetadata {
            issuer: of.into(),
            authorization_endpoint: format!("{of}/auth"),
            token_endpoint: token.into(),
            jwks_uri: keys.into(),
            authorization_response_iss_parameter_supported: false,
        }
    }

    #[test]
    fn a_provider_elsewhere_leads_to_no_address_that_only_this_machine_reaches() {
        let issuer = "https://login.example.com";
        let good = "https://keys.example.com/x";
        let check = |of, token, keys| check_endpoints(of, &metadata(of, token, keys));
        assert_eq!(check(issuer, good, good), Ok(()));
        for inward in [
            "http://127.0.0.1:1/x",
            "https://localhost/x",
            "https://169.254.169.254/x",
            "https://10.0.0.1/x",
            "http://login.example.com/x",
        ] {
            let token = check(issuer, inward, good).unwrap_err();
            assert!(token.contains("token_endpoint"), "{token}");
            let keys = check(issuer, good, inward).unwrap_err();
            assert!(keys.contains("jwks_uri"), "{keys}");
        }
        // One that runs here may stay here.
        let here = "http://127.0.0.1:1";
        let own = "http://127.0.0.1:1/x";
        assert_eq!(check(here, own, own), Ok(()));
    }
}
