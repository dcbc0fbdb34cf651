//! What the browser says it was asked, by which page (§5.8.1).

use aws_lc_rs::constant_time;
use serde::Deserialize;

use super::{RelyingParty, WebAuthnError};

/// What is done with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ceremony {
    /// It is made.
    Create,
    /// It is used.
    Get,
}

impl Ceremony {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// See the module.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

impl ClientData {
    /// §7.1 steps 5 to 11, §7.2 steps 9 to 15.
    pub(super) fn verify(
        bytes: &[u8],
        party: &RelyingParty,
        (ceremony, challenge): (Ceremony, &str),
    ) -> Result<(), WebAuthnError> {
        let data: Self = serde_json::from_slice(bytes).map_err(|_| WebAuthnError::Malformed)?;
        if data.r#type != ceremony.as_str() {
            return Err(WebAuthnError::Type);
        }
        constant_time::verify_slices_are_equal(data.challenge.as_bytes(), challenge.as_bytes())
            .map_err(|_| WebAuthnError::Challenge)?;
        // No page of another site frames the dashboard.
        if data.origin != party.origin || data.cross_origin || data.top_origin.is_some() {
            return Err(WebAuthnError::Origin);
        }
        Ok(())
    }
}
