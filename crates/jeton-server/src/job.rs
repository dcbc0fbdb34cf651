//! Background tasks: named, and heard when they die.

use std::future::Future;

use tokio::task::JoinHandle;

/// Starts a task. Should it panic, the log says which.
#[expect(clippy::disallowed_methods, reason = "the one home of spawning")]
pub(crate) fn spawn<F>(name: &'static str, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = tokio::spawn(task);
    tokio::spawn(async move {
        if let Err(error) = handle.await
            && error.is_panic()
        {
            tracing::error!(task = name, "a background task panicked");
        }
    })
}

/// Starts a task for one connection, of which there are many: no second task watches it.
#[expect(clippy::disallowed_methods, reason = "the one home of spawning")]
pub(crate) fn spawn_connection<F>(task: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    drop(tokio::spawn(task));
}
