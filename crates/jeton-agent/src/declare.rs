//! Declares, in what a client sends, that it has MCP's client credentials extension: in the
//! capabilities of each request (MCP 2026-07-28), and in those of `initialize` (earlier revisions).

use jeton_core::CLIENT_CREDENTIALS_EXTENSION;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetExtensions as _, JsonRpcMessage, RequestMetaObject,
};
use serde_json::{Map, Value};

/// Where MCP 2026-07-28 puts the capabilities.
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

pub(crate) fn declare(message: &mut ClientJsonRpcMessage) {
    let JsonRpcMessage::Request(request) = message else {
        return;
    };
    if let ClientRequest::InitializeRequest(initialize) = &mut request.request {
        let extensions = &mut initialize.params.capabilities.extensions;
        extensions
            .get_or_insert_default()
            .entry(CLIENT_CREDENTIALS_EXTENSION.to_owned())
            .or_default();
    }
    let meta = request
        .request
        .extensions_mut()
        .get_mut::<RequestMetaObject>();
    let capabilities = meta.and_then(|meta| meta.get_mut(CAPABILITIES));
    if let Some(Value::Object(capabilities)) = capabilities {
        let extensions = capabilities
            .entry("extensions")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(extensions) = extensions {
            extensions
                .entry(CLIENT_CREDENTIALS_EXTENSION)
                .or_insert_with(|| Value::Object(Map::new()));
        }
    }
}
