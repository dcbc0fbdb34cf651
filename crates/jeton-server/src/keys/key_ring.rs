//! All signing keys that are in use or still published.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use bytes::Bytes;
use http::HeaderValue;
use jeton_core::{Entropy, KeyId, KeyState, SigningAlgorithm, Timestamp, hex};
use jeton_jose::{
    Jwk, JwkError, KeySet, MasterKey, SealError, SigningError, SigningKey, VerifyingKey,
};
use jeton_store::{Store, StoreError, StoredKey};
use serde_json::json;
use zeroize::Zeroizing;

use super::{MasterKeys, OutsideKey, Purpose};

/// Why the keys cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key is another.
    #[error("the signing key {id} cannot be opened with this master key")]
    Sealed {
        /// Which key.
        id: KeyId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A key is broken.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A key's public half is broken.
    #[error(transparent)]
    Jwk(#[from] JwkError),
    /// No active key of this algorithm.
    #[error("there is no active {0} signing key")]
    NoActiveKey(SigningAlgorithm),
    /// Encryption failed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The published document, ready to send.
#[derive(Debug)]
pub(crate) struct PublishedKeys {
    pub(crate) json: Bytes,
    pub(crate) etag: HeaderValue,
}

#[derive(Debug)]
struct Snapshot {
    active: Vec<Arc<SigningKey>>,
    verifying: KeySet,
    /// All keys there ever were, for what was signed long ago.
    ever: KeySet,
    published: Arc<PublishedKeys>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct KeyRing {
    snapshot: ArcSwap<Snapshot>,
}

impl KeyRing {
    /// Opens all stored keys; one that cannot be opened is an error, not a missing key.
    pub(crate) async fn open(
        store: &Store,
        master_keys: &MasterKeys,
        now: Timestamp,
    ) -> Result<Self, KeyRingError> {
        Ok(Self {
            snapshot: ArcSwap::from_pointee(load(store, master_keys, now).await?),
        })
    }

    /// Opens them anew, after a change.
    pub(crate) async fn reload(
        &self,
        store: &Store,
        master_keys: &MasterKeys,
        now: Timestamp,
    ) -> Result<(), KeyRingError> {
        self.snapshot
            .store(Arc::new(load(store, master_keys, now).await?));
        Ok(())
    }

    /// The key that signs with `algorithm`.
    pub(crate) fn active(
        &self,
        algorithm: SigningAlgorithm,
    ) -> Result<Arc<SigningKey>, KeyRingError> {
        let snapshot = self.snapshot.load();
        snapshot
            .active
            .iter()
            .rev()
            .find(|key| key.algorithm() == algorithm)
            .cloned()
            .ok_or(KeyRingError::NoActiveKey(algorithm))
    }

    /// The key that a token names.
    pub(crate) fn verifying(&self, kid: Option<&str>) -> Option<Arc<VerifyingKey>> {
        self.snapshot.load().verifying.find(kid).cloned()
    }

    /// The key that signed something of any age.
    pub(crate) fn ever(&self, kid: Option<&str>) -> Option<Arc<VerifyingKey>> {
        self.snapshot.load().ever.find(kid).cloned()
    }

    /// How many keys are published.
    pub(crate) fn published_count(&self) -> usize {
        self.snapshot.load().verifying.len()
    }

    /// What `GET /keys` answers.
    pub(crate) fn published(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.snapshot.load().published)
    }

    /// A key of each algorithm, made unless it was made elsewhere, active at once: there is no
    /// verifier yet that could have cached the keys without it.
    pub(crate) fn generate_first(
        master_key: &MasterKey,
        outside: &[OutsideKey],
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Vec<StoredKey>, KeyRingError> {
        SigningAlgorithm::ALL
            .into_iter()
            .map(|algorithm| {
                let outside = outside.iter().rfind(|key| key.algorithm == algorithm);
                let mut key = match outside {
                    Some(outside) => Self::adopt(outside, master_key, entropy, now)?,
                    None => Self::generate(algorithm, master_key, entropy, now)?,
                };
                key.state = KeyState::Active;
                key.activated_at = Some(now);
                Ok(key)
            })
            .collect()
    }

    /// Makes a key that does not sign yet. For RSA this takes a good part of a second.
    pub(crate) fn generate(
        algorithm: SigningAlgorithm,
        master_key: &MasterKey,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<StoredKey, KeyRingError> {
        let id = KeyId::generate(now, entropy).map_err(SealError::from)?;
        let pkcs8 = SigningKey::generate_pkcs8(algorithm)?;
        let made = NewKey {
            id,
            algorithm,
            pkcs8: &pkcs8,
        };
        made.sealed(master_key, entropy, now)
    }

    /// Takes over a key that was made elsewhere, and does not sign yet.
    pub(crate) fn adopt(
        key: &OutsideKey,
        master_key: &MasterKey,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<StoredKey, KeyRingError> {
        let made = NewKey {
            id: KeyId::generate(now, entropy).map_err(SealError::from)?,
            algorithm: key.algorithm,
            pkcs8: &key.pkcs8,
        };
        made.sealed(master_key, entropy, now)
    }

    /// The same private key, sealed under the current master key's key for signing keys; nothing where
    /// it is already.
    pub(crate) fn rewrap(
        stored: &StoredKey,
        master_keys: &MasterKeys,
        entropy: &dyn Entropy,
    ) -> Result<Option<String>, KeyRingError> {
        let (before, sealed, context) = sealed_part(stored);
        let sealing = Purpose::SigningKeys.sealing_key(&master_keys.current)?;
        if sealing.open(sealed, &context).is_ok() {
            return Ok(None);
        }
        let plain = open_sealed(stored, master_keys)?;
        Ok(Some(format!(
            "{before}{}",
            sealing.seal(&plain, &context, entropy)?
        )))
    }

    /// What is kept of a key that signs no more and is published no more: its public half, sealed as the private
    /// one was, since what it signed long ago is still verified by it. Nothing where that is all already.
    pub(crate) fn without_private_half(
        stored: &StoredKey,
        master_keys: &MasterKeys,
        entropy: &dyn Entropy,
    ) -> Result<Option<String>, KeyRingError> {
        let OpenKey::Private(key) = open_key(stored, master_keys)? else {
            return Ok(None);
        };
        let public = json!(key.public_jwk()).to_string();
        let sealing = Purpose::SigningKeys.sealing_key(&master_keys.current)?;
        let context = public_context(stored.id, stored.algorithm);
        let sealed = sealing.seal(public.as_bytes(), &context, entropy)?;
        Ok(Some(format!("{PUBLIC}{sealed}")))
    }

    /// Whether one of the stored keys is this one.
    pub(crate) fn knows(
        key: &OutsideKey,
        stored: &[StoredKey],
        master_keys: &MasterKeys,
    ) -> Result<bool, KeyRingError> {
        for one in stored.iter().filter(|one| one.algorithm == key.algorithm) {
            if open_key(one, master_keys)?.public_jwk() == key.public_jwk(one.id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A private key on its way into the store.
struct NewKey<'a> {
    id: KeyId,
    algorithm: SigningAlgorithm,
    pkcs8: &'a [u8],
}

impl NewKey<'_> {
    fn sealed(
        &self,
        master_key: &MasterKey,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<StoredKey, KeyRingError> {
        let context = seal_context(self.id, self.algorithm);
        let sealing = Purpose::SigningKeys.sealing_key(master_key)?;
        Ok(StoredKey {
            id: self.id,
            algorithm: self.algorithm,
            state: KeyState::Pending,
            sealed: sealing.seal(self.pkcs8, &context, entropy)?,
            created_at: now,
            activated_at: None,
            retired_at: None,
            published_until: None,
        })
    }
}

async fn load(
    store: &Store,
    master_keys: &MasterKeys,
    now: Timestamp,
) -> Result<Snapshot, KeyRingError> {
    let mut active = Vec::new();
    let mut jwks = Vec::new();
    let mut ever = Vec::new();
    for stored in store.signing_keys().await? {
        let key = open_key(&stored, master_keys)?;
        let public = key.public_jwk();
        ever.push(VerifyingKey::from_jwk(&public)?);
        if stored.is_published(now) {
            jwks.push(public);
        }
        if stored.state == KeyState::Active
            && let OpenKey::Private(key) = key
        {
            active.push(Arc::new(key));
        }
    }
    let verifying = jwks
        .iter()
        .map(VerifyingKey::from_jwk)
        .collect::<Result<Vec<_>, _>>()?;
    let json = json!({ "keys": jwks }).to_string();
    let hash = digest::digest(&digest::SHA256, json.as_bytes());
    let etag = format!(
        "\"{}\"",
        hex::encode(hash.as_ref().get(..16).unwrap_or_default())
    );
    let published = PublishedKeys {
        json: Bytes::from(json),
        etag: HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"keys\"")),
    };
    Ok(Snapshot {
        active,
        verifying: verifying.into_iter().collect(),
        ever: ever.into_iter().collect(),
        published: Arc::new(published),
    })
}

fn seal_context(id: KeyId, algorithm: SigningAlgorithm) -> String {
    format!("jeton signing key {id} {algorithm}")
}

/// What stands before the sealed public half of a key whose private half was deleted.
const PUBLIC: &str = "public:";

fn public_context(id: KeyId, algorithm: SigningAlgorithm) -> String {
    format!("jeton public half of signing key {id} {algorithm}")
}

/// What stands before it, what is sealed, and for what.
fn sealed_part(stored: &StoredKey) -> (&'static str, &str, String) {
    match stored.sealed.strip_prefix(PUBLIC) {
        Some(sealed) => (PUBLIC, sealed, public_context(stored.id, stored.algorithm)),
        None => (
            "",
            &stored.sealed,
            seal_context(stored.id, stored.algorithm),
        ),
    }
}

fn open_sealed(
    stored: &StoredKey,
    master_keys: &MasterKeys,
) -> Result<Zeroizing<Vec<u8>>, KeyRingError> {
    let (_, sealed, context) = sealed_part(stored);
    master_keys
        .open(Purpose::SigningKeys, sealed, &context)
        .map_err(|source| KeyRingError::Sealed {
            id: stored.id,
            source,
        })
}

/// A stored key, opened.
enum OpenKey {
    Private(SigningKey),
    /// The private half was deleted.
    Public(Jwk),
}

impl OpenKey {
    fn public_jwk(&self) -> Jwk {
        match self {
            Self::Private(key) => key.public_jwk(),
            Self::Public(jwk) => jwk.clone(),
        }
    }
}

fn open_key(stored: &StoredKey, master_keys: &MasterKeys) -> Result<OpenKey, KeyRingError> {
    let plain = open_sealed(stored, master_keys)?;
    if stored.sealed.starts_with(PUBLIC) {
        let jwk = serde_json::from_slice(&plain).map_err(|_| JwkError::Invalid)?;
        return Ok(OpenKey::Public(jwk));
    }
    let key = SigningKey::from_pkcs8(stored.id, stored.algorithm, &plain)?;
    Ok(OpenKey::Private(key))
}
