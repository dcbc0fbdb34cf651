//! What a token request would come to: the shape in which the token endpoint's rules tell it.

use std::sync::Arc;

use jeton_core::{AccessTokenClaims, ScopeSet};

use crate::app::App;
use crate::directory::ClientEntry;

/// What a token request would be answered with.
#[derive(Debug)]
pub(crate) enum TokenPreview {
    /// A token.
    Issued {
        /// The JWT's `alg`.
        alg: &'static str,
        /// The JWT's `kid`.
        kid: String,
        /// The token's length, in bytes.
        length: usize,
        /// The scopes that were asked for and are not granted.
        left_out: ScopeSet,
        /// The JWT's claims.
        claims: Box<AccessTokenClaims>,
    },
    /// An error.
    Refused {
        /// `error`
        code: &'static str,
        /// `error_description`
        description: String,
    },
}

/// Decides on the form of a token request by this client, without issuing or recording anything.
/// The token endpoint has the rules; the router hands them to the dashboard.
pub(crate) type PreviewToken = fn(&App, &Arc<ClientEntry>, &[u8]) -> TokenPreview;
