//! What a request calls, read from its body: the method, and the tool, prompt or resource.
//!
//! The body decides, never the `Mcp-Method` and `Mcp-Name` headers alone: a caller could set them
//! to something else. A body that two JSON readers could read differently is refused: one with a
//! member that stands twice, or whose name differs from a known one by case only. Linear in the
//! body; only the members that matter are looked into.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON-RPC message.
const MESSAGE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
/// The members of `params` that say what is called, and those that stand beside them.
const PARAMS: &[&str] = &["name", "uri", "taskId", "arguments", "_meta"];
/// The most members of a message or of its `params`: a few are known, and the names of all are compared.
const MAX_MEMBERS: usize = 1_000;
/// The longest ID that an error repeats, in bytes.
const MAX_ID: usize = 256;

/// One message that calls something. A response calls nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub(crate) method: Cow<'a, str>,
    /// What the method is applied to: a tool, a prompt, a resource's URI.
    pub(crate) name: Option<Cow<'a, str>>,
    /// Whether an answer is expected (JSON-RPC 2.0 §4.1).
    pub(crate) is_request: bool,
}

impl Call<'_> {
    /// The tool, where one is called.
    pub(crate) fn tool(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.method == TOOLS_CALL)
    }
}

pub(crate) const TOOLS_CALL: &str = "tools/call";

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    /// The calls, in order.
    pub(crate) calls: Vec<Call<'a>>,
    /// Whether they came as a batch, as revision 2025-03-26 allows.
    pub(crate) is_batch: bool,
    /// The JSON text of the message's ID, to be repeated in an error.
    pub(crate) id: Option<&'a str>,
}

/// Why a body cannot be read for certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadableMessage {
    #[error("the request body is not JSON")]
    NotJson,
    #[error("the request body is not a JSON-RPC message")]
    NotAMessage,
    #[error("the message or its params have more than {MAX_MEMBERS} members")]
    TooManyMembers,
    #[error("the member {0:?} stands twice")]
    Repeated(String),
    #[error("the member {found:?} differs from {known:?} by case only")]
    Case { found: String, known: &'static str },
    #[error("params.{0} is missing or not a string")]
    NoName(&'static str),
}

/// The member of `params` that names what a method is applied to (MCP 2026-07-28, Standard Request
/// Headers; the SDKs send `Mcp-Name` for subscriptions and tasks, too).
pub(crate) fn name_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Result<Body<'_>, UnreadableMessage> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|_| UnreadableMessage::NotJson)?;
    if whole.get().starts_with('[') {
        let batch = parse(whole, Batch)?;
        let calls = batch.iter().filter_map(|message| call(message).transpose());
        return Ok(Body {
            calls: calls.collect::<Result<_, _>>()?,
            is_batch: true,
            id: None,
        });
    }
    let message = parse(whole, Members(MESSAGE))?;
    Ok(Body {
        calls: call(&message)?.into_iter().collect(),
        is_batch: false,
        id: message.id(),
    })
}

/// The JSON text of the message's ID, if the body has one that can be read.
pub(crate) fn id(body: &[u8]) -> Option<&str> {
    let whole: &RawValue = serde_json::from_slice(body).ok()?;
    parse(whole, Members(MESSAGE)).ok()?.id()
}

fn call<'a>(message: &Object<'a>) -> Result<Option<Call<'a>>, UnreadableMessage> {
    if let Some(problem) = &message.problem {
        return Err(problem.clone());
    }
    // Without a method it is a response to the server, which calls nothing.
    let Some(method) = message.member("method") else {
        return Ok(None);
    };
    let Text(method) = text(method).ok_or(UnreadableMessage::NotAMessage)?;
    let name = match (name_member(&method), message.member("params")) {
        (Some(member), Some(params)) => name(&method, member, params)?,
        (Some(member), None) if method == TOOLS_CALL => {
            return Err(UnreadableMessage::NoName(member));
        }
        _ => None,
    };
    Ok(Some(Call {
        method,
        name,
        is_request: message.member("id").is_some(),
    }))
}

