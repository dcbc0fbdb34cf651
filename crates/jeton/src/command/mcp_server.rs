//! `jeton mcp-server`.

use clap::{Args, Subcommand};
use jeton_core::{ScopeDefinition, SigningAlgorithm, TokenProfile, TokenTtl};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum McpServer {
    /// Register an MCP server.
    Create(Create),
    /// List MCP servers, newest first.
    List {
        /// Jeton's own admin API instead of those that operators registered.
        #[arg(long)]
        system: bool,
    },
    /// Show one MCP server.
    Show {
        /// Its ID, res_…
        id: String,
    },
    /// Change an MCP server; what is not named stays as it is.
    Update(Update),
    /// Delete an MCP server with its grants; one that is not there is deleted already.
    Delete {
        /// Its ID, res_…
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// What people call it.
    #[arg(long)]
    name: String,
    /// The URL of its MCP endpoint, for example https://todo.example.com/mcp.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(crate) struct Update {
    /// Its ID, res_…
    id: String,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// The URL of its MCP endpoint.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
struct Settings {
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// A scope that it defines, NAME or NAME=DESCRIPTION; repeat it for each. With update, these
    /// are all scopes from now on.
    #[arg(long = "scope", value_name = "NAME[=DESCRIPTION]")]
    scopes: Vec<ScopeDefinition>,
    /// How long its tokens live, in seconds: 60 to 86400 [default: 3600].
    #[arg(long, value_name = "SECONDS")]
    token_ttl: Option<TokenTtl>,
    /// What its tokens are signed with: RS256, ES256 or EdDSA [default: RS256].
    #[arg(long, value_name = "ALG")]
    signing_alg: Option<SigningAlgorithm>,
    /// The shape of its tokens: compatible or strict [default: compatible].
    #[arg(long, value_name = "PROFILE")]
    token_profile: Option<TokenProfile>,
    /// Whether its tokens name its own issuer, {issuer}/resources/{id} [default: false].
    #[arg(long, value_name = "BOOL")]
    own_issuer: Option<bool>,
}

impl Settings {
    fn into_body(self, name: Option<String>, url: Option<String>) -> Value {
        let mut body = Map::new();
        let mut set = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(member.to_owned(), value);
            }
        };
        set("name", name.map(Value::from));
        set("url", url.map(Value::from));
        set("description", self.description.map(Value::from));
        set(
            "scopes",
            (!self.scopes.is_empty()).then(|| json!(self.scopes)),
        );
        set(
            "token_ttl",
            self.token_ttl.map(|ttl| ttl.as_seconds().into()),
        );
        set(
            "signing_alg",
            self.signing_alg.map(|alg| alg.as_str().into()),
        );
        set(
            "token_profile",
            self.token_profile.map(|profile| profile.as_str().into()),
        );
        set("own_issuer", self.own_issuer.map(Value::from));
        Value::Object(body)
    }
}

pub(crate) async fn run(command: McpServer, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    match command {
        McpServer::Create(Create {
            name,
            url,
            settings,
        }) => {
            let body = settings.into_body(Some(name), Some(url));
            let server = admin.send(Method::POST, "/mcp-servers", &body).await?;
            show(&server, global)?;
            output::say(&format!(
                "registered. Next: jeton client create --mcp-server {} --name NAME",
                cell(&server, "id")
            ));
            Ok(())
        }
        McpServer::List { system } => {
            let query = [("system", system.to_string())];
            list(&admin.list("/mcp-servers", &query, None).await?, global)
        }
        McpServer::Show { id } => show(&admin.read(&format!("/mcp-servers/{id}")).await?, global),
        McpServer::Update(Update {
            id,
            name,
            url,
            settings,
        }) => {
            let body = settings.into_body(name, url);
            show(
                &admin.change(&format!("/mcp-servers/{id}"), &body).await?,
                global,
            )
        }
        McpServer::Delete { id } => {
            admin.delete(&format!("/mcp-servers/{id}")).await?;
            output::ended(
                global.json,
                &id,
                "deleted",
                "; tokens issued for it end when they expire",
            )
        }
    }
}

fn scope_names(server: &Value) -> String {
    let scopes = server.get("scopes").and_then(Value::as_array);
    let names: Vec<String> = scopes
        .into_iter()
        .flatten()
        .map(|scope| cell(scope, "name"))
        .collect();
    names.join(" ")
}

fn list(servers: &[Value], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(&json!(servers));
    }
    let rows: Vec<_> = servers
        .iter()
        .map(|server| {
            vec![
                cell(server, "id"),
                cell(server, "name"),
                cell(server, "url"),
                scope_names(server),
            ]
        })
        .collect();
    output::table(&["ID", "NAME", "URL", "SCOPES"], &rows)?;
    if servers.is_empty() {
        output::say("none yet. Next: jeton mcp-server create --name NAME --url URL --scope SCOPE");
    }
    Ok(())
}

fn show(server: &Value, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(server);
    }
    let members = [
        "id",
        "name",
        "description",
        "url",
        "token_ttl",
        "signing_alg",
        "token_profile",
        "issuer",
        "created_at",
        "updated_at",
    ];
    let mut fields: Vec<_> = members
        .iter()
        .map(|name| (*name, cell(server, name)))
        .collect();
    fields.insert(4, ("scopes", scope_names(server)));
    output::fields(&fields)
}
