//! What the authenticator says (§6.1): a hash of the RP ID, flags, a counter, and a new credential's ID and key.

use aws_lc_rs::digest;
use ciborium::Value;

use super::{RelyingParty, WebAuthnError};

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;

/// See the module.
pub(super) struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8; 32],
    flags: u8,
    pub(super) sign_count: u32,
    pub(super) credential: Option<AttestedCredential<'a>>,
}

/// A new credential (§6.5.1).
pub(super) struct AttestedCredential<'a> {
    pub(super) id: &'a [u8],
    /// Its COSE key.
    pub(super) public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, WebAuthnError> {
        let (rp_id_hash, rest) = take::<32>(bytes)?;
        let (flags, rest) = take::<1>(rest)?;
        let (sign_count, mut rest) = take::<4>(rest)?;
        let [flags] = *flags;
        let mut credential = None;
        if flags & ATTESTED != 0 {
            let (found, after) = attested(rest)?;
            credential = Some(found);
            rest = after;
        }
        if flags & EXTENSIONS != 0 {
            // None was asked for, and whatever an authenticator adds all the same is not read.
            rest = after_value(rest)?;
        }
        if !rest.is_empty() {
            return Err(WebAuthnError::Malformed);
        }
        Ok(Self {
            rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(*sign_count),
            credential,
        })
    }

    /// §7.1 steps 14 to 17, §7.2 steps 16 to 19.
    pub(super) fn verify(&self, party: &RelyingParty) -> Result<(), WebAuthnError> {
        let expected = digest::digest(&digest::SHA256, party.id.as_bytes());
        if self.rp_id_hash.as_slice() != expected.as_ref() {
            return Err(WebAuthnError::RpId);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(WebAuthnError::UserPresence);
        }
        if self.flags & USER_VERIFIED == 0 {
            return Err(WebAuthnError::UserVerification);
        }
        if self.flags & BACKED_UP != 0 && !self.backup_eligible() {
            return Err(WebAuthnError::BackupState);
        }
        Ok(())
    }

    /// Whether the credential may be copied to other devices.
    pub(super) fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }
}

/// The new credential, and what follows it.
fn attested(bytes: &[u8]) -> Result<(AttestedCredential<'_>, &[u8]), WebAuthnError> {
    let (_aaguid, rest) = take::<16>(bytes)?;
    let (length, rest) = take::<2>(rest)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest
        .split_at_checked(length)
        .ok_or(WebAuthnError::Malformed)?;
    let after = after_value(rest)?;
    let public_key = rest
        .get(..rest.len() - after.len())
        .ok_or(WebAuthnError::Malformed)?;
    Ok((AttestedCredential { id, public_key }, after))
}

fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), WebAuthnError> {
    bytes.split_first_chunk().ok_or(WebAuthnError::Malformed)
}

/// What follows a CBOR value.
fn after_value(bytes: &[u8]) -> Result<&[u8], WebAuthnError> {
    let mut rest = bytes;
    ciborium::from_reader::<Value, _>(&mut rest).map_err(|_| WebAuthnError::Malformed)?;
    Ok(rest)
}
