//! When each secret was last used: noted in memory, and written now and then, for nobody waits for
//! it and a token must not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jeton_core::{SecretId, Timestamp};
use jeton_store::{Store, StoreError};

/// A secret that just authenticated somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UsedSecret {
    pub(crate) id: SecretId,
    pub(crate) at: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct UsedSecrets(Mutex<HashMap<SecretId, Timestamp>>);

/// So many are written in one step.
const STEP: usize = 500;

impl UsedSecrets {
    pub(crate) fn note(&self, used: UsedSecret) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(used.id, used.at);
    }

    /// Writes what was noted. What cannot be written now is kept for the next time.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut noted: Vec<_> = noted.into_iter().collect();
        // In one order, so that two servers that write the same ones never wait for each other.
        noted.sort_unstable_by_key(|(id, _)| *id);
        let mut rest = noted.as_slice();
        while let Some((step, later)) = rest.split_at_checked(STEP.min(rest.len()))
            && !step.is_empty()
        {
            if let Err(error) = store.touch_secrets(step).await {
                let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, at) in rest {
                    kept.entry(*id).or_insert(*at);
                }
                return Err(error);
            }
            rest = later;
        }
        Ok(())
    }
}
