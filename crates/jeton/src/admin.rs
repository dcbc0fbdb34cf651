//! The admin API as admin commands use it.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use jeton_agent::{ClientSecret, request_token};
use jeton_core::{ScopeSet, ServerMetadata};
use jeton_jose::{fetch_json, http_client};
use jeton_server::{AdminCredentials, Config, RawConfig};
use reqwest::header::IF_MATCH;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use url::form_urlencoded;

use crate::arguments::Global;
use crate::command::credentials;

/// Where a server is that nobody named.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8420";

/// An authenticated connection to the admin API.
pub(crate) struct Admin {
    client: Client,
    base: String,
    issuer: String,
    token: String,
}

/// `admin.json` in the data directory, if it is there.
pub(crate) fn admin_file(global: &Global) -> anyhow::Result<(PathBuf, Option<AdminCredentials>)> {
    let flags = RawConfig {
        data_dir: global.data_dir.clone(),
        ..RawConfig::default()
    };
    let path = Config::load(global.config.as_deref(), &flags)?
        .data_dir
        .join("admin.json");
    match fs::read(&path) {
        Ok(json) => {
            let credentials = serde_json::from_slice(&json)
                .with_context(|| format!("{} is not as jeton serve writes it", path.display()))?;
            Ok((path, Some(credentials)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path, None)),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

impl Admin {
    /// Finds the server and the credentials, and gets a token for the admin API.
    pub(crate) async fn connect(global: &Global) -> anyhow::Result<Self> {
        let (path, file) = admin_file(global)?;
        Self::connect_as(global, path, file, credentials::from_environment()).await
    }

    /// The same with `admin.json` alone, whatever the environment says.
    pub(crate) async fn connect_with_file(global: &Global) -> anyhow::Result<Self> {
        let path = global
            .data_dir
            .clone()
            .unwrap_or_default()
            .join("admin.json");
        let file = Some(serde_json::from_slice(&fs::read(&path)?)?);
        Self::connect_as(global, path, file, None).await
    }

    async fn connect_as(
        global: &Global,
        path: PathBuf,
        file: Option<AdminCredentials>,
        named: Option<ClientSecret>,
    ) -> anyhow::Result<Self> {
        let (credentials, issuer) = match (named, file) {
            (Some(named), file) => (named, file.map(|file| file.issuer)),
            (None, Some(file)) => (
                ClientSecret::new(file.client_id, file.client_secret),
                Some(file.issuer),
            ),
            (None, None) => bail!(
                "no admin credentials: there is no {}. Run this where jeton serve runs, name its data directory with --data-dir or JETON_DATA_DIR, or set JETON_URL, JETON_CLIENT_ID and JETON_CLIENT_SECRET",
                path.display()
            ),
        };
        let url = global
            .server
            .clone()
            .or(issuer)
            .unwrap_or_else(|| DEFAULT_URL.to_owned());
        let url = url.trim_end_matches('/').to_owned();
        let client = http_client()?;
        let found: ServerMetadata = fetch_json(
            &client,
            &format!("{url}/.well-known/oauth-authorization-server"),
        )
        .await
        .with_context(|| format!("no Jeton server at {url}; is jeton serve running?"))?;
        // The server may be reached at another address than its issuer's.
        let reached = ServerMetadata::for_issuer(&url, &url, &ScopeSet::empty());
        let resource = format!("{}/api", found.issuer);
        let token = request_token(&client, &reached, &credentials, Some(&resource), None)
            .await
            .context("no token for the admin API")?;
        Ok(Self {
            client,
            base: format!("{url}/api/v1"),
            issuer: found.issuer,
            token: token.access_token,
        })
    }

    /// The issuer of the server.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    /// Reads one document.
    pub(crate) async fn read(&self, path: &str) -> anyhow::Result<Value> {
        document(self.request(Method::GET, path).send().await?).await
    }

    /// Reads a list to its end, or to `limit` items.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Option<usize>,
    ) -> anyhow::Result<Vec<Value>> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < limit {
            let size = (limit - items.len()).min(200).to_string();
            let mut parameters: Vec<(&str, &str)> = query
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            if path_takes_pages(path) {
                parameters.push(("limit", &size));
                parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            }
            let request = self.request(Method::GET, &with_query(path, &parameters));
            let mut page = document(request.send().await?).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(items)
    }

    /// Reads one page of lines, and after what the next one begins.
    pub(crate) async fn read_lines(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<(String, Option<i64>)> {
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let request = self.request(Method::GET, &with_query(path, &query));
        let response = request.send().await?;
        if !response.status().is_success() {
            let refused = document(response).await.err();
            return Err(refused.unwrap_or_else(|| anyhow!("the server did not say why")));
        }
        let next = response.headers().get("x-next-after");
        let next = next.and_then(|next| next.to_str().ok()?.parse().ok());
        Ok((response.text().await?, next))
    }

    /// Sends a document.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        document(self.request(method, path).json(body).send().await?).await
    }

    /// Changes a thing as it is now: should somebody else change it in between, nothing is lost.
    pub(crate) async fn change(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let current = self.request(Method::GET, path).send().await?;
        let tag = current.headers().get("etag").cloned();
        document(current).await?;
        let mut request = self.request(Method::PATCH, path).json(body);
        if let Some(tag) = tag {
            request = request.header(IF_MATCH, tag);
        }
        document(request.send().await?).await
    }

    /// Deletes a thing.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        document(self.request(Method::DELETE, path).send().await?)
            .await
            .map(drop)
    }
}

/// Lists of a thing's own parts come whole.
fn path_takes_pages(path: &str) -> bool {
    matches!(path, "/mcp-servers" | "/clients" | "/audit-events")
}

fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        return path.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{path}?{query}")
}

/// The document of an answer, or the problem that it describes.
async fn document(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let body = response.bytes().await?;
    if status.is_success() {
        return Ok(if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body)?
        });
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str);
    let parameter = problem.get("parameter").and_then(Value::as_str);
    match (detail, parameter) {
        (Some(detail), Some(parameter)) => bail!("{parameter}: {detail}"),
        (Some(detail), None) => bail!("{detail}"),
        (None, _) => bail!("the server answered {status} without saying why"),
    }
}
