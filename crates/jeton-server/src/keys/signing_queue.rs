//! Slow signatures, made in groups.
//!
//! An RSA signature leaves little in the processor's caches of what answers a request. Where several
//! requests are under way, each step is therefore done for all of them before the next: all are read,
//! a group is signed, all of the group are recorded and answered. While one group is being recorded,
//! the next is signed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jeton_jose::{SigningError, SigningKey};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

use crate::job::Jobs;

/// The signatures of one group, where so many wait: up to ten milliseconds, in which the same thread
/// answers nobody.
const GROUP: usize = 16;
/// The same where many more wait, of which each will wait much longer anyway.
const LARGE_GROUP: usize = 32;

/// A token that waits for its signature.
struct Job {
    key: Arc<SigningKey>,
    unsigned: String,
    signed: oneshot::Sender<Result<String, SigningError>>,
}

#[derive(Default)]
struct Waiting {
    waiting: Mutex<VecDeque<Job>>,
    added: Notify,
}

/// The name of the jobs that sign.
pub(crate) const SIGNER: &str = "signer";

/// Where tokens are handed in to be signed.
pub(crate) struct SigningQueue(Arc<Waiting>);

impl std::fmt::Debug for SigningQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningQueue")
    }
}

impl SigningQueue {
    /// Starts as many signers as the runtime has threads.
    pub(crate) fn start(jobs: &Jobs) -> Self {
        let waiting = Arc::new(Waiting::default());
        let signers = Handle::current().metrics().num_workers();
        for _ in 0..signers {
            let waiting = Arc::clone(&waiting);
            jobs.supervise(SIGNER, move || sign_all(Arc::clone(&waiting), signers));
        }
        Self(waiting)
    }

    /// Signs `unsigned` with `key`.
    ///
    /// # Errors
    ///
    /// [`SigningError::Sign`].
    pub(crate) async fn sign(
        &self,
        key: Arc<SigningKey>,
        unsigned: String,
    ) -> Result<String, SigningError> {
        let (signed, outcome) = oneshot::channel();
        let job = Job {
            key,
            unsigned,
            signed,
        };
        self.0.add(job);
        outcome.await.map_err(|_| SigningError::Sign)?
    }
}

/// One signer.
async fn sign_all(jobs: Arc<Waiting>, signers: usize) {
    loop {
        // Requests that this thread has already received, and those of the last group, run before
        // this goes on.
        yield_now().await;
        let group = jobs.take_share(signers);
        if group.is_empty() {
            jobs.added.notified().await;
            continue;
        }
        for job in group {
            // A caller that is gone needs no signature.
            if !job.signed.is_closed() {
                let _ = job.signed.send(job.key.sign_token(job.unsigned));
            }
        }
        // Once for them to hand in their records, once more for those to be on their way to the disk.
        yield_now().await;
    }
}

impl Waiting {
    fn add(&self, job: Job) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(job);
        drop(waiting);
        self.added.notify_one();
    }

    /// Some of what waits; the other signers are left theirs.
    fn take_share(&self, signers: usize) -> Vec<Job> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let share = waiting.len().div_ceil(signers);
        // The other half is signed while this one is recorded.
        let share = share.min(GROUP.max(share / 2).min(LARGE_GROUP));
        waiting.drain(..share).collect()
    }
}

#[cfg(test)]
mod tests {
    use jeton_core::Clock as _;
    use jeton_core::{KeyId, SigningAlgorithm, SystemClock};
    use jeton_jose::OsEntropy;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "requests of a test")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn each_of_many_gets_its_own_signature_whoever_leaves() {
        let algorithm = SigningAlgorithm::Rs256;
        let pkcs8 = SigningKey::generate_pkcs8(algorithm).unwrap();
        let id = KeyId::generate(SystemClock.now(), &OsEntropy).unwrap();
        let key = Arc::new(SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap());
        let queue = Arc::new(SigningQueue::start(&Jobs::default()));
        let requests: Vec<_> = (0..200)
            .map(|number| {
                let (queue, key) = (Arc::clone(&queue), Arc::clone(&key));
                tokio::spawn(async move { queue.sign(key, format!("token {number}")).await })
            })
            .collect();
        for (number, request) in requests.into_iter().enumerate() {
            if number % 3 == 0 {
                request.abort();
                continue;
            }
            // These signatures have no randomness in them.
            let expected = key.sign_token(format!("token {number}")).unwrap();
            assert_eq!(request.await.unwrap().unwrap(), expected);
        }
        assert!(
            queue.0.waiting.lock().unwrap().len() <= 67,
            "only those who left"
        );
    }
}
