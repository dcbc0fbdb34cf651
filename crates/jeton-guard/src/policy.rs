//! Which scopes a request needs.

use std::collections::{HashMap, HashSet};
use std::ptr;

use jeton_core::{ScopeHierarchy, ScopeSet};

use crate::mcp_message::{Call, TOOLS_CALL};

/// Scopes for the server as a whole, for MCP methods and for tools.
#[derive(Debug, Default)]
pub(crate) struct ScopePolicy {
    /// What the challenge suggests to a caller without a token.
    pub(crate) suggested: ScopeSet,
    pub(crate) always: ScopeSet,
    pub(crate) by_method: HashMap<String, ScopeSet>,
    pub(crate) other_methods: Option<ScopeSet>,
    pub(crate) by_tool: HashMap<String, ScopeSet>,
    pub(crate) other_tools: Option<ScopeSet>,
    /// What scopes imply.
    pub(crate) hierarchy: ScopeHierarchy,
}

impl ScopePolicy {
    /// Whether a token with the scopes `granted` is enough where `needed` are.
    pub(crate) fn suffices(&self, granted: &ScopeSet, needed: &ScopeSet) -> bool {
        needed.is_subset_of(&self.hierarchy.expand(granted))
    }

    /// Whether the request's messages have to be read.
    pub(crate) fn reads_messages(&self) -> bool {
        let mut rules = self.rules();
        rules.any(|scopes| !scopes.is_empty())
    }

    /// The rules for methods and tools.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &ScopeSet> {
        let methods = self.by_method.values().chain(&self.other_methods);
        methods
            .chain(self.by_tool.values())
            .chain(&self.other_tools)
    }

    /// What these calls need together, beyond what every request needs.
    pub(crate) fn needed(&self, calls: &[Call<'_>]) -> ScopeSet {
        // A batch may call one tool a hundred thousand times.
        let mut used = HashSet::new();
        let rules = calls.iter().flat_map(|call| self.rules_for(call));
        rules
            .filter(|rule| used.insert(ptr::from_ref(*rule)))
            .flat_map(ScopeSet::iter)
            .cloned()
            .collect()
    }

    /// The rule for the method and the one for the tool. A tool call that a rule for tools covers is
    /// none of the other methods.
    fn rules_for(&self, call: &Call<'_>) -> impl Iterator<Item = &ScopeSet> {
        let tool = call
            .tool()
            .and_then(|tool| self.by_tool.get(tool).or(self.other_tools.as_ref()));
        let others = self.other_methods.as_ref().filter(|_| tool.is_none());
        let method = self.by_method.get(&*call.method).or(others);
        [method, tool].into_iter().flatten()
    }

    /// Whether rules name some tools, and none says what the others need beyond what every request needs.
    pub(crate) fn leaves_tools_open(&self) -> bool {
        let is_covered = self.other_tools.is_some()
            || self.other_methods.is_some()
            || self.by_method.contains_key(TOOLS_CALL);
        !self.by_tool.is_empty() && !is_covered
    }

    /// The same of methods.
    pub(crate) fn leaves_methods_open(&self) -> bool {
        !self.by_method.is_empty() && self.other_methods.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp_message;

    fn scopes(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    fn needed(policy: &ScopePolicy, body: &str) -> String {
        let body = mcp_message::read(body.as_bytes()).unwrap();
        policy.needed(&body.calls).to_string()
    }

    fn tool(name: &str) -> String {
        format!(r#"{{"method":"tools/call","params":{{"name":"{name}"}}}}"#)
    }

    #[test]
    fn tools_and_methods_that_no_rule_names_need_what_the_rest_needs() {
        let mut policy = ScopePolicy {
            by_tool: HashMap::from([("a".to_owned(), scopes("tool:a"))]),
            by_method: HashMap::from([("ping".to_owned(), ScopeSet::empty())]),
            ..ScopePolicy::default()
        };
        assert_eq!(needed(&policy, &tool("b")), "");
        policy.other_methods = Some(scopes("methods"));
        assert_eq!(needed(&policy, &tool("a")), "tool:a");
        assert_eq!(needed(&policy, &tool("b")), "methods");
        assert_eq!(needed(&policy, r#"{"method":"ping"}"#), "");
        assert_eq!(needed(&policy, r#"{"method":"tools/list"}"#), "methods");
        policy.other_tools = Some(scopes("tools"));
        assert_eq!(needed(&policy, &tool("b")), "tools");
        assert_eq!(
            needed(
                &policy,
                &format!("[{},{},{}]", tool("a"), tool("b"), tool("a"))
            ),
            "tool:a tools"
        );
        policy
            .by_method
            .insert(TOOLS_CALL.to_owned(), scopes("call"));
        assert_eq!(needed(&policy, &tool("b")), "call tools");
    }

    /// United anew for each call, these rules would take minutes.
    #[test]
    fn a_large_batch_is_judged_in_linear_time() {
        let many: ScopeSet = (0..2_000)
            .map(|number| format!("s{number}").parse().unwrap())
            .collect();
        let policy = ScopePolicy {
            other_tools: Some(many.clone()),
            ..ScopePolicy::default()
        };
        let batch = format!("[{}]", vec![tool("a"); 90_000].join(","));
        assert_eq!(needed(&policy, &batch), many.to_string());
    }
}
