//! Who the agent is, and to whom it may say so.

use std::fmt;

use jeton_core::{McpServerId, PlainSecret, presentable_url};
use jeton_jose::{PlainHttp, is_same_issuer};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// A client ID and its secret, with the authorization server that issued them. They are sent to
/// that server and to no other, whatever an MCP server says.
#[derive(Clone)]
pub struct ClientCredentials {
    issuer: String,
    client_id: String,
    client_secret: SecretString,
    plain_http: PlainHttp,
}

impl ClientCredentials {
    /// The credentials that the operator handed out. `issuer` is the authorization server that they
    /// belong to, as its metadata spells it: for Jeton its URL, `https://auth.example.com`. White space around
    /// the ID and the secret, which a file or a variable may have added, is left out.
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        let client_secret: Zeroizing<String> = Zeroizing::new(client_secret.into());
        Self {
            issuer: issuer.into(),
            client_id: client_id.into().trim().to_owned(),
            client_secret: SecretString::from(PlainSecret::trimmed(&client_secret).to_owned()),
            plain_http: PlainHttp::default(),
        }
    }

    /// Allows them, and the tokens that come of them, to be sent over plain http to other machines than this one,
    /// where nobody can listen in. Off by default; the server and the command line have the same switch,
    /// `--insecure-http`.
    #[must_use]
    pub fn insecure_http(mut self, allow: bool) -> Self {
        self.plain_http = PlainHttp::of_switch(allow);
        self
    }

    /// Where they may be sent over plain http.
    pub(crate) fn plain_http(&self) -> PlainHttp {
        self.plain_http
    }

    /// The authorization server that they belong to.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client ID.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether they may be sent to the authorization server `named`. It must be
    ///
    /// - their issuer to the character, but for the single slash after an origin
    ///   ([`is_same_issuer`]), or
    /// - the issuer that the same Jeton has for one MCP server: `{issuer}/resources/res_…`, with a
    ///   well-formed ID and nothing after it.
    pub fn belong_to(&self, named: &str) -> bool {
        if is_same_issuer(named, &self.issuer) {
            return true;
        }
        named
            .rsplit_once("/resources/")
            .is_some_and(|(issuer, id)| {
                id.parse::<McpServerId>().is_ok()
                    && !issuer.ends_with('/')
                    && is_same_issuer(issuer, &self.issuer)
            })
    }

    pub(crate) fn expose_secret(&self) -> &str {
        self.client_secret.expose_secret()
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("issuer", &presentable_url(&self.issuer))
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .field("plain_http", &self.plain_http)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "res_01890a5d3cv8q9r7s6t5w4x3y2";

    #[test]
    fn they_belong_to_their_issuer_and_to_its_issuers_for_mcp_servers() {
        for (issuer, named) in [
            ("https://a.example", "https://a.example".to_owned()),
            ("https://a.example", "https://a.example/".to_owned()),
            ("https://a.example/", "https://a.example".to_owned()),
            (
                "https://a.example",
                format!("https://a.example/resources/{ID}"),
            ),
            (
                "https://a.example/",
                format!("https://a.example/resources/{ID}"),
            ),
            (
                "https://a.example/t",
                format!("https://a.example/t/resources/{ID}"),
            ),
        ] {
            let credentials = ClientCredentials::new(issuer, "m2m_1", "jeton_1");
            assert!(credentials.belong_to(&named), "{issuer}: {named}");
        }
        let credentials = ClientCredentials::new("https://a.example/t", "m2m_1", "jeton_1");
        for named in [
            "https://a.example".to_owned(),
            "https://a.example/t/".to_owned(),
            "https://a.example/tt".to_owned(),
            "https://a.example.evil.test/t".to_owned(),
            "http://a.example/t".to_owned(),
            "https://a.example/t/resources/".to_owned(),
            "https://a.example/t/resources/x".to_owned(),
            format!("https://a.example/t/resources/{ID}/"),
            format!("https://a.example/t/resources/{ID}/../../../other"),
            format!("https://a.example/t/resources/../../other/resources/{ID}"),
            format!("https://a.example/t/resources/{ID}?x"),
            format!("https://a.example/other/resources/{ID}"),
            format!("https://a.example/t//resources/{ID}"),
            format!("https://evil.test/t/resources/{ID}"),
            String::new(),
        ] {
            assert!(!credentials.belong_to(&named), "{named}");
        }
        let credentials = ClientCredentials::new("https://a.example", "m2m_1", "jeton_1");
        assert!(!credentials.belong_to(&format!("https://a.example//resources/{ID}")));
    }
}
