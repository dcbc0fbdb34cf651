//! Keys of the audit log: those that sign checkpoints, and the one that authenticates batches. They are
//! no signing keys of tokens, and are sealed under a key of their own purpose.

use jeton_core::{Entropy, KeyId, Timestamp};
use jeton_jose::{NoteError, NoteSigner, NoteVerifier, SealError};
use jeton_store::{Store, StoreError, StoredAuditKey};
use zeroize::Zeroizing;

use super::{MasterKeys, Purpose};

/// Why the keys cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeysError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key is another.
    #[error("the audit key {id} cannot be opened with this master key")]
    Sealed {
        /// Which key.
        id: KeyId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A checkpoint key is broken.
    #[error("a checkpoint key cannot be used")]
    Note(#[from] NoteError),
}

const CHECKPOINT: &str = "checkpoint";
const BATCH: &str = "batch";
/// Public keys are compared by this name; each log has its own.
const NAME: &str = "jeton";

/// A key that signs checkpoints, or did.
pub(crate) struct CheckpointKey {
    pub(crate) id: KeyId,
    pub(crate) created_at: Timestamp,
    pub(crate) verifier: NoteVerifier,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl CheckpointKey {
    /// Signs for the log with this name.
    pub(crate) fn signer(&self, origin: &str) -> Result<NoteSigner, NoteError> {
        NoteSigner::from_pkcs8(origin, &self.pkcs8)
    }
}

/// All of them, opened.
pub(crate) struct AuditKeys {
    pub(crate) checkpoint: Vec<CheckpointKey>,
    batch: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.checkpoint.iter().map(|key| key.id).collect();
        f.debug_tuple("AuditKeys").field(&ids).finish()
    }
}

impl AuditKeys {
    /// Opens what the database holds.
    pub(crate) async fn open(
        store: &Store,
        master_keys: &MasterKeys,
    ) -> Result<Self, AuditKeysError> {
        let (mut checkpoint, mut batch) = (Vec::new(), None);
        for stored in store.audit_keys().await? {
            let plain = open_sealed(&stored, master_keys)?;
            if stored.purpose == CHECKPOINT {
                checkpoint.push(CheckpointKey {
                    id: stored.id,
                    created_at: stored.created_at,
                    verifier: NoteSigner::from_pkcs8(NAME, &plain)?.verifier().clone(),
                    pkcs8: plain,
                });
            } else if stored.purpose == BATCH && batch.is_none() {
                batch = Some(plain);
            }
        }
        Ok(Self { checkpoint, batch })
    }

    /// Makes those that are not there yet.
    pub(crate) async fn complete(
        self,
        store: &Store,
        master_keys: &MasterKeys,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, AuditKeysError> {
        let mut made = Vec::new();
        if self.checkpoint.is_empty() {
            made.push(Self::generate_checkpoint(master_keys, entropy, now)?);
        }
        if self.batch.is_none() {
            let mut key = Zeroizing::new(vec![0; 32]);
            entropy.fill(&mut key).map_err(SealError::from)?;
            made.push(sealed(BATCH, &key, master_keys, entropy, now)?);
        }
        if made.is_empty() {
            return Ok(self);
        }
        let mut tx = store.begin().await?;
        for key in &made {
            tx.insert_audit_key(key).await?;
        }
        tx.commit().await?;
        Self::open(store, master_keys).await
    }

    /// Makes a key that signs checkpoints.
    pub(crate) fn generate_checkpoint(
        master_keys: &MasterKeys,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<StoredAuditKey, AuditKeysError> {
        let pkcs8 = NoteSigner::generate_pkcs8()?;
        sealed(CHECKPOINT, &pkcs8, master_keys, entropy, now)
    }

    /// What a key signs with that is not kept yet.
    pub(crate) fn signer_of(
        stored: &StoredAuditKey,
        master_keys: &MasterKeys,
        origin: &str,
    ) -> Result<NoteSigner, AuditKeysError> {
        let plain = open_sealed(stored, master_keys)?;
        Ok(NoteSigner::from_pkcs8(origin, &plain)?)
    }

    /// Lets the store authenticate batches, where the key for it is there.
    pub(crate) fn hand_to(&self, store: &Store) {
        if let Some(batch) = &self.batch {
            store.authenticate_batches(batch);
        }
    }

    /// The key with this public half.
    pub(crate) fn find(&self, verifier: &NoteVerifier) -> Option<&CheckpointKey> {
        self.checkpoint
            .iter()
            .find(|key| key.verifier.is_same_key(verifier))
    }

    /// The same key, sealed under the current master key; nothing where it is already.
    pub(crate) fn rewrap(
        stored: &StoredAuditKey,
        master_keys: &MasterKeys,
        entropy: &dyn Entropy,
    ) -> Result<Option<String>, AuditKeysError> {
        let context = seal_context(stored);
        let sealing = Purpose::AuditKeys.sealing_key(&master_keys.current)?;
        if sealing.open(&stored.sealed, &context).is_ok() {
            return Ok(None);
        }
        let plain = open_sealed(stored, master_keys)?;
        Ok(Some(sealing.seal(&plain, &context, entropy)?))
    }
}

#[cfg(test)]
impl AuditKeys {
    /// Keys that are kept nowhere and sign checkpoints.
    pub(crate) fn of_checkpoints(keys: &[&[u8]]) -> Self {
        let key = |pkcs8: &&[u8]| {
            let now = Timestamp::from_seconds(0);
            let verifier = NoteSigner::from_pkcs8(NAME, pkcs8).unwrap();
            CheckpointKey {
                id: KeyId::generate(now, &jeton_jose::OsEntropy).unwrap(),
                created_at: now,
                verifier: verifier.verifier().clone(),
                pkcs8: Zeroizing::new(pkcs8.to_vec()),
            }
        };
        Self {
            checkpoint: keys.iter().map(key).collect(),
            batch: None,
        }
    }
}

fn seal_context(key: &StoredAuditKey) -> String {
    format!("jeton audit key {} {}", key.id, key.purpose)
}

fn open_sealed(
    stored: &StoredAuditKey,
    master_keys: &MasterKeys,
) -> Result<Zeroizing<Vec<u8>>, AuditKeysError> {
    master_keys
        .open(Purpose::AuditKeys, &stored.sealed, &seal_context(stored))
        .map_err(|source| AuditKeysError::Sealed {
            id: stored.id,
            source,
        })
}

fn sealed(
    purpose: &str,
    plain: &[u8],
    master_keys: &MasterKeys,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<StoredAuditKey, AuditKeysError> {
    let mut key = StoredAuditKey {
        id: KeyId::generate(now, entropy).map_err(SealError::from)?,
        purpose: purpose.to_owned(),
        sealed: String::new(),
        created_at: now,
    };
    let sealing = Purpose::AuditKeys.sealing_key(&master_keys.current)?;
    key.sealed = sealing.seal(plain, &seal_context(&key), entropy)?;
    Ok(key)
}
