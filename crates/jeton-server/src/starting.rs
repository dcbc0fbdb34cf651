//! What a server that starts is doing, for whoever asks at `--health-listen` why it is not ready.

use std::sync::{Arc, Mutex, PoisonError};

/// The step that a start has come to. Clones are of the same start.
#[derive(Debug, Clone)]
pub struct Starting(Arc<Mutex<String>>);

impl Default for Starting {
    fn default() -> Self {
        Self(Arc::new(Mutex::new("reading its configuration".into())))
    }
}

impl Starting {
    /// From here on, the start is doing this.
    pub(crate) fn step(&self, step: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = step.into();
    }

    /// Why the server is not ready.
    pub(crate) fn reason(&self) -> String {
        let step = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        format!("the server is starting: it is {step}")
    }
}
