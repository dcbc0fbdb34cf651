//! `jeton mcp-server`.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jeton_core::{
    Description, DisplayName, ResourceUri, Scope, ScopeDefinition, SigningAlgorithm, Timestamp,
    TokenProfile, TokenTtl,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::admin::{Admin, Seen, confirmed};
use crate::arguments::Global;
use crate::command::implications::{self, Implication};
use crate::output::{self, cell};
use crate::table::table;
use crate::usage::Usage;
use crate::value;

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
        /// Its ID, res_…, its name or its URL.
        #[arg(value_name = "ID")]
        mcp_server: String,
    },
    /// Change an MCP server; what is not named stays as it is.
    Update(Box<Update>),
    /// Delete an MCP server with its grants; one that is not there is deleted already.
    ///
    /// Its URL is retired: nobody gets tokens for it until it is released or registered again.
    Delete {
        /// Its ID, res_…, its name or its URL.
        #[arg(value_name = "ID")]
        mcp_server: String,
        /// Also where its URL lies under another MCP server's.
        #[arg(long)]
        yes: bool,
    },
    /// Revoke all tokens that were issued so far for an MCP server.
    ///
    /// Introspection refuses them immediately; a server that only checks signatures accepts them until
    /// they expire.
    RevokeTokens {
        /// Its ID, res_…, its name or its URL.
        #[arg(value_name = "ID")]
        mcp_server: String,
    },
    /// List the URLs of MCP servers that were deleted or moved: nobody gets tokens for these.
    RetiredUrls,
    /// Release a retired URL: from then on it belongs to the MCP server whose URL covers it, if any.
    ReleaseUrl {
        /// The URL, as retired-urls shows it.
        url: String,
        /// When it was retired, as retired-urls shows it: one that was retired again since is not released. Read
        /// now if absent.
        #[arg(long, value_name = "TIME", value_parser = value::time)]
        retired_at: Option<Timestamp>,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// What people call it.
    #[arg(long)]
    name: DisplayName,
    /// The URL of its MCP endpoint, for example https://todo.example.com/mcp. Repeat it where the server is
    /// reached at several: the first is its resource identifier, the others are aliases.
    #[arg(long = "url", value_name = "URL", required = true)]
    urls: Vec<ResourceUri>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(crate) struct Update {
    /// Its ID, res_…, its name or its URL.
    #[arg(value_name = "ID")]
    mcp_server: String,
    /// What people call it.
    #[arg(long)]
    name: Option<DisplayName>,
    /// The URL of its MCP endpoint. The one that it had is retired, unless it is kept with --add-url.
    #[arg(long)]
    url: Option<ResourceUri>,
    /// Another URL at which it is reached; repeat it for each.
    #[arg(long, value_name = "URL")]
    add_url: Vec<ResourceUri>,
    /// One of its other URLs, to be removed and retired; repeat it for each.
    #[arg(long, value_name = "URL")]
    remove_url: Vec<ResourceUri>,
    /// A scope to add, NAME or NAME=DESCRIPTION; repeat it for each. One that is there gets the
    /// description. A = that is part of a name is written \=.
    #[arg(long, value_name = "NAME[=DESCRIPTION]", conflicts_with = "scopes")]
    add_scope: Vec<ScopeDefinition>,
    /// A scope to remove, from every client's grant too; repeat it for each.
    #[arg(long, value_name = "NAME", conflicts_with = "scopes")]
    remove_scope: Vec<Scope>,
    /// A scope to rename, in every client's grant too; repeat it for each.
    #[arg(long, value_name = "OLD=NEW", value_parser = value::rename, conflicts_with = "scopes")]
    rename_scope: Vec<(Scope, Scope)>,
    /// An implication to remove; repeat it for each.
    #[arg(long, value_name = "BROADER=NARROWER")]
    remove_implies: Vec<Implication>,
    /// Take scopes away from the clients that have them; leave a URL that lies under another MCP
    /// server's.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Clone)]
struct Settings {
    /// What it is for.
    #[arg(long)]
    description: Option<Description>,
    /// A scope that it defines, NAME or NAME=DESCRIPTION; repeat it for each. A = that is part of a
    /// name is written \=. With update, these are all scopes from now on: to add one, use --add-scope.
    #[arg(long = "scope", value_name = "NAME[=DESCRIPTION]")]
    scopes: Vec<ScopeDefinition>,
    /// A scope that implies another: a client with the broader one has the narrower one too.
    /// Repeat it for each, such as todo:admin=todo:write and todo:write=todo:read. A = that is part of a
    /// name is written \=. With update, scopes have the names that --rename-scope gives them.
    #[arg(long, value_name = "BROADER=NARROWER")]
    implies: Vec<Implication>,
    /// How long its tokens live: 60 to 86400 seconds, or with a unit like 10m or 1h [default: 3600].
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

impl Update {
    fn changes_nothing(&self) -> bool {
        let Self { name, url, .. } = self;
        let lists = [
            self.add_url.len(),
            self.remove_url.len(),
            self.add_scope.len(),
            self.remove_scope.len(),
            self.rename_scope.len(),
            self.remove_implies.len(),
            self.settings.scopes.len(),
            self.settings.implies.len(),
        ];
        let settings = self.settings.clone().into_body(name.clone(), url.clone());
        let is_empty = settings.as_object().is_none_or(Map::is_empty);
        is_empty && lists.iter().all(|length| *length == 0)
    }
}

impl Settings {
    fn into_body(self, name: Option<DisplayName>, url: Option<ResourceUri>) -> Value {
        let mut body = Map::new();
        let mut set = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(member.to_owned(), value);
            }
        };
        set("name", name.map(|name| json!(name)));
        set("url", url.map(|url| json!(url)));
        set("description", self.description.map(|text| json!(text)));
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
            urls,
            settings,
        }) => {
            let body = new_server(name, &urls, settings)?;
            let server = admin.send(Method::POST, "/mcp-servers", &body).await?;
            show(&server, global)?;
            output::say(&next_step(&server));
            Ok(())
        }
        McpServer::List { system } => {
            let query = [("system", system.to_string())];
            list(&admin.list("/mcp-servers", &query, None).await?, global)
        }
        McpServer::Show { mcp_server } => {
            let id = admin.mcp_server_id(&mcp_server).await?;
            show(&admin.read(&format!("/mcp-servers/{id}")).await?, global)
        }
        McpServer::Update(arguments) => update(&admin, *arguments, global).await,
        McpServer::Delete { mcp_server, yes } => {
            let id = admin.mcp_server_id(&mcp_server).await?;
            admin.delete(&format!("/mcp-servers/{id}"), yes).await?;
            output::ended(
                global.json,
                &id,
                "deleted",
                "; its tokens are inactive at introspection, and elsewhere end when they expire",
            )
        }
        McpServer::RevokeTokens { mcp_server } => {
            let id = admin.mcp_server_id(&mcp_server).await?;
            let path = format!("/mcp-servers/{id}/revoke-tokens");
            output::revoked(
                &admin.send(Method::POST, &path, &json!({})).await?,
                global.json,
            )
        }
        McpServer::RetiredUrls => retired(&admin.list("/retired-urls", &[], None).await?, global),
        McpServer::ReleaseUrl { url, retired_at } => {
            let retired_at = match retired_at {
                Some(retired_at) => json!(retired_at),
                None => retired_at_now(&admin, &url).await?,
            };
            let body = json!({ "url": url, "retired_at": retired_at });
            let released = admin.send(Method::POST, "/retired-urls/release", &body);
            released.await.with_context(|| {
                format!("{url} was not released; jeton mcp-server retired-urls lists what can be")
            })?;
            output::ended(global.json, &url, "released", "")
        }
    }
}

