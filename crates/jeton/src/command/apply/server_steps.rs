//! The order in which MCP servers are made and changed: a URL is left before another server takes it.

use anyhow::bail;
use jeton_core::ResourceUri;
use serde_json::{Value, json};

use super::declaration::{Declaration, DeclaredServer};
use super::document::text;
use super::matches::Matches;
use super::present::{self, Present};
use super::servers::{Changing, change, create_server, update_server};
use super::step::{Action, Step, Target};
use crate::admin::Seen;
use crate::output::cell;

/// What is planned with: the file, what is registered, and which is which.
pub(super) struct Context<'a> {
    pub(super) declared: &'a Declaration,
    pub(super) present: &'a Present,
    pub(super) matches: &'a Matches<'a>,
    /// Whether what is not declared is deleted.
    pub(super) prune: bool,
}

/// The steps that make MCP servers as they are declared.
#[derive(Default)]
pub(super) struct ServerSteps {
    /// Those that leave URLs which another declared server takes.
    first: Vec<Step>,
    then: Vec<Step>,
    /// Those that take URLs of servers that are pruned.
    pub(super) after_pruning: Vec<Step>,
}

impl ServerSteps {
    /// In the order in which they are taken, but for those after pruning.
    pub(super) fn before_clients(&mut self) -> impl Iterator<Item = Step> {
        self.first.drain(..).chain(self.then.drain(..))
    }

    /// Adds those of one declared server.
    ///
    /// # Errors
    ///
    /// A URL belongs to a registered server that stays as it is.
    pub(super) fn add(
        &mut self,
        server: &DeclaredServer,
        context: &Context<'_>,
    ) -> anyhow::Result<()> {
        let taken = Taken::by(server, context)?;
        let Some(found) = context.matches.of(server) else {
            self.then.push(create_server(server, &taken.from_pruned));
            if !taken.from_pruned.is_empty() {
                self.after_pruning.push(add_aliases(server));
            }
            return Ok(());
        };
        let is_wanted = |url: &ResourceUri| context.declared.has_url(url.comparison_key());
        let leaves = present::urls(found)
            .filter_map(|url| ResourceUri::from_registered(url).ok())
            .any(|url| server.urls().all(|kept| *kept != url) && is_wanted(&url));
        let changing = Changing {
            server,
            found,
            context,
        };
        if taken.is_free() {
            let steps = if leaves {
                &mut self.first
            } else {
                &mut self.then
            };
            steps.extend(update_server(&changing, None));
            return Ok(());
        }
        if leaves {
            self.first
                .extend(change(&changing, &without_taken(server, found)));
        }
        if taken.from_pruned.is_empty() {
            self.then.extend(update_server(&changing, None));
            return Ok(());
        }
        let urls = json!({ "url": server.url, "aliases": server.aliases });
        self.then.extend(update_server(&changing, Some(&urls)));
        self.after_pruning.extend(change(&changing, &urls));
        Ok(())
    }
}

/// The aliases of a server that an earlier step made, and whose version is known then.
fn add_aliases(server: &DeclaredServer) -> Step {
    Step::new(
        format!("~ MCP server {}: aliases", server.name),
        Action::UpdateServer {
            server: Target::New(server.name.to_string()),
            seen: Seen::Nothing,
            body: json!({ "aliases": server.aliases }),
        },
    )
}

/// Its URLs without those that it takes: what it leaves is free then.
fn without_taken(server: &DeclaredServer, found: &Value) -> Value {
    let had: Vec<_> = present::urls(found)
        .filter_map(|url| ResourceUri::from_registered(url).ok())
        .collect();
    let url = if had.contains(&server.url) {
        server.url.as_given()
    } else {
        text(found, "url")
    };
    let aliases = server.aliases.iter().filter(|alias| had.contains(alias));
    let aliases: Vec<_> = aliases
        .map(ResourceUri::as_given)
        .filter(|alias| *alias != url)
        .collect();
    json!({ "url": url, "aliases": aliases })
}

/// URLs that a declared server takes from others.
struct Taken {
    from_declared: bool,
    from_pruned: Vec<ResourceUri>,
}

impl Taken {
    fn by(server: &DeclaredServer, context: &Context<'_>) -> anyhow::Result<Self> {
        let mut taken = Self {
            from_declared: false,
            from_pruned: Vec::new(),
        };
        for url in server.urls() {
            let Some(holder) = context.present.server_at(url) else {
                continue;
            };
            match context.matches.declared(holder) {
                Some(declared) if declared.name == server.name => {}
                Some(_) => taken.from_declared = true,
                None if context.prune => taken.from_pruned.push(url.clone()),
                None => bail!(
                    "the URL {url} of {} belongs to the MCP server {} ({}), which the file does not declare: declare that one without the URL, or delete it, also with --prune",
                    server.name,
                    text(holder, "name"),
                    cell(holder, "id")
                ),
            }
        }
        Ok(taken)
    }

    fn is_free(&self) -> bool {
        !self.from_declared && self.from_pruned.is_empty()
    }
}
