//! What keeps a client from getting tokens, in words, with the way out.

use jeton_core::{Client, ClientProblem, Timestamp};

use super::clients::path;
use super::format::{When, when};
use crate::app::App;
use crate::directory::ClientEntry;
use crate::service::client_standing;

/// Why a client can't get tokens.
#[derive(Debug, Clone)]
pub(crate) struct ProblemView {
    /// `red` things are broken; what somebody meant to be so is not.
    pub(crate) is_meant: bool,
    /// A few words for a list: `secret expired`.
    pub(crate) short: &'static str,
    /// A sentence without its end: `Its only secret expired`.
    pub(crate) text: String,
    pub(crate) at: Option<When>,
    pub(crate) cure: Cure,
}

/// What to do about it: a button that leads there.
#[derive(Debug, Clone)]
pub(crate) struct Cure {
    pub(crate) label: &'static str,
    pub(crate) href: String,
}

impl Cure {
    pub(crate) fn new(label: &'static str, href: impl Into<String>) -> Self {
        Self {
            label,
            href: href.into(),
        }
    }

    pub(crate) fn rotate(client: &Client) -> Self {
        Self::new("Rotate", format!("{}/secrets/rotate", path(&client.id)))
    }

    pub(crate) fn scopes(client: &Client) -> Self {
        Self::new("Change scopes", format!("{}#grants", path(&client.id)))
    }

    /// A grant on the server that it was for, or on any.
    pub(crate) fn grant(app: &App, client: &Client) -> Self {
        let path = path(&client.id);
        let former = client
            .default_mcp_server
            .filter(|id| app.directory.find_mcp_server(*id).is_some());
        let href = match former {
            Some(id) => format!("{path}/grants/new?mcp_server={id}"),
            None => format!("{path}#grants"),
        };
        Self::new("Grant access", href)
    }
}

impl ProblemView {
    /// Of a client, if it has one.
    pub(crate) fn of(app: &App, entry: &ClientEntry) -> Option<Self> {
        let problem = client_standing::problem(app, entry)?;
        Some(Self::new(app, &entry.client, problem, app.clock.now()))
    }

    fn new(app: &App, client: &Client, problem: ClientProblem, now: Timestamp) -> Self {
        let client_path = path(&client.id);
        let (short, text, cure) = match problem {
            ClientProblem::Disabled => (
                "disabled",
                "It is disabled".to_owned(),
                Cure::new("Enable", client_path),
            ),
            ClientProblem::NoSecret => (
                "no secret",
                "It has no secret".to_owned(),
                Cure::new("Create a secret", format!("{client_path}#secrets")),
            ),
            ClientProblem::SecretExpired { .. } => (
                "secret expired",
                "Its secret expired".to_owned(),
                Cure::rotate(client),
            ),
            ClientProblem::SecretRevoked { .. } => (
                "secret revoked",
                "Its secret was revoked".to_owned(),
                Cure::new("Create a secret", format!("{client_path}#secrets")),
            ),
            ClientProblem::NoGrant => {
                let server = client
                    .default_mcp_server
                    .and_then(|id| app.directory.find_mcp_server(id));
                let text = match server {
                    Some(server) => format!("Its access to {} was removed", server.name),
                    None => "It has no access to any MCP server".to_owned(),
                };
                ("no access", text, Cure::grant(app, client))
            }
            ClientProblem::McpServerDeleted => (
                "MCP server deleted",
                "Its MCP server was deleted".to_owned(),
                Cure::grant(app, client),
            ),
            ClientProblem::NoScope => (
                "no scope",
                "It has no scope".to_owned(),
                Cure::scopes(client),
            ),
        };
        Self {
            is_meant: problem == ClientProblem::Disabled,
            short,
            text,
            at: problem.since().map(|at| when(at, now)),
            cure,
        }
    }
}
