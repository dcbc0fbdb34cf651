//! The URLs of an MCP server: its resource identifier and its aliases, which it takes and leaves.

use jeton_core::{McpServer, McpServerId, ResourceUri, ResourceUriError, TokensOf};
use jeton_store::{RetiredUrl, StoreError, Transaction};

use super::void_tokens::ToVoid;
use super::{Confirmation, ServiceError};
use crate::app::App;

/// A change of URLs; what is absent stays as it is.
#[derive(Debug, Default)]
pub(crate) struct UrlChange {
    /// The resource identifier.
    pub(crate) url: Option<ResourceUri>,
    /// All aliases from now on.
    pub(crate) aliases: Option<Vec<ResourceUri>>,
    pub(crate) add_aliases: Vec<ResourceUri>,
    pub(crate) remove_aliases: Vec<ResourceUri>,
}

fn invalid<T>(parameter: &'static str, detail: String) -> Result<T, ServiceError> {
    Err(ServiceError::Invalid { parameter, detail })
}

/// A URL for a server that is there. It keeps one that it has, although that may be in a spelling that is
/// refused today.
pub(crate) fn parse(before: &McpServer, text: &str) -> Result<ResourceUri, ResourceUriError> {
    let there = before.urls().find(|url| url.as_given() == text);
    there.map_or_else(|| text.parse(), |url| Ok(url.clone()))
}

/// The resource identifier and the aliases of `before` once `change` is made.
pub(super) fn after(
    before: &McpServer,
    change: UrlChange,
) -> Result<(ResourceUri, Vec<ResourceUri>), ServiceError> {
    let mut aliases = before.aliases.clone();
    if let Some(all) = change.aliases {
        if !(change.add_aliases.is_empty() && change.remove_aliases.is_empty()) {
            let detail = "send either all aliases, or those to add and remove".to_owned();
            return invalid("aliases", detail);
        }
        aliases = all;
    }
    for removed in &change.remove_aliases {
        let count = aliases.len();
        aliases.retain(|alias| alias != removed);
        if aliases.len() == count {
            return invalid("remove_aliases", not_an_alias(before, removed));
        }
    }
    for added in change.add_aliases {
        // The same URL in another spelling takes its place.
        match aliases.iter_mut().find(|alias| **alias == added) {
            Some(there) => *there = added,
            None => aliases.push(added),
        }
    }
    let url = match change.url {
        Some(url) => {
            // An alias that becomes the resource identifier is no alias any more.
            if url != before.url {
                aliases.retain(|alias| *alias != url);
            }
            url
        }
        None => before.url.clone(),
    };
    check_aliases(&url, &aliases)?;
    Ok((url, aliases))
}

fn not_an_alias(server: &McpServer, url: &ResourceUri) -> String {
    if server.url == *url {
        return format!("{url} is the resource identifier; make another URL that first");
    }
    let aliases: Vec<_> = server.aliases.iter().map(ResourceUri::as_given).collect();
    match aliases.as_slice() {
        [] => format!("{url} is no alias of this MCP server, which has none"),
        several => format!(
            "{url} is no alias of this MCP server; its aliases are: {}",
            several.join(" ")
        ),
    }
}

/// Refuses too many aliases, and one that is there twice.
pub(super) fn check_aliases(
    url: &ResourceUri,
    aliases: &[ResourceUri],
) -> Result<(), ServiceError> {
    let most = McpServer::MAX_ALIASES;
    if aliases.len() > most {
        let detail = format!("at most {most} aliases, not {}", aliases.len());
        return invalid("aliases", detail);
    }
    for (index, alias) in aliases.iter().enumerate() {
        if alias == url {
            let detail =
                format!("{alias} is the resource identifier, and so no alias; leave it out");
            return invalid("aliases", detail);
        }
        if aliases.iter().take(index).any(|earlier| earlier == alias) {
            return invalid("aliases", format!("the alias {alias} is named twice"));
        }
    }
    Ok(())
}

/// Tokens for URLs of Jeton's own would be tokens for its admin API.
pub(super) fn check_not_own<'a>(
    app: &App,
    urls: impl IntoIterator<Item = &'a ResourceUri>,
) -> Result<(), ServiceError> {
    let issuer = app.issuer.as_str().parse::<ResourceUri>().ok();
    let own = |url: &&ResourceUri| issuer.as_ref().is_some_and(|issuer| issuer.covers(url));
    match urls.into_iter().find(own) {
        Some(_) => invalid(
            "url",
            "this is Jeton's own address; give the address of the MCP server".into(),
        ),
        None => Ok(()),
    }
}

