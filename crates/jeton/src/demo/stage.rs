//! The server, the todo MCP server and the operator's work before the agent comes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use jeton_core::PlainSecret;
use jeton_jose::http_client;
use jeton_server::{App, Config, RawConfig, Server};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use todo_server::Protection;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::narrator::Narrator;
use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::cell;

/// A client as the operator made it.
pub(super) struct DemoClient {
    pub(super) client_id: String,
    pub(super) client_secret: PlainSecret,
}

pub(super) struct Stage {
    folder: TempDir,
    jeton: JoinSet<()>,
    /// Ends when it is dropped: it has nothing to finish.
    _todo_server: JoinSet<()>,
    stop: Option<oneshot::Sender<()>>,
    pub(super) http: Client,
    pub(super) issuer: String,
    pub(super) dashboard_link: Option<String>,
    pub(super) mcp_url: String,
    pub(super) other_url: String,
    /// May read and write todos.
    pub(super) agent: DemoClient,
    /// May only read them.
    pub(super) reader: DemoClient,
    /// May use another MCP server.
    pub(super) stranger: DemoClient,
}

impl Stage {
    pub(super) async fn open(narrator: &mut Narrator) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let (mut jeton, mut todo_server) = (JoinSet::new(), JoinSet::new());
        let (stop, stopped) = oneshot::channel();

        narrator.step("Start Jeton")?;
        let (issuer, dashboard_link) = start_jeton(folder.path(), &mut jeton, stopped).await?;
        Narrator::show(&format!(
            "issuer {issuer}, data in {}",
            folder.path().display()
        ))?;

        narrator.step("Start a todo MCP server, protected by jeton-guard")?;
        let mcp_url = start_todo_server(&issuer, &mut todo_server).await?;
        let other_url = mcp_url.replace("/mcp", "/notes");
        Narrator::show(&mcp_url)?;

        narrator.step("The operator registers MCP servers and creates clients")?;
        let global = Global {
            json: false,
            config: None,
            data_dir: Some(folder.path().to_owned()),
            server: Some(issuer.clone()),
            insecure_http: false,
        };
        let admin = Admin::connect_with_file(&global).await?;
        let todo = register(&admin, "Todo", &mcp_url, &["todo:read", "todo:write"]).await?;
        let notes = register(&admin, "Notes", &other_url, &["notes:read"]).await?;
        let agent = create_client(&admin, "agent", &todo, &["todo:read", "todo:write"]).await?;
        let reader = create_client(&admin, "reader", &todo, &["todo:read"]).await?;
        let stranger = create_client(&admin, "stranger", &notes, &["notes:read"]).await?;
        Narrator::show(&format!(
            "MCP server {todo}  {mcp_url}  todo:read todo:write\n\
             MCP server {notes}  {other_url}  notes:read\n\
             client     {}  todo:read todo:write\n\
             client     {}  todo:read\n\
             client     {}  notes:read",
            agent.client_id, reader.client_id, stranger.client_id,
        ))?;
        Ok(Self {
            folder,
            jeton,
            _todo_server: todo_server,
            stop: Some(stop),
            http: http_client()?,
            issuer,
            dashboard_link,
            mcp_url,
            other_url,
            agent,
            reader,
            stranger,
        })
    }

    pub(super) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the server as SIGTERM would, then removes the folder.
    pub(super) async fn close(mut self) {
        drop(self.stop.take());
        while self.jeton.join_next().await.is_some() {}
    }
}

async fn start_jeton(
    data_dir: &Path,
    servers: &mut JoinSet<()>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<(String, Option<String>)> {
    let config = Config::isolated(RawConfig {
        data_dir: Some(data_dir.to_owned()),
        listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()),
        ..RawConfig::default()
    })?;
    let server = Server::bind(&config).await?;
    let issuer = config.effective_issuer(server.address())?;
    let app = App::open(&config, issuer.clone(), server.starting()).await?;
    let dashboard_link = app.first_admin_link().await?;
    servers.spawn(server.serve(app, async move {
        let _ = stopped.await;
    }));
    Ok((issuer.to_string(), dashboard_link))
}

async fn start_todo_server(issuer: &str, servers: &mut JoinSet<()>) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mcp_url = format!("http://{}/mcp", listener.local_addr()?);
    let router = todo_server::router(&Protection {
        resource: mcp_url.clone(),
        issuer: issuer.to_owned(),
        audience: None,
        insecure_http: false,
    })?;
    servers.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the todo server ended");
        }
    });
    Ok(mcp_url)
}

async fn register(admin: &Admin, name: &str, url: &str, scopes: &[&str]) -> anyhow::Result<String> {
    let scopes: Vec<Value> = scopes.iter().map(|name| json!({ "name": name })).collect();
    let body = json!({ "name": name, "url": url, "scopes": scopes });
    let server = admin.send(Method::POST, "/mcp-servers", &body).await?;
    Ok(cell(&server, "id"))
}

async fn create_client(
    admin: &Admin,
    name: &str,
    mcp_server: &str,
    scopes: &[&str],
) -> anyhow::Result<DemoClient> {
    let body = json!({ "name": name, "mcp_server_id": mcp_server, "scopes": scopes });
    let client = admin.send(Method::POST, "/clients", &body).await?;
    Ok(DemoClient {
        client_id: cell(&client, "client_id"),
        client_secret: PlainSecret::presented(cell(&client, "client_secret")),
    })
}
