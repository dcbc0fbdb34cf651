//! What the agent declares under `rmcp`, whatever the program's handler says.

use jeton_agent::AuthorizedClient;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _};
use serde_json::{Value, json};

use crate::support::World;

const EXTENSION: &str = "io.modelcontextprotocol/oauth-client-credentials";

#[tokio::test]
async fn the_client_credentials_extension_is_declared_in_every_revision() {
    let in_every_request = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    for (lifecycle, method) in [
        (ClientLifecycleMode::Initialize, "initialize"),
        (in_every_request, "server/discover"),
    ] {
        let world = World::new().await;
        let transport = StreamableHttpClientTransport::with_client(
            AuthorizedClient::new(world.source()),
            StreamableHttpClientTransportConfig::with_uri(world.mcp.url()),
        );
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        let handler = ClientConfig::new(capabilities, Implementation::new("test", "1"));
        // The server here answers nothing that a client could work with.
        let _ = handler.serve_with_lifecycle(transport, lifecycle).await;
        let sent: Vec<Value> = world
            .mcp
            .asked()
            .iter()
            .filter(|asked| asked.header("authorization").is_some())
            .filter_map(|asked| serde_json::from_str(&asked.body).ok())
            .collect();
        let first = sent
            .iter()
            .find(|message| message["method"] == method)
            .unwrap_or_else(|| panic!("{method}: {sent:?}"));
        let params = &first["params"];
        let declared = if method == "initialize" {
            &params["capabilities"]
        } else {
            &params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        };
        assert_eq!(declared["extensions"], json!({ EXTENSION: {} }), "{first}");
        assert!(declared["elicitation"].is_object(), "{first}");
    }
}
