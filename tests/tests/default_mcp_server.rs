//! The MCP server that a token is for where a request names none.

use jeton_tests::{Admin, Answer, Credentials, Jeton, Operator, claims};
use reqwest::Method;
use serde_json::{Value, json};

const TODO: &str = "http://localhost:3002/mcp";
const NOTES: &str = "http://localhost:3003/mcp";

/// Two servers, and a client that was created on the first.
struct World {
    jeton: Jeton,
    operator: Operator,
    todo: String,
    notes: String,
    client: Credentials,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let todo = operator.mcp_server(TODO, &["todo:read"]).await;
        let notes = operator
            .mcp_server_with(NOTES, &["notes:read"], json!({ "name": "Notes" }))
            .await;
        let client = operator.client(&todo, &["todo:read"]).await;
        Self {
            jeton,
            operator,
            todo,
            notes,
            client,
        }
    }

    fn path(&self) -> String {
        format!("/clients/{}", self.client.client_id)
    }

    async fn grant(&self, server: &str, scope: &str) {
        let path = format!("{}/grants/{server}", self.path());
        let body = json!({ "scopes": [scope] });
        self.operator.put(&path, body).await;
    }

    async fn take_back(&self, server: &str) {
        let path = format!("{}/grants/{server}", self.path());
        self.operator.delete(&path).await;
    }

    /// The answer to a request that names no resource.
    async fn ask(&self) -> Answer {
        self.client.ask(&self.jeton.url, &[]).await
    }

    /// The first audience of the token that such a request gets.
    async fn audience(&self) -> String {
        let answer = self.ask().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.body["access_token"].as_str().unwrap();
        claims(token)["aud"][0].as_str().unwrap().to_owned()
    }

    async fn default(&self) -> Value {
        self.operator.get(&self.path()).await["default_mcp_server_id"].clone()
    }
}

#[tokio::test]
async fn a_second_grant_breaks_no_client_that_names_no_resource() {
    let world = World::new().await;
    assert_eq!(world.default().await, world.todo.as_str());
    world.grant(&world.notes, "notes:read").await;
    assert_eq!(world.audience().await, TODO);
    let id = world.client.client_id.as_str();
    let update = ["client", "update", id, "--default-mcp-server", &world.notes];
    let shown = world.jeton.json(&update).await;
    assert_eq!(shown["default_mcp_server_id"], world.notes.as_str());
    assert_eq!(world.audience().await, NOTES);
    let events = world.operator.audit("kind=client.updated").await;
    let detail = &events[0]["detail"]["default_mcp_server_id"];
    assert_eq!(*detail, world.notes.as_str());
    assert_eq!(events[0]["mcp_server_id"], world.notes.as_str());
    let shown = world.jeton.command(&["client", "show", id]).await;
    let words = String::from_utf8(shown.stdout).unwrap();
    let line = words
        .lines()
        .find(|line| line.starts_with("default_mcp_server"));
    assert!(
        line.is_some_and(|line| line.contains(&world.notes)),
        "{words}"
    );
}

#[tokio::test]
async fn without_its_default_a_client_uses_its_only_grant_and_of_several_it_is_told_the_urls() {
    let world = World::new().await;
    world.grant(&world.notes, "notes:read").await;
    world.take_back(&world.todo).await;
    assert_eq!(world.default().await, Value::Null);
    assert_eq!(world.audience().await, NOTES);
    world.grant(&world.todo, "todo:read").await;
    assert_eq!(world.audience().await, NOTES, "what it uses stays");
    assert_eq!(world.default().await, world.notes.as_str());

    let none = json!({ "default_mcp_server_id": null });
    world.operator.patch(&world.path(), none).await;
    let answer = world.ask().await;
    assert_eq!((answer.status, answer.error()), (400, "invalid_target"));
    let words = answer.body["error_description"].as_str().unwrap();
    for part in ["resource", TODO, NOTES] {
        assert!(words.contains(part), "{words}");
    }
    let id = world.client.client_id.as_str();
    let choose = ["client", "update", id, "--default-mcp-server", &world.todo];
    world.jeton.json(&choose).await;
    assert_eq!(world.audience().await, TODO);
    let path = format!("/mcp-servers/{}", world.todo);
    world.operator.delete(&path).await;
    assert_eq!(world.audience().await, NOTES, "the only one that is left");
    let choose = ["client", "update", id, "--no-default-mcp-server"];
    assert_eq!(
        world.jeton.json(&choose).await["default_mcp_server_id"],
        Value::Null
    );
}

