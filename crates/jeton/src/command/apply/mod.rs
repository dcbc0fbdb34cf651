//! `jeton apply`.

mod clients;
mod declaration;
mod difference;
mod document;
mod grants;
mod matches;
mod plan;
mod present;
mod scopes;
mod server_steps;
mod servers;
mod step;
mod urls;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use jeton_core::counted;
use jeton_server::{not_written, write_private_file};
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::{Admin, Seen, confirmed};
use crate::arguments::Global;
use crate::output::{self, cell};
use declaration::Declaration;
use present::Present;
use step::{Action, CreateClient, Target};

/// Make MCP servers, scopes, clients and grants as a file declares them.
///
/// MCP servers are known by their URL, or by their name where they have moved, or by a URL that they keep as an alias;
/// clients by their name. What differs is shown and changed; applying again changes nothing. The secret of a new client is written once to its secret_file
/// (mode 0600, as {"issuer", "client_id", "client_secret"}), never into the file that is applied.
///
///   mcp_servers:
///     - name: Todo
///       url: http://localhost:3002/mcp
///       aliases: [http://127.0.0.1:3002/mcp]
///       scopes:
///         todo:read: Read todos
///         todo:write: Change todos
///       implies:
///         todo:write: [todo:read]
///   clients:
///     - name: nightly-agent
///       grants:
///         - mcp_server: Todo
///           scopes: [todo:read]     # or all_scopes: true
///       default_mcp_server: Todo
///       secret_file: nightly-agent.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Apply {
    /// The file, YAML.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete MCP servers and clients that the file does not declare. Clients of the admin API stay.
    #[arg(long)]
    prune: bool,
    /// Take scopes away from clients: those that a server no longer defines, and those on a grant
    /// that names none; and leave URLs that lie under another MCP
    /// server's. What that means is shown first.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(apply: Apply, global: &Global) -> anyhow::Result<()> {
    let declared = Declaration::read(&apply.file)?;
    let admin = Admin::connect(global).await?;
    let present = Present::new(
        admin.list("/mcp-servers", &[], None).await?,
        admin.list("/clients", &[], None).await?,
    );
    let steps = plan::plan(&declared, &present, apply.prune)?;
    let consequences: Vec<_> = steps
        .iter()
        .filter_map(|step| step.consequence.as_deref())
        .collect();
    if !apply.yes && !apply.dry_run && !consequences.is_empty() {
        bail!(
            "{}\nNothing was changed. To do it, repeat the command with --yes",
            consequences.join("\n")
        );
    }
    for consequence in consequences {
        output::say(consequence);
    }
    say_who_has_no_scope(&declared);
    let mut applying = Applying {
        admin: &admin,
        yes: apply.yes,
        made: HashMap::new(),
        versions: HashMap::new(),
    };
    for (done, step) in steps.iter().enumerate() {
        if !apply.dry_run {
            applying.take(&step.action).await.with_context(|| {
                format!(
                    "{done} of {} made; this one failed: {}. Fix it and apply again",
                    counted(steps.len(), "change"),
                    step.words
                )
            })?;
        }
        output::say(&step.words);
    }
    if global.json {
        let changes: Vec<_> = steps.iter().map(|step| step.words.as_str()).collect();
        output::json(&json!({ "changes": changes, "applied": !apply.dry_run }))?;
    }
    output::say(&match (steps.len(), apply.dry_run) {
        (0, _) => "everything is as declared".to_owned(),
        (count, true) => format!(
            "{} would be made; run this without --dry-run to make {}",
            counted(count, "change"),
            if count == 1 { "it" } else { "them" }
        ),
        (count, false) => format!("{} made", counted(count, "change")),
    });
    Ok(())
}

fn say_who_has_no_scope(declared: &Declaration) {
    for client in &declared.clients {
        for grant in client.grants.iter().filter(|grant| grant.names_no_scopes()) {
            output::say(&format!(
                "the client {} has no scope on {}, so it gets no token for it: name scopes, or all_scopes: true",
                client.name, grant.mcp_server
            ));
        }
    }
}

struct Applying<'a> {
    admin: &'a Admin,
    /// IDs of what was made by name: MCP servers and clients apart.
    made: HashMap<(&'static str, String), String>,
    /// Versions of MCP servers that an earlier step made or changed.
    versions: HashMap<String, Seen>,
    /// Whether the consequences are confirmed.
    yes: bool,
}

