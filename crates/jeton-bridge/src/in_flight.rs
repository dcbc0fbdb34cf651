//! Requests under way, so that the host can cancel them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use crate::id::Id;

#[derive(Debug)]
struct Entry {
    number: u64,
    is_stateless: bool,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Id, Entry>,
    count: u64,
}

/// The requests that the host waits for.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<State>);

impl InFlight {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the next request.
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.state();
        state.count += 1;
        state.count
    }

    /// `task` works on the request `id`, which is made in MCP 2026-07-28 or later where it
    /// `is_stateless`.
    pub(crate) fn add(&self, number: u64, id: Id, is_stateless: bool, task: AbortHandle) {
        if task.is_finished() {
            return;
        }
        let entry = Entry {
            number,
            is_stateless,
            task,
        };
        self.state().entries.insert(id, entry);
    }

    /// The request was answered.
    pub(crate) fn remove(&self, number: u64, id: &Id) {
        let mut state = self.state();
        if state
            .entries
            .get(id)
            .is_some_and(|entry| entry.number == number)
        {
            state.entries.remove(id);
        }
    }

    /// Stops working on a request, which closes its stream. Says whether it was a stateless one;
    /// nothing where it is not under way.
    pub(crate) fn cancel(&self, id: &Id) -> Option<bool> {
        let entry = self.state().entries.remove(id)?;
        entry.task.abort();
        Some(entry.is_stateless)
    }
}
