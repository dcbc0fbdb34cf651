//! The `jeton` command in places where programs often fall over: pipes that close, narrow terminals, scripts that
//! read JSON.

use std::fs::File;
use std::process::{Output, Stdio};

use jeton_tests::{Jeton, TodoServer, binary};
use serde_json::{Deserializer, Value};
use tokio::process::Command;

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server with an MCP server and a client of it.
async fn start() -> Jeton {
    let jeton = Jeton::start().await;
    let server =
        "mcp-server create --name Todo --url http://localhost:3002/mcp --scope a --scope b";
    jeton.json(&words(server)).await;
    jeton
        .json(&words(
            "client create --mcp-server Todo --name agent --all-scopes",
        ))
        .await;
    jeton
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn command(jeton: &Jeton, line: &str) -> Command {
    let mut command = Command::new(binary("jeton"));
    command
        .args(words(line))
        .env("JETON_DATA_DIR", jeton.data_dir())
        .current_dir(jeton.folder());
    command
}

/// Runs a command whose stdout is something else than a pipe that is read.
async fn printing_to(jeton: &Jeton, line: &str, stdout: Stdio) -> Output {
    let mut command = command(jeton, line);
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn();
    child.unwrap().wait_with_output().await.unwrap()
}

#[tokio::test]
async fn whoever_closes_the_pipe_has_had_enough() {
    let jeton = start().await;
    for line in [
        "--help",
        "client create --help",
        "--version",
        "client list",
        "client show agent",
        "mcp-server list --json",
        "secret list agent",
        "key list",
        "audit list",
        "audit export",
        "audit verify --json",
        "audit list --json --limit 0",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = printing_to(&jeton, line, writer.into()).await;
        let said = err(&output);
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
        assert!(
            !said.contains("panicked") && !said.contains("error"),
            "{line}: {said}"
        );
    }
    // Nobody reads what is wrong either.
    for line in ["client", "client show agnt", "clint"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(&jeton, line).stderr(writer).status().await.unwrap();
        assert!(matches!(status.code(), Some(1 | 2)), "{line}: {status}");
    }
    // A disk that is full is an error.
    for line in ["client list", "audit export", "key list --json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = printing_to(&jeton, line, full.into()).await;
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("stdout cannot be written"), "{line}: {said}");
        assert!(!said.contains("os error"), "{line}: {said}");
    }
}

/// The documents that a command printed.
fn documents(output: &Output) -> Vec<Value> {
    let documents = Deserializer::from_slice(&output.stdout).into_iter();
    documents.map(Result::unwrap).collect()
}

#[tokio::test]
async fn with_json_every_command_prints_one_document_and_none_where_it_fails() {
    let jeton = start().await;
    let todo = TodoServer::start(&jeton.url).await;
    let file =
        "mcp_servers: [{name: Todo, url: \"http://localhost:3002/mcp\", scopes: {a: , b: }}]\n";
    std::fs::write(jeton.folder().join("jeton.yaml"), file).unwrap();
    let register = format!(
        "mcp-server create --name Real --url {} --scope todo:read",
        todo.url
    );
    jeton.json(&words(&register)).await;
    let caller = jeton
        .json(&words(
            "client create --mcp-server Real --name caller --all-scopes",
        ))
        .await;
    let who = format!(
        "--client-id {} --client-secret {}",
        caller["client_id"].as_str().unwrap(),
        caller["client_secret"].as_str().unwrap()
    );
    let secret = jeton.json(&words("secret create agent")).await;
    let revoke = format!("secret revoke {}", secret["id"].as_str().unwrap());
    let token = format!("token {who}");
    let list = format!("call {} --list {who}", todo.url);
    let call = format!("call {} list_todos {who}", todo.url);
    for line in [
        "mcp-server list",
        "mcp-server show Todo",
        "mcp-server update Todo --add-scope c",
        "mcp-server update Todo --remove-scope c",
        "mcp-server create --name Old --url http://localhost:9/mcp",
        "mcp-server delete Old",
        "mcp-server retired-urls",
        "mcp-server release-url http://localhost:9/mcp",
        "mcp-server revoke-tokens Todo",
        "client list",
        "client show agent",
        "client update agent --name agent",
        "client update agent --mcp-server Todo --remove-scope b",
        "client disable agent",
        "client enable agent",
        "client revoke-tokens agent",
        "secret list agent",
        &revoke,
        "secret rotate agent",
        &token,
        &list,
        &call,
        "key list",
        "key rotate",
        "key rewrap",
        "apply -f jeton.yaml --dry-run",
        "apply -f jeton.yaml",
        "admin invite --note Ada",
        "audit list",
        "audit verify",
        "audit checkpoint",
        "audit rotate-key",
        "audit reindex",
        "audit export --output audit.jsonl",
        "backup copy.db",
        "client delete agent",
    ] {
        if line.starts_with("backup") && jeton_tests::postgres_cluster().is_some() {
            continue;
        }
        let output = command(&jeton, line).arg("--json").output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", err(&output));
        assert_eq!(documents(&output).len(), 1, "{line}");
    }
    for line in [
        "mcp-server show none",
        "mcp-server create --name x --url http://localhost:3002/mcp",
        "client show none",
        "client delete none",
        "client create --mcp-server none --name x",
        "secret list none",
        "secret rotate none",
        "token --client-id m2m_x --client-secret jeton_x",
        "call http://127.0.0.1:1/mcp --list",
        "apply -f none.yaml",
        "audit list --client none",
        "audit verify --checkpoint none",
        "audit export --output none/audit.jsonl",
        "backup none/copy.db",
        "restore none.db",
        "migrate --from sqlite:none.db --to sqlite:new.db",
        "serve",
        "demo",
        "bridge http://localhost:3002/mcp",
        "client",
        "client create",
    ] {
        let output = command(&jeton, line).arg("--json").output().await.unwrap();
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{line}: {output:?}"
        );
        assert_eq!(documents(&output).len(), 0, "{line}");
        assert!(
            err(&output).starts_with("error: "),
            "{line}: {}",
            err(&output)
        );
    }
}

