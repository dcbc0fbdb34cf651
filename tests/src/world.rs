//! A server with one MCP server and one client of it, and whoever operates them.

use serde_json::Value;

use crate::{Answer, Credentials, Jeton, Operator, claims};

pub struct World {
    pub jeton: Jeton,
    pub operator: Operator,
    /// The ID of the MCP server.
    pub todo: String,
    /// Its client.
    pub client: Credentials,
}

impl World {
    /// An MCP server at `url` with `settings`, its scopes among them, and a client that has `granted` there.
    pub async fn new(url: &str, settings: Value, granted: &[&str]) -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let todo = operator.mcp_server_with(url, granted, settings).await;
        let client = operator.client(&todo, granted).await;
        Self {
            jeton,
            operator,
            todo,
            client,
        }
    }

    /// The client's token request.
    pub async fn ask(&self, parameters: &[(&str, &str)]) -> Answer {
        self.client.ask(&self.jeton.url, parameters).await
    }

    /// One that has to succeed.
    pub async fn token(&self, parameters: &[(&str, &str)]) -> String {
        self.client.token(&self.jeton.url, parameters).await
    }

    /// The audience of the token that it gets.
    pub async fn audience(&self, parameters: &[(&str, &str)]) -> Value {
        claims(&self.token(parameters).await)["aud"].clone()
    }

    /// The MCP server in the admin API.
    pub fn path(&self) -> String {
        format!("/mcp-servers/{}", self.todo)
    }
}
