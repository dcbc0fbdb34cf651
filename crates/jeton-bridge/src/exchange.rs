//! A request of the host, until it is answered: sent, sent again where that is safe, in a new
//! session where the old one is gone, and its stream taken up again where it broke.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::answer::{Answer, Broken, EventStream, Refusal};
use crate::bridge::Shared;
use crate::failure::Failure;
use crate::headers::{self, SESSION};
use crate::id::Id;
use crate::message::Message;
use crate::resumption::{Idle, Resumed};
use crate::session::Session;

/// The first pause before a request is sent again; each further one is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest such pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause that a server is granted between parts of a stream, and the longest between
/// attempts to subscribe.
pub(crate) const LONGEST_RESUME_PAUSE: Duration = Duration::from_secs(60);
/// How often a request that only reads is sent again after its connection broke.
const REPEATS: u32 = 2;

const LISTEN: &str = "subscriptions/listen";

/// A request under way.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    message: Message,
    id: Id,
    /// The revision, where the request names it (MCP 2026-07-28 and later).
    version: Option<String>,
    deadline: Instant,
    pause: Duration,
    repeats: u32,
    has_new_session: bool,
    /// Whether `subscriptions/listen` was acknowledged before, and since when it is tried again.
    was_subscribed: bool,
    resubscribe: Duration,
}

/// How a stream ended.
enum Relayed {
    Answered,
    Broken(String),
}

impl Exchange {
    pub(crate) fn new(
        shared: Arc<Shared>,
        message: Message,
        id: Id,
        version: Option<String>,
    ) -> Self {
        let deadline = Instant::now() + shared.wait;
        Self {
            shared,
            message,
            id,
            version,
            deadline,
            pause: FIRST_PAUSE,
            repeats: 0,
            has_new_session: false,
            was_subscribed: false,
            resubscribe: FIRST_PAUSE,
        }
    }

    /// Does it; the answer, or why there is none, goes to the host.
    pub(crate) async fn run(mut self) {
        self.wait_for_handshake().await;
        while let Err(failure) = self.answer().await {
            if self.is_subscription() && self.was_subscribed && !failure.is_final {
                tracing::info!(problem = failure.words(), "subscribing again");
                sleep(self.resubscribe).await;
                self.resubscribe = (self.resubscribe * 2).min(LONGEST_RESUME_PAUSE);
                continue;
            }
            tracing::warn!(
                method = self.message.method(),
                problem = failure.words(),
                "a request failed"
            );
            if let Some(response) = failure.response(&self.id) {
                self.shared.host.send(&response).await;
            }
            return;
        }
    }

    /// What the host sends while it opens a session is sent in that session.
    async fn wait_for_handshake(&mut self) {
        if self.version.is_none() && !self.opens_session() {
            self.shared.sessions.ready().await;
        }
        self.deadline = Instant::now() + self.shared.wait;
    }

    async fn answer(&mut self) -> Result<(), Failure> {
        loop {
            let session = if self.version.is_some() || self.opens_session() {
                None
            } else {
                self.shared.sessions.ready().await
            };
            let headers = self.headers(session.as_deref());
            let sent = self.shared.remote.post(self.message.text(), headers).await;
            let response = match sent {
                Ok(response) => response,
                Err(error) => {
                    let failure = Failure::of_agent(&error, self.shared.remote.tokens());
                    self.again_or(failure).await?;
                    continue;
                }
            };
            let asked_in = session.clone().or_else(|| self.opening(response.headers()));
            let url = self.shared.url().to_owned();
            match Answer::of(response).await {
                Err(broken) => self.again_or(Failure::of_broken(&broken, &url)).await?,
                Ok(Answer::Nothing) => return Err(Failure::unanswered(&url)),
                Ok(Answer::Document(text)) => {
                    let messages =
                        Message::read_all(&text).ok_or_else(|| Failure::not_mcp(&url, &text))?;
                    for message in messages {
                        if self.pass(message, asked_in.as_ref()).await {
                            return Ok(());
                        }
                    }
                    return Err(Failure::unanswered(&url));
                }
                Ok(Answer::Stream(stream)) => match self.relay(stream, asked_in.as_ref()).await? {
                    Relayed::Answered => return Ok(()),
                    Relayed::Broken(how) => {
                        self.again_or(Failure::interrupted(&url, &how)).await?;
                    }
                },
                Ok(Answer::Refused(refusal)) => self.refused(&refusal, session.as_ref()).await?,
            }
        }
    }

    fn opens_session(&self) -> bool {
        self.message.method() == Some("initialize")
    }

    /// The session that `initialize` opens.
    fn opening(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        let opens = self.opens_session();
        opens.then(|| Session::opening(headers.get(SESSION).cloned()))
    }

    fn is_subscription(&self) -> bool {
        self.message.method() == Some(LISTEN)
    }

    fn headers(&self, session: Option<&Session>) -> HeaderMap {
        match (&self.version, session) {
            (Some(version), _) => {
                let mut headers = headers::of_message(&self.message, version);
                headers.extend(self.shared.tool_headers.of_call(&self.message));
                headers
            }
            (None, Some(session)) => session.headers(Some(&self.message)),
            (None, None) => HeaderMap::new(),
        }
    }

