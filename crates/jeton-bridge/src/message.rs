//! A line of JSON-RPC: what kind of message it is, whose, and which method. What it carries is not
//! parsed, so that it arrives to the character as it was sent.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::id::Id;

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It wants a response with this ID.
    Request {
        /// The ID.
        id: Id,
        /// The method.
        method: String,
    },
    /// It wants none.
    Notification {
        /// The method.
        method: String,
    },
    /// A result, or an error, which may not know what it answers.
    Response {
        /// The request's ID.
        id: Option<Id>,
    },
}

/// A message, on one line.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    text: String,
    kind: Kind,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "also_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What can stand in a request's `params`; everything else is passed on unseen.
#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "taskId")]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    notifications: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WithId<'a> {
    #[serde(borrow, default, deserialize_with = "also_null")]
    id: Option<&'a RawValue>,
}

/// A value that is there, be it `null`.
fn also_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

#[derive(Deserialize)]
struct WithParams<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WithResult<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Message {
    /// Reads a message; nothing where the text is not one JSON-RPC message. Linear in the text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
        let answers = envelope.result.is_some() || envelope.error.is_some();
        let kind = match (envelope.method, envelope.id) {
            (Some(method), Some(id)) if !answers && is_id(id) => Kind::Request {
                id: Id::from(id),
                method: method.into_owned(),
            },
            (Some(method), None) if !answers => Kind::Notification {
                method: method.into_owned(),
            },
            (None, id) if answers => Kind::Response {
                id: id.filter(|id| id.get() != "null").map(Id::from),
            },
            _ => return None,
        };
        Some(Self {
            text: on_one_line(text.trim()),
            kind,
        })
    }

    /// Reads what may be one message, or several in an array (JSON-RPC batches, which MCP had in
    /// 2025-03-26).
    pub(crate) fn read_all(text: &str) -> Option<Vec<Self>> {
        if text.trim_start().starts_with('[') {
            let parts: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            return parts.iter().map(|part| Self::read(part.get())).collect();
        }
        Some(vec![Self::read(text)?])
    }

    /// The message, on one line.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The ID of a request, or of the request that this answers.
    pub(crate) fn id(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Request { id, .. } => Some(id),
            Kind::Response { id } => id.as_ref(),
            Kind::Notification { .. } => None,
        }
    }

    /// The method of a request or a notification.
    pub(crate) fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method } => Some(method),
            Kind::Response { .. } => None,
        }
    }

    /// Whether it answers the request `id`. An error without an ID answers whoever gets it.
    pub(crate) fn answers(&self, request: &Id) -> bool {
        match &self.kind {
            Kind::Response { id } => id.as_ref().is_none_or(|id| id == request),
            _ => false,
        }
    }

    /// The same response with the ID as `request` has it: an error may not know what it answers, and
    /// a server may spell it otherwise.
    pub(crate) fn in_answer_to(self, request: &Id) -> Self {
        let Kind::Response { id } = &self.kind else {
            return self;
        };
        if id
            .as_ref()
            .is_some_and(|id| id.as_json() == request.as_json())
        {
            return self;
        }
        let found: Option<WithId<'_>> = serde_json::from_str(&self.text).ok();
        let own = request.as_json();
        let text = match (found.and_then(|found| found.id), self.text.get(1..)) {
            (Some(id), _) => self.with(id.get(), own).text,
            (None, Some(members)) => format!("{{\"id\":{own},{members}"),
            (None, None) => self.text,
        };
        Self {
            text,
            kind: Kind::Response {
                id: Some(request.clone()),
            },
        }
    }

    /// The revision that the request says it is made in; nothing before MCP 2026-07-28.
    pub(crate) fn version(&self) -> Option<String> {
        text_of(self.meta().version)
    }

    /// What the `Mcp-Name` header repeats.
    pub(crate) fn name(&self) -> Option<String> {
        let params = self.params();
        text_of(match self.method()? {
            "tools/call" | "prompts/get" => params.name,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => params.uri,
            "tasks/get" | "tasks/update" | "tasks/cancel" => params.task_id,
            _ => None,
        })
    }

    /// The arguments of a tool call, as they were written.
    pub(crate) fn arguments(&self) -> Option<&str> {
        self.params().arguments.map(RawValue::get)
    }

    /// What `notifications/cancelled` is about.
    pub(crate) fn cancelled(&self) -> Option<Id> {
        self.params().request_id.map(Id::from)
    }

    /// What `subscriptions/listen` wants to hear of, as it was written.
    pub(crate) fn subscriptions(&self) -> Option<&str> {
        self.params().notifications.map(RawValue::get)
    }

    /// The result of a response, as it was written.
    pub(crate) fn result(&self) -> Option<&str> {
        let found: WithResult<'_> = serde_json::from_str(&self.text).ok()?;
        found.result.map(RawValue::get)
    }

    /// Where the sender's capabilities stand in the text.
    pub(crate) fn capabilities(&self) -> Option<&str> {
        let declared = self.meta().capabilities.or_else(|| {
            let initializes = self.method() == Some("initialize");
            self.params().capabilities.filter(|_| initializes)
        });
        declared.map(RawValue::get)
    }

    /// The same message with `part`, a piece of its own text, in another wording.
    pub(crate) fn with(&self, part: &str, wording: &str) -> Self {
        // The piece is found by where it is, because its words may stand elsewhere too.
        let at = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let spliced = at.and_then(|at| {
            let (before, rest) = self.text.split_at_checked(at)?;
            let after = rest.get(part.len()..)?;
            Some(format!("{before}{wording}{after}"))
        });
        Self {
            text: spliced.unwrap_or_else(|| self.text.clone()),
            kind: self.kind.clone(),
        }
    }

    fn params(&self) -> Params<'_> {
        let found: Option<WithParams<'_>> = serde_json::from_str(&self.text).ok();
        found
            .and_then(|found| serde_json::from_str(found.params?.get()).ok())
            .unwrap_or_default()
    }

    fn meta(&self) -> Meta<'_> {
        self.params()
            .meta
            .and_then(|meta| serde_json::from_str(meta.get()).ok())
            .unwrap_or_default()
    }
}

