//! Lists of clients: which ones, and in which order.

use std::fmt::Write as _;

use jeton_core::{Client, ClientId, McpServerId, Timestamp, search_text};
use sqlx::AssertSqlSafe;

use crate::client::from_row;
use crate::row::like;
use crate::{Page, PageRequest, Store, StoreError};

/// Which clients are wanted; every condition that is set has to hold.
#[derive(Debug, Clone, Default)]
pub struct ClientFilter {
    /// With a grant on this MCP server.
    pub mcp_server_id: Option<McpServerId>,
    /// Whose name, ID or description holds this, folded (see [`search_text`]).
    pub text: Option<String>,
    /// Without those whose only grants are on this MCP server.
    pub not_only_on: Option<McpServerId>,
    /// In this condition.
    pub condition: Option<ClientCondition>,
    /// In this order.
    pub sort: ClientSort,
}

/// How a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCondition {
    /// Enabled and unable to get a token at `now`, or refused after its last token and since `since`.
    NeedsAttention {
        /// Now.
        now: Timestamp,
        /// Older refusals are of no interest.
        since: Timestamp,
    },
    /// Disabled.
    Disabled,
    /// Without a token so far.
    NeverUsed,
}

/// The order of a list of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientSort {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// By name, ignoring case.
    Name,
    /// The same backwards.
    NameBackwards,
    /// The last token first; clients without any come last.
    LastToken,
    /// The reverse.
    LastTokenBackwards,
}

impl ClientSort {
    /// Whether the order descends, and what it goes by before the ID.
    fn parts(self) -> (bool, Option<Key>) {
        match self {
            Self::Newest => (true, None),
            Self::Oldest => (false, None),
            Self::Name => (false, Some(Key::NAME)),
            Self::NameBackwards => (true, Some(Key::NAME)),
            Self::LastToken => (true, Some(Key::LAST_TOKEN)),
            Self::LastTokenBackwards => (false, Some(Key::LAST_TOKEN)),
        }
    }
}

/// What a list is sorted by: for a row, and for the client with the ID `$id`.
struct Key {
    of_row: &'static str,
    of_client: &'static str,
}

impl Key {
    const NAME: Self = Self {
        of_row: "client.search_text",
        of_client: "(SELECT c.search_text FROM client c WHERE c.id = $id)",
    };
    const LAST_TOKEN: Self = Self {
        of_row: "COALESCE(u.last_issued_at, 0)",
        of_client: "COALESCE((SELECT v.last_issued_at FROM client_use v WHERE v.client_id = $id), 0)",
    };
}

/// A statement in the making, with what is bound to it.
struct Statement {
    sql: String,
    bound: Vec<Bound>,
}

enum Bound {
    Text(String),
    Number(i64),
}

impl Statement {
    /// A placeholder for a value.
    fn bind(&mut self, value: Bound) -> String {
        self.bound.push(value);
        format!("${}", self.bound.len())
    }

    fn and(&mut self, condition: &str) {
        let word = if self.sql.contains(" WHERE ") {
            "AND"
        } else {
            "WHERE"
        };
        // Writing to a String cannot fail.
        let _ = write!(self.sql, " {word} {condition}");
    }

    fn of(filter: &ClientFilter, page: &PageRequest<ClientId>) -> Self {
        let mut statement = Self {
            sql: "SELECT client.* FROM client \
                  LEFT JOIN client_use u ON u.client_id = client.id"
                .into(),
            bound: Vec::new(),
        };
        let mut id = "client.id";
        if let Some(server) = filter.mcp_server_id {
            id = "g.client_id";
            let server = statement.bind(Bound::Text(server.to_string()));
            statement.sql = format!(
                "SELECT client.* FROM client_grant g JOIN client ON client.id = g.client_id \
                 LEFT JOIN client_use u ON u.client_id = g.client_id \
                 WHERE g.mcp_server_id = {server}"
            );
        }
        if let Some(text) = &filter.text {
            let pattern = statement.bind(Bound::Text(like(&search_text(text))));
            statement.and(&format!("client.search_text LIKE {pattern} ESCAPE '\\'"));
        }
        if let Some(server) = filter.not_only_on {
            let server = statement.bind(Bound::Text(server.to_string()));
            statement.and(&format!(
                "(NOT EXISTS (SELECT 1 FROM client_grant o WHERE o.client_id = client.id \
                 AND o.mcp_server_id = {server}) OR EXISTS (SELECT 1 FROM client_grant o \
                 WHERE o.client_id = client.id AND o.mcp_server_id <> {server}))"
            ));
        }
        if let Some(condition) = filter.condition {
            statement.and_in(condition);
        }
        statement.after(filter.sort, page, id);
        statement
    }

    fn and_in(&mut self, condition: ClientCondition) {
        match condition {
            ClientCondition::Disabled => self.and("client.status = 'disabled'"),
            ClientCondition::NeverUsed => self.and("u.last_issued_at IS NULL"),
            ClientCondition::NeedsAttention { now, since } => {
                let now = self.bind(Bound::Number(now.as_millis()));
                let since = self.bind(Bound::Number(since.as_millis()));
                self.and(&format!(
                    "(client.status = 'enabled' AND (NOT EXISTS (SELECT 1 FROM client_secret s \
                     WHERE s.owner = client.id AND s.revoked_at IS NULL \
                     AND (s.expires_at IS NULL OR s.expires_at > {now})) \
                     OR NOT EXISTS (SELECT 1 FROM client_grant a \
                     WHERE a.client_id = client.id AND a.scopes <> '')) \
                     OR EXISTS (SELECT 1 FROM client_refusal r WHERE r.client_id = client.id \
                     AND r.at >= {since} AND r.at > COALESCE(u.last_issued_at, 0)))"
                ));
            }
        }
    }

    /// The order, from where the page begins.
    fn after(&mut self, sort: ClientSort, page: &PageRequest<ClientId>, id: &str) {
        let (descends, key) = sort.parts();
        let (than, direction) = if descends {
            ("<", "DESC")
        } else {
            (">", "ASC")
        };
        if let Some(after) = page.after {
            let after = self.bind(Bound::Text(after.to_string()));
            match &key {
                None => self.and(&format!("{id} {than} {after}")),
                Some(Key { of_row, of_client }) => {
                    let last = of_client.replace("$id", &after);
                    self.and(&format!(
                        "({of_row} {than} {last} OR ({of_row} = {last} AND {id} {than} {after}))"
                    ));
                }
            }
        }
        let limit = self.bind(Bound::Number(page.probe()));
        let by = key.map_or_else(String::new, |key| format!("{} {direction}, ", key.of_row));
        let _ = write!(self.sql, " ORDER BY {by}{id} {direction} LIMIT {limit}");
    }
}

impl Store {
    /// A page of the clients that match.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn clients(
        &self,
        filter: &ClientFilter,
        page: PageRequest<ClientId>,
    ) -> Result<Page<Client>, StoreError> {
        let statement = Statement::of(filter, &page);
        let mut query = sqlx::query(AssertSqlSafe(statement.sql));
        for value in statement.bound {
            query = match value {
                Bound::Text(text) => query.bind(text),
                Bound::Number(number) => query.bind(number),
            };
        }
        let rows = self.rows(query).await?;
        let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
        Ok(Page::from_probe(items, page.limit, |client: &Client| {
            client.id
        }))
    }
}
