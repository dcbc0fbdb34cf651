//! `jeton audit`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::admin::Admin;
use crate::arguments::Global;
use crate::output::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// List what happened, newest first.
    List(List),
}

#[derive(Args)]
pub(crate) struct List {
    /// Only this kind, for example token.issued, token.refused or client.created.
    #[arg(long)]
    kind: Option<String>,
    /// Only what was done (success) or refused (refused).
    #[arg(long)]
    outcome: Option<String>,
    /// Only what is about this client, m2m_…
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only what is about this MCP server, res_…
    #[arg(long, value_name = "ID")]
    mcp_server: Option<String>,
    /// Only what is about the token with this jti.
    #[arg(long)]
    jti: Option<String>,
    /// Only what this client, MCP server, system or anonymous did.
    #[arg(long)]
    actor: Option<String>,
    /// Only what belongs to this request, the X-Request-Id of an answer.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only what came from this address.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<String>,
    /// Only what happened at or after this time, like 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what happened before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many at most; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(command: Audit, global: &Global) -> anyhow::Result<()> {
    let Audit::List(list) = command;
    let admin = Admin::connect(global).await?;
    let query: Vec<(&str, String)> = [
        ("kind", list.kind),
        ("outcome", list.outcome),
        ("client_id", list.client),
        ("mcp_server_id", list.mcp_server),
        ("jti", list.jti),
        ("actor", list.actor),
        ("request_id", list.request_id),
        ("source", list.source),
        ("since", list.since),
        ("until", list.until),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let limit = (list.limit > 0).then_some(list.limit);
    let events = admin.list("/audit-events", &query, limit).await?;
    if global.json {
        return output::json(&json!(events));
    }
    let members = [
        "at",
        "kind",
        "outcome",
        "actor",
        "client_id",
        "scope",
        "reason",
    ];
    let rows: Vec<_> = events
        .iter()
        .map(|event| members.iter().map(|name| cell(event, name)).collect())
        .collect();
    output::table(
        &[
            "TIME", "KIND", "OUTCOME", "ACTOR", "CLIENT", "SCOPE", "REASON",
        ],
        &rows,
    )
}