/// A tool call without a tool is refused; what else lacks its name is for the server to judge.
fn name<'a>(
    method: &str,
    member: &'static str,
    params: &'a RawValue,
) -> Result<Option<Cow<'a, str>>, UnreadableMessage> {
    let params = parse(params, Members(PARAMS))?;
    if let Some(problem) = params.problem {
        return Err(problem);
    }
    let name = params.member(member).and_then(text).map(|Text(name)| name);
    if name.is_none() && (method == TOOLS_CALL || params.member(member).is_some()) {
        return Err(UnreadableMessage::NoName(member));
    }
    Ok(name)
}

/// A string, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn text(json: &RawValue) -> Option<Text<'_>> {
    serde_json::from_str(json.get()).ok()
}

fn parse<'a, S: DeserializeSeed<'a>>(
    json: &'a RawValue,
    seed: S,
) -> Result<S::Value, UnreadableMessage> {
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    seed.deserialize(&mut deserializer)
        .map_err(|_| UnreadableMessage::NotAMessage)
}

/// The known members of a JSON object, and what is wrong with any of its members.
struct Object<'a> {
    members: Vec<(&'static str, &'a RawValue)>,
    problem: Option<UnreadableMessage>,
}

impl<'a> Object<'a> {
    fn member(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.members.iter();
        let (_, value) = members.find(|(known, _)| *known == name)?;
        Some(value)
    }

    fn id(&self) -> Option<&'a str> {
        let id = self.member("id")?.get();
        let is_id = id.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        Some(id).filter(|id| is_id && id.len() <= MAX_ID)
    }
}

/// Reads an object of which these members are known.
#[derive(Clone, Copy)]
struct Members(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::new();
        let mut problem = None;
        // With a hasher that nobody outside can predict.
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if problem.is_some() {
                continue;
            }
            if seen.len() == MAX_MEMBERS {
                problem = Some(UnreadableMessage::TooManyMembers);
                seen = HashSet::new();
                continue;
            }
            match self.0.iter().find(|known| same_but_for_case(&name, known)) {
                Some(known) if name == *known => members.push((*known, value)),
                Some(known) => {
                    problem = Some(UnreadableMessage::Case {
                        found: shortened(&name),
                        known,
                    });
                }
                None => {}
            }
            if let Some(repeated) = seen.replace(name) {
                problem = Some(UnreadableMessage::Repeated(shortened(&repeated)));
            }
        }
        Ok(Object { members, problem })
    }
}

/// Reads an array of messages.
struct Batch;

impl<'de> DeserializeSeed<'de> for Batch {
    type Value = Vec<Object<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Batch {
    type Value = Vec<Object<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut messages = Vec::new();
        while let Some(message) = seq.next_element_seed(Members(MESSAGE))? {
            messages.push(message);
        }
        Ok(messages)
    }
}

/// Whether some reader that ignores case takes `name` for `known`. Readers fold letters outside
/// ASCII, too: the long s and the Kelvin sign in Go, the dotless and the dotted i in Java.
fn same_but_for_case(name: &str, known: &str) -> bool {
    let folded = known.chars().map(|c| c.to_ascii_lowercase());
    name.chars().map(fold).eq(folded)
}

fn fold(c: char) -> char {
    let upper = c.to_uppercase().next().unwrap_or(c);
    upper.to_lowercase().next().unwrap_or(upper)
}

