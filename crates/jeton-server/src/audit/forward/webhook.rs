//! Signed webhooks, after the conventions of Standard Webhooks 1.0.0.

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
}

/// The body: `type`, `timestamp`, `data`.
#[derive(Serialize)]
struct Payload {
    r#type: &'static str,
    timestamp: Timestamp,
    data: AuditEventView,
}

impl Webhook {
    pub(super) fn new(url: String, secret: SecretSlice<u8>) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: http_client()?,
            url,
            secret,
        })
    }

    /// The ID is the event's, the same at every attempt, so that a receiver knows what it has.
    pub(super) async fn send(&self, event: &RecordedEvent) -> Result<(), ForwardError> {
        let payload = Payload {
            r#type: event.event.kind.as_str(),
            timestamp: event.event.at,
            data: event.clone().into(),
        };
        // An event has a JSON form without exception.
        let body = serde_json::to_string(&payload).unwrap_or_default();
        let id = event.event.id.to_string();
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