/// A command below another, with all that are below it.
async fn help(path: &[String], seen: &mut Vec<String>) {
    let mut texts = Vec::new();
    for flag in ["--help", "-h"] {
        let mut command = Command::new(binary("jeton"));
        let output = command.args(path).arg(flag).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{path:?} {flag}");
        assert_eq!(err(&output), "", "{path:?} {flag}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Usage: jeton"), "{path:?} {flag}: {text}");
        assert!(!text.contains('\u{1b}'), "no terminal, no colour: {text}");
        texts.push(text);
    }
    seen.push(path.join(" "));
    let Some((_, commands)) = texts[0].split_once("\nCommands:\n") else {
        return;
    };
    let commands = commands.split("\n\n").next().unwrap().lines();
    for line in commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap().to_owned();
        if name != "help" {
            let path = [path, &[name]].concat();
            Box::pin(help(&path, seen)).await;
        }
    }
}

#[tokio::test]
async fn every_command_explains_itself() {
    let mut seen = Vec::new();
    help(&[], &mut seen).await;
    assert!(seen.len() > 45, "{seen:?}");
    for one in [
        "client create",
        "audit rotate-key",
        "mcp-server release-url",
    ] {
        assert!(seen.iter().any(|path| path == one), "{seen:?}");
    }
}

/// What a command prints on a terminal of this width.
async fn on_terminal(jeton: &Jeton, columns: u16, line: &str) -> String {
    let binary = binary("jeton");
    let line = format!("stty cols {columns} rows 2; {} {line}", binary.display());
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("JETON_DATA_DIR", jeton.data_dir())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_narrow_terminal_and_one_without_colour_get_what_they_can_show() {
    let jeton = start().await;
    let listed = jeton.json(&["mcp-server", "list"]).await;
    let id = listed[0]["id"].as_str().unwrap();
    for columns in [1, 5, 20, 40] {
        for line in ["mcp-server list", "client list", "audit list", "--help"] {
            let shown = on_terminal(&jeton, columns, line).await;
            assert!(!shown.contains("panicked"), "{columns} {line}: {shown}");
        }
        let shown = on_terminal(&jeton, columns, "mcp-server list").await;
        assert!(shown.contains(id), "an ID is whole: {shown}");
    }
    for line in ["--help", "client", "clint"] {
        let line = format!("NO_COLOR=1 {} {line}", binary("jeton").display());
        let mut command = Command::new("script");
        let output = command.args(["-qec", &line, "/dev/null"]).output();
        let shown = String::from_utf8(output.await.unwrap().stdout).unwrap();
        assert!(shown.contains("Usage"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
