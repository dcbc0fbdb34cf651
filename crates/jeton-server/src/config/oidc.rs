//! The `[oidc]` section: signing in to the dashboard through an `OpenID` Connect provider.

use jeton_core::{EmailAddress, Role, SigningAlgorithm};
use jeton_jose::is_trustworthy_url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The section as somebody wrote it. The client's secret is `JETON_OIDC_CLIENT_SECRET` in the
/// environment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOidc {
    /// The provider's issuer URL.
    pub issuer: String,
    /// Jeton's client ID there.
    pub client_id: String,
    /// What the button says: Sign in with …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who becomes an admin by signing in: e-mail addresses, or `@domain`.
    #[serde(default)]
    pub admins: Vec<String>,
    /// Who becomes a viewer by signing in.
    #[serde(default)]
    pub viewers: Vec<String>,
    /// Whether one may also sign in by password; unset, one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords: Option<bool>,
    /// What the provider signs ID tokens with; unset, RS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_signing_alg: Option<String>,
}

/// The section, checked.
#[derive(Debug, Clone)]
pub(crate) struct OidcConfig {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretString,
    pub(crate) name: String,
    /// Whether one may also sign in by password.
    pub(crate) passwords: bool,
    /// What ID tokens are signed with.
    pub(crate) algorithm: SigningAlgorithm,
    admins: Vec<String>,
    viewers: Vec<String>,
}

impl OidcConfig {
    pub(super) fn check(raw: RawOidc, secret: Option<String>) -> Result<Self, ConfigError> {
        let wrong = |text: &str| Err(ConfigError::Oidc(text.to_owned()));
        if !is_trustworthy_url(&raw.issuer) {
            return wrong("issuer must be the https URL of the provider");
        }
        if raw.client_id.is_empty() {
            return wrong("client_id is the ID that the provider gave Jeton");
        }
        let Some(secret) = secret else {
            return wrong("the client's secret is missing: set JETON_OIDC_CLIENT_SECRET");
        };
        let Ok(algorithm) = raw
            .id_token_signing_alg
            .as_deref()
            .unwrap_or("RS256")
            .parse()
        else {
            return wrong("id_token_signing_alg is RS256, ES256 or EdDSA");
        };
        for one in raw.admins.iter().chain(&raw.viewers) {
            let domain = one.strip_prefix('@');
            let good = domain.map_or_else(
                || one.parse::<EmailAddress>().is_ok(),
                |domain| format!("a@{domain}").parse::<EmailAddress>().is_ok(),
            );
            if !good {
                return Err(ConfigError::Oidc(format!(
                    "admins and viewers are e-mail addresses or @domain, and {one:?} is neither"
                )));
            }
        }
        Ok(Self {
            name: raw.name.unwrap_or_else(|| "single sign-on".into()),
            issuer: raw.issuer,
            client_id: raw.client_id,
            client_secret: SecretString::from(secret),
            passwords: raw.passwords.unwrap_or(true),
            algorithm,
            admins: raw.admins,
            viewers: raw.viewers,
        })
    }

    /// What somebody with this address becomes by signing in, if anything.
    pub(crate) fn role_of(&self, email: &EmailAddress) -> Option<Role> {
        let key = email.comparison_key();
        let listed = |list: &[String]| {
            list.iter().any(|one| {
                let one = one.to_lowercase();
                if one.starts_with('@') {
                    key.ends_with(&one)
                } else {
                    key == one
                }
            })
        };
        if listed(&self.admins) {
            Some(Role::Admin)
        } else if listed(&self.viewers) {
            Some(Role::Viewer)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_the_lists_and_nothing_else() {
        let raw = RawOidc {
            issuer: "https://login.example.com".into(),
            client_id: "jeton".into(),
            name: None,
            admins: vec!["Ada@example.com".into()],
            viewers: vec!["@example.com".into()],
            passwords: None,
            id_token_signing_alg: None,
        };
        let config = OidcConfig::check(raw.clone(), Some("s".into())).unwrap();
        let role = |email: &str| config.role_of(&email.parse().unwrap());
        assert_eq!(role("ada@EXAMPLE.com"), Some(Role::Admin));
        assert_eq!(role("vera@example.com"), Some(Role::Viewer));
        assert_eq!(role("vera@evil-example.com"), None);
        assert_eq!(role("vera@sub.example.com"), None);
        assert!(OidcConfig::check(raw.clone(), None).is_err());
        let insecure = RawOidc {
            issuer: "http://login.example.com".into(),
            ..raw
        };
        assert!(OidcConfig::check(insecure, Some("s".into())).is_err());
    }
}
