//! The session with a server of a revision before 2026-07-28: what `initialize` agreed on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::headers::{self, SESSION, VERSION};
use crate::message::Message;

/// The first revision without sessions.
const STATELESS: &str = "2026-07-28";

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    id: Option<HeaderValue>,
    /// The revision, once it is agreed on.
    version: Option<String>,
    number: u64,
    /// The lists of which the server tells when they change.
    pub(crate) listed: Vec<&'static str>,
}

#[derive(Deserialize)]
struct InitializeResult {
    #[serde(rename = "protocolVersion")]
    version: String,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Deserialize, Default)]
struct Capabilities {
    tools: Option<ListCapability>,
    prompts: Option<ListCapability>,
    resources: Option<ListCapability>,
}

#[derive(Deserialize, Default)]
struct ListCapability {
    #[serde(default, rename = "listChanged")]
    list_changed: bool,
}

impl Session {
    /// A session with this ID in which `initialize` is not answered yet.
    pub(crate) fn opening(id: Option<HeaderValue>) -> Arc<Self> {
        Arc::new(Self {
            id,
            version: None,
            number: 0,
            listed: Vec::new(),
        })
    }

    /// The name that the server gave it.
    pub(crate) fn id(&self) -> Option<&HeaderValue> {
        self.id.as_ref()
    }

    /// Whether the server gave it a name, which it may forget.
    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// The headers of a message in this session.
    pub(crate) fn headers(&self, message: Option<&Message>) -> HeaderMap {
        let version = self.version.as_deref().unwrap_or_default();
        let mut headers = match message {
            Some(message) if version >= STATELESS => headers::of_message(message, version),
            _ => HeaderMap::new(),
        };
        if let Some(Ok(version)) = self.version.as_deref().map(HeaderValue::from_str) {
            headers.insert(VERSION, version);
        }
        if let Some(id) = &self.id {
            headers.insert(SESSION, id.clone());
        }
        headers
    }
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Session>>,
    initialize: Option<Message>,
    count: u64,
    /// When a session was last opened in place of one that was gone.
    renewed_at: Option<Instant>,
}

/// How far the host's handshake has come.
#[derive(Debug, Clone, Copy)]
struct Handshake {
    /// How many `initialize` wait for their answer.
    opening: usize,
    /// Whether `notifications/initialized` has arrived, or has not been sent.
    greeted: bool,
}

/// An `initialize` that waits for its answer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Opening(Arc<watch::Sender<Handshake>>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0
            .send_modify(|handshake| handshake.opening = handshake.opening.saturating_sub(1));
    }
}

/// The session of now, if any, and what opens one.
#[derive(Debug)]
pub(crate) struct Sessions {
    state: Mutex<State>,
    handshake: Arc<watch::Sender<Handshake>>,
    /// Held by whoever opens one anew.
    pub(crate) renewing: tokio::sync::Mutex<()>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            handshake: Arc::new(watch::Sender::new(Handshake {
                opening: 0,
                greeted: true,
            })),
            renewing: tokio::sync::Mutex::default(),
        }
    }
}

impl Sessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        self.state().current.clone()
    }

    /// The session to answer in what was asked in `session`: that of now, where the server gave both one name.
    pub(crate) fn as_agreed(&self, session: Arc<Session>) -> Arc<Session> {
        let current = self.current();
        current
            .filter(|current| current.id == session.id)
            .unwrap_or(session)
    }

    /// Whether `session` is the one of now.
    pub(crate) fn is_current(&self, session: &Session) -> bool {
        let current = self.current();
        current.is_some_and(|current| current.number == session.number)
    }

    /// The host begins anew with this `initialize`. What it sends after it waits until the answer is
    /// there, or no longer waited for.
    pub(crate) fn begin(&self, initialize: &Message) -> Opening {
        let mut state = self.state();
        state.current = None;
        state.initialize = Some(initialize.clone());
        self.handshake
            .send_modify(|handshake| handshake.opening += 1);
        Opening(Arc::clone(&self.handshake))
    }

    /// The `initialize` that opens a session.
    pub(crate) fn initialize(&self) -> Option<Message> {
        self.state().initialize.clone()
    }

    /// The session that the server opened with this ID and `answer` to `initialize`; nothing where it
    /// refused. It is not the one of now yet.
    pub(crate) fn read(&self, id: Option<HeaderValue>, answer: &Message) -> Option<Arc<Session>> {
        let result: InitializeResult = serde_json::from_str(answer.result()?).ok()?;
        let lists = [
            ("tools", result.capabilities.tools),
            ("prompts", result.capabilities.prompts),
            ("resources", result.capabilities.resources),
        ];
        let listed = lists
            .into_iter()
            .filter(|(_, list)| list.as_ref().is_some_and(|list| list.list_changed))
            .map(|(name, _)| name)
            .collect();
        let mut state = self.state();
        state.count += 1;
        Some(Arc::new(Session {
            id,
            version: Some(result.version),
            number: state.count,
            listed,
        }))
    }

    /// The host's own `initialize` opened a session with this ID and `answer`.
    pub(crate) fn open(&self, id: Option<HeaderValue>, answer: &Message) {
        let session = self.read(id, answer);
        if session.is_some() {
            self.state().current = session;
        }
    }

    /// `session` takes the place of `old`. Says whether it did: not where the host has begun anew.
    pub(crate) fn replace(&self, old: &Session, session: &Arc<Session>) -> bool {
        let mut state = self.state();
        let is_current = state
            .current
            .as_ref()
            .is_some_and(|current| current.number == old.number);
        if is_current {
            state.current = Some(Arc::clone(session));
            state.renewed_at = Some(Instant::now());
        }
        is_current
    }

    /// When a session was last opened in place of another.
    pub(crate) fn renewed_at(&self) -> Option<Instant> {
        self.state().renewed_at
    }

    /// `notifications/initialized` is on its way, or has arrived.
    pub(crate) fn set_greeted(&self, greeted: bool) {
        self.handshake
            .send_modify(|handshake| handshake.greeted = greeted);
    }

    /// The session to send a request in, once it may be sent.
    pub(crate) async fn ready(&self) -> Option<Arc<Session>> {
        self.wait_for(|handshake| handshake.opening == 0 && handshake.greeted)
            .await;
        self.current()
    }

    /// Waits until no `initialize` waits for its answer.
    pub(crate) async fn opened(&self) {
        self.wait_for(|handshake| handshake.opening == 0).await;
    }

    async fn wait_for(&self, reached: impl Fn(&Handshake) -> bool) {
        // The sender is here, so that waiting does not fail.
        let _ = self.handshake.subscribe().wait_for(reached).await;
    }
}
