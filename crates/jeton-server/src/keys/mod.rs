//! Signing keys: opened under the master key, published, used.

mod audit_keys;
mod key_ring;
mod master_key;
mod outside_keys;
mod signing_queue;

pub(crate) use audit_keys::{AuditKeys, AuditKeysError};
pub(crate) use key_ring::{KeyRing, KeyRingError};
pub(crate) use master_key::{MasterKeyFileError, MasterKeys, Purpose, load_all};
pub(crate) use outside_keys::{OutsideKey, OutsideKeysError};
pub(crate) use signing_queue::{SIGNER, SigningQueue};
