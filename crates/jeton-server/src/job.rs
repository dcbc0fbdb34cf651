//! Background tasks: named, started again when they panic, and counted.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinHandle};

/// How long a task that panicked waits before it starts again; twice as long the next time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that ran this long before it panicked is not in a loop of panics.
const STEADY: Duration = Duration::from_secs(60);

/// How the background tasks are doing. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs(Arc<Mutex<BTreeMap<&'static str, JobState>>>);

/// How one task is doing; tasks with the same name share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JobState {
    /// How often it was started again after a panic.
    pub(crate) restarts: u64,
    /// How many of its tasks panicked and have not started again yet.
    pub(crate) down: u32,
    /// How many of its tasks ended their last round with an error.
    pub(crate) failing: u32,
}

/// The rounds of one task. Until it begins again, a task that is gone does not count as failing.
#[derive(Debug)]
pub(crate) struct Rounds {
    jobs: Jobs,
    name: &'static str,
    is_failing: bool,
}

impl Rounds {
    /// Notes how a round ended.
    pub(crate) fn ended(&mut self, is_failing: bool) {
        if self.is_failing == is_failing {
            return;
        }
        self.is_failing = is_failing;
        self.jobs.change(self.name, |job| {
            job.failing = if is_failing {
                job.failing.saturating_add(1)
            } else {
                job.failing.saturating_sub(1)
            };
        });
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.ended(false);
    }
}

impl Jobs {
    /// Starts a task, and starts it again whenever it panics.
    pub(crate) fn supervise<W, F>(&self, name: &'static str, work: W)
    where
        W: Fn() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let jobs = self.clone();
        jobs.change(name, |_| ());
        start(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let began = Instant::now();
                match start(work()).await {
                    Err(error) if error.is_panic() => {}
                    _ => return,
                }
                jobs.change(name, |job| job.down += 1);
                if began.elapsed() >= STEADY {
                    pause = FIRST_PAUSE;
                }
                let milliseconds = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                tracing::error!(
                    job = name,
                    restart_in_ms = milliseconds,
                    "a background job panicked, and is started again"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                jobs.change(name, |job| {
                    job.down = job.down.saturating_sub(1);
                    job.restarts += 1;
                });
            }
        });
    }

    /// A task begins its rounds.
    pub(crate) fn rounds(&self, name: &'static str) -> Rounds {
        Rounds {
            jobs: self.clone(),
            name,
            is_failing: false,
        }
    }

    /// One task.
    pub(crate) fn find(&self, name: &str) -> JobState {
        self.lock().get(name).copied().unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, JobState> {
        self.lock().clone()
    }

    fn change(&self, name: &'static str, change: impl FnOnce(&mut JobState)) {
        change(self.lock().entry(name).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, JobState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of spawning")]
fn start<F>(task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(task)
}

/// Starts a task that ends. Should it panic, the log says which.
pub(crate) fn spawn<F>(name: &'static str, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = start(task);
    start(async move {
        if let Err(error) = handle.await
            && error.is_panic()
        {
            tracing::error!(task = name, "a background task panicked");
        }
    })
}

/// Starts a task for one connection, of which there are many: no second task watches it, but it
/// can be cut off.
pub(crate) fn spawn_connection<F>(task: F) -> AbortHandle
where
    F: Future<Output = ()> + Send + 'static,
{
    start(task).abort_handle()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn a_task_that_works_hides_no_other_of_its_name_that_fails() {
        let jobs = Jobs::default();
        let (mut one, mut other) = (jobs.rounds("forwarding"), jobs.rounds("forwarding"));
        for _ in 0..3 {
            one.ended(true);
            other.ended(false);
            assert_eq!(jobs.find("forwarding").failing, 1);
        }
        other.ended(true);
        assert_eq!(jobs.find("forwarding").failing, 2);
        drop(one);
        other.ended(false);
        assert_eq!(jobs.find("forwarding").failing, 0);
    }

    #[tokio::test]
    async fn a_job_that_panics_is_started_again_and_counted() {
        let jobs = Jobs::default();
        let (rounds, done) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (counted, notified) = (Arc::clone(&rounds), Arc::clone(&done));
        jobs.supervise("panicking", move || {
            let (rounds, done) = (Arc::clone(&counted), Arc::clone(&notified));
            async move {
                let round = rounds.fetch_add(1, Ordering::SeqCst);
                assert!(round >= 3, "panics three times");
                done.notify_one();
                std::future::pending::<()>().await;
            }
        });
        done.notified().await;
        let state = jobs.find("panicking");
        assert_eq!((state.restarts, state.down), (3, 0));
    }
}
