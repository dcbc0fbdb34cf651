//! *In five minutes* of the README: its commands work as they are printed.

use std::fs;
use std::path::Path;

use jeton_tests::{Jeton, TodoServer, binary, workspace};
use tokio::process::Command;

/// What a shell prints that runs a script with `jeton` on its path.
async fn run(script: &str, folder: &Path) -> String {
    let mut shell = Command::new("bash");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JETON_")) {
        shell.env_remove(name);
    }
    let path = std::env::var("PATH").unwrap();
    let own = binary("jeton").parent().unwrap().display().to_string();
    let output = shell
        .args(["-euo", "pipefail", "-c", script])
        .env("PATH", format!("{own}:{path}"))
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{words}");
    printed
}

fn word<'a>(printed: &'a str, prefix: &str) -> &'a str {
    printed
        .split_whitespace()
        .find(|word| word.starts_with(prefix))
        .unwrap_or_else(|| panic!("no {prefix} in {printed}"))
}

#[tokio::test]
async fn the_five_minutes_work_as_they_are_printed() {
    let jeton = Jeton::start().await;
    let todo = TodoServer::start(&jeton.url).await;
    std::os::unix::fs::symlink(jeton.data_dir(), jeton.folder().join("jeton-data")).unwrap();
    let page = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, section) = page.split_once("## In five minutes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks: Vec<String> = section
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        // What they start is running.
        .filter(|block| !["jeton serve\n", "cargo run --release -p todo-server\n"].contains(block))
        .map(|block| {
            block
                .replace("http://127.0.0.1:8420", &jeton.url)
                .replace("http://localhost:3002/mcp", &todo.url)
        })
        .collect();
    let [register, rest @ ..] = &blocks[..] else {
        panic!("no commands")
    };
    assert_eq!(rest.len(), 4);
    let made = run(register, jeton.folder()).await;
    let script = rest
        .join("\n")
        .replace("m2m_...", word(&made, "m2m_"))
        .replace("jeton_...", word(&made, "jeton_"));
    let printed = run(&script, jeton.folder()).await;
    for part in [
        "\"access_token\"",
        "\"title\": \"Buy milk\"",
        "list_todos\t",
        "\"structuredContent\"",
        "token.issued",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}
