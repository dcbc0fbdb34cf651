//! When each secret was last used: noted in memory, and written now and then, for nobody waits for
//! it and a token must not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jeton_core::{ClientSecret, SecretId, Timestamp};
use jeton_store::{Store, StoreError};
use tokio::time::Instant;

/// A secret that just authenticated somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UsedSecret {
    pub(crate) id: SecretId,
    pub(crate) at: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct UsedSecrets(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    uses: HashMap<SecretId, Timestamp>,
    /// Since when.
    since: Option<Instant>,
}

/// So many are written in one step.
const STEP: usize = 500;
/// So few are written as soon as anybody asks.
const FEW: usize = 1_000;
/// More are gathered for a while, or until there are many: written together in the order of their
/// keys, many share a page.
const GATHER: Duration = Duration::from_secs(10 * 60);
const MANY: usize = 1_000_000;

impl UsedSecrets {
    pub(crate) fn note(&self, used: UsedSecret) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.uses.insert(used.id, used.at);
        noted.since.get_or_insert_with(Instant::now);
    }

    /// Writes what was noted, if it is few, or many, or old.
    pub(crate) async fn write_if_ripe(&self, store: &Store) -> Result<(), StoreError> {
        let is_ripe = {
            let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (uses, since) = (noted.uses.len(), noted.since);
            uses <= FEW || uses >= MANY || since.is_some_and(|since| since.elapsed() >= GATHER)
        };
        if is_ripe {
            self.write(store).await?;
        }
        Ok(())
    }

    /// Writes what was noted. What cannot be written now is kept for the next time.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = noted.uses.into_iter().collect();
        // In one order, so that two servers that write the same ones never wait for each other.
        uses.sort_unstable_by_key(|(id, _)| *id);
        let mut rest = uses.as_slice();
        while let Some((step, later)) = rest.split_at_checked(STEP.min(rest.len()))
            && !step.is_empty()
        {
            if let Err(error) = store.touch_secrets(step).await {
                let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, at) in rest {
                    kept.uses.entry(*id).or_insert(*at);
                }
                kept.since = noted.since;
                return Err(error);
            }
            rest = later;
            if !rest.is_empty() {
                // Others want to write too.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }

    /// Puts what is noted here, and perhaps nowhere else yet, into what was read.
    pub(crate) fn bring_up_to_date(&self, secrets: &mut [ClientSecret]) {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets {
            secret.last_used_at = secret.last_used_at.max(noted.uses.get(&secret.id).copied());
        }
    }
}
