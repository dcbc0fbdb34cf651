//! From a refused call to one that works.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_jose::metadata_urls;
use serde_json::{Value, json};

use super::exchange::{Answer, call_tool, get, token};
use super::narrator::Narrator;
use super::stage::Stage;

pub(super) async fn from_challenge_to_tool(
    stage: &Stage,
    narrator: &mut Narrator,
) -> anyhow::Result<()> {
    let metadata_url = challenge(stage, narrator).await?;
    let issuer = resource_metadata(stage, narrator, &metadata_url).await?;
    let endpoint = server_metadata(stage, narrator, &issuer).await?;
    let access_token = get_token(stage, narrator, &endpoint).await?;
    decode(narrator, stage, &access_token)?;

    narrator.step("The agent calls create_todo with the token")?;
    let title = "Buy milk";
    let created = call(
        stage,
        &access_token,
        "create_todo",
        json!({ "title": title }),
    )
    .await?;
    let todo = created.member("/result/structuredContent/todo").clone();
    Narrator::document(&json!({ "todo": todo }))?;
    narrator.check(
        "200, and the todo",
        todo.get("title") == Some(&json!(title)),
    )?;

    narrator.step("The agent calls list_todos")?;
    let listed = call(stage, &access_token, "list_todos", json!({})).await?;
    let todos = listed.member("/result/structuredContent/todos").clone();
    Narrator::document(&json!({ "todos": todos }))?;
    narrator.check("200, and the todo is in the list", todos == json!([todo]))
}

async fn challenge(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<String> {
    narrator.step("The agent calls the MCP server without a token")?;
    Narrator::show(&format!("-> POST {}", stage.mcp_url))?;
    let refused = call_tool(&stage.http, &stage.mcp_url, None, "list_todos", json!({})).await?;
    Narrator::answer(&refused)?;
    let challenge = refused.parsed_challenge();
    let url = challenge.resource_metadata.unwrap_or_default();
    narrator.check(
        "401 with a challenge that says where to read on, and which scope is needed",
        refused.status == 401 && !url.is_empty() && challenge.scope.is_some(),
    )?;
    Ok(url)
}

async fn resource_metadata(
    stage: &Stage,
    narrator: &mut Narrator,
    url: &str,
) -> anyhow::Result<String> {
    narrator.step("It reads how the MCP server is protected (RFC 9728)")?;
    Narrator::show(&format!("-> GET {url}"))?;
    let document = get(&stage.http, url).await?;
    Narrator::answer(&document)?;
    let issuer = document
        .member("/authorization_servers/0")
        .as_str()
        .unwrap_or("")
        .to_owned();
    narrator.check(
        "it is about this MCP server, and names Jeton, to which the agent's credentials belong",
        document.member("/resource") == &json!(stage.mcp_url) && issuer == stage.issuer,
    )?;
    // Another authorization server would get the agent's secret.
    ensure!(issuer == stage.issuer, "the credentials belong elsewhere");
    Ok(issuer)
}

async fn server_metadata(
    stage: &Stage,
    narrator: &mut Narrator,
    issuer: &str,
) -> anyhow::Result<String> {
    narrator.step("It reads where the authorization server's endpoints are (RFC 8414)")?;
    let url = metadata_urls(issuer).and_then(|urls| urls.into_iter().next());
    let url = url.context("the issuer is no URL")?;
    Narrator::show(&format!("-> GET {url}"))?;
    let document = get(&stage.http, &url).await?;
    Narrator::answer(&document)?;
    narrator.check(
        "it speaks for the issuer, to the character",
        document.member("/issuer") == &json!(issuer),
    )?;
    Ok(document
        .member("/token_endpoint")
        .as_str()
        .unwrap_or("")
        .to_owned())
}

async fn get_token(
    stage: &Stage,
    narrator: &mut Narrator,
    endpoint: &str,
) -> anyhow::Result<String> {
    narrator.step("It asks for a token (OAuth 2.1, client credentials)")?;
    Narrator::show(&format!(
        "-> POST {endpoint}\n   grant_type=client_credentials\n   client_id={}\n   client_secret=jeton_...{}\n   resource={}",
        stage.agent.client_id,
        stage.agent.client_secret.suffix(),
        stage.mcp_url,
    ))?;
    let mut issued = token(&stage.http, endpoint, &stage.agent, &stage.mcp_url).await?;
    let access_token = issued
        .member("/access_token")
        .as_str()
        .unwrap_or("")
        .to_owned();
    // Whole tokens are not for terminals and their logs.
    if let Some(shown) = issued.body.get_mut("access_token") {
        *shown = json!(format!("{}...", access_token.get(..24).unwrap_or("")));
    }
    Narrator::answer(&issued)?;
    narrator.check(
        "200 with a Bearer token for an hour, and its scope",
        issued.status == 200
            && issued.member("/token_type") == &json!("Bearer")
            && issued.member("/expires_in") == &json!(3600)
            && issued.member("/scope") == &json!("todo:read todo:write"),
    )?;
    Ok(access_token)
}

fn decode(narrator: &mut Narrator, stage: &Stage, access_token: &str) -> anyhow::Result<()> {
    narrator.step("The token, decoded: a signed JWT (RFC 9068)")?;
    let mut parts = access_token.split('.').map(|part| {
        let json = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        serde_json::from_slice::<Value>(&json).unwrap_or_default()
    });
    let header = parts.next().unwrap_or_default();
    let claims = parts.next().unwrap_or_default();
    Narrator::document(&header)?;
    Narrator::document(&claims)?;
    narrator.check(
        "an RS256 access token of this issuer, for this MCP server and client",
        header.get("typ") == Some(&json!("at+jwt"))
            && header.get("alg") == Some(&json!("RS256"))
            && claims.get("iss") == Some(&json!(stage.issuer))
            && claims.pointer("/aud/0") == Some(&json!(stage.mcp_url))
            && claims.get("client_id") == Some(&json!(stage.agent.client_id)),
    )
}

async fn call(stage: &Stage, token: &str, tool: &str, arguments: Value) -> anyhow::Result<Answer> {
    Narrator::show(&format!(
        "-> POST {}, Authorization: Bearer ..., tools/call {tool} {arguments}",
        stage.mcp_url
    ))?;
    let answer = call_tool(&stage.http, &stage.mcp_url, Some(token), tool, arguments).await?;
    Narrator::show(&format!("<- {}", answer.status))?;
    Ok(answer)
}
