//! The issuer that the server announces: as configured, else as it follows from the address.

use std::net::SocketAddr;

use super::{Config, Issuer, IssuerError};

impl Config {
    /// The issuer for the address that is really listened on.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Insecure`] where it would be plain http on an address that others reach.
    pub fn effective_issuer(&self, address: SocketAddr) -> Result<Issuer, IssuerError> {
        if let Some(issuer) = &self.issuer {
            return Ok(issuer.clone());
        }
        let issuer = match self.listen.host() {
            Some(host) => Issuer::of_host(host, address.port(), self.tls.is_some()),
            None => Issuer::of_address(address, self.tls.is_some()),
        };
        if !self.insecure_http {
            issuer.require_secure()?;
        }
        Ok(issuer)
    }

    /// What to write where the issuer follows from the address and is of no use to other machines, which the
    /// server takes connections from: it names this machine, and so does everything that they are told.
    pub fn issuer_advice(&self, address: SocketAddr) -> Option<String> {
        if self.issuer.is_some() || !address.ip().is_unspecified() {
            return None;
        }
        let issuer = Issuer::of_address(address, self.tls.is_some());
        let port = address.port();
        let write = if self.tls.is_some() {
            format!("--issuer https://HOST:{port} with the name in the certificate")
        } else {
            format!(
                "--issuer https://HOST where a TLS proxy is in front, or --issuer http://HOST:{port} --insecure-http in a network where nobody can listen in"
            )
        };
        Some(format!(
            "other machines can connect, but no issuer is given, so they are told {issuer}, which is their own address: their tokens and metadata do not work. Give the URL at which they reach this server: {write} (JETON_ISSUER and JETON_INSECURE_HTTP in the environment)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::RawConfig;
    use super::super::check::LISTEN;
    use super::*;

    #[test]
    fn an_issuer_that_names_this_machine_to_others_comes_with_advice() {
        let advice = |listen: &str, issuer: Option<&str>| {
            let raw = RawConfig {
                listen: listen.parse().ok(),
                issuer: issuer.map(str::to_owned),
                ..RawConfig::default()
            };
            let address = "[::]:8420".parse().unwrap();
            let advice = Config::check(raw).unwrap().issuer_advice(address);
            advice.unwrap_or_default()
        };
        let text = advice(":8420", None);
        for words in [
            "told http://127.0.0.1:8420",
            "--issuer https://HOST ",
            "--issuer http://HOST:8420 --insecure-http",
            "JETON_ISSUER",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(advice(":8420", Some("https://auth.example.com")), "");
        let config = Config::check(RawConfig::default()).unwrap();
        assert_eq!(config.issuer_advice(LISTEN), None);
    }
}