/// When a URL was retired.
async fn retired_at_now(admin: &Admin, url: &str) -> anyhow::Result<Value> {
    let typed = ResourceUri::from_registered(url).with_context(|| format!("{url} is no URL"))?;
    let retired = admin.list("/retired-urls", &[], None).await?;
    let found = retired.iter().find(|retired| {
        let url = ResourceUri::from_registered(&cell(retired, "url"));
        url.is_ok_and(|url| url == typed)
    });
    let at = found.and_then(|found| found.get("retired_at")).cloned();
    at.with_context(|| {
        format!("{url} is not retired; jeton mcp-server retired-urls lists the URLs that are")
    })
}

fn new_server(
    name: DisplayName,
    urls: &[ResourceUri],
    settings: Settings,
) -> anyhow::Result<Value> {
    let (url, aliases) = urls.split_first().context("--url is missing")?;
    let implies = settings.implies.clone();
    let mut body = settings.into_body(Some(name), Some(url.clone()));
    if let Some(members) = body.as_object_mut() {
        members.insert("aliases".into(), json!(aliases));
    }
    let scopes = body.get_mut("scopes").and_then(Value::as_array_mut);
    implications::add_to(scopes.map_or(&mut [], Vec::as_mut_slice), &implies)?;
    Ok(body)
}

