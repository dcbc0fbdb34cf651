//! A grant has the scopes that somebody named, and none where nobody named any: the admin API, the command line and
//! the dashboard alike. `apply.rs` has the same for a file.

use jeton_tests::{Admin, Credentials, Jeton, Operator};
use reqwest::Method;
use serde_json::{Value, json};

struct World {
    jeton: Jeton,
    operator: Operator,
    todo: String,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let todo = operator
            .mcp_server("http://localhost:3002/mcp", &["a", "b"])
            .await;
        Self {
            jeton,
            operator,
            todo,
        }
    }

    /// Runs `jeton client ARGUMENTS`; gives its document, and what it said.
    async fn client(&self, arguments: &str) -> (Value, String) {
        let line = format!("client {arguments} --json");
        let words: Vec<_> = line.split(' ').collect();
        let output = self.jeton.command(&words).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {said}");
        (serde_json::from_slice(&output.stdout).unwrap(), said)
    }
}

fn scopes(client: &Value) -> &Value {
    &client["grants"][0]["scopes"]
}

#[tokio::test]
async fn the_api_grants_what_is_named() {
    let world = World::new().await;
    let create = async |more: Value| {
        let mut body = json!({ "name": "agent", "mcp_server_id": world.todo });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        world.operator.post("/clients", body).await
    };
    for none in [
        json!({}),
        json!({ "scopes": [] }),
        json!({ "all_scopes": false }),
    ] {
        let made = create(none.clone()).await;
        assert_eq!(scopes(&made), &json!([]), "{none}");
        assert_eq!(made["problem"]["code"], "no_scope", "{none}");
        let answer = Credentials::of(&made).ask(&world.jeton.url, &[]).await;
        assert_eq!(answer.error(), "invalid_scope", "{none}");
    }
    let made = create(json!({ "all_scopes": true })).await;
    assert_eq!(scopes(&made), &json!(["a", "b"]));
    // Those that are defined now.
    let server = format!("/mcp-servers/{}", world.todo);
    let more = json!({ "add_scopes": [{ "name": "c" }] });
    world.operator.patch(&server, more).await;
    let answer = Credentials::of(&made).ask(&world.jeton.url, &[]).await;
    assert_eq!(answer.body["scope"], "a b");
    let one = json!({ "name": "agent", "mcp_server_id": world.todo });
    let mut two = one.clone();
    two["all_scopes"] = true.into();
    let many = json!({ "clients": [one, two] });
    let made = world.operator.post("/clients/bulk", many).await;
    assert_eq!(scopes(&made["items"][0]), &json!([]));
    assert_eq!(scopes(&made["items"][1]), &json!(["a", "b", "c"]));
}

#[tokio::test]
async fn a_further_grant_of_the_api_has_what_is_named_and_is_never_emptied_by_leaving_it_out() {
    let world = World::new().await;
    let notes = world
        .operator
        .mcp_server_with(
            "http://localhost:3003/mcp",
            &["n"],
            json!({ "name": "Notes" }),
        )
        .await;
    let client = world.operator.client(&world.todo, &["a"]).await;
    let path = format!("/clients/{}/grants/{notes}", client.client_id);
    let made = world
        .operator
        .unconditional(Method::PUT, &path)
        .header("If-None-Match", "*")
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 200);
    assert_eq!(made.json::<Value>().await.unwrap()["scopes"], json!([]));
    let put = async |body: Value| {
        let request = world.operator.request(Method::PUT, &path);
        let answer = request.json(&body).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let (status, grant) = put(json!({ "all_scopes": true })).await;
    assert_eq!((status, &grant["scopes"]), (200, &json!(["n"])));
    for (body, parameter) in [
        (json!({}), "scopes"),
        (json!({ "all_scopes": false }), "scopes"),
        (json!({ "all_scopes": true, "scopes": ["n"] }), "all_scopes"),
    ] {
        let (status, problem) = put(body.clone()).await;
        assert_eq!(status, 400, "{body}: {problem}");
        assert_eq!(problem["parameter"], parameter, "{body}");
    }
    let asked = [("resource", "http://localhost:3003/mcp")];
    let answer = client.ask(&world.jeton.url, &asked).await;
    assert_eq!(answer.body["scope"], "n", "{}", answer.body);
    let (status, grant) = put(json!({ "scopes": [] })).await;
    assert_eq!((status, &grant["scopes"]), (200, &json!([])));
}

