//! Arguments that a tool wants repeated in headers: `x-mcp-header` in its schema (MCP 2026-07-28,
//! *Custom Headers from Tool Parameters*). They are learnt from the lists of tools that pass.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::headers::written;
use crate::message::Message;

const ANNOTATION: &str = "x-mcp-header";

/// An argument, by its path in the arguments, and the header that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repeated {
    path: Vec<String>,
    header: HeaderName,
}

/// What the tools seen so far want repeated.
#[derive(Debug, Default)]
pub(crate) struct ToolHeaders(Mutex<HashMap<String, Vec<Repeated>>>);

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    tools: &'a RawValue,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    #[serde(default, rename = "inputSchema")]
    input_schema: Value,
}

impl ToolHeaders {
    /// Learns from the answer to `tools/list`, and gives it without the tools whose annotations
    /// break the rules, as the specification wants.
    pub(crate) fn learn(&self, answer: Message) -> Message {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() && !answer.text().contains(ANNOTATION) {
            return answer;
        }
        let listed = answer
            .result()
            .and_then(|result| serde_json::from_str::<Listed<'_>>(result).ok());
        let Some(listed) = listed else {
            return answer;
        };
        let Ok(tools) = serde_json::from_str::<Vec<&RawValue>>(listed.tools.get()) else {
            return answer;
        };
        let count = tools.len();
        let mut kept = Vec::with_capacity(count);
        for raw in tools {
            let Ok(tool) = serde_json::from_str::<Tool>(raw.get()) else {
                kept.push(raw.get());
                continue;
            };
            match annotations(&tool.input_schema) {
                Ok(repeated) => {
                    known.insert(tool.name, repeated);
                    kept.push(raw.get());
                }
                Err(reason) => tracing::warn!(
                    tool = tool.name,
                    reason,
                    "the host is not told of this tool: its {ANNOTATION} is invalid"
                ),
            }
        }
        if kept.len() == count {
            return answer;
        }
        answer.with(listed.tools.get(), &format!("[{}]", kept.join(",")))
    }

    /// The headers of a tool call.
    pub(crate) fn of_call(&self, call: &Message) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if call.method() != Some("tools/call") {
            return headers;
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let repeated = call.name().and_then(|name| known.get(&name).cloned());
        let Some(repeated) = repeated.filter(|repeated| !repeated.is_empty()) else {
            return headers;
        };
        let arguments = call.arguments().unwrap_or("{}");
        let Ok(arguments) = serde_json::from_str::<Value>(arguments) else {
            return headers;
        };
        for Repeated { path, header } in repeated {
            let value = path
                .iter()
                .try_fold(&arguments, |value, name| value.get(name));
            if let Some(value) = value.and_then(plain).as_deref().and_then(written) {
                headers.insert(header, value);
            }
        }
        headers
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// The annotations of a schema, or why they are invalid.
fn annotations(schema: &Value) -> Result<Vec<Repeated>, &'static str> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    if count(schema) != found.len() {
        return Err("it is not reached through properties alone");
    }
    let names: HashSet<&HeaderName> = found.iter().map(|repeated| &repeated.header).collect();
    if names.len() != found.len() {
        return Err("a header is named twice");
    }
    Ok(found)
}

fn collect(
    schema: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<Repeated>,
) -> Result<(), &'static str> {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Ok(());
    };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(annotation) = property.get(ANNOTATION) {
            let kind = property.get("type").and_then(Value::as_str);
            if !matches!(kind, Some("integer" | "string" | "boolean")) {
                return Err("it is on a property that is no integer, string or boolean");
            }
            let name = annotation.as_str().filter(|name| !name.is_empty());
            let header = name
                .and_then(|name| {
                    format!("mcp-param-{name}")
                        .to_ascii_lowercase()
                        .parse()
                        .ok()
                })
                .ok_or("it is not the name of a header")?;
            found.push(Repeated {
                path: path.clone(),
                header,
            });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// How often the annotation stands anywhere in a schema.
fn count(schema: &Value) -> usize {
    match schema {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                (ANNOTATION, _) => 1,
                // What stands here are names, not keywords.
                ("properties", Value::Object(properties)) => properties.values().map(count).sum(),
                _ => count(value),
            })
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(tools: &Value) -> Message {
        let text = json!({ "id": 1, "result": { "tools": tools, "ttlMs": 1 } }).to_string();
        Message::read(&text).unwrap()
    }

    #[test]
    fn arguments_are_repeated_as_the_tools_schema_says() {
        let headers = ToolHeaders::default();
        let answer = listed(&json!([{ "name": "sql", "inputSchema": { "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "options": { "properties": { "dry": { "type": "boolean", "x-mcp-header": "Dry-Run" } } },
            "limit": { "type": "integer", "x-mcp-header": "Limit" },
            "query": { "type": "string" },
        } } }]));
        let passed = headers.learn(answer.clone());
        assert_eq!(passed.text(), answer.text());
        let call = json!({ "id": 2, "method": "tools/call", "params": { "name": "sql", "arguments": {
            "region": "süd", "options": { "dry": true }, "limit": null, "query": "x",
        } } });
        let sent = headers.of_call(&Message::read(&call.to_string()).unwrap());
        assert_eq!(sent["mcp-param-region"], "=?base64?c8O8ZA==?=");
        assert_eq!(sent["mcp-param-dry-run"], "true");
        assert_eq!(sent.len(), 2);
    }

    #[test]
    fn tools_with_invalid_annotations_are_left_out() {
        let bad = [
            json!({ "properties": { "a": { "type": "number", "x-mcp-header": "A" } } }),
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": "" } } }),
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": "a b" } } }),
            json!({ "properties": {
                "a": { "type": "string", "x-mcp-header": "A" },
                "b": { "type": "string", "x-mcp-header": "a" },
            } }),
            json!({ "properties": { "a": { "type": "array", "items": { "type": "string", "x-mcp-header": "A" } } } }),
            json!({ "anyOf": [{ "properties": { "a": { "type": "string", "x-mcp-header": "A" } } }] }),
        ];
        for schema in bad {
            let tools = json!([{ "name": "bad", "inputSchema": schema }, { "name": "good" }]);
            let passed = ToolHeaders::default().learn(listed(&tools));
            let expected = listed(&json!([{ "name": "good" }]));
            assert_eq!(passed.text(), expected.text(), "{tools}");
        }
        let name = json!([{ "name": "good", "inputSchema": { "properties": { "x-mcp-header": { "type": "string" } } } }]);
        assert_eq!(
            ToolHeaders::default().learn(listed(&name)).text(),
            listed(&name).text()
        );
    }
}
