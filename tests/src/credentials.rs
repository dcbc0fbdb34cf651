//! A client's or an MCP server's credentials, and what can be done with them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::form_urlencoded;

use crate::http;

/// A form-encoded body.
pub fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// The same text, its last letter another.
pub fn mistyped(text: &str) -> String {
    let mut mistyped = text.to_owned();
    let last = mistyped.pop();
    mistyped.push(if last == Some('x') { 'y' } else { 'x' });
    mistyped
}

/// A JWT's claims, unverified.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body).into_owned()));
        Self {
            status,
            headers,
            body,
        }
    }

    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or("")
    }
}

#[derive(Debug, Clone)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: String,
}

impl Credentials {
    /// From an answer of the admin API.
    pub fn of(created: &Value) -> Self {
        Self {
            client_id: created["client_id"].as_str().unwrap().to_owned(),
            client_secret: created["client_secret"].as_str().unwrap().to_owned(),
        }
    }

    /// The value of an `Authorization: Basic` header.
    pub fn basic(&self) -> String {
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!(
            "{}:{}",
            encode(&self.client_id),
            encode(&self.client_secret)
        );
        format!("Basic {}", STANDARD.encode(pair))
    }

    /// Sends a form to an endpoint, authenticated in the body.
    pub async fn send(&self, url: &str, parameters: &[(&str, &str)]) -> Answer {
        let own = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.as_str()),
        ];
        let request = http()
            .post(url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form(&[&own, parameters].concat()));
        Answer::of(request.send().await.unwrap()).await
    }

    /// A token request.
    pub async fn ask(&self, issuer: &str, parameters: &[(&str, &str)]) -> Answer {
        let grant = [("grant_type", "client_credentials")];
        self.send(
            &format!("{issuer}/oauth/token"),
            &[&grant, parameters].concat(),
        )
        .await
    }

    /// A token request that has to succeed.
    pub async fn token(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let answer = self.ask(issuer, parameters).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    /// What introspection says of a token.
    pub async fn introspect(&self, issuer: &str, token: &str) -> Value {
        let answer = self
            .send(&format!("{issuer}/oauth/introspect"), &[("token", token)])
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}