impl Applying<'_> {
    async fn take(&mut self, action: &Action) -> anyhow::Result<()> {
        match action {
            Action::CreateServer { name, body } => {
                let made = self.admin.send(Method::POST, "/mcp-servers", body).await?;
                let id = cell(&made, "id");
                self.versions.insert(id.clone(), Seen::of(&made));
                self.made.insert(("MCP server", name.clone()), id);
            }
            Action::UpdateServer { server, seen, body } => {
                let id = self.id("MCP server", server)?;
                self.update_server(&id, *seen, body).await?;
            }
            Action::DeleteServer { id, seen } => {
                let path = confirmed(format!("/mcp-servers/{id}"), self.yes);
                self.admin.delete_if(*seen, &path).await?;
            }
            Action::CreateClient(create) => self.create_client(create).await?,
            Action::UpdateClient { id, seen, body } => {
                let path = format!("/clients/{id}");
                self.admin
                    .send_if(*seen, Method::PATCH, &path, body)
                    .await?;
            }
            Action::DeleteClient { id, seen } => {
                let path = format!("/clients/{id}");
                self.admin.delete_if(*seen, &path).await?;
            }
            Action::PutGrant {
                client,
                server,
                seen,
                scopes,
            } => {
                let client = self.id("client", client)?;
                let server = self.id("MCP server", server)?;
                let path = format!("/clients/{client}/grants/{server}");
                let body = json!({ "scopes": scopes });
                self.admin.send_if(*seen, Method::PUT, &path, &body).await?;
            }
            Action::DeleteGrant {
                client,
                server,
                seen,
            } => {
                let path = format!("/clients/{client}/grants/{server}");
                self.admin.delete_if(*seen, &path).await?;
            }
            Action::SetDefaultServer {
                client,
                server,
                expected,
            } => self.set_default_server(client, server, expected).await?,
            Action::FinishSecret { client, file } => {
                let path = format!("/clients/{client}/secrets");
                let made = self.admin.send(Method::POST, &path, &json!({})).await?;
                self.write_secret(file, client, &made)?;
            }
        }
        Ok(())
    }

    async fn update_server(&mut self, id: &str, seen: Seen, body: &Value) -> anyhow::Result<()> {
        let path = confirmed(format!("/mcp-servers/{id}"), self.yes);
        let seen = self.versions.get(id).copied().unwrap_or(seen);
        let admin = self.admin;
        let changed = admin.send_if(seen, Method::PATCH, &path, body).await?;
        self.versions.insert(id.to_owned(), Seen::of(&changed));
        Ok(())
    }

    fn id(&self, what: &'static str, target: &Target) -> anyhow::Result<String> {
        match target {
            Target::Id(id) => Ok(id.clone()),
            Target::New(name) => self
                .made
                .get(&(what, name.clone()))
                .cloned()
                .with_context(|| format!("the {what} {name} was not made")),
        }
    }

    /// The file first, empty: should this end before the secret is in it, the next time makes
    /// another.
    async fn create_client(&mut self, create: &CreateClient) -> anyhow::Result<()> {
        reserve(&create.file)?;
        let mut body = create.body.clone();
        if let Some(members) = body.as_object_mut() {
            let server = self.id("MCP server", &create.server)?;
            members.insert("mcp_server_id".into(), Value::from(server));
        }
        let made = self.admin.send(Method::POST, "/clients", &body).await?;
        let id = cell(&made, "id");
        self.write_secret(&create.file, &id, &made)?;
        if create.disabled {
            let body = json!({ "status": "disabled" });
            self.admin.change(&format!("/clients/{id}"), &body).await?;
        }
        self.made.insert(("client", create.name.clone()), id);
        Ok(())
    }

    /// Grants were made meanwhile, so the client is read again.
    async fn set_default_server(
        &self,
        client: &str,
        server: &Target,
        expected: &[Value],
    ) -> anyhow::Result<()> {
        let path = format!("/clients/{client}");
        let there = self.admin.read(&path).await?;
        let default = there.get("default_mcp_server_id").unwrap_or(&Value::Null);
        if !expected.contains(default) {
            bail!("somebody else changed the client's default MCP server meanwhile");
        }
        let body = json!({ "default_mcp_server_id": self.id("MCP server", server)? });
        let seen = Seen::of(&there);
        self.admin
            .send_if(seen, Method::PATCH, &path, &body)
            .await?;
        Ok(())
    }

    fn write_secret(&self, file: &Path, client: &str, made: &Value) -> anyhow::Result<()> {
        let document = json!({
            "issuer": self.admin.issuer(),
            "client_id": client,
            "client_secret": made.get("client_secret"),
        });
        let text = format!("{}\n", serde_json::to_string_pretty(&document)?);
        write_private_file(file, text.as_bytes())
            .map_err(|error| not_written(file, error))
            .with_context(|| format!("{} cannot be written", file.display()))
    }
}

fn reserve(file: &Path) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
        .open(file)
        .map(drop)
        .map_err(|error| not_written(file, error))
        .with_context(|| format!("the secret_file {} cannot be written", file.display()))
}
