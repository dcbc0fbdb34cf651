//! Which scopes a request needs.

use std::collections::HashMap;

use jeton_core::ScopeSet;

use crate::mcp_message::Call;

/// Scopes for the server as a whole, for MCP methods and for tools.
#[derive(Debug, Default)]
pub(crate) struct ScopePolicy {
    /// What the challenge suggests to a caller without a token.
    pub(crate) suggested: ScopeSet,
    pub(crate) always: ScopeSet,
    pub(crate) by_method: HashMap<String, ScopeSet>,
    pub(crate) by_tool: HashMap<String, ScopeSet>,
}

impl ScopePolicy {
    /// Whether the request's messages have to be read.
    pub(crate) fn reads_messages(&self) -> bool {
        !self.by_method.is_empty() || !self.by_tool.is_empty()
    }

    /// What these calls need together, beyond what every request needs.
    pub(crate) fn needed(&self, calls: &[Call]) -> ScopeSet {
        calls.iter().fold(ScopeSet::empty(), |needed, call| {
            let method = self.by_method.get(&call.method);
            let tool = call.tool.as_ref().and_then(|tool| self.by_tool.get(tool));
            [method, tool]
                .into_iter()
                .flatten()
                .fold(needed, |needed, more| needed.union(more))
        })
    }
}