#[tokio::test]
async fn the_command_line_grants_what_is_named_and_says_what_to_do_about_none() {
    let world = World::new().await;
    let (made, said) = world.client("create --mcp-server Todo --name none").await;
    assert_eq!(scopes(&made), &json!([]));
    let id = made["id"].as_str().unwrap();
    let update = format!("jeton client update {id} --mcp-server {}", world.todo);
    for part in [
        "gets no token",
        "a b",
        &format!("{update} --scope SCOPE"),
        &format!("{update} --all-scopes"),
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (made, said) = world
        .client("create --mcp-server Todo --name all --all-scopes")
        .await;
    assert_eq!(scopes(&made), &json!(["a", "b"]));
    assert!(!said.contains("no token"), "{said}");
    let (made, said) = world
        .client("create --mcp-server Todo --name one --scope b")
        .await;
    assert_eq!(scopes(&made), &json!(["b"]));
    assert!(!said.contains("no token"), "{said}");
    // As it was told.
    let (after, _) = world
        .client(
            update
                .strip_prefix("jeton client ")
                .map(|line| format!("{line} --all-scopes"))
                .unwrap()
                .as_str(),
        )
        .await;
    assert_eq!(scopes(&after), &json!(["a", "b"]));
    for line in [
        "create --mcp-server Todo --name x --scope a --all-scopes",
        "update one --mcp-server Todo --add-scope a --all-scopes",
        "update one --all-scopes",
    ] {
        let line = format!("client {line}");
        let words: Vec<_> = line.split(' ').collect();
        let refused = world.jeton.command(&words).await;
        assert_eq!(refused.status.code(), Some(2), "{line}");
    }
}

#[tokio::test]
async fn a_server_without_scopes_has_no_tokens_and_says_so() {
    let world = World::new().await;
    let line = "mcp-server create --name Bare --url http://localhost:3004/mcp";
    let words: Vec<_> = line.split(' ').collect();
    let registered = world.jeton.command(&words).await;
    let said = String::from_utf8(registered.stderr).unwrap();
    assert!(said.contains("--add-scope SCOPE"), "{said}");
    for line in [
        "create --mcp-server Bare --name none",
        "create --mcp-server Bare --name all --all-scopes",
    ] {
        let (made, said) = world.client(line).await;
        assert_eq!(scopes(&made), &json!([]), "{line}");
        assert!(said.contains("defines no scope"), "{line}: {said}");
        let answer = Credentials::of(&made).ask(&world.jeton.url, &[]).await;
        assert_eq!(answer.error(), "invalid_scope", "{line}");
    }
}

#[tokio::test]
async fn the_dashboard_grants_what_is_ticked() {
    let world = World::new().await;
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard/mcp-servers/{}/clients", world.todo);
    let sheet = format!("{path}/new");
    let page = admin.page(&sheet).await;
    assert!(!page.contains("checked"), "nothing is ticked beforehand");
    for (name, ticked, expected) in [
        ("none", vec![], json!([])),
        ("one", vec!["b"], json!(["b"])),
        ("all", vec!["a", "b"], json!(["a", "b"])),
    ] {
        let mut fields = vec![("name", name)];
        fields.extend(ticked.iter().map(|scope| ("scope", *scope)));
        let answer = admin.submit(&sheet, &path, &fields).await;
        assert_eq!(answer.status(), 303, "{name}");
        let made = world.operator.get(&format!("/clients?name={name}")).await;
        assert_eq!(scopes(&made["items"][0]), &expected, "{name}");
    }
}
