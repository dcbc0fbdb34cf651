//! For whom credentials are: the host of the issuer, at its origin.

use crate::config::Issuer;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelyingParty {
    /// The RP ID (§5.1.2): a host name.
    pub(crate) id: String,
    /// The one origin that credentials may be used at.
    pub(super) origin: String,
}

/// Why browsers have no passkeys for an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Its host is an address, which is no RP ID.
    Address,
    /// It is plain http, and not this machine's own name.
    Insecure,
}

impl RelyingParty {
    /// The one of an issuer, where browsers have passkeys for it.
    pub(crate) fn of(issuer: &Issuer) -> Result<Self, Unavailable> {
        let host = issuer.host();
        let is_own_name = host == "localhost" || host.ends_with(".localhost");
        if issuer.is_loopback_or_address() && !is_own_name {
            return Err(Unavailable::Address);
        }
        if !is_own_name && !issuer.as_str().starts_with("https:") {
            return Err(Unavailable::Insecure);
        }
        Ok(Self {
            id: host.to_owned(),
            origin: issuer.origin().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_for_names_over_https_and_for_this_machine() {
        let of = |issuer: &str| RelyingParty::of(&issuer.parse().unwrap());
        for (issuer, id, origin) in [
            (
                "https://auth.example.com",
                "auth.example.com",
                "https://auth.example.com",
            ),
            (
                "https://a.example.com:8443/auth",
                "a.example.com",
                "https://a.example.com:8443",
            ),
            (
                "http://localhost:8420",
                "localhost",
                "http://localhost:8420",
            ),
        ] {
            let party = of(issuer).unwrap();
            assert_eq!((party.id.as_str(), party.origin.as_str()), (id, origin));
        }
        for (issuer, why) in [
            ("http://127.0.0.1:8420", Unavailable::Address),
            ("https://192.0.2.1", Unavailable::Address),
            ("https://[2001:db8::1]:8420", Unavailable::Address),
            ("http://jeton:8420", Unavailable::Insecure),
        ] {
            assert_eq!(of(issuer), Err(why), "{issuer}");
        }
    }
}
