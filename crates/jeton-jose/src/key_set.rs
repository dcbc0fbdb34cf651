//! A set of verifying keys (RFC 7517 §5).

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::{Jwk, VerifyingKey};

/// Public keys, parsed, found by key ID. Of two with the same ID, the first counts.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    by_kid: HashMap<String, Arc<VerifyingKey>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// The key for a token's `kid`. A token without one is served by the only key, if there is
    /// just one.
    pub fn find(&self, kid: Option<&str>) -> Option<&Arc<VerifyingKey>> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), _) => self.by_kid.get(kid),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Keys of kinds that are not supported are passed over, as RFC 7517 §5 asks.
impl<'de> Deserialize<'de> for KeySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Document::deserialize(deserializer)?
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter_map(|jwk| VerifyingKey::from_jwk(&jwk).ok())
            .collect())
    }
}

impl FromIterator<VerifyingKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        let mut set = Self::default();
        for key in keys.into_iter().map(Arc::new) {
            if let Some(kid) = key.kid() {
                let first = set.by_kid.entry(kid.to_owned());
                first.or_insert_with(|| Arc::clone(&key));
            }
            set.keys.push(key);
        }
        set
    }
}
