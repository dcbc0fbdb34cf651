//! The admin API as admin commands use it.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use jeton_agent::{TokenError, request_token};
use jeton_jose::{HttpError, http_client, read_body};
use jeton_server::{AdminCredentials, Config, RawConfig, read_named_file};
use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::form_urlencoded;

use crate::arguments::Global;
use crate::command::credentials::{self, FoundCredentials};
use crate::output::cell;
use crate::reach::reach;
use crate::typed::as_typed;

/// Where a server is that nobody named.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8420";

/// The largest answer read, in bytes. Pages of the audit log are far smaller.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

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
    match read_named_file(&path) {
        Ok(json) => {
            let credentials = serde_json::from_slice(&json).map_err(|_| {
                anyhow!(
                    "{} is not as jeton serve writes it: a JSON object with issuer, client_id and client_secret. Put a copy of it back, or make a new one with jeton admin recover",
                    path.display()
                )
            })?;
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
        Self::connect_as(global, path, file, credentials::from_environment()?).await
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
        named: Option<FoundCredentials>,
    ) -> anyhow::Result<Self> {
        let credentials = match (named, file) {
            // Without JETON_URL they go where admin.json says that the server is.
            (Some(named), Some(file)) if global.server.is_none() => {
                named.belonging_to(credentials::issuer_in(global, &path, &file)?)
            }
            (Some(named), _) => named,
            (None, Some(file)) => FoundCredentials::of_file(path, file),
            (None, None) => bail!(
                "no admin credentials: there is no {}. Run this where jeton serve runs, name its data directory with --data-dir or JETON_DATA_DIR, or set JETON_URL, JETON_CLIENT_ID and JETON_CLIENT_SECRET",
                path.display()
            ),
        };
        let url = credentials::server_url(global, &credentials)?;
        let client = http_client()?;
        let (origin, is_file) = (credentials.origin(), credentials.file().is_some());
        let reached = reach(&client, &url, credentials, global.insecure_http).await?;
        let issuer = reached.credentials.issuer().to_owned();
        let resource = format!("{issuer}/api");
        let token = request_token(
            &client,
            &reached.server,
            &reached.credentials,
            Some(&resource),
            None,
        )
        .await
        .map_err(|error| no_admin_token(error, &origin, is_file))?;
        Ok(Self {
            client,
            base: format!("{url}/api/v1"),
            issuer,
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
        document(send(self.request(Method::GET, path)).await?).await
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
            let mut page = document(send(request).await?).await?;
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
        let response = send(request).await?;
        if !response.status().is_success() {
            let refused = document(response).await.err();
            return Err(refused.unwrap_or_else(|| anyhow!("the server did not say why")));
        }
        let next = response.headers().get("x-next-after");
        let next = next.and_then(|next| next.to_str().ok()?.parse().ok());
        let lines = read_body(response, MAX_ANSWER).await?;
        Ok((String::from_utf8(lines)?, next))
    }

    /// Sends a document.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        document(send(self.request(method, path).json(body)).await?).await
    }

    /// Sends a document to a thing that still has to be as it was read.
    pub(crate) async fn send_if(
        &self,
        seen: Seen,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let request = seen.require(self.request(method, path).json(body));
        document(send(request).await?).await
    }

    /// Changes a thing as it is now: should somebody else change it in between, nothing is lost.
    pub(crate) async fn change(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let seen = Seen::of(&self.read(path).await?);
        self.send_if(seen, Method::PATCH, path, body).await
    }

    /// Deletes a thing as it is now, with the consent to what the server says has to be confirmed.
    pub(crate) async fn delete(&self, path: &str, yes: bool) -> anyhow::Result<()> {
        let there = send(self.request(Method::GET, path)).await?;
        let seen = if there.status() == StatusCode::NOT_FOUND {
            // The server knows whether it is deleted already, or no ID.
            Seen::Anything
        } else {
            Seen::of(&document(there).await?)
        };
        self.delete_if(seen, &confirmed(path.to_owned(), yes)).await
    }

    /// Revokes a secret: it has no versions.
    pub(crate) async fn revoke(&self, path: &str) -> anyhow::Result<()> {
        self.delete_if(Seen::Unsaid, path).await
    }

    /// Deletes a thing that still has to be as it was read.
    pub(crate) async fn delete_if(&self, seen: Seen, path: &str) -> anyhow::Result<()> {
        let request = seen.require(self.request(Method::DELETE, path));
        document(send(request).await?).await.map(drop)
    }
}

/// What was read of a thing before it is changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    /// It has no version.
    Unsaid,
    /// Whatever is there.
    Anything,
    /// There was none.
    Nothing,
    /// This version.
    Version(i64),
}

