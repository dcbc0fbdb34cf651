//! The relying party's half of WebAuthn Level 3, for passkeys: attestation `none`, user verification required, and
//! nothing that an authenticator or browser does not have to send.
//!
//! Pure: what is expected comes in, what is registered or who signed comes out, or the check that failed. The steps are
//! those of <https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential> (§7.1) and
//! <https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion> (§7.2).

mod authenticator_data;
mod client_data;
mod public_key;
mod relying_party;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value;
use serde::Deserialize;

use authenticator_data::AuthenticatorData;
use client_data::{Ceremony, ClientData};
use public_key::PublicKey;

pub(crate) use public_key::ALGORITHMS;
pub(crate) use relying_party::{RelyingParty, Unavailable};

/// The longest credential ID (§5.8.3 of Level 3 and CTAP allow no more).
const MAX_CREDENTIAL_ID: usize = 1023;
/// The largest document that is looked at, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 16 * 1024;

/// The check that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WebAuthnError {
    /// Not the document that a browser sends.
    #[error("malformed")]
    Malformed,
    /// The client data is for something else (§7.1 step 7, §7.2 step 11).
    #[error("wrong type")]
    Type,
    /// Another challenge than the one that was given out (step 8, 12).
    #[error("wrong challenge")]
    Challenge,
    /// Another origin, or within a frame (steps 9 to 11, 13 to 15).
    #[error("wrong origin")]
    Origin,
    /// The hash of another RP ID (step 14, 16).
    #[error("wrong RP ID")]
    RpId,
    /// Nobody was there (step 15, 17).
    #[error("no user presence")]
    UserPresence,
    /// Whoever was there was not verified (step 16, 18).
    #[error("no user verification")]
    UserVerification,
    /// Backed up without being able to be, or another kind than it was (step 17, 19 to 21).
    #[error("wrong backup state")]
    BackupState,
    /// A key of an algorithm that was not offered (step 20).
    #[error("unknown public key algorithm")]
    Algorithm,
    /// An attestation that was not asked for.
    #[error("attestation was not asked for")]
    Attestation,
    /// It names no user, or another one (§7.2 step 6).
    #[error("wrong user handle")]
    UserHandle,
    /// (§7.2 step 21).
    #[error("wrong signature")]
    Signature,
}

/// A new credential.
#[derive(Debug)]
pub(crate) struct Registered {
    /// In base64url.
    pub(crate) id: String,
    /// Its COSE key, in base64url.
    pub(crate) public_key: String,
    pub(crate) sign_count: u32,
    pub(crate) backup_eligible: bool,
}

