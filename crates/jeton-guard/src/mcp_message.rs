//! Which MCP methods and tools a request calls, read from its body.
//!
//! The body decides, never the `Mcp-Method` and `Mcp-Name` headers: a caller could set them to
//! something else. A body that cannot be read for certain is refused, since the server behind
//! might read it differently.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The tool, where the method is `tools/call`.
    pub(crate) tool: Option<String>,
}

/// The body is no JSON-RPC message that can be read for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnreadableMessage;

/// A JSON object. A member that stands twice is an error of this reader, where others take the
/// first or the last; so is anything but an object.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Result<Option<String>, UnreadableMessage> {
        self.member(name).map(strict).transpose()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The calls of a message, or of a batch of messages.
pub(crate) fn calls(body: &[u8]) -> Result<Vec<Call>, UnreadableMessage> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|_| UnreadableMessage)?;
    let messages: Vec<Object<'_>> = if whole.get().starts_with('[') {
        strict(whole)?
    } else {
        vec![strict(whole)?]
    };
    messages
        .iter()
        .filter_map(|message| call(message).transpose())
        .collect()
}

fn strict<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, UnreadableMessage> {
    serde_json::from_str(json.get()).map_err(|_| UnreadableMessage)
}

fn call(message: &Object<'_>) -> Result<Option<Call>, UnreadableMessage> {
    // Without a method it is a response to the server, which calls nothing.
    let Some(method) = message.text("method")? else {
        return Ok(None);
    };
    let tool = if method == "tools/call" {
        let params: Object<'_> = strict(message.member("params").ok_or(UnreadableMessage)?)?;
        Some(params.text("name")?.ok_or(UnreadableMessage)?)
    } else {
        None
    };
    Ok(Some(Call { method, tool }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(body: &str) -> Result<Vec<Option<String>>, UnreadableMessage> {
        calls(body.as_bytes()).map(|calls| calls.into_iter().map(|call| call.tool).collect())
    }

    #[test]
    fn tools_are_found_in_messages_and_batches() {
        let one = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"name":"b"}}}"#;
        assert_eq!(tools(one), Ok(vec![Some("a".into())]));
        assert_eq!(
            tools(&format!(" [{one},{one}]")),
            Ok(vec![Some("a".into()); 2])
        );
        assert_eq!(tools(r#"{"method":"tools/list"}"#), Ok(vec![None]));
        assert_eq!(tools(r#"{"method":"x","params":[1]}"#), Ok(vec![None]));
        assert_eq!(tools(r#"{"id":1,"result":{}}"#), Ok(vec![]));
        assert_eq!(
            tools(r#"{"method":"tools\u002fcall","params":{"name":"\u0061"}}"#),
            Ok(vec![Some("a".into())])
        );
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for body in [
            "",
            "x",
            "1",
            r#"{"method":"tools/call"}"#,
            r#"{"method":"tools/call","params":{}}"#,
            r#"{"method":"tools/call","params":{"name":1}}"#,
            r#"{"method":"tools/call","params":["a"]}"#,
            r#"{"method":"tools/list","method":"tools/call","params":{"name":"a"}}"#,
            r#"{"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            r#"{"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
            r#"{"method":"tools/list"}{"method":"tools/call"}"#,
            "[[]]",
        ] {
            assert_eq!(tools(body), Err(UnreadableMessage), "{body}");
        }
    }
}
