//! Who the agent is.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A client ID and its secret.
#[derive(Clone)]
pub struct ClientSecret {
    client_id: String,
    client_secret: SecretString,
}

impl ClientSecret {
    /// The credentials that the operator handed out.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: SecretString::from(client_secret.into()),
        }
    }

    /// The client ID.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn expose_secret(&self) -> &str {
        self.client_secret.expose_secret()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSecret")
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .finish()
    }
}
