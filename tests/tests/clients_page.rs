//! `docs/clients.md` says what is so: its tests are there, its versions are those that are locked, and its commands work
//! as they are printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jeton_tests::{Jeton, TodoServer, binary, workspace};
use serde_json::Value;
use tokio::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

/// The rows of the page's tables, cell by cell, with the names of their columns.
fn rows(page: &str) -> Vec<BTreeMap<String, String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut rows = Vec::new();
    for table in page.split("\n\n").filter(|part| part.starts_with("| ")) {
        let mut lines = table.lines();
        let columns = cells(lines.next().unwrap());
        // Without the line between the names and the rows.
        for line in lines.skip(1) {
            let row = cells(line);
            assert_eq!(row.len(), columns.len(), "{line}");
            rows.push(columns.iter().cloned().zip(row).collect());
        }
    }
    rows
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The versions in the lock files, by the package's name.
fn locked() -> BTreeMap<String, String> {
    let mut locked = BTreeMap::new();
    for line in read("tests/python/requirements.txt").lines() {
        if let Some((name, version)) = line.split_once("==") {
            locked.insert(name.to_owned(), version.to_owned());
        }
    }
    let node: Value = serde_json::from_str(&read("tests/node/package-lock.json")).unwrap();
    for (path, package) in node["packages"].as_object().unwrap() {
        if let Some(name) = path.strip_prefix("node_modules/") {
            locked.insert(
                name.to_owned(),
                package["version"].as_str().unwrap().to_owned(),
            );
        }
    }
    for package in read("Cargo.lock").split("[[package]]").skip(1) {
        let member = |name: &str| {
            package
                .split(&format!("\n{name} = \""))
                .nth(1)?
                .split('"')
                .next()
        };
        if member("name") == Some("rmcp") {
            locked.insert("rmcp".to_owned(), member("version").unwrap().to_owned());
        }
    }
    locked
}

/// The file of a test, below `tests/tests/` or `crates/`.
fn file_of(name: &str) -> Option<PathBuf> {
    let places = ["tests/tests", "crates"].map(|place| workspace().join(place).join(name));
    places.into_iter().find(|path| path.is_file())
}

#[test]
fn every_line_names_a_test_that_is_there_or_says_that_it_has_none() {
    let page = read("docs/clients.md");
    let rows = rows(&page);
    assert!(rows.len() >= 20, "{}", rows.len());
    let mut named = 0;
    for row in &rows {
        let tested = &row["tested"];
        let tests: Vec<_> = code(tested).filter(|code| code.contains(".rs")).collect();
        assert!(
            !tests.is_empty() || tested.contains("not tested"),
            "{row:?}"
        );
        for test in tests {
            let (file, function) = test.split_once("::").unwrap_or((test, ""));
            let path = file_of(file).unwrap_or_else(|| panic!("no file {file}: {row:?}"));
            let text = fs::read_to_string(path).unwrap();
            let is_there = text
                .split("#[tokio::test]")
                .chain(text.split("#[test]"))
                .skip(1)
                .any(|part| {
                    let first = part.split("fn ").nth(1).unwrap_or_default();
                    first.starts_with(&format!("{function}("))
                });
            assert!(
                function.is_empty() || is_there,
                "{file} has no test {function}"
            );
            named += 1;
        }
    }
    assert!(named >= 20, "{named}");
}

#[test]
fn its_versions_are_those_of_the_lock_files() {
    let locked = locked();
    let mut compared = 0;
    for row in rows(&read("docs/clients.md")) {
        let Some(version) = row.get("version") else {
            continue;
        };
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            assert!(
                ["-", "any", "this repository"].contains(&version.as_str()),
                "{row:?}"
            );
            continue;
        }
        let who = row.get("client").or(row.get("verifier")).unwrap();
        let name = code(who).next().unwrap();
        assert_eq!(Some(version), locked.get(name), "{who}");
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

#[tokio::test]
async fn its_commands_work_as_they_are_printed() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator.register(&todo).await;
    let client = operator.client(&server, &["todo:read"]).await;
    let page = read("docs/clients.md");
    let blocks: Vec<_> = page.split("```sh\n").skip(1).collect();
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        let script = block.split("```").next().unwrap();
        let script = script
            .replace("http://127.0.0.1:8420", &jeton.url)
            .replace("http://localhost:3002/mcp", &todo.url)
            .replace("m2m_...", &client.client_id)
            .replace("jeton_...", &client.client_secret);
        let mut shell = Command::new("bash");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JETON_")) {
            shell.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap();
        let own = binary("jeton").parent().unwrap().display().to_string();
        let output = shell
            .args(["-euo", "pipefail", "-c", &script])
            .env("PATH", format!("{own}:{path}"))
            .current_dir(jeton.folder())
            .output()
            .await
            .unwrap();
        let (data, words) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{data}{words}");
        // A token, the tools, and the bridge's answer.
        for part in ["eyJ", "list_todos", "\"serverInfo\""] {
            assert!(data.contains(part), "{part}: {data}{words}");
        }
    }
}
