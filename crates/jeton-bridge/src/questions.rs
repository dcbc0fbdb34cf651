//! What the server asked the host (sampling, elicitation, roots, pings), so that the answer goes where the question came
//! from: servers number their questions anew in each session.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bridge::Shared;
use crate::id::Id;
use crate::message::{Kind, Message};
use crate::session::Session;

/// How many questions may be without an answer; the oldest are forgotten.
const MAX_OPEN: usize = 1024;

#[derive(Debug, Default)]
struct State {
    asked_in: HashMap<Id, Arc<Session>>,
    order: VecDeque<Id>,
}

/// Questions that the host has not answered yet, and the session of each.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<State>);

impl Questions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: &Id, session: &Arc<Session>) {
        let mut state = self.state();
        if state
            .asked_in
            .insert(id.clone(), Arc::clone(session))
            .is_none()
        {
            state.order.push_back(id.clone());
        }
        if state.order.len() > MAX_OPEN
            && let Some(oldest) = state.order.pop_front()
        {
            state.asked_in.remove(&oldest);
        }
    }

    /// The session in which `answer` was asked for, once.
    pub(crate) fn asked_in(&self, answer: &Message) -> Option<Arc<Session>> {
        let Kind::Response { id: Some(id) } = answer.kind() else {
            return None;
        };
        let mut state = self.state();
        let session = state.asked_in.remove(id)?;
        state.order.retain(|open| open != id);
        Some(session)
    }
}

impl Shared {
    /// Passes on to the host what the server sent in `session`; none is one without sessions.
    pub(crate) async fn pass_to_host(&self, message: &Message, session: Option<&Arc<Session>>) {
        if let (Kind::Request { id, .. }, Some(session)) = (message.kind(), session) {
            self.questions.note(id, session);
        }
        self.host.send(message).await;
    }
}