impl Seen {
    /// The version of a document.
    pub(crate) fn of(document: &Value) -> Self {
        let version = document.get("version").and_then(Value::as_i64);
        version.map_or(Self::Unsaid, Self::Version)
    }

    fn require(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Unsaid => request,
            Self::Anything => request.header(IF_MATCH, "*"),
            Self::Nothing => request.header(IF_NONE_MATCH, "*"),
            Self::Version(version) => request.header(IF_MATCH, format!("\"v{version}\"")),
        }
    }
}

/// Why there is no token for the admin API, and what to do about it.
fn no_admin_token(error: TokenError, origin: &str, is_file: bool) -> anyhow::Error {
    let TokenError::Refused {
        code, description, ..
    } = &error
    else {
        return anyhow::Error::new(error).context("no token for the admin API");
    };
    let said = description.as_deref().unwrap_or(code);
    let instead = if is_file {
        "Run jeton admin recover to make a new admin client"
    } else {
        "Unset both to use admin.json of the data directory, or set them to those of an admin client"
    };
    match code.as_str() {
        "invalid_target" | "invalid_scope" => anyhow!(
            "{origin} are not an admin's: they are for MCP servers, and admin commands need a client of the admin API. {instead}"
        ),
        "invalid_client" => anyhow!("{origin} were refused: {said}. {instead}"),
        _ => anyhow::Error::new(error).context("no token for the admin API"),
    }
}

/// A path with the consent to what the server says has to be confirmed.
pub(crate) fn confirmed(path: String, yes: bool) -> String {
    if yes { path + "?confirm=true" } else { path }
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

/// An answer, or an error that names the proxy if there is one.
async fn send(request: RequestBuilder) -> Result<Response, HttpError> {
    Ok(request.send().await?)
}

/// A line for each client that would lose scopes.
fn losses(problem: &Value) -> String {
    let losses = problem.get("losses").and_then(Value::as_array);
    let lines = losses.into_iter().flatten().map(|loss| {
        format!(
            "\n  {} ({}) loses {}",
            cell(loss, "name"),
            cell(loss, "client_id"),
            cell(loss, "scopes")
        )
    });
    lines.collect()
}

/// The document of an answer, or the problem that it describes.
async fn document(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let path = response.url().path().to_owned();
    let body = read_body(response, MAX_ANSWER).await?;
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
    let kind = problem.get("type").and_then(Value::as_str);
    match kind.and_then(|kind| kind.strip_prefix("urn:jeton:problem:")) {
        Some("confirmation-required") => bail!(
            "{}{}\nNothing was changed. To do it, repeat the command with --yes",
            detail.unwrap_or_default(),
            losses(&problem)
        ),
        Some("changed-meanwhile") => bail!(
            "somebody else changed it at the same moment. Nothing was changed; look at it again and repeat the command"
        ),
        _ => {}
    }
    match (detail, parameter) {
        (Some(detail), Some(parameter)) => bail!("{}: {detail}", as_typed(parameter)),
        (Some(detail), None) => match list_of_missing(&path, detail) {
            Some(list) => bail!("{detail}. {list} shows those that there are"),
            None => bail!("{detail}"),
        },
        (None, _) => bail!("the server answered {status} without saying why"),
    }
}

/// The command that lists what `path` names, where `detail` says that it is not there.
fn list_of_missing(path: &str, detail: &str) -> Option<&'static str> {
    let lists = [
        ("/secrets/", "jeton secret list CLIENT_ID"),
        ("/clients/", "jeton client list"),
        ("/mcp-servers/", "jeton mcp-server list"),
    ];
    lists.into_iter().find_map(|(noun, list)| {
        let (_, id) = path.split_once(noun)?;
        let id = id.split('/').next()?;
        (detail.starts_with("there is no ") && detail.ends_with(id)).then_some(list)
    })
}