/// The client lives on its only grant; another beside it must not take that away.
#[tokio::test]
async fn the_only_grant_in_use_becomes_the_default_with_the_next_one() {
    let world = World::new().await;
    world.grant(&world.notes, "notes:read").await;
    let path = format!("/mcp-servers/{}", world.todo);
    world.operator.delete(&path).await;
    assert_eq!(world.audience().await, NOTES);
    let third = world
        .operator
        .mcp_server("http://localhost:3004/mcp", &["c"])
        .await;
    let before = world.operator.get(&world.path()).await;
    world.grant(&third, "c").await;
    assert_eq!(world.audience().await, NOTES);
    let after = world.operator.get(&world.path()).await;
    assert_eq!(after["default_mcp_server_id"], world.notes.as_str());
    assert!(after["version"].as_i64() > before["version"].as_i64());
    let events = world.operator.audit("kind=grant.created").await;
    let detail = &events[0]["detail"]["default_mcp_server_id"];
    assert_eq!(*detail, world.notes.as_str());
}

#[tokio::test]
async fn a_default_without_a_grant_and_a_stale_one_are_refused() {
    let world = World::new().await;
    let body = json!({ "default_mcp_server_id": world.notes });
    let (status, problem) = world
        .operator
        .send(Method::PATCH, &world.path(), Some(body.clone()))
        .await;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(problem["parameter"], "default_mcp_server_id");
    let words = problem["detail"].as_str().unwrap();
    assert!(words.contains(&world.todo), "{words}");
    let create = json!({
        "name": "other", "mcp_server_id": world.todo, "default_mcp_server_id": world.notes,
    });
    let (status, _) = world
        .operator
        .send(Method::POST, "/clients", Some(create))
        .await;
    assert_eq!(status, 400);
    world.grant(&world.notes, "notes:read").await;
    let seen = world.operator.get(&world.path()).await["version"].clone();
    let renamed = json!({ "name": "renamed" });
    world.operator.patch(&world.path(), renamed).await;
    let request = world.operator.unconditional(Method::PATCH, &world.path());
    let stale = request
        .header("if-match", format!("\"v{seen}\""))
        .json(&body);
    assert_eq!(stale.send().await.unwrap().status(), 412);
    let admin = Admin::first(&world.jeton).await;
    let action = format!("/dashboard{}/default-mcp-server", world.path());
    let version = seen.to_string();
    let fields = [
        ("mcp_server_id", world.notes.as_str()),
        ("version", version.as_str()),
    ];
    assert_eq!(admin.post(&action, &fields).await.status(), 409);
    assert_eq!(world.default().await, world.todo.as_str());
}

#[tokio::test]
async fn the_dashboard_shows_the_default_and_changes_it() {
    let world = World::new().await;
    world.grant(&world.notes, "notes:read").await;
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard{}", world.path());
    let page = admin.page(&path).await;
    assert!(page.contains("its default MCP server, Todo"), "{page}");
    assert!(page.contains("Make Notes the default"), "{page}");
    assert!(!page.contains("Make Todo the default"), "{page}");
    let action = format!("{path}/default-mcp-server");
    let fields = [("mcp_server_id", world.notes.as_str())];
    let saved = admin.submit(&path, &action, &fields).await;
    assert_eq!(saved.status(), 303);
    assert_eq!(world.audience().await, NOTES);
    let page = admin.page(&path).await;
    assert!(page.contains("its default MCP server, Notes"), "{page}");
    let tried = admin.page(&format!("{path}/try?run=yes")).await;
    assert!(tried.contains(NOTES), "{tried}");
    let none = json!({ "default_mcp_server_id": null });
    world.operator.patch(&world.path(), none).await;
    let page = admin.page(&path).await;
    assert!(page.contains("It has no default MCP server"), "{page}");
}

#[tokio::test]
async fn a_resource_that_is_refused_comes_with_the_urls_that_the_client_may_ask_for() {
    let world = World::new().await;
    world.grant(&world.notes, "notes:read").await;
    let refused = async |resource: &str| {
        let answer = world
            .client
            .ask(&world.jeton.url, &[("resource", resource)])
            .await;
        assert_eq!(answer.error(), "invalid_target", "{resource}");
        answer.body["error_description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let secret = "https://not-for-this-client.example.com/mcp";
    world.operator.mcp_server(secret, &["x"]).await;
    for resource in ["http://localhost:9999/mcp", secret] {
        let words = refused(resource).await;
        assert!(words.contains(TODO) && words.contains(NOTES), "{words}");
        assert!(!words.contains("not-for-this-client"), "{words}");
    }
    for number in 0..12 {
        let url = format!("https://s{number}.example.com/mcp");
        let server = world.operator.mcp_server(&url, &["x"]).await;
        world.grant(&server, "x").await;
    }
    let words = refused(secret).await;
    assert!(words.ends_with(" and 4 more"), "{words}");
}
