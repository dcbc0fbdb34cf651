//! A new session in place of one that the server no longer knows.

use std::sync::Arc;

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::bridge::{Shared, spawn};
use crate::delivery::INITIALIZED;
use crate::failure::{Failure, Reason};
use crate::headers::SESSION;
use crate::message::Message;
use crate::session::Session;

impl Shared {
    /// Opens a session in place of `old`, which the server no longer knows, and tells the host that
    /// the lists may be others. It goes on where whoever wants it is cancelled, for others want it
    /// too.
    pub(crate) async fn renew(self: &Arc<Self>, old: &Arc<Session>) -> Result<(), Failure> {
        let (shared, old) = (Arc::clone(self), Arc::clone(old));
        let renewed = spawn(async move { shared.open_in_place_of(&old).await }).await;
        renewed.unwrap_or_else(|_| {
            Err(Failure::new(
                Reason::Interrupted,
                "The session is gone, and no other was opened.",
            ))
        })
    }

    async fn open_in_place_of(self: &Arc<Self>, old: &Session) -> Result<(), Failure> {
        let _turn = self.sessions.renewing.lock().await;
        if !self.sessions.is_current(old) {
            return Ok(());
        }
        let gone = || {
            Failure::new(
                Reason::Interrupted,
                "The session is gone, and nothing is known to open another with.",
            )
        };
        let initialize = self.sessions.initialize().ok_or_else(gone)?;
        let sent = self.remote.post(initialize.text(), HeaderMap::new()).await;
        let response = sent.map_err(|error| Failure::of_agent(&error, self.remote.tokens()))?;
        let id = response.headers().get(SESSION).cloned();
        let opening = Session::opening(id.clone());
        let answer = self.answer_to(&initialize, &opening, response).await?;
        let session = self.sessions.read(id, &answer).ok_or_else(|| {
            Failure::new(
                Reason::Refused,
                format!(
                    "The MCP server at {} ended the session and opens no other: {}",
                    self.url(),
                    answer.text()
                ),
            )
        })?;
        // Some servers refuse what comes before it.
        let greeting = json!({ "jsonrpc": "2.0", "method": INITIALIZED }).to_string();
        if let Some(greeting) = Message::read(&greeting) {
            self.deliver_in(Some(&session), &greeting).await?;
        }
        if !self.sessions.replace(old, &session) {
            return Ok(());
        }
        tracing::info!("the MCP server ended the session; another one is open");
        for list in &session.listed {
            self.tell(&format!("notifications/{list}/list_changed"), json!({}))
                .await;
        }
        self.start_listening(session);
        Ok(())
    }

    /// The message in `response` that answers `request`; what comes before it is passed on, as sent
    /// in the session that `opening` is.
    async fn answer_to(
        &self,
        request: &Message,
        opening: &Arc<Session>,
        response: Response,
    ) -> Result<Message, Failure> {
        let url = self.url();
        let mut stream = match Answer::of(response).await {
            Err(broken) => return Err(Failure::of_broken(&broken, url)),
            Ok(Answer::Nothing) => return Err(Failure::unanswered(url)),
            Ok(Answer::Refused(refusal)) => return Err(self.refusal(&refusal).await),
            Ok(Answer::Document(text)) => {
                let messages =
                    Message::read_all(&text).ok_or_else(|| Failure::not_mcp(url, &text))?;
                let answer = self.passed_until_answer(request, opening, messages).await;
                return answer.ok_or_else(|| Failure::not_mcp(url, &text));
            }
            Ok(Answer::Stream(stream)) => stream,
        };
        loop {
            match stream.next().await {
                Ok(Some(event)) => {
                    let messages = Message::read_all(&event.data).unwrap_or_default();
                    if let Some(answer) = self.passed_until_answer(request, opening, messages).await
                    {
                        return Ok(answer);
                    }
                }
                Ok(None) => return Err(Failure::unanswered(url)),
                Err(broken) => return Err(Failure::of_broken(&broken, url)),
            }
        }
    }

    async fn passed_until_answer(
        &self,
        request: &Message,
        opening: &Arc<Session>,
        messages: Vec<Message>,
    ) -> Option<Message> {
        for message in messages {
            if request.id().is_some_and(|id| message.answers(id)) {
                return Some(message);
            }
            self.pass_to_host(&message, Some(opening)).await;
        }
        None
    }

    /// Tells the host something that the server did not say itself.
    pub(crate) async fn tell(&self, method: &str, params: Value) {
        let text = json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string();
        if let Some(message) = Message::read(&text) {
            self.host.send(&message).await;
        }
    }
}
