//! What must fail, and does.

use jeton_core::PlainSecret;
use jeton_jose::OsEntropy;
use serde_json::json;

use super::exchange::{Answer, call_tool, token};
use super::narrator::Narrator;
use super::stage::{DemoClient, Stage};

pub(super) async fn what_must_fail(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    narrator.step("A client that may only read calls create_todo")?;
    let refused = call_as(stage, &stage.reader, &stage.mcp_url).await?;
    Narrator::answer(&refused)?;
    let challenge = refused.parsed_challenge();
    narrator.check(
        "403 insufficient_scope, naming todo:write",
        refused.status == 403
            && challenge.error.as_deref() == Some("insufficient_scope")
            && challenge
                .scope
                .is_some_and(|scope| scope.to_string().contains("todo:write")),
    )?;

    narrator.step("A client with a token for another MCP server calls this one")?;
    let refused = call_as(stage, &stage.stranger, &stage.other_url).await?;
    Narrator::answer(&refused)?;
    narrator.check(
        "401 invalid_token: the token is meant for another resource",
        refused.status == 401
            && refused.parsed_challenge().error.as_deref() == Some("invalid_token"),
    )?;

    narrator.step("Somebody asks for a token with a wrong secret")?;
    let impostor = DemoClient {
        client_id: stage.agent.client_id.clone(),
        client_secret: PlainSecret::generate(&OsEntropy)?,
    };
    let refused = token(&stage.http, &endpoint(stage), &impostor, &stage.mcp_url).await?;
    Narrator::answer(&refused)?;
    narrator.check(
        "401 invalid_client",
        refused.status == 401 && refused.member("/error") == &json!("invalid_client"),
    )
}

fn endpoint(stage: &Stage) -> String {
    format!("{}/oauth/token", stage.issuer)
}

/// `create_todo` with a token that `who` gets for `resource`.
async fn call_as(stage: &Stage, who: &DemoClient, resource: &str) -> anyhow::Result<Answer> {
    let issued = token(&stage.http, &endpoint(stage), who, resource).await?;
    let access_token = issued.member("/access_token").as_str();
    let arguments = json!({ "title": "Not allowed" });
    call_tool(
        &stage.http,
        &stage.mcp_url,
        access_token,
        "create_todo",
        arguments,
    )
    .await
}
