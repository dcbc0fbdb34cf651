//! `jeton client`.

use std::time::Duration;

use clap::{Args, Subcommand};
use jeton_core::{Description, DisplayName, Scope, TokenTtl, excerpt, parse_duration};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::arguments::Global;
use crate::command::client_grant::{self, ScopeChange};
use crate::output::{self, cell};
use crate::table::table;
use crate::usage::Usage;
use crate::value;

#[derive(Subcommand)]
pub(crate) enum Client {
    /// Create a client on an MCP server, and show its secret once.
    Create(Create),
    /// List clients, newest first.
    List {
        /// Only those with a grant on this MCP server: its ID, res_…, its name or its URL.
        #[arg(long, value_name = "ID")]
        mcp_server: Option<String>,
    },
    /// Show one client.
    Show {
        /// Its ID, m2m_…, or its name.
        #[arg(value_name = "ID")]
        client: String,
    },
    /// Change a client, or what it may on an MCP server; what is not named stays as it is.
    Update(Update),
    /// Delete a client with its grants and secrets; one that is not there is deleted already.
    Delete {
        /// Its ID, m2m_…, or its name.
        #[arg(value_name = "ID")]
        client: String,
    },
    /// Let a client get no more tokens, and revoke those that it has.
    Disable {
        /// Its ID, m2m_…, or its name.
        #[arg(value_name = "ID")]
        client: String,
    },
    /// Let a client get tokens again. Those that it had stay revoked.
    Enable {
        /// Its ID, m2m_…, or its name.
        #[arg(value_name = "ID")]
        client: String,
    },
    /// Revoke all tokens that a client got so far.
    ///
    /// Introspection refuses them immediately; a server that only checks signatures accepts them until
    /// they expire.
    RevokeTokens {
        /// Its ID, m2m_…, or its name.
        #[arg(value_name = "ID")]
        client: String,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// The MCP server that it may use: its ID, res_…, its name or its URL.
    #[arg(long, value_name = "ID")]
    mcp_server: String,
    /// What people call it.
    #[arg(long)]
    name: DisplayName,
    /// A scope that it may have there; repeat it for each. Without one, it gets no token.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// Every scope that the MCP server defines now.
    #[arg(long, conflicts_with = "scopes")]
    all_scopes: bool,
    /// The MCP server that a token is for where a request names none: one that the client may use
    /// [default: that of --mcp-server].
    #[arg(long, value_name = "ID")]
    default_mcp_server: Option<String>,
    /// After which time its secret expires, for example 90d [default: never].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    secret_expires_in: Option<Duration>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(crate) struct Update {
    /// Its ID, m2m_…, or its name.
    #[arg(value_name = "ID")]
    client: String,
    /// What people call it.
    #[arg(long)]
    name: Option<DisplayName>,
    /// The MCP server to set scopes on: its ID, res_…, its name or its URL.
    #[arg(long, value_name = "ID")]
    mcp_server: Option<String>,
    /// A scope that it may have there; these are all from now on: to add one, use --add-scope.
    #[arg(long = "scope", value_name = "SCOPE", requires = "mcp_server")]
    scopes: Vec<Scope>,
    /// Every scope that the MCP server defines now.
    #[arg(
        long,
        requires = "mcp_server",
        conflicts_with_all = ["scopes", "add_scope", "remove_scope"]
    )]
    all_scopes: bool,
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
    description: Option<Description>,
    /// A token lifetime that lowers the MCP server's: seconds, or with a unit like 10m.
    #[arg(long, value_name = "SECONDS")]
    token_ttl: Option<TokenTtl>,
    /// A claim of its own that each of its tokens carries, as a text: version=1.50 stays "1.50";
    /// repeat it. With update, the claims that are named are all from now on.
    #[arg(long = "claim", value_name = "NAME=TEXT", value_parser = value::claim)]
    claims: Vec<(String, Value)>,
    /// The same for claims that are no texts: level=3, admin=true, roles=[1,2].
    #[arg(long = "claim-json", value_name = "NAME=JSON", value_parser = value::json_claim)]
    json_claims: Vec<(String, Value)>,
}

/// Texts that could have been meant as something else.
fn say_what_is_text(claims: &[(String, Value)]) {
    for (name, text) in claims {
        let text = text.as_str().unwrap_or_default();
        if serde_json::from_str::<Value>(text).is_ok() {
            output::say(&format!(
                "the claim {name} is the text {text:?}; for the JSON value, use --claim-json {name}={text}"
            ));
        }
    }
}

impl Settings {
    fn into_body(self, name: Option<DisplayName>) -> anyhow::Result<Map<String, Value>> {
        say_what_is_text(&self.claims);
        let mut body = Map::new();
        let mut set = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(member.to_owned(), value);
            }
        };
        set("name", name.map(|name| json!(name)));
        set("description", self.description.map(|text| json!(text)));
        set(
            "token_ttl",
            self.token_ttl.map(|ttl| ttl.as_seconds().into()),
        );
        let mut claims = Map::new();
        for (claim, value) in self.claims.into_iter().chain(self.json_claims) {
            if claims.insert(claim.clone(), value).is_some() {
                return Err(Usage::error(format!(
                    "the claim {} is given twice; name each once. For a list, use --claim-json {claim}='[\"a\", \"b\"]'",
                    excerpt(&claim)
                )));
            }
        }
        set(
            "custom_claims",
            (!claims.is_empty()).then_some(Value::Object(claims)),
        );
        Ok(body)
    }
}