/// Says which of a server's URLs is taken, and by which other.
pub(super) async fn taken(app: &App, server: &McpServer) -> Result<ServiceError, ServiceError> {
    for url in server.urls() {
        let key = url.comparison_key();
        let holder = app.store.find_mcp_server_by_url_key(key).await?;
        if let Some(holder) = holder.filter(|holder| holder.id != server.id) {
            return Ok(ServiceError::Conflict(format!(
                "the URL {url} is registered already, as {} ({}); update that one, or choose another URL",
                holder.id, holder.name
            )));
        }
    }
    Ok(ServiceError::Conflict(format!(
        "the URL {} is registered already",
        server.url
    )))
}

/// The URLs that a server takes and leaves with a change. Those that it leaves are retired, and their
/// tokens void; those that it takes are released.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) left: Vec<RetiredUrl>,
    void: Vec<ToVoid>,
    taken: Vec<(ResourceUri, ToVoid)>,
}

impl Moves {
    /// Those of a change; nothing `before` where the server is new.
    pub(super) async fn of_change(
        app: &App,
        before: Option<&McpServer>,
        after: &McpServer,
    ) -> Result<Self, ServiceError> {
        let mut moves = Self::default();
        for url in after.urls() {
            if before.is_none_or(|before| before.urls().all(|had| had != url)) {
                let regained = tokens_of(app, url).await?;
                moves.taken.push((url.clone(), regained));
            }
        }
        let Some(before) = before else {
            return Ok(moves);
        };
        let gone: Vec<_> = before
            .urls()
            .filter(|url| after.urls().all(|has| has != *url))
            .collect();
        if gone.is_empty() {
            return Ok(moves);
        }
        // It is decided by what is registered now, here and elsewhere.
        app.directory.read_mcp_servers().await?;
        for url in gone {
            if !app.directory.would_keep(after, url) {
                moves.leave(app, before, url).await?;
            }
        }
        Ok(moves)
    }

    /// Those of a deletion.
    pub(super) async fn of_deletion(app: &App, server: &McpServer) -> Result<Self, ServiceError> {
        app.directory.read_mcp_servers().await?;
        let mut moves = Self::default();
        for url in server.urls() {
            moves.leave(app, server, url).await?;
        }
        Ok(moves)
    }

    async fn leave(
        &mut self,
        app: &App,
        server: &McpServer,
        url: &ResourceUri,
    ) -> Result<(), ServiceError> {
        self.void.push(tokens_of(app, url).await?);
        self.left.push(RetiredUrl {
            url: url.clone(),
            mcp_server_id: server.id,
            name: server.name.clone(),
            retired_at: app.clock.now(),
        });
        Ok(())
    }

    /// What an operator has to know before a server leaves URLs that lie under another server's.
    pub(super) fn opened(&self, app: &App, id: McpServerId) -> Option<Confirmation> {
        let opened = self.left.iter().map(|left| {
            let parent = app.directory.covering_besides(id, &left.url)?;
            Some(Confirmation {
                detail: format!(
                    "the URL {} lies under {} ({}, {}): without this registration it would belong to that \
                     server, and clients of it could get tokens for whatever still runs there. Jeton retires the \
                     URL, so that nobody gets tokens for it, until you release it or register it again",
                    left.url, parent.url, parent.name, parent.id
                ),
                ..Confirmation::default()
            })
        });
        opened.fold(None, Confirmation::both)
    }

    /// To be written before the server.
    pub(super) async fn retire(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        for (left, void) in self.left.iter().zip(&self.void) {
            tx.retire_url(left).await?;
            void.declare(tx).await?;
        }
        Ok(())
    }

    /// To be written after the server.
    pub(super) async fn release(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        for (url, regained) in &self.taken {
            if tx.release_url(url).await? {
                regained.extend(tx).await?;
            }
        }
        Ok(())
    }
}

/// The tokens that name a URL and nothing else.
pub(super) async fn tokens_of(app: &App, url: &ResourceUri) -> Result<ToVoid, ServiceError> {
    let of = TokensOf::Url(url.comparison_key().to_owned());
    ToVoid::so_far(app, of, None).await
}
