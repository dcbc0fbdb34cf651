//! The bridge is the client that gets tokens, so it declares MCP's client credentials extension
//! beside what the host declares.

use jeton_core::CLIENT_CREDENTIALS_EXTENSION;
use serde_json::{Map, Value};

use crate::message::Message;

/// `message` with the extension in the capabilities that it declares, if it declares any.
pub(crate) fn declared(message: Message) -> Message {
    let Some(part) = message.capabilities() else {
        return message;
    };
    let Ok(mut capabilities) = serde_json::from_str::<Map<String, Value>>(part) else {
        return message;
    };
    let empty = || Value::Object(Map::new());
    if let Value::Object(extensions) = capabilities.entry("extensions").or_insert_with(empty) {
        extensions
            .entry(CLIENT_CREDENTIALS_EXTENSION)
            .or_insert_with(empty);
    }
    let wording = Value::Object(capabilities).to_string();
    message.with(part, &wording)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_joins_what_the_host_declares_in_both_revisions() {
        for (text, expected) in [
            (
                r#"{"id":1,"method":"initialize","params":{"capabilities":{"roots":{}},"x":1.0}}"#,
                r#"{"id":1,"method":"initialize","params":{"capabilities":{"roots":{},"extensions":{"io.modelcontextprotocol/oauth-client-credentials":{}}},"x":1.0}}"#,
            ),
            (
                r#"{"id":1,"method":"a","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"extensions":{"b":{}}}}}}"#,
                r#"{"id":1,"method":"a","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"extensions":{"b":{},"io.modelcontextprotocol/oauth-client-credentials":{}}}}}}"#,
            ),
            (
                r#"{"id":1,"method":"a","params":{"capabilities":{}}}"#,
                r#"{"id":1,"method":"a","params":{"capabilities":{}}}"#,
            ),
        ] {
            let message = declared(Message::read(text).unwrap());
            assert_eq!(message.text(), expected);
        }
    }
}
