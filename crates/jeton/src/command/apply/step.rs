//! A step of a plan: what is done, and the words that tell of it.

use std::path::PathBuf;

use serde_json::Value;

use crate::admin::Seen;

/// What a step is about: a thing that is there, or one that an earlier step makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Id(String),
    /// The server with this name, or the client with this name.
    New(String),
}

/// One step, with the words that tell of it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) words: String,
    pub(super) action: Action,
    /// What has to be confirmed first, if anything.
    pub(super) consequence: Option<String>,
}

impl Step {
    pub(super) fn new(words: String, action: Action) -> Self {
        Self {
            words,
            action,
            consequence: None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Action {
    CreateServer {
        name: String,
        body: Value,
    },
    UpdateServer {
        server: Target,
        seen: Seen,
        body: Value,
    },
    DeleteServer {
        id: String,
        seen: Seen,
    },
    CreateClient(Box<CreateClient>),
    UpdateClient {
        id: String,
        seen: Seen,
        body: Value,
    },
    DeleteClient {
        id: String,
        seen: Seen,
    },
    PutGrant {
        client: Target,
        server: Target,
        seen: Seen,
        scopes: Vec<String>,
    },
    DeleteGrant {
        client: String,
        server: String,
        seen: Seen,
    },
    SetDefaultServer {
        client: String,
        server: Target,
        /// The default that is there: the ID of the MCP server as it was read, or as a new grant left it.
        expected: Vec<Value>,
    },
    /// The secret of a client whose making was interrupted.
    FinishSecret {
        client: String,
        file: PathBuf,
    },
}

#[derive(Debug)]
pub(super) struct CreateClient {
    pub(super) name: String,
    pub(super) server: Target,
    pub(super) body: Value,
    pub(super) disabled: bool,
    pub(super) file: PathBuf,
}
