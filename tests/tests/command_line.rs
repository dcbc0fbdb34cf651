//! The `jeton` command, as people and scripts use it.

use std::process::Output;

use jeton_tests::{Admin, Jeton, TodoServer, binary, claims};
use serde_json::{Value, json};
use tokio::process::Command;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn alone(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("jeton"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JETON_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_contract_of_the_command_line_is_kept() {
    let jeton = Jeton::start().await;
    let server = jeton
        .json(&[
            "mcp-server",
            "create",
            "--name",
            "Todo",
            "--url",
            "http://localhost:3002/mcp",
            "--scope",
            "todo:read=Read todos",
            "--scope",
            "todo:write",
            "--token-ttl",
            "600",
        ])
        .await;
    let res = server["id"].as_str().unwrap();
    assert!(res.starts_with("res_"));
    assert_eq!(server["scopes"][0]["description"], "Read todos");
    assert_eq!(jeton.json(&["mcp-server", "list"]).await[0]["id"], res);
    assert_eq!(
        jeton.json(&["mcp-server", "show", res]).await["name"],
        "Todo"
    );
    let renamed = jeton
        .json(&["mcp-server", "update", res, "--name", "Tasks"])
        .await;
    assert_eq!(renamed["name"], "Tasks");
    assert_eq!(renamed["token_ttl"], 600);

    let client = jeton
        .json(&[
            "client",
            "create",
            "--mcp-server",
            res,
            "--name",
            "agent",
            "--scope",
            "todo:read",
        ])
        .await;
    let id = client["client_id"].as_str().unwrap();
    let secret = client["client_secret"].as_str().unwrap();
    assert_eq!(client["id"], id);
    assert!(id.starts_with("m2m_") && secret.starts_with("jeton_"));
    assert_eq!(jeton.json(&["client", "list"]).await[0]["id"], id);
    assert_eq!(
        jeton
            .json(&["client", "list", "--mcp-server", res])
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let ask = ["token", "--client-id", id, "--client-secret", secret];
    let token = jeton.command(&ask).await;
    assert_eq!(claims(out(&token).trim())["scope"], "todo:read");
    assert_eq!(err(&token), "");
    let whole = jeton
        .json(
            &[
                &ask[..],
                &[
                    "--scope",
                    "todo:read",
                    "--resource",
                    "http://localhost:3002/mcp",
                ],
            ]
            .concat(),
        )
        .await;
    assert_eq!(whole["token_type"], "Bearer");
    assert_eq!(whole["expires_in"], 600);

    let wider = [
        "client",
        "update",
        id,
        "--mcp-server",
        res,
        "--scope",
        "todo:read",
        "--scope",
        "todo:write",
        "--claim",
        "team=search",
    ];
    let updated = jeton.json(&wider).await;
    assert_eq!(
        updated["grants"][0]["scopes"],
        json!(["todo:read", "todo:write"])
    );
    assert_eq!(updated["custom_claims"]["team"], "search");
    assert_eq!(
        jeton.json(&["client", "disable", id]).await["status"],
        "disabled"
    );
    let refused = jeton.command(&ask).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        err(&refused).contains("the client is disabled"),
        "{}",
        err(&refused)
    );
    assert_eq!(
        jeton.json(&["client", "enable", id]).await["status"],
        "enabled"
    );

    let second = jeton
        .json(&["secret", "create", id, "--expires-in", "90d"])
        .await;
    assert!(second["id"].as_str().unwrap().starts_with("sec_"));
    assert!(
        second["client_secret"]
            .as_str()
            .unwrap()
            .starts_with("jeton_")
    );
    assert_eq!(
        jeton
            .json(&["secret", "list", id])
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    jeton
        .json(&["secret", "revoke", second["id"].as_str().unwrap()])
        .await;
    let rotated = jeton.json(&["secret", "rotate", id, "--grace", "0s"]).await;
    assert_eq!(jeton.command(&ask).await.status.code(), Some(1));
    let rotated = rotated["client_secret"].as_str().unwrap();
    let token = jeton
        .command(&["token", "--client-id", id, "--client-secret", rotated])
        .await;
    assert!(token.status.success());

    assert_eq!(
        jeton.json(&["key", "list"]).await.as_array().unwrap().len(),
        3
    );
    let refusals = jeton
        .json(&["audit", "list", "--outcome", "refused", "--client", id])
        .await;
    assert_eq!(refusals.as_array().unwrap().len(), 2);
    for _ in 0..2 {
        jeton.json(&["client", "delete", id]).await;
        jeton.json(&["mcp-server", "delete", res]).await;
    }
    assert_eq!(jeton.json(&["mcp-server", "list"]).await, json!([]));
}

#[tokio::test]
async fn text_output_is_data_on_stdout_and_words_on_stderr() {
    let jeton = Jeton::start().await;
    let created = jeton
        .command(&[
            "mcp-server",
            "create",
            "--name",
            "Todo",
            "--url",
            "http://localhost:3002/mcp",
            "--scope",
            "a",
        ])
        .await;
    let text = out(&created);
    let res = text
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap();
    assert!(
        err(&created).contains("Next: jeton client create"),
        "{}",
        err(&created)
    );
    let client = jeton
        .command(&[
            "client",
            "create",
            "--mcp-server",
            res,
            "--name",
            "agent",
            "--scope",
            "a",
        ])
        .await;
    assert!(
        out(&client).contains("client_secret  jeton_"),
        "{}",
        out(&client)
    );
    assert!(err(&client).contains("not shown again"));
    assert!(!err(&client).contains("jeton_"));
    let list = jeton.command(&["client", "list"]).await;
    assert!(out(&list).starts_with("ID\t"), "{}", out(&list));
}

#[tokio::test]
async fn call_discovers_gets_a_token_and_calls() {
    let jeton = Jeton::start().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = jeton
        .json(&[
            "mcp-server",
            "create",
            "--name",
            "Todo",
            "--url",
            &todo.url,
            "--scope",
            "todo:read",
            "--scope",
            "todo:write",
        ])
        .await;
    let client = jeton
        .json(&[
            "client",
            "create",
            "--mcp-server",
            server["id"].as_str().unwrap(),
            "--name",
            "agent",
            "--all-scopes",
        ])
        .await;
    let who = [
        "--client-id",
        client["client_id"].as_str().unwrap(),
        "--client-secret",
        client["client_secret"].as_str().unwrap(),
    ];
    let call = |arguments: Vec<&'static str>| {
        let all = [vec!["call", todo.url.as_str()], arguments, who.to_vec()].concat();
        let jeton = &jeton;
        async move { jeton.command(&all).await }
    };
    let listed = call(vec!["--list"]).await;
    assert!(out(&listed).contains("create_todo"), "{}", err(&listed));
    let created = call(vec!["create_todo", r#"{"title": "Buy milk"}"#]).await;
    let created: Value = serde_json::from_str(&out(&created)).unwrap();
    assert_eq!(created["todo"]["title"], "Buy milk");
    let all = call(vec!["list_todos"]).await;
    let all: Value = serde_json::from_str(&out(&all)).unwrap();
    assert_eq!(all["todos"], json!([created["todo"]]));
    let deleted = call(vec!["delete_todo", r#"{"todo_id": "todo_1"}"#]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&out(&deleted)).unwrap(),
        json!({ "deleted": "todo_1" })
    );

    let narrow = call(vec![
        "create_todo",
        r#"{"title": "x"}"#,
        "--scope",
        "todo:read",
    ])
    .await;
    assert_eq!(narrow.status.code(), Some(1));
    assert!(err(&narrow).contains("scope"), "{}", err(&narrow));
    let unknown = call(vec!["get_todo", r#"{"todo_id": "todo_9"}"#]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        err(&unknown).contains("there is no todo"),
        "{}",
        err(&unknown)
    );
    let not_json = call(vec!["create_todo", "milk"]).await;
    assert_eq!(not_json.status.code(), Some(2));
}

#[tokio::test]
async fn wrong_usage_is_2_and_failure_is_1_with_what_to_do() {
    for usage in [
        &["serv"][..],
        &["client", "create"],
        &[
            "mcp-server",
            "create",
            "--name",
            "x",
            "--url",
            "u",
            "--token-ttl",
            "5",
        ],
        &["secret", "create", "m2m_x", "--expires-in", "soon"],
        &["client", "update", "m2m_x", "--scope", "a"],
    ] {
        let output = alone(usage).await;
        assert_eq!(output.status.code(), Some(2), "{usage:?}: {}", err(&output));
    }
    let nowhere = alone(&["client", "list"]).await;
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        err(&nowhere).contains("admin.json") && err(&nowhere).contains("JETON_CLIENT_ID"),
        "{}",
        err(&nowhere)
    );
    let down = alone(&[
        "token",
        "--client-id",
        "m2m_x",
        "--client-secret",
        "jeton_x",
        "--server",
        "http://127.0.0.1:1",
    ])
    .await;
    assert_eq!(down.status.code(), Some(1));
    assert!(
        err(&down).contains("could not be reached"),
        "{}",
        err(&down)
    );
    let remote = alone(&[
        "token",
        "--client-id",
        "m2m_x",
        "--client-secret",
        "jeton_x",
        "--server",
        "http://auth.example.com",
    ])
    .await;
    assert!(err(&remote).contains("https"), "{}", err(&remote));
}

#[tokio::test]
async fn the_demo_goes_as_it_says() {
    let demo = alone(&["demo", "--exit"]).await;
    let text = out(&demo);
    assert_eq!(demo.status.code(), Some(0), "{text}{}", err(&demo));
    for said in [
        "WWW-Authenticate: Bearer",
        "create_todo",
        "insufficient_scope",
        "invalid_client",
        "curl",
        "13 steps, each as it says.",
    ] {
        assert!(text.contains(said), "{said} is missing:\n{text}");
    }
    assert!(!text.contains("FAILED"), "{text}");
}

#[tokio::test]
async fn help_teaches() {
    let mut text = String::new();
    for command in [
        &["--help"][..],
        &["serve", "--help"],
        &["demo", "--help"],
        &["mcp-server", "create", "--help"],
        &["client", "create", "--help"],
        &["secret", "--help"],
        &["token", "--help"],
        &["call", "--help"],
        &["audit", "list", "--help"],
    ] {
        let output = alone(command).await;
        assert!(output.status.success(), "{command:?}");
        text.push_str(&format!(
            "$ jeton {}\n{}\n",
            command.join(" "),
            out(&output)
        ));
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn an_invitation_is_bound_to_the_address_it_names() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let invite = ["admin", "invite", "--note", "Vera", "--email"];
    let refused = jeton.command(&[&invite[..], &["vera"]].concat()).await;
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    let made = jeton
        .json(&[&invite[..], &["vera@example.com"]].concat())
        .await;
    let settings = admin.page("/dashboard/settings").await;
    assert!(settings.contains("(vera@example.com)"), "{settings}");
    let link = made["link"].as_str().unwrap();
    let path = &link[link.find("/dashboard/join/").unwrap()..];
    let page = jeton.get(path).await.text().await.unwrap();
    assert!(page.contains("vera@example.com"), "{page}");
    Admin::join(&jeton, path, "Vera", "vera@example.com").await;
}