pub(crate) async fn run(command: Client, global: &Global) -> anyhow::Result<()> {
    let admin = Admin::connect(global).await?;
    match command {
        Client::Create(arguments) => create(&admin, arguments, global).await,
        Client::List { mcp_server } => {
            let mut query = Vec::new();
            if let Some(server) = mcp_server {
                query.push(("mcp_server_id", admin.mcp_server_id(&server).await?));
            }
            list(&admin.list("/clients", &query, None).await?, global)
        }
        Client::Show { client } => {
            let id = admin.client_id(&client).await?;
            show(&admin.read(&format!("/clients/{id}")).await?, global)
        }
        Client::Update(arguments) => update(&admin, arguments, global).await,
        Client::Delete { client } => {
            let id = admin.client_id(&client).await?;
            admin.delete(&format!("/clients/{id}"), false).await?;
            output::ended(
                global.json,
                &id,
                "deleted",
                "; its tokens are inactive at introspection, and elsewhere end when they expire",
            )
        }
        Client::Disable { client } => set_status(&admin, &client, "disabled", global).await,
        Client::Enable { client } => set_status(&admin, &client, "enabled", global).await,
        Client::RevokeTokens { client } => {
            let path = format!("/clients/{}/revoke-tokens", admin.client_id(&client).await?);
            output::revoked(
                &admin.send(Method::POST, &path, &json!({})).await?,
                global.json,
            )
        }
    }
}

async fn create(admin: &Admin, arguments: Create, global: &Global) -> anyhow::Result<()> {
    let server = admin.mcp_server_id(&arguments.mcp_server).await?;
    // Before there is a secret to lose.
    let defined = if arguments.scopes.is_empty() {
        client_grant::defined_scopes(admin, &server).await?
    } else {
        Vec::new()
    };
    let mut body = arguments.settings.into_body(Some(arguments.name))?;
    body.insert("mcp_server_id".into(), server.clone().into());
    if arguments.all_scopes {
        body.insert("all_scopes".into(), true.into());
    } else {
        body.insert("scopes".into(), json!(arguments.scopes));
    }
    if let Some(default) = arguments.default_mcp_server {
        let default = admin.mcp_server_id(&default).await?;
        body.insert("default_mcp_server_id".into(), default.into());
    }
    if let Some(expiry) = arguments.secret_expires_in {
        body.insert("secret_expires_in".into(), expiry.as_secs().into());
    }
    let client = admin
        .send(Method::POST, "/clients", &Value::Object(body))
        .await?;
    let granted = granted_scopes(&client);
    let without_scope = granted.is_empty();
    if global.json {
        output::json(&client)?;
    } else {
        output::fields(&[
            ("client_id", cell(&client, "client_id")),
            ("client_secret", cell(&client, "client_secret")),
            ("scopes", granted),
        ])?;
    }
    if without_scope {
        client_grant::say_no_scope(&cell(&client, "id"), &server, &defined);
    }
    output::say("copy the secret now: it is not shown again");
    Ok(())
}

async fn update(admin: &Admin, arguments: Update, global: &Global) -> anyhow::Result<()> {
    let path = format!("/clients/{}", admin.client_id(&arguments.client).await?);
    if let Some(server) = &arguments.mcp_server {
        let server = admin.mcp_server_id(server).await?;
        let change = ScopeChange {
            scopes: &arguments.scopes,
            all: arguments.all_scopes,
            added: &arguments.add_scope,
            removed: &arguments.remove_scope,
        };
        client_grant::change(admin, &change, (&path, &server)).await?;
    }
    let mut body = arguments.settings.into_body(arguments.name)?;
    if arguments.default_mcp_server.is_some() || arguments.no_default_mcp_server {
        let default = match &arguments.default_mcp_server {
            Some(default) => Some(admin.mcp_server_id(default).await?),
            None => None,
        };
        body.insert("default_mcp_server_id".into(), default.into());
    }
    let client = match (body.is_empty(), &arguments.mcp_server) {
        (false, _) => admin.change(&path, &Value::Object(body)).await?,
        (true, Some(_)) => admin.read(&path).await?,
        (true, None) => {
            return Err(Usage::error(
                "nothing says what to change: add --name, --description, --token-ttl, --claim, --default-mcp-server, or --mcp-server with --add-scope, --remove-scope or --all-scopes",
            ));
        }
    };
    show(&client, global)
}

async fn set_status(
    admin: &Admin,
    client: &str,
    status: &str,
    global: &Global,
) -> anyhow::Result<()> {
    let id = admin.client_id(client).await?;
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
                status(client),
                grants(client),
            ]
        })
        .collect();
    table(&["ID", "NAME", "STATUS", "GRANTS"], &rows)
}

/// Its status, with what keeps it from getting tokens.
fn status(client: &Value) -> String {
    let status = cell(client, "status");
    match client.pointer("/problem/code").and_then(Value::as_str) {
        Some(code) if code != status => format!("{status}: {code}"),
        _ => status,
    }
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
