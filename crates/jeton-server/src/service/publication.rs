//! Whether an MCP server tells agents how it is protected: the challenge and the metadata.

use jeton_core::{McpServer, ProtectedResourceMetadata, ResourceUri};
use jeton_jose::{fetch_json, http_client, probe_mcp_server};

use reqwest::Client;

use crate::app::App;
use crate::telemetry::with_causes;

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    /// What was found.
    pub(crate) found: String,
    pub(crate) good: bool,
}

impl Check {
    fn new(what: &'static str, good: bool, found: impl Into<String>) -> Self {
        Self {
            what,
            found: found.into(),
            good,
        }
    }
}

/// Calls the MCP server without a token and follows its challenge, as an agent does (MCP
/// authorization, RFC 9728 §5).
pub(crate) async fn check(app: &App, server: &McpServer) -> Vec<Check> {
    let mut checks = Vec::new();
    let Ok(client) = http_client() else {
        return checks;
    };
    let url = server.url.as_given();
    let probe = match probe_mcp_server(&client, url).await {
        Ok(probe) => probe,
        Err(error) => {
            let why = if error.is_timeout() {
                "it did not answer in time".to_owned()
            } else {
                format!(
                    "no connection: is it running, and reachable from Jeton's machine? ({})",
                    with_causes(&error)
                )
            };
            checks.push(Check::new("The MCP server answers", false, why));
            return checks;
        }
    };
    let status = probe.status;
    checks.push(Check::new("The MCP server answers", true, url));
    checks.push(Check::new(
        "It refuses a call without a token with 401",
        status == 401,
        format!("it answered {status}"),
    ));
    let location = probe
        .challenge
        .and_then(|challenge| challenge.resource_metadata);
    checks.push(Check::new(
        "Its challenge says where the metadata is",
        location.is_some(),
        location
            .clone()
            .unwrap_or_else(|| "no WWW-Authenticate: Bearer with resource_metadata".to_owned()),
    ));
    let well_known = ProtectedResourceMetadata::well_known_path(server.url.path());
    let location = location.unwrap_or_else(|| format!("{}{well_known}", server.url.origin()));
    checks.extend(metadata_checks(app, server, (&client, &location)).await);
    checks
}

async fn metadata_checks(
    app: &App,
    server: &McpServer,
    (client, location): (&Client, &str),
) -> Vec<Check> {
    // Only the MCP server's own host is asked: a challenge cannot send Jeton elsewhere.
    let same_host = location
        .parse::<ResourceUri>()
        .is_ok_and(|there| there.origin() == server.url.origin());
    if !same_host {
        let what = "The metadata is on the server's own host";
        return vec![Check::new(what, false, location)];
    }
    match fetch_json::<ProtectedResourceMetadata>(client, location).await {
        Ok(document) => document_checks(app, server, &document),
        Err(error) => vec![Check::new(
            "The metadata can be fetched",
            false,
            with_causes(&error),
        )],
    }
}

fn document_checks(
    app: &App,
    server: &McpServer,
    document: &ProtectedResourceMetadata,
) -> Vec<Check> {
    let issuer = app.issuer.as_str();
    let issuers = [issuer.to_owned(), server.own_issuer_url(issuer)];
    let covered = document
        .resource
        .parse::<ResourceUri>()
        .is_ok_and(|resource| {
            app.directory
                .find_covering(&resource)
                .is_some_and(|found| found.id == server.id)
        });
    let defined = server.scope_set();
    let unknown: Vec<&String> = document
        .scopes_supported
        .iter()
        .flatten()
        .filter(|name| !defined.iter().any(|scope| scope.as_str() == name.as_str()))
        .collect();
    vec![
        Check::new(
            "Its resource is this MCP server",
            covered,
            document.resource.clone(),
        ),
        Check::new(
            "It names this Jeton as authorization server",
            document
                .authorization_servers
                .iter()
                .any(|found| issuers.contains(found)),
            document.authorization_servers.join(", "),
        ),
        Check::new(
            "Its scopes are defined here",
            unknown.is_empty(),
            match unknown.first() {
                Some(unknown) => format!("{unknown} is not"),
                None => document
                    .scopes_supported
                    .as_ref()
                    .map_or_else(|| "it lists none".into(), |scopes| scopes.join(" ")),
            },
        ),
    ]
}
