//! `jeton client`.

use std::time::Duration;

use clap::{Args, Subcommand};
use jeton_core::{Scope, TokenTtl};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::arguments::Global;
use crate::duration;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Client {
    /// Create a client on an MCP server, and show its secret once.
    Create(Create),
    /// List clients, newest first.
    List {
        /// Only those with a grant on this MCP server.
        #[arg(long, value_name = "ID")]
        mcp_server: Option<String>,
    },
    /// Show one client.
    Show {
        /// Its ID, m2m_…
        id: String,
    },
    /// Change a client, or what it may on an MCP server; what is not named stays as it is.
    Update(Update),
    /// Delete a client with its grants and secrets; one that is not there is deleted already.
    Delete {
        /// Its ID, m2m_…
        id: String,
    },
    /// Let a client get no more tokens.
    Disable {
        /// Its ID, m2m_…
        id: String,
    },
    /// Let a client get tokens again.
    Enable {
        /// Its ID, m2m_…
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// The MCP server that it may use: its ID, res_…
    #[arg(long, value_name = "ID")]
    mcp_server: String,
    /// What people call it.
    #[arg(long)]
    name: String,
    /// A scope that it may have there; repeat it for each [default: all that the server defines].
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// After which time its secret expires, for example 90d [default: never].
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    secret_expires_in: Option<Duration>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(crate) struct Update {
    /// Its ID, m2m_…
    id: String,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// The MCP server to set scopes on: its ID, res_…
    #[arg(long, value_name = "ID", requires = "scopes")]
    mcp_server: Option<String>,
    /// A scope that it may have there; these are all from now on.
    #[arg(long = "scope", value_name = "SCOPE", requires = "mcp_server")]
    scopes: Vec<Scope>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
struct Settings {
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// A token lifetime in seconds that lowers the MCP server's.
    #[arg(long, value_name = "SECONDS")]
    token_ttl: Option<TokenTtl>,
    /// A claim of its own that each of its tokens carries, NAME=JSON or NAME=TEXT; repeat it.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

impl Settings {
    fn into_body(self, name: Option<String>) -> Map<String, Value> {
        let mut body = Map::new();
        let mut set = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(member.to_owned(), value);
            }
        };
        set("name", name.map(Value::from));
        set("description", self.description.map(Value::from));
        set(
            "token_ttl",
            self.token_ttl.map(|ttl| ttl.as_seconds().into()),
        );
        let claims: Map<String, Value> = self.claims.into_iter().collect();
        set(
            "custom_claims",
            (!claims.is_empty()).then_some(Value::Object(claims)),
        );
        body
    }
}

pub(crate) async fn run(command: Client, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    match command {
        Client::Create(arguments) => create(&admin, arguments, global).await,
        Client::List { mcp_server } => {
            let query: Vec<_> = mcp_server
                .into_iter()
                .map(|id| ("mcp_server_id", id))
                .collect();
            list(&admin.list("/clients", &query, None).await?, global)
        }
        Client::Show { id } => show(&admin.read(&format!("/clients/{id}")).await?, global),
        Client::Update(arguments) => update(&admin, arguments, global).await,
        Client::Delete { id } => {
            admin.delete(&format!("/clients/{id}")).await?;
            output::ended(
                global.json,
                &id,
                "deleted",
                "; its last tokens end when they expire",
            )
        }
        Client::Disable { id } => set_status(&admin, &id, "disabled", global).await,
        Client::Enable { id } => set_status(&admin, &id, "enabled", global).await,
    }
}

async fn create(admin: &Admin, arguments: Create, global: &Global) -> anyhow::Result<()> {
    let all_scopes = arguments.scopes.is_empty();
    let mut body = arguments.settings.into_body(Some(arguments.name));
    body.insert("mcp_server_id".into(), arguments.mcp_server.into());
    if !all_scopes {
        body.insert("scopes".into(), json!(arguments.scopes));
    }
    if let Some(expiry) = arguments.secret_expires_in {
        body.insert("secret_expires_in".into(), expiry.as_secs().into());
    }
    let client = admin
        .send(Method::POST, "/clients", &Value::Object(body))
        .await?;
    if all_scopes {
        output::say(&format!(
            "no --scope was given: the client may have every scope of the server: {}",
            granted_scopes(&client)
        ));
    }
    if global.json {
        output::json(&client)?;
    } else {
        output::fields(&[
            ("client_id", cell(&client, "client_id")),
            ("client_secret", cell(&client, "client_secret")),
            ("scopes", granted_scopes(&client)),
        ])?;
    }
    output::say("copy the secret now: it is not shown again");
    Ok(())
}

async fn update(admin: &Admin, arguments: Update, global: &Global) -> anyhow::Result<()> {
    let path = format!("/clients/{}", arguments.id);
    if let Some(server) = arguments.mcp_server {
        let body = json!({ "scopes": arguments.scopes });
        admin
            .send(Method::PUT, &format!("{path}/grants/{server}"), &body)
            .await?;
    }
    let body = arguments.settings.into_body(arguments.name);
    let client = if body.is_empty() {
        admin.read(&path).await?
    } else {
        admin.change(&path, &Value::Object(body)).await?
    };
    show(&client, global)
}

async fn set_status(admin: &Admin, id: &str, status: &str, global: &Global) -> anyhow::Result<()> {
    let client = admin
        .change(&format!("/clients/{id}"), &json!({ "status": status }))
        .await?;
    show(&client, global)
}

fn granted_scopes(client: &Value) -> String {
    let grants = client.get("grants").and_then(Value::as_array);
    let scopes: Vec<String> = grants
        .into_iter()
        .flatten()
        .map(|grant| cell(grant, "scopes"))
        .collect();
    scopes.join(" ")
}

fn grants(client: &Value) -> String {
    let grants = client.get("grants").and_then(Value::as_array);
    let texts: Vec<String> = grants
        .into_iter()
        .flatten()
        .map(|grant| {
            format!(
                "{}: {}",
                cell(grant, "mcp_server_id"),
                cell(grant, "scopes")
            )
        })
        .collect();
    texts.join("; ")
}

fn list(clients: &[Value], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(&json!(clients));
    }
    let rows: Vec<_> = clients
        .iter()
        .map(|client| {
            vec![
                cell(client, "id"),
                cell(client, "name"),
                cell(client, "status"),
                grants(client),
            ]
        })
        .collect();
    output::table(&["ID", "NAME", "STATUS", "GRANTS"], &rows)
}

fn show(client: &Value, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(client);
    }
    let members = [
        "id",
        "name",
        "description",
        "status",
        "token_ttl",
        "custom_claims",
        "created_at",
        "updated_at",
    ];
    let mut fields: Vec<_> = members
        .iter()
        .map(|name| (*name, cell(client, name)))
        .collect();
    fields.insert(4, ("grants", grants(client)));
    output::fields(&fields)
}
