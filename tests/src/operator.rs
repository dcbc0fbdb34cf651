//! Whoever has the admin credentials, over the admin API.

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{Credentials, Jeton, TodoServer, http};

pub struct Operator {
    http: Client,
    url: String,
    pub token: String,
    pub credentials: Credentials,
}

impl Operator {
    pub(crate) async fn new(jeton: &Jeton, url: &str) -> Self {
        let file = std::fs::read(jeton.data_dir().join("admin.json")).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        let credentials = Credentials {
            client_id: file["client_id"].as_str().unwrap().to_owned(),
            client_secret: file["client_secret"].as_str().unwrap().to_owned(),
        };
        let token = credentials.token(url, &[]).await;
        Self {
            http: http(),
            url: url.to_owned(),
            token,
            credentials,
        }
    }

    /// The same person at another server of the same installation.
    pub fn at(&self, url: &str) -> Self {
        Self {
            http: self.http.clone(),
            url: url.to_owned(),
            token: self.token.clone(),
            credentials: self.credentials.clone(),
        }
    }

    /// Where it sends its requests.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server says that it can issue tokens.
    pub async fn is_ready(&self) -> bool {
        let request = self.http.get(format!("{}/readyz", self.url));
        matches!(request.send().await, Ok(answer) if answer.status() == 200)
    }

    /// A request that overwrites what it changes, whatever is there.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_change = [Method::PATCH, Method::PUT, Method::DELETE].contains(&method);
        let request = self.unconditional(method, path);
        if is_change {
            request.header("If-Match", "*")
        } else {
            request
        }
    }

    /// The same without a condition, for a caller that has one of its own or wants to be asked for it.
    pub fn unconditional(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1{path}", self.url))
            .bearer_auth(&self.token)
    }

    /// An answer's status and document.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let rotates_unseen = path.ends_with("/secrets/rotate")
            && body
                .as_ref()
                .is_some_and(|body| body["seen_secret_ids"].is_null());
        let mut request = self.request(method, path);
        if rotates_unseen {
            request = request.header("If-Match", "*");
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, document) = self.send(Method::POST, path, Some(body)).await;
        assert!(status < 300, "POST {path}: {status} {document}");
        document
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        let (status, document) = self.send(Method::PATCH, path, Some(body)).await;
        assert!(status < 300, "PATCH {path}: {status} {document}");
        document
    }

    /// Puts a grant, whether there is one or not.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        let request = self.unconditional(Method::PUT, path);
        let made = request.header("If-None-Match", "*").json(&body).send();
        let made = made.await.unwrap();
        if made.status() == 200 {
            return made.json().await.unwrap();
        }
        let (status, document) = self.send(Method::PUT, path, Some(body)).await;
        assert!(status < 300, "PUT {path}: {status} {document}");
        document
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, document) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {document}");
        document
    }

    pub async fn delete(&self, path: &str) {
        let (status, document) = self.send(Method::DELETE, path, None).await;
        assert_eq!(status, 204, "DELETE {path}: {document}");
    }

    /// Registers an MCP server and gives its ID.
    pub async fn mcp_server(&self, url: &str, scopes: &[&str]) -> String {
        self.mcp_server_with(url, scopes, json!({})).await
    }

    /// The same, with further settings.
    pub async fn mcp_server_with(&self, url: &str, scopes: &[&str], settings: Value) -> String {
        let scopes: Vec<Value> = scopes.iter().map(|name| json!({ "name": name })).collect();
        let mut body = json!({ "name": "Todo", "url": url, "scopes": scopes });
        body.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        self.post("/mcp-servers", body).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A client of the todo MCP server with its one scope, `a`, for tests of something else.
    pub async fn todo_client(&self) -> Credentials {
        let todo = self.mcp_server("http://localhost:3002/mcp", &["a"]).await;
        self.client(&todo, &["a"]).await
    }

    /// An MCP server with the scopes `a`, `b` and `c`, and a client with the first two.
    pub async fn server_with_three_scopes(&self) -> (String, Credentials) {
        let todo = self
            .mcp_server("http://localhost:3002/mcp", &["a", "b", "c"])
            .await;
        let client = self.client(&todo, &["a", "b"]).await;
        (todo, client)
    }

    /// Registers a running todo server; gives its ID.
    pub async fn register(&self, todo: &TodoServer) -> String {
        self.mcp_server(&todo.url, &["todo:read", "todo:write"])
            .await
    }

    /// Creates a client with these scopes.
    pub async fn client(&self, mcp_server: &str, scopes: &[&str]) -> Credentials {
        self.client_with(mcp_server, json!({ "scopes": scopes }))
            .await
    }

    /// The same, with further settings; with all scopes where these name none.
    pub async fn client_with(&self, mcp_server: &str, settings: Value) -> Credentials {
        let mut body = json!({ "name": "agent", "mcp_server_id": mcp_server });
        if settings.get("scopes").is_none() {
            body["all_scopes"] = true.into();
        }
        body.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        Credentials::of(&self.post("/clients", body).await)
    }

    /// The newest audit events that match.
    pub async fn audit(&self, query: &str) -> Vec<Value> {
        let page = self.get(&format!("/audit-events?limit=200&{query}")).await;
        page["items"].as_array().unwrap().clone()
    }
}
