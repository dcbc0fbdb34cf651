//! Signing keys: opened under the master key, published, used.

mod key_ring;
mod master_key;

pub(crate) use key_ring::{KeyRing, KeyRingError};
pub(crate) use master_key::{MasterKeyFileError, load_or_create};
