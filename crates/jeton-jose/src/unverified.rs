//! A token as somebody presented it: taken apart, trusted for nothing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The longest token read, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// The text is no compact JWS (RFC 7515 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is not a JWT")]
pub struct MalformedToken;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A JWT whose signature and claims nobody has checked yet.
pub struct UnverifiedToken<'a> {
    header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a compact JWS apart.
    ///
    /// # Errors
    ///
    /// [`MalformedToken`].
    pub fn parse(token: &'a str) -> Result<Self, MalformedToken> {
        if token.len() > MAX_LEN {
            return Err(MalformedToken);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(MalformedToken)?;
        let (header, payload) = signed.split_once('.').ok_or(MalformedToken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MalformedToken);
        let header = serde_json::from_slice(&decode(header)?).map_err(|_| MalformedToken)?;
        Ok(Self {
            header,
            signed,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// The key ID it names.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The `alg` of its header, which nobody has checked.
    pub fn alg(&self) -> &str {
        &self.header.alg
    }

    pub(crate) fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    pub(crate) fn has_critical_headers(&self) -> bool {
        self.header.crit.is_some()
    }

    pub(crate) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedToken([redacted])")
    }
}