/// MCP, *Base Protocol*: the ID of a request is a string or a number, and never `null`.
fn is_id(raw: &RawValue) -> bool {
    raw.get()
        .starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
}

fn text_of(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

/// In JSON, line breaks stand between tokens only.
fn on_one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Message {
        Message::read(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn an_id(written: &str) -> Id {
        Id::from(serde_json::from_str::<&RawValue>(written).unwrap())
    }

    #[test]
    fn an_answer_has_the_id_of_its_request_as_that_was_written() {
        for (text, expected) in [
            (
                r#"{"id":null,"error":{"code":1}}"#,
                r#"{"id":"a\u002Bb","error":{"code":1}}"#,
            ),
            (
                r#"{"error":{"id":null}}"#,
                r#"{"id":"a\u002Bb","error":{"id":null}}"#,
            ),
            (
                r#"{"result":{"id":"a+b"},"id":"a+b"}"#,
                r#"{"result":{"id":"a+b"},"id":"a\u002Bb"}"#,
            ),
        ] {
            let answer = read(text).in_answer_to(&an_id(r#""a\u002Bb""#));
            assert_eq!(answer.text(), expected);
        }
    }

    #[test]
    fn a_message_is_known_by_its_envelope_and_kept_to_the_character() {
        let text = r#"{"jsonrpc":"2.0","id":18446744073709551617,"method":"x/y","params":{"n":1.00,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}},"later":1e400}"#;
        let message = read(text);
        assert_eq!(message.text(), text);
        assert_eq!(message.version().as_deref(), Some("2026-07-28"));
        let Kind::Request { id, method } = message.kind() else {
            panic!("{message:?}")
        };
        assert_eq!(
            (id.as_json(), method.as_str()),
            ("18446744073709551617", "x/y")
        );
        let answer = read("{\"jsonrpc\": \"2.0\",\r\n \"id\": \"a\",\n \"result\": {}}\n");
        assert_eq!(answer.text().lines().count(), 1);
        assert!(answer.answers(&an_id(r#""a""#)) && !answer.answers(&an_id("1")));
        assert!(read(r#"{"id":null,"error":{}}"#).answers(&an_id("7")));
        for not_one in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"id":1}"#,
            r#"{"id":1,"method":"a","result":1}"#,
            r#"{"id":1,"method":"a","method":"b"}"#,
            r#"{"id":1,"method":2}"#,
            r#"{"id":null,"method":"a"}"#,
            r#"{"id":true,"method":"a"}"#,
            r#"{"id":{},"method":"a"}"#,
            r#"{"method":"a"} x"#,
        ] {
            assert!(Message::read(not_one).is_none(), "{not_one}");
        }
    }

    #[test]
    fn a_batch_is_each_of_its_messages() {
        let all = Message::read_all(r#" [{"id":1,"method":"a"}, {"method":"b"}]"#).unwrap();
        let methods: Vec<_> = all.iter().map(Message::method).collect();
        assert_eq!(methods, [Some("a"), Some("b")]);
        assert!(Message::read_all("[1]").is_none());
    }

    #[test]
    fn one_piece_is_reworded_where_it_stands() {
        let message =
            read(r#"{"id":1,"method":"initialize","params":{"clientInfo":{},"capabilities":{}}}"#);
        let reworded = message.with(message.capabilities().unwrap(), r#"{"a":1}"#);
        assert_eq!(
            reworded.text(),
            r#"{"id":1,"method":"initialize","params":{"clientInfo":{},"capabilities":{"a":1}}}"#
        );
    }

    /// Deeply nested values are passed over, not parsed.
    #[test]
    fn nesting_is_no_reason_to_refuse_a_message() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let text = format!(
            r#"{{"id":1,"method":"tools/call","params":{{"name":"t","arguments":{{"a":{deep}}}}}}}"#
        );
        assert_eq!(read(&text).name().as_deref(), Some("t"));
    }
}
