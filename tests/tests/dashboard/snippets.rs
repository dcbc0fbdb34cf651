//! The code to paste on a server's page protects a server: run as it is shown.

use jeton_tests::{
    Admin, Credentials, Jeton, Process, call_tool, free_port, http, jeton_alone, python, workspace,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// The text of a `pre` of the page.
fn code(page: &str, id: &str) -> String {
    let (_, rest) = page.split_once(&format!("<pre id=\"{id}\"")).unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    let (escaped, _) = rest.split_once("</pre>").unwrap();
    [
        "&#34;\"", "&#39;'", "&#60;<", "&#62;>", "&quot;\"", "&lt;<", "&gt;>", "&#38;&", "&amp;&",
    ]
    .iter()
    .fold(escaped.to_owned(), |text, pair| {
        let (from, to) = pair.split_at(pair.len() - 1);
        text.replace(from, to)
    })
}

struct Shown {
    jeton: Jeton,
    reader: Credentials,
    writer: Credentials,
    port: u16,
    url: String,
    page: String,
}

async fn shown() -> Shown {
    let jeton = Jeton::start().await;
    let (operator, admin) = (jeton.operator().await, Admin::first(&jeton).await);
    let port = free_port();
    let url = format!("http://localhost:{port}/mcp");
    let scopes = ["docs:read", "docs:write"];
    let server = operator.mcp_server(&url, &scopes).await;
    let reader = operator.client(&server, &scopes[..1]).await;
    let writer = operator.client(&server, &scopes[1..]).await;
    let page = admin
        .page(&format!("/dashboard/mcp-servers/{server}"))
        .await;
    Shown {
        jeton,
        reader,
        writer,
        port,
        url,
        page,
    }
}

async fn tool(url: &str, token: &str) -> (u16, Value) {
    let answer = call_tool(url, token, "hello", json!({})).await;
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    // FastMCP answers as a stream of events.
    let document = text.lines().find_map(|line| line.strip_prefix("data: "));
    let document = serde_json::from_str(document.unwrap_or(&text));
    (status, document.unwrap_or_default())
}

#[tokio::test]
async fn the_fastmcp_code_holds_a_tool_back_from_a_token_without_its_scope() {
    let shown = shown().await;
    let file = shown.jeton.folder().join("server.py");
    let run = format!("\n\nmcp.run(transport=\"http\", port={})\n", shown.port);
    std::fs::write(&file, code(&shown.page, "snippet-python-server") + &run).unwrap();
    let mut process = Process::start(Command::new(python()).arg(&file));
    process.wait_for("Uvicorn running").await;

    let token = shown.reader.token(&shown.jeton.url, &[]).await;
    let (status, answer) = tool(&shown.url, &token).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["result"]["content"][0]["text"], "hello", "{answer}");
    let token = shown.writer.token(&shown.jeton.url, &[]).await;
    let (_, answer) = tool(&shown.url, &token).await;
    assert!(
        answer["result"]["content"][0]["text"] != "hello",
        "{answer}"
    );
}

#[tokio::test]
async fn the_typescript_code_challenges_and_names_its_metadata() {
    let shown = shown().await;
    let run = format!(
        "\napp.post(\"/mcp\", (request, response) => response.json(request.auth.scopes));\n\
         app.listen({}, () => console.log(\"listening\"));\n",
        shown.port
    );
    let mut process = Process::start(
        Command::new("node")
            .args(["--input-type=module", "--eval"])
            .arg(code(&shown.page, "snippet-typescript-server") + &run)
            .current_dir(workspace().join("tests/node")),
    );
    process.wait_for("listening").await;

    let bare = http().post(&shown.url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    let challenge = bare.headers()["www-authenticate"].to_str().unwrap();
    let (_, metadata) = challenge.split_once("resource_metadata=\"").unwrap();
    let (metadata, _) = metadata.split_once('"').unwrap();
    let metadata: Value = http()
        .get(metadata)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(metadata["resource"], json!(shown.url));
    assert_eq!(metadata["authorization_servers"], json!([shown.jeton.url]));
    assert_eq!(
        metadata["scopes_supported"],
        json!(["docs:read", "docs:write"])
    );

    let with = |token: String| http().post(&shown.url).bearer_auth(token).send();
    // Neither is a fault of the server.
    assert_eq!(with("not-a-token".into()).await.unwrap().status(), 401);
    let token = shown.reader.token(&shown.jeton.url, &[]).await;
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = with(format!("{signed}.AAAA")).await.unwrap();
    assert_eq!(forged.status(), 401);
    let answer = with(token).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!(["docs:read"]));
    let called = jeton_alone(
        &[
            ("JETON_URL", &shown.jeton.url),
            ("JETON_CLIENT_ID", &shown.reader.client_id),
            ("JETON_CLIENT_SECRET", &shown.reader.client_secret),
        ],
        &["call", &shown.url, "--list"],
    )
    .await;
    // It gets as far as MCP itself, which this server does not speak.
    let words = String::from_utf8_lossy(&called.stderr).into_owned();
    assert!(words.contains("MCP connection"), "{words}");
}
