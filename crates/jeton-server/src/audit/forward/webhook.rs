//! Signed webhooks, after the conventions of Standard Webhooks 1.0.0: an event a request, or where the operator
//! chose so, several in an `audit.batch`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{Clock as _, SystemClock, Timestamp};
use jeton_jose::{HttpError, http_client};
use jeton_store::RecordedEvent;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Serialize;

use super::ForwardError;
use crate::audit::AuditEventView;

/// Sends events to one address.
pub(super) struct Webhook {
    client: Client,
    url: String,
    secret: SecretSlice<u8>,
    is_batched: bool,
}

/// The body: `type`, `timestamp`, `data`.
#[derive(Serialize)]
struct Payload {
    r#type: &'static str,
    timestamp: Timestamp,
    data: AuditEventView,
}

impl From<&RecordedEvent> for Payload {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            r#type: event.event.kind.as_str(),
            timestamp: event.event.at,
            data: event.clone().into(),
        }
    }
}

/// The body of several.
#[derive(Serialize)]
struct Batch {
    r#type: &'static str,
    timestamp: Timestamp,
    data: BatchData,
}

#[derive(Serialize)]
struct BatchData {
    /// Oldest first.
    events: Vec<Payload>,
}

impl Webhook {
    pub(super) fn new(
        url: String,
        secret: SecretSlice<u8>,
        is_batched: bool,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: http_client()?,
            url,
            secret,
            is_batched,
        })
    }

    /// The ID is the event's, or that of a batch's first event with the number of events, so that a receiver
    /// knows what it has: a batch that was sent again may have more events, each with its own ID.
    pub(super) async fn send(&self, events: &[RecordedEvent]) -> Result<(), ForwardError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(());
        };
        // An event has a JSON form without exception.
        let (id, body) = if self.is_batched {
            let batch = Batch {
                r#type: "audit.batch",
                timestamp: last.event.at,
                data: BatchData {
                    events: events.iter().map(Payload::from).collect(),
                },
            };
            let id = format!("{}-{}", first.event.id, events.len());
            (id, serde_json::to_string(&batch))
        } else {
            let body = serde_json::to_string(&Payload::from(first));
            (first.event.id.to_string(), body)
        };
        let body = body.unwrap_or_default();
        let now = SystemClock.now().as_seconds().to_string();
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &now)
            .header("webhook-signature", self.sign(&id, &now, &body))
            .body(body)
            .send()
            .await
            .map_err(|error| HttpError::at(&self.url, error))?;
        let status = response.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(ForwardError::Status(status.as_u16()))
        }
    }

    fn sign(&self, id: &str, timestamp: &str, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose_secret());
        let signed = format!("{id}.{timestamp}.{body}");
        let tag = hmac::sign(&key, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}
