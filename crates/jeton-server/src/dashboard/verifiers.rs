//! What common verifiers would say of a token: the checks that each is known to make, on the claims of one.

use jeton_core::{AccessTokenClaims, Audience, McpServer};

/// A verifier's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) verifier: &'static str,
    /// Why it refuses the token; nothing where it accepts it.
    pub(super) refuses: Option<String>,
}

/// A token as verifiers see it.
pub(super) struct Seen<'a> {
    pub(super) claims: &'a AccessTokenClaims,
    pub(super) alg: &'a str,
    pub(super) server: &'a McpServer,
    pub(super) issuer: &'a str,
}

impl Seen<'_> {
    fn alg(&self) -> Option<String> {
        let expected = "RS256";
        (self.alg != expected).then(|| {
            format!(
                "It takes {expected} only, and this server’s tokens are signed with {}.",
                self.alg
            )
        })
    }

    fn audience(&self, name: &str, cure: &str) -> Option<String> {
        (!self.claims.aud.contains(name)).then(|| format!("It expects {name} in aud. {cure}"))
    }

    fn issuer(&self) -> Option<String> {
        (self.claims.iss != self.issuer).then(|| {
            format!(
                "It expects iss to be {}. Switch off the separate issuer.",
                self.issuer
            )
        })
    }

    fn own_issuer(&self) -> Option<String> {
        let own = self.server.own_issuer_url(self.issuer);
        let is_known = self.claims.iss == self.issuer || self.claims.iss == own;
        (!is_known).then(|| format!("It expects iss to be {} or {own}.", self.issuer))
    }

    fn url(&self) -> Option<String> {
        let url = self.server.url.as_given();
        let other = match &self.claims.aud {
            Audience::One(resource) => format!("Configure it with {resource}, or ask for {url}."),
            Audience::Many(_) => "Configure it with one of the names in aud.".to_owned(),
        };
        self.audience(url, &other)
    }

    fn resource_id(&self) -> Option<String> {
        let id = self.server.id.to_string();
        self.audience(&id, "Use the compatible token profile.")
    }

    fn slash(&self) -> Option<String> {
        let url = format!("{}/", self.server.url.as_given().trim_end_matches('/'));
        self.audience(
            &url,
            "Register the MCP server’s URL with the slash at its end.",
        )
    }

    fn array_of_scopes(&self) -> Option<String> {
        let has_none = self.claims.scopes.is_none();
        has_none.then(|| {
            "It reads an array named scopes, which strict and very long tokens lack.".to_owned()
        })
    }
}

/// What each would say.
pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    let verdict = |verifier, refuses| Verdict { verifier, refuses };
    vec![
        verdict("jeton-guard, with this server’s URL", seen.url()),
        verdict(
            "jose or another JWT library, with the issuer and this server’s URL",
            seen.url(),
        ),
        verdict(
            "FastMCP 4.x, ScalekitProvider",
            seen.alg()
                .or_else(|| seen.own_issuer())
                .or_else(|| seen.resource_id()),
        ),
        verdict(
            "FastMCP 3.x, ScalekitProvider",
            seen.alg()
                .or_else(|| seen.issuer())
                .or_else(|| seen.resource_id()),
        ),
        verdict(
            "FastMCP 2.14, ScalekitProvider",
            seen.alg().or_else(|| seen.issuer()),
        ),
        verdict(
            "FastMCP 2.13, ScalekitProvider",
            seen.alg()
                .or_else(|| seen.issuer())
                .or_else(|| seen.slash()),
        ),
        verdict(
            "Scalekit’s SDKs",
            seen.resource_id().or_else(|| seen.array_of_scopes()),
        ),
    ]
}