/// What `PublicKeyCredential.toJSON()` gives, as far as it is read.
#[derive(Deserialize)]
struct Credential<R> {
    id: String,
    r#type: String,
    response: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

/// Verifies a registration (§7.1). Whether the credential is registered already is asked when it is kept.
pub(crate) fn verify_registration(
    party: &RelyingParty,
    challenge: &str,
    document: &str,
) -> Result<Registered, WebAuthnError> {
    let credential: Credential<Attestation> = parse(document)?;
    let response = credential.response;
    let client_data = decode(&response.client_data)?;
    ClientData::verify(&client_data, party, (Ceremony::Create, challenge))?;
    let object = decode(&response.attestation_object)?;
    let data = attested(&object)?;
    let data = AuthenticatorData::parse(&data)?;
    data.verify(party)?;
    let attested = data.credential.as_ref().ok_or(WebAuthnError::Malformed)?;
    PublicKey::parse(attested.public_key)?;
    let id = URL_SAFE_NO_PAD.encode(attested.id);
    if attested.id.is_empty() || attested.id.len() > MAX_CREDENTIAL_ID || id != credential.id {
        return Err(WebAuthnError::Malformed);
    }
    Ok(Registered {
        id,
        public_key: URL_SAFE_NO_PAD.encode(attested.public_key),
        sign_count: data.sign_count,
        backup_eligible: data.backup_eligible(),
    })
}

/// The authenticator data in an attestation object whose format is `none` (§6.5.4, §8.7).
fn attested(object: &[u8]) -> Result<Vec<u8>, WebAuthnError> {
    let mut rest = object;
    let value: Value = ciborium::from_reader(&mut rest).map_err(|_| WebAuthnError::Malformed)?;
    let members = value.into_map().map_err(|_| WebAuthnError::Malformed)?;
    let (mut format, mut statement, mut data) = (None, None, None);
    for (name, value) in members {
        let place = match name.as_text() {
            Some("fmt") => &mut format,
            Some("attStmt") => &mut statement,
            Some("authData") => &mut data,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(WebAuthnError::Malformed);
        }
    }
    let is_none = format.is_some_and(|format| format.as_text() == Some("none"));
    let is_empty = statement.is_some_and(|statement| statement.as_map().is_some_and(Vec::is_empty));
    if !is_none || !is_empty || !rest.is_empty() {
        return Err(WebAuthnError::Attestation);
    }
    let data = data.ok_or(WebAuthnError::Malformed)?;
    data.into_bytes().map_err(|_| WebAuthnError::Malformed)
}

/// An assertion that was read, and not yet verified: it says which credential's key it is for.
pub(crate) struct Assertion {
    /// The credential's ID, in base64url.
    pub(crate) id: String,
    /// Whose it is, as the authenticator says.
    user_handle: Option<Vec<u8>>,
    client_data: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
}

/// The credential as it was registered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The user handle that was given at its registration.
    pub(crate) user_handle: &'a [u8],
    /// Its COSE key, in base64url.
    pub(crate) public_key: &'a str,
    pub(crate) backup_eligible: bool,
}

impl Assertion {
    pub(crate) fn parse(document: &str) -> Result<Self, WebAuthnError> {
        let credential: Credential<AssertionResponse> = parse(document)?;
        let response = credential.response;
        Ok(Self {
            id: credential.id,
            user_handle: response.user_handle.as_deref().map(decode).transpose()?,
            client_data: decode(&response.client_data)?,
            authenticator_data: decode(&response.authenticator_data)?,
            signature: decode(&response.signature)?,
        })
    }

    /// Verifies it (§7.2); gives the signature counter, which has to rise where there is one.
    pub(crate) fn verify(
        &self,
        party: &RelyingParty,
        challenge: &str,
        known: Known<'_>,
    ) -> Result<u32, WebAuthnError> {
        // The credential is discoverable, so the authenticator has to say whose it is.
        if self.user_handle.as_deref() != Some(known.user_handle) {
            return Err(WebAuthnError::UserHandle);
        }
        ClientData::verify(&self.client_data, party, (Ceremony::Get, challenge))?;
        let data = AuthenticatorData::parse(&self.authenticator_data)?;
        data.verify(party)?;
        if data.backup_eligible() != known.backup_eligible {
            return Err(WebAuthnError::BackupState);
        }
        let key = decode(known.public_key)?;
        let hash = digest::digest(&digest::SHA256, &self.client_data);
        let signed = [&self.authenticator_data, hash.as_ref()].concat();
        PublicKey::parse(&key)?.verify(&signed, &self.signature)?;
        Ok(data.sign_count)
    }
}

fn parse<R: for<'de> Deserialize<'de>>(document: &str) -> Result<Credential<R>, WebAuthnError> {
    if document.len() > MAX_DOCUMENT {
        return Err(WebAuthnError::Malformed);
    }
    let credential: Credential<R> =
        serde_json::from_str(document).map_err(|_| WebAuthnError::Malformed)?;
    if credential.r#type != "public-key" {
        return Err(WebAuthnError::Malformed);
    }
    Ok(credential)
}

fn decode(text: &str) -> Result<Vec<u8>, WebAuthnError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| WebAuthnError::Malformed)
}
