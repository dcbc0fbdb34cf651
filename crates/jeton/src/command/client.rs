//! `jeton client`.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use jeton_core::{Scope, TokenTtl};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::admin::{Admin, Seen};
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
    /// Let a client get no more tokens, and revoke those that it has.
    Disable {
        /// Its ID, m2m_…
        id: String,
    },
    /// Let a client get tokens again. Those that it had stay revoked.
    Enable {
        /// Its ID, m2m_…
        id: String,
    },
    /// Revoke all tokens that a client got so far.
    ///
    /// Introspection refuses them immediately; a server that only checks signatures accepts them until
    /// they expire.
    RevokeTokens {
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
    /// The MCP server that a token is for where a request names none: one that the client may use
    /// [default: that of --mcp-server].
    #[arg(long, value_name = "ID")]
    default_mcp_server: Option<String>,
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
    #[arg(long, value_name = "ID")]
    mcp_server: Option<String>,
    /// A scope that it may have there; these are all from now on: to add one, use --add-scope.
    #[arg(long = "scope", value_name = "SCOPE", requires = "mcp_server")]
    scopes: Vec<Scope>,
    /// A scope to add there; repeat it for each.
    #[arg(
        long,
        value_name = "SCOPE",
        requires = "mcp_server",
        conflicts_with = "scopes"
    )]
    add_scope: Vec<Scope>,
    /// A scope to remove there; repeat it for each.
    #[arg(
        long,
        value_name = "SCOPE",
        requires = "mcp_server",
        conflicts_with = "scopes"
    )]
    remove_scope: Vec<Scope>,
    /// The MCP server that a token is for where a request names none: one that the client may use.
    #[arg(long, value_name = "ID")]
    default_mcp_server: Option<String>,
    /// Have no default MCP server: with grants on several, each request has to name one.
    #[arg(long, conflicts_with = "default_mcp_server")]
    no_default_mcp_server: bool,
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
            admin.delete(&format!("/clients/{id}"), false).await?;
            output::ended(
                global.json,
                &id,
                "deleted",
                "; its tokens are inactive at introspection, and elsewhere end when they expire",
            )
        }
        Client::Disable { id } => set_status(&admin, &id, "disabled", global).await,
        Client::Enable { id } => set_status(&admin, &id, "enabled", global).await,
        Client::RevokeTokens { id } => {
            let path = format!("/clients/{id}/revoke-tokens");
            output::revoked(
                &admin.send(Method::POST, &path, &json!({})).await?,
                global.json,
            )
        }
    }
}

async fn create(admin: &Admin, arguments: Create, global: &Global) -> anyhow::Result<()> {
    let all_scopes = arguments.scopes.is_empty();
    let mut body = arguments.settings.into_body(Some(arguments.name));
    body.insert("mcp_server_id".into(), arguments.mcp_server.into());
    if !all_scopes {
        body.insert("scopes".into(), json!(arguments.scopes));
    }
    if let Some(default) = arguments.default_mcp_server {
        body.insert("default_mcp_server_id".into(), default.into());
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
    if let Some(server) = &arguments.mcp_server {
        update_grant(admin, &arguments, server).await?;
    }
    let mut body = arguments.settings.into_body(arguments.name);
    if arguments.default_mcp_server.is_some() || arguments.no_default_mcp_server {
        let default = arguments.default_mcp_server;
        body.insert("default_mcp_server_id".into(), default.into());
    }
    let client = if body.is_empty() {
        admin.read(&path).await?
    } else {
        admin.change(&path, &Value::Object(body)).await?
    };
    show(&client, global)
}

/// Changes the scopes of a grant as it is now.
async fn update_grant(admin: &Admin, arguments: &Update, server: &str) -> anyhow::Result<()> {
    let asked = [
        &arguments.scopes,
        &arguments.add_scope,
        &arguments.remove_scope,
    ];
    if asked.iter().all(|scopes| scopes.is_empty()) {
        bail!("--mcp-server needs --scope, --add-scope or --remove-scope");
    }
    let path = format!("/clients/{}/grants", arguments.id);
    let grants = admin.list(&path, &[], None).await?;
    let there = grants
        .iter()
        .find(|grant| cell(grant, "mcp_server_id") == *server);
    let scopes = there.and_then(|grant| grant.get("scopes")?.as_array());
    let before: Vec<String> = scopes
        .into_iter()
        .flatten()
        .filter_map(|scope| scope.as_str().map(str::to_owned))
        .collect();
    let names = |scopes: &[Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut after = if arguments.scopes.is_empty() {
        before.clone()
    } else {
        names(&arguments.scopes)
    };
    let removed = names(&arguments.remove_scope);
    if let Some(missing) = removed.iter().find(|scope| !before.contains(scope)) {
        bail!(
            "the client does not have the scope {missing} there; it has: {}",
            before.join(" ")
        );
    }
    after.retain(|scope| !removed.contains(scope));
    let added = names(&arguments.add_scope);
    after.extend(added.into_iter().filter(|scope| !before.contains(scope)));
    let lost: Vec<_> = before
        .iter()
        .filter(|scope| !after.contains(scope))
        .map(String::as_str)
        .collect();
    let seen = there.map_or(Seen::Nothing, Seen::of);
    let body = json!({ "scopes": after });
    let path = format!("{path}/{server}");
    admin.send_if(seen, Method::PUT, &path, &body).await?;
    if !lost.is_empty() {
        output::say(&format!("the client lost the scopes {}", lost.join(" ")));
    }
    Ok(())
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
    let default = cell(client, "default_mcp_server_id");
    fields.insert(5, ("default_mcp_server", default));
    output::fields(&fields)
}