async fn update(admin: &Admin, arguments: Update, global: &Global) -> anyhow::Result<()> {
    if arguments.changes_nothing() {
        return Err(Usage::error(
            "nothing says what to change: add --name, --url, --description, --add-scope, --token-ttl or another of the flags that jeton mcp-server update --help lists",
        ));
    }
    let path = format!(
        "/mcp-servers/{}",
        admin.mcp_server_id(&arguments.mcp_server).await?
    );
    let current = admin.read(&path).await?;
    for defined in arguments.settings.scopes.iter().chain(&arguments.add_scope) {
        refuse_two_readings(&current, defined)?;
    }
    if !arguments.yes && !arguments.settings.scopes.is_empty() {
        refuse_removal(admin, &current, &arguments.settings.scopes).await?;
    }
    let implies = arguments.settings.implies.clone();
    let mut body = arguments.settings.into_body(arguments.name, arguments.url);
    let renames = arguments.rename_scope.iter();
    let renames: Vec<_> = renames
        .map(|(from, to)| json!({ "from": from, "to": to }))
        .collect();
    if let Some(members) = body.as_object_mut() {
        members.insert("add_aliases".into(), json!(arguments.add_url));
        members.insert("remove_aliases".into(), json!(arguments.remove_url));
        members.insert("add_scopes".into(), json!(arguments.add_scope));
        members.insert("remove_scopes".into(), json!(arguments.remove_scope));
        members.insert("rename_scopes".into(), json!(renames));
    }
    let changed = (implies.as_slice(), arguments.remove_implies.as_slice());
    implications::change(&mut body, &current, changed)?;
    let path = confirmed(path, arguments.yes);
    let seen = Seen::of(&current);
    show(
        &admin.send_if(seen, Method::PATCH, &path, &body).await?,
        global,
    )
}

/// `--scope` names all scopes. Who means to add one must not remove the others.
async fn refuse_removal(
    admin: &Admin,
    current: &Value,
    wanted: &[ScopeDefinition],
) -> anyhow::Result<()> {
    let defined = current.get("scopes").and_then(Value::as_array);
    let removed: Vec<_> = defined
        .into_iter()
        .flatten()
        .map(|scope| cell(scope, "name"))
        .filter(|name| wanted.iter().all(|wanted| wanted.name.as_str() != name))
        .collect();
    if removed.is_empty() {
        return Ok(());
    }
    let query = [("mcp_server_id", cell(current, "id"))];
    let clients = admin.list("/clients", &query, None).await?;
    let has = |client: &Value, scope: &str| {
        let grants = client.get("grants").and_then(Value::as_array);
        let mut grants = grants.into_iter().flatten();
        grants.any(|grant| {
            let is_here = grant.get("mcp_server_id") == current.get("id");
            is_here && implications::granted(current, grant).any(|one| one == scope)
        })
    };
    let counts: Vec<_> = removed
        .iter()
        .map(|scope| {
            let count = clients.iter().filter(|client| has(client, scope)).count();
            format!("{scope} (clients that have it: {count})")
        })
        .collect();
    bail!(
        "--scope names all scopes from now on, so this would remove {}. To add a scope, use --add-scope; to \
         remove these, add --yes",
        counts.join(", ")
    )
}

/// `--scope k=v` where a scope is really called `k=v`: that one, or `k` with the description `v`?
fn refuse_two_readings(current: &Value, typed: &ScopeDefinition) -> anyhow::Result<()> {
    let description = typed.description.as_str();
    if description.is_empty() {
        return Ok(());
    }
    let whole = format!("{}={description}", typed.name);
    let scopes = current.get("scopes").and_then(Value::as_array);
    let mut names = scopes
        .into_iter()
        .flatten()
        .map(|scope| cell(scope, "name"));
    // The name may go on to a later `=`, with a description behind it.
    let Some(name) = names.find(|name| {
        let rest = whole.strip_prefix(name.as_str());
        name.contains('=')
            && name.len() > typed.name.as_str().len()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    }) else {
        return Ok(());
    };
    Err(Usage::error(format!(
        "{whole} could mean the scope {name}, which this MCP server defines, or the scope {} with a description. For {name}, write {}; to describe {}, use jeton apply",
        typed.name,
        name.replace('=', "\\="),
        typed.name
    )))
}

fn retired(urls: &[Value], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(&json!(urls));
    }
    let members = ["url", "name", "mcp_server_id", "retired_at"];
    let rows: Vec<_> = urls
        .iter()
        .map(|url| members.iter().map(|name| cell(url, name)).collect())
        .collect();
    table(&["URL", "NAME", "MCP SERVER", "RETIRED"], &rows)
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

/// The resource identifier and the aliases.
fn urls(server: &Value) -> String {
    let aliases = cell(server, "aliases");
    let both = [cell(server, "url"), aliases];
    both.join(" ").trim_end().to_owned()
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
                urls(server),
                scope_names(server),
            ]
        })
        .collect();
    table(&["ID", "NAME", "URL", "SCOPES"], &rows)?;
    if servers.is_empty() {
        output::say("none yet. Next: jeton mcp-server create --name NAME --url URL --scope SCOPE");
    }
    Ok(())
}

/// What to do after registering one.
fn next_step(server: &Value) -> String {
    let id = cell(server, "id");
    if scope_names(server).is_empty() {
        return format!(
            "registered without scopes, and a token needs one. Next: jeton mcp-server update {id} --add-scope SCOPE"
        );
    }
    format!(
        "registered. Next: jeton client create --mcp-server {id} --name NAME --scope SCOPE, or --all-scopes"
    )
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
    fields.insert(4, ("aliases", cell(server, "aliases")));
    fields.insert(5, ("scopes", scope_names(server)));
    fields.insert(6, ("implies", implications::of(server)));
    output::fields(&fields)
}