    /// Waits before the next attempt; the failure, where there is to be none. What only reads is
    /// tried again even if it may have arrived, anything else only if it cannot have.
    async fn again_or(&mut self, failure: Failure) -> Result<(), Failure> {
        let repeatable = only_reads(self.message.method()) && self.repeats < REPEATS;
        if !(failure.was_not_sent || repeatable) || Instant::now() + self.pause > self.deadline {
            return Err(failure);
        }
        if !failure.was_not_sent {
            self.repeats += 1;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Deals with a status that says no; another attempt follows unless it is a failure.
    async fn refused(
        &mut self,
        refusal: &Refusal,
        session: Option<&Arc<Session>>,
    ) -> Result<(), Failure> {
        if let Some(session) = session.filter(|session| session.has_id())
            && refusal.is_of_session(Some(&self.id))
            && !self.has_new_session
        {
            // It was refused before anything was done, so it can be sent again.
            match self.shared.renew(session).await {
                Ok(()) => self.has_new_session = true,
                // A proxy without a route for a moment answers 404 as well.
                Err(mut failure) => {
                    failure.was_not_sent = true;
                    self.again_or(failure).await?;
                }
            }
            return Ok(());
        }
        let failure = self.shared.refusal(refusal).await;
        if !refusal.is_busy() {
            return Err(failure);
        }
        // Whoever answers so may have begun with it, or have passed it on.
        if let Some(pause) = refusal.retry_after {
            self.pause = self.pause.max(pause);
        }
        self.again_or(failure).await
    }

    /// Passes a message of `session` on to the host; says whether it was the answer.
    async fn pass(&mut self, message: Message, session: Option<&Arc<Session>>) -> bool {
        let is_answer = message.answers(&self.id);
        let message = if is_answer {
            message.in_answer_to(&self.id)
        } else {
            message
        };
        let message = match self.message.method() {
            Some("initialize") if is_answer => {
                // Before the host hears of it, and uses it.
                let id = session.and_then(|session| session.id().cloned());
                self.shared.sessions.open(id, &message);
                message
            }
            Some("tools/list") if is_answer && self.version.is_some() => {
                self.shared.tool_headers.learn(message)
            }
            Some(LISTEN)
                if message.method() == Some("notifications/subscriptions/acknowledged") =>
            {
                self.resubscribe = FIRST_PAUSE;
                if std::mem::replace(&mut self.was_subscribed, true) {
                    // The host has its acknowledgement; what it may have missed it has not.
                    self.tell_of_changes().await;
                    return false;
                }
                message
            }
            _ => message,
        };
        self.shared.pass_to_host(&message, session).await;
        is_answer
    }

    /// Passes on what comes, until the answer.
    async fn relay(
        &mut self,
        mut stream: EventStream,
        session: Option<&Arc<Session>>,
    ) -> Result<Relayed, Failure> {
        let mut idle = Idle::default();
        let mut resumed: Option<Resumed> = None;
        loop {
            let how = match stream.next().await {
                Ok(Some(event)) => {
                    if let Some(resumed) = resumed.as_mut() {
                        resumed.had_event = true;
                    }
                    if event.is_message() {
                        // What ends now was not idle.
                        (idle, resumed) = (Idle::default(), None);
                        let Some(messages) = Message::read_all(&event.data) else {
                            tracing::warn!("an event that holds no JSON-RPC message was left out");
                            continue;
                        };
                        for message in messages {
                            if self.pass(message, session).await {
                                return Ok(Relayed::Answered);
                            }
                        }
                    }
                    continue;
                }
                Ok(None) => "it was closed".to_owned(),
                Err(Broken::Http(error)) => crate::failure::causes(&error),
                Err(broken) => return Err(Failure::of_broken(&broken, self.shared.url())),
            };
            let events = stream.into_events();
            if let Some(resumed) = resumed {
                idle.ended(&resumed, events.retry());
            }
            let resumable = session.filter(|_| !self.opens_session());
            let (Some(session), Some(pause)) = (resumable, idle.pause(events.retry())) else {
                return Ok(Relayed::Broken(how));
            };
            let Some(rest) = self.shared.resume(events, session, pause).await else {
                return Ok(Relayed::Broken(how));
            };
            stream = rest;
            resumed = Some(Resumed::now());
        }
    }

    /// After a break of a subscription, the host is told that everything in it may have changed.
    async fn tell_of_changes(&self) {
        let wanted: Value = self
            .message
            .subscriptions()
            .and_then(|wanted| serde_json::from_str(wanted).ok())
            .unwrap_or_default();
        let id: Value = serde_json::from_str(self.id.as_json()).unwrap_or_default();
        let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
        for list in ["tools", "prompts", "resources"] {
            let is_wanted = wanted.get(format!("{list}ListChanged"));
            if is_wanted == Some(&Value::Bool(true)) {
                let method = format!("notifications/{list}/list_changed");
                self.shared.tell(&method, json!({ "_meta": meta })).await;
            }
        }
        let resources = wanted
            .get("resourceSubscriptions")
            .and_then(Value::as_array);
        for uri in resources.into_iter().flatten() {
            let params = json!({ "_meta": meta, "uri": uri });
            self.shared
                .tell("notifications/resources/updated", params)
                .await;
        }
    }
}

/// Whether a method changes nothing, so that it may be repeated.
fn only_reads(method: Option<&str>) -> bool {
    let Some(method) = method else {
        return false;
    };
    matches!(
        method,
        "ping" | "server/discover" | "initialize" | "prompts/get" | "resources/read" | LISTEN
    ) || method.ends_with("/list")
}

impl Shared {
    /// What to tell of a refusal: with the scopes that the client has.
    pub(crate) async fn refusal(&self, refusal: &Refusal) -> Failure {
        let tokens = self.remote.tokens();
        let token = tokens.token().await.ok();
        let has = token.as_ref().and_then(|token| token.scope());
        Failure::of_refusal(refusal, tokens, has)
    }
}