/// A name fit for an error message.
fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(body: &str) -> Result<Vec<Option<String>>, UnreadableMessage> {
        let tool = |call: &Call<'_>| call.tool().map(str::to_owned);
        read(body.as_bytes()).map(|body| body.calls.iter().map(tool).collect())
    }

    #[test]
    fn tools_are_found_in_messages_and_batches() {
        let one = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"name":"b","Name":"c"}}}"#;
        assert_eq!(tools(one), Ok(vec![Some("a".into())]));
        assert_eq!(
            tools(&format!(" [{one},{one}]")),
            Ok(vec![Some("a".into()); 2])
        );
        assert_eq!(tools(r#"{"method":"tools/list"}"#), Ok(vec![None]));
        assert_eq!(tools(r#"{"method":"x","params":[1]}"#), Ok(vec![None]));
        assert_eq!(
            tools(r#"{"method":"x","params":{"Name":1}}"#),
            Ok(vec![None])
        );
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
            r#"{"method":1}"#,
            r#"{"method":"tools/call"}"#,
            r#"{"method":"tools/call","params":{}}"#,
            r#"{"method":"tools/call","params":{"name":1}}"#,
            r#"{"method":"tools/call","params":["a"]}"#,
            r#"{"method":"resources/read","params":{"uri":1}}"#,
            r#"{"method":"tools/list","method":"tools/call","params":{"name":"a"}}"#,
            r#"{"method":"tools/list","\u006dethod":"tools/call","params":{"name":"a"}}"#,
            r#"{"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            r#"{"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#,
            r#"{"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
            r#"{"method":"x","other":1,"other":2}"#,
            r#"{"method":"tools/list"}{"method":"tools/call"}"#,
            "[[]]",
            r#"[{"method":"x"},{"method":"x","method":"y"}]"#,
        ] {
            assert!(tools(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_member_that_differs_from_a_known_one_by_case_only_is_refused() {
        for (body, found) in [
            (r#"{"Method":"tools/call","params":{"name":"a"}}"#, "Method"),
            (r#"{"method":"x","METHOD":"y"}"#, "METHOD"),
            (r#"{"method":"x","\u004dethod":"y"}"#, "Method"),
            (r#"{"method":"x","Params":{}}"#, "Params"),
            (r#"{"method":"x","param\u017f":{}}"#, "paramſ"),
            (r#"{"method":"x","JSONRPC":"2.0"}"#, "JSONRPC"),
            (r#"{"method":"x","İd":1}"#, "İd"),
            (r#"{"method":"x","ıd":1}"#, "ıd"),
            (r#"{"id":1,"Result":{}}"#, "Result"),
            (r#"[{"method":"x","ID":1}]"#, "ID"),
            (
                r#"{"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
                "NAME",
            ),
            (
                r#"{"method":"tools/call","params":{"name":"a","Arguments":{}}}"#,
                "Arguments",
            ),
            (
                r#"{"method":"resources/read","params":{"uri":"a","Uri":"b"}}"#,
                "Uri",
            ),
            (
                r#"{"method":"tasks/get","params":{"taskId":"a","tas\u212aid":"b"}}"#,
                "tas\u{212a}id",
            ),
        ] {
            match tools(body) {
                Err(UnreadableMessage::Case { found: name, .. }) => {
                    assert_eq!(name, found, "{body}");
                }
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    /// Compared pairwise, the members of the last would take hours.
    #[test]
    fn a_message_has_a_thousand_members_at_most() {
        let members = |count: usize| -> String {
            let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\":0")).collect();
            members.join(",")
        };
        let some = members(999);
        let body = format!(r#"{{"method":"tools/list",{some}}}"#);
        assert_eq!(tools(&body), Ok(vec![None]));
        let body = format!(r#"{{"method":"tools/call","params":{{"name":"a",{some}}}}}"#);
        assert_eq!(tools(&body), Ok(vec![Some("a".into())]));
        let body = format!(r#"{{{some},"m7":1}}"#);
        assert_eq!(tools(&body), Err(UnreadableMessage::Repeated("m7".into())));
        for many in [1_000, 250_000] {
            let many = members(many);
            let too_many = Err(UnreadableMessage::TooManyMembers);
            let body = format!(r#"{{"method":"tools/list",{many}}}"#);
            assert_eq!(tools(&body), too_many);
            let body = format!(r#"{{"method":"tools/call","params":{{"name":"a",{many}}}}}"#);
            assert_eq!(tools(&body), too_many);
            // What it may call is the tool's own business.
            let arguments = format!(r#"{{"name":"a","arguments":{{{many}}}}}"#);
            let body = format!(r#"{{"method":"tools/call","params":{arguments}}}"#);
            assert_eq!(tools(&body), Ok(vec![Some("a".into())]));
        }
    }

    #[test]
    fn deep_and_long_bodies_are_read_without_a_deep_stack() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let body = format!(r#"{{"method":"tools/list","params":{deep}}}"#);
        assert_eq!(tools(&body), Ok(vec![None]));
        assert!(tools(&deep).is_err());
        let batch = format!("[{}]", vec![r#"{"method":"a"}"#; 300_000].join(","));
        assert_eq!(tools(&batch).unwrap().len(), 300_000);
    }
}
