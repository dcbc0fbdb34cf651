//! Changing the scopes of an MCP server: what its clients lose, and who is told.

use jeton_tests::{Admin, Credentials, Jeton, Operator, hidden_field};
use reqwest::Method;
use serde_json::{Value, json};

/// A server with three scopes, and two clients: one with `a` and `b`, one with `b` alone.
struct World {
    jeton: Jeton,
    operator: Operator,
    todo: String,
    both: Credentials,
    one: Credentials,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let (todo, both) = operator.server_with_three_scopes().await;
        Self {
            both,
            one: operator.client(&todo, &["b"]).await,
            jeton,
            operator,
            todo,
        }
    }

    fn path(&self) -> String {
        format!("/mcp-servers/{}", self.todo)
    }

    /// The scopes that the server defines.
    async fn defined(&self) -> Vec<String> {
        let server = self.operator.get(&self.path()).await;
        let scopes = server["scopes"].as_array().unwrap().iter();
        scopes
            .map(|scope| scope["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The scope of a token that names none.
    async fn granted(&self, client: &Credentials) -> Value {
        client.ask(&self.jeton.url, &[]).await.body["scope"].clone()
    }

    async fn update(&self, more: &[&str]) -> (Option<i32>, String) {
        let arguments = [&["mcp-server", "update", &self.todo], more].concat();
        let output = self.jeton.command(&arguments).await;
        let words = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), words)
    }

    /// The events about grants, oldest first: the client and the scope afterwards.
    async fn grant_events(&self) -> Vec<(String, String)> {
        let mut events = self.operator.audit("kind=grant.updated").await;
        events.reverse();
        let text = |event: &Value, name: &str| event[name].as_str().unwrap_or("").to_owned();
        events
            .iter()
            .map(|event| (text(event, "client_id"), text(event, "scope")))
            .collect()
    }
}

#[tokio::test]
async fn a_scope_that_is_meant_to_be_added_takes_none_away() {
    let world = World::new().await;
    let (code, words) = world.update(&["--scope", "d"]).await;
    assert_eq!(code, Some(1), "{words}");
    for told in ["--add-scope", "--yes", "a (", "b ("] {
        assert!(words.contains(told), "{words}");
    }
    assert_eq!(world.defined().await, ["a", "b", "c"]);
    let add = ["--add-scope", "d=The fourth", "--add-scope", "a=The first"];
    let (code, words) = world.update(&add).await;
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(world.defined().await, ["a", "b", "c", "d"]);
    let server = world.operator.get(&world.path()).await;
    assert_eq!(server["scopes"][0]["description"], "The first");
    assert_eq!(world.granted(&world.both).await, "a b");
    assert_eq!(world.grant_events().await, []);
}

#[tokio::test]
async fn removing_a_scope_says_who_loses_it_and_wants_yes() {
    let world = World::new().await;
    let (code, words) = world.update(&["--remove-scope", "b"]).await;
    assert_eq!(code, Some(1), "{words}");
    let clients = [&world.both.client_id, &world.one.client_id];
    for told in [clients[0], clients[1], "2 clients", "--yes"] {
        assert!(words.contains(told), "{words}");
    }
    assert_eq!(world.granted(&world.both).await, "a b");
    let (code, words) = world.update(&["--remove-scope", "b", "--yes"]).await;
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(world.granted(&world.both).await, "a");
    let mut events = world.grant_events().await;
    events.sort();
    let mut expected = [
        (clients[0].clone(), "a".to_owned()),
        (clients[1].clone(), String::new()),
    ];
    expected.sort();
    assert_eq!(events, expected, "one event a client");
    let removed = &world.operator.audit("kind=grant.updated").await[0];
    assert_eq!(removed["detail"]["removed_scopes"], "b");
    // Nobody has c, so that nothing has to be confirmed.
    let (code, words) = world.update(&["--remove-scope", "c"]).await;
    assert_eq!(code, Some(0), "{words}");
    let (code, words) = world.update(&["--remove-scope", "c"]).await;
    assert_eq!(code, Some(1));
    assert!(words.contains("does not define the scope c"), "{words}");
}

#[tokio::test]
async fn the_admin_api_asks_for_confirmation_with_the_counts() {
    let world = World::new().await;
    for body in [
        json!({ "scopes": [{ "name": "c" }] }),
        json!({ "remove_scopes": ["a", "b"] }),
    ] {
        let (status, problem) = world
            .operator
            .send(Method::PATCH, &world.path(), Some(body.clone()))
            .await;
        assert_eq!(status, 409, "{problem}");
        assert_eq!(problem["type"], "urn:jeton:problem:confirmation-required");
        assert_eq!(problem["clients"], 2);
        let losses = problem["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 2, "{problem}");
        let of_one = losses
            .iter()
            .find(|loss| loss["client_id"] == world.one.client_id.as_str());
        assert_eq!(of_one.unwrap()["scopes"], json!(["b"]));
    }
    assert_eq!(world.defined().await, ["a", "b", "c"]);
    let both = json!({ "scopes": [], "add_scopes": [{ "name": "d" }] });
    let (status, problem) = world
        .operator
        .send(Method::PATCH, &world.path(), Some(both))
        .await;
    assert_eq!((status, &problem["parameter"]), (400, &json!("scopes")));
}

#[tokio::test]
async fn a_client_without_a_scope_gets_invalid_scope_and_no_token() {
    let world = World::new().await;
    let path = format!("{}?confirm=true", world.path());
    let body = json!({ "remove_scopes": ["b"] });
    world.operator.patch(&path, body).await;
    let never = world.operator.client(&world.todo, &[]).await;
    for client in [&world.one, &never] {
        for parameters in [&[][..], &[("scope", "")]] {
            let answer = client.ask(&world.jeton.url, parameters).await;
            assert_eq!(answer.status, 400, "{}", answer.body);
            assert_eq!(answer.error(), "invalid_scope");
        }
    }
    let refused = world.operator.audit("kind=token.refused").await;
    // What repeats within a moment is one event.
    for client in [&world.one, &never] {
        let is_about = |event: &&Value| event["client_id"] == client.client_id.as_str();
        let event = refused.iter().find(is_about).expect("it is recorded");
        assert_eq!(event["mcp_server_id"], world.todo.as_str());
    }
}

#[tokio::test]
async fn a_renamed_scope_is_renamed_in_the_grants() {
    let world = World::new().await;
    let (code, words) = world.update(&["--rename-scope", "b=todos:read"]).await;
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(world.defined().await, ["a", "todos:read", "c"]);
    assert_eq!(world.granted(&world.both).await, "a todos:read");
    assert_eq!(world.granted(&world.one).await, "todos:read");
    assert_eq!(world.grant_events().await.len(), 2);
    for (rename, problem) in [
        ("x=y", "does not define the scope x"),
        ("a=c", "defined twice"),
        ("a", "OLD=NEW"),
    ] {
        let (code, words) = world.update(&["--rename-scope", rename]).await;
        assert_ne!(code, Some(0));
        assert!(words.contains(problem), "{rename}: {words}");
    }
    assert_eq!(world.granted(&world.both).await, "a todos:read");
}

#[tokio::test]
async fn renames_that_follow_each_other_happen_at_once() {
    let world = World::new().await;
    let chain = ["--rename-scope", "a=b", "--rename-scope", "b=x"];
    let (code, words) = world.update(&chain).await;
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(world.defined().await, ["b", "x", "c"]);
    assert_eq!(world.granted(&world.both).await, "b x");
    assert_eq!(world.granted(&world.one).await, "x");
    let twice = ["--rename-scope", "b=y", "--rename-scope", "b=z"];
    let (code, words) = world.update(&twice).await;
    assert_ne!(code, Some(0));
    assert!(words.contains("renamed twice"), "{words}");
}

#[tokio::test]
async fn scopes_that_several_people_add_at_once_are_all_there() {
    let world = World::new().await;
    let path = world.path();
    let add = async |name: &str| {
        let scope = json!({ "name": name, "description": "" });
        let body = json!({ "add_scopes": [scope] });
        world.operator.patch(&path, body).await;
    };
    for round in 0..5 {
        let names = ["k", "l", "m", "n"].map(|name| format!("{name}{round}"));
        tokio::join!(
            add(&names[0]),
            add(&names[1]),
            add(&names[2]),
            add(&names[3])
        );
        let defined = world.defined().await;
        for name in names {
            assert!(defined.contains(&name), "{name}: {defined:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_is_made_while_a_scope_goes_does_not_keep_it() {
    let world = World::new().await;
    let path = format!("{}?confirm=true", world.path());
    for round in 0..10 {
        let body = json!({ "name": "agent", "scopes": ["a", "c"] });
        let clients = format!("{}/clients", world.path());
        let made = world.operator.send(Method::POST, &clients, Some(body));
        let removed = world
            .operator
            .patch(&path, json!({ "remove_scopes": ["c"] }));
        let ((status, made), _) = tokio::join!(made, removed);
        if status == 201 {
            let id = made["client_id"].as_str().unwrap();
            let client = world.operator.get(&format!("/clients/{id}")).await;
            assert_eq!(client["grants"][0]["scopes"], json!(["a"]), "{round}");
        }
        let back = json!({ "add_scopes": [{ "name": "c", "description": "" }] });
        world.operator.patch(&path, back).await;
    }
}

#[tokio::test]
async fn the_dashboard_clears_a_description_that_was_emptied() {
    let world = World::new().await;
    let (code, words) = world.update(&["--add-scope", "a=The first"]).await;
    assert_eq!(code, Some(0), "{words}");
    let description = async || {
        let server = world.operator.get(&world.path()).await;
        server["scopes"][0]["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // The API keeps it where none is given.
    let add = json!({ "add_scopes": [{ "name": "a", "description": "" }] });
    world.operator.patch(&world.path(), add).await;
    assert_eq!(description().await, "The first");
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard/mcp-servers/{}/scopes", world.todo);
    let fields = [("scope_name", "a"), ("scope_description", "")];
    let saved = admin.submit(&path, &path, &fields).await;
    assert_eq!(saved.status(), 303);
    assert_eq!(description().await, "");
    assert_eq!(world.defined().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn apply_says_who_loses_what_and_wants_yes() {
    let world = World::new().await;
    let file = world.jeton.folder().join("jeton.yaml");
    let text =
        "mcp_servers: [{name: Todo, url: \"http://localhost:3002/mcp\", scopes: {a: , d: }}]\n";
    std::fs::write(&file, text).unwrap();
    let apply = ["apply", "-f", "jeton.yaml"];
    let refused = world.jeton.command(&apply).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("b (clients that have it: 2)"), "{words}");
    assert_eq!(
        world.defined().await,
        ["a", "b", "c"],
        "nothing was changed"
    );
    let done = world
        .jeton
        .command(&[&apply[..], &["--yes"]].concat())
        .await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(world.defined().await, ["a", "d"]);
    assert_eq!(world.granted(&world.both).await, "a");
    assert_eq!(world.grant_events().await.len(), 2);
    let again = world.jeton.command(&apply).await;
    assert!(again.status.success(), "{again:?}");
}

#[tokio::test]
async fn the_dashboard_lists_the_clients_before_it_removes_a_scope() {
    let world = World::new().await;
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard/mcp-servers/{}/scopes", world.todo);
    let page = admin.page(&path).await;
    let fields = [
        ("version", hidden_field(&page, &path, "version")),
        ("scope_name", "a".into()),
        ("scope_description", "The first".into()),
        ("scope_name", "b".into()),
        ("scope_description", String::new()),
        ("remove_scope", "b".into()),
        ("scope_name", "d".into()),
        ("scope_description", "The fourth".into()),
    ];
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let asked = admin.post(&path, &fields).await;
    assert_eq!(asked.status(), 409);
    let page = asked.text().await.unwrap();
    for shown in [
        world.both.client_id.as_str(),
        world.one.client_id.as_str(),
        "value=\"The first\"",
        "value=\"The fourth\"",
        "value=\"b\" aria-label=\"Remove b\" checked",
        "name=\"confirmed\"",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert_eq!(world.defined().await, ["a", "b", "c"]);
    fields.push(("confirmed", "yes"));
    assert_eq!(admin.post(&path, &fields).await.status(), 303);
    assert_eq!(world.defined().await, ["a", "c", "d"]);
    assert_eq!(world.granted(&world.both).await, "a");
    // A form that names a scope no more does not remove it.
    let fields = [("scope_name", "e"), ("scope_description", "")];
    let saved = admin.submit(&path, &path, &fields).await;
    assert_eq!(saved.status(), 303);
    assert_eq!(world.defined().await, ["a", "c", "d", "e"]);
    let rename = [("from", "a"), ("to", "f")];
    let action = format!("{path}/rename");
    let renamed = admin.submit(&path, &action, &rename).await;
    assert_eq!(renamed.status(), 303);
    assert_eq!(world.granted(&world.both).await, "f");
    let again = admin.submit(&path, &action, &rename).await;
    assert_eq!(again.status(), 422);
}

#[tokio::test]
async fn apply_replaces_scopes_where_there_is_no_room_for_one_more() {
    let world = World::new().await;
    let names = (0..197).map(|number| json!({ "name": format!("s{number}") }));
    let body = json!({ "add_scopes": names.collect::<Vec<_>>() });
    world.operator.patch(&world.path(), body).await;
    assert_eq!(world.defined().await.len(), 200);
    let kept: String = (1..197).map(|number| format!(", s{number}: ")).collect();
    let text = format!(
        "mcp_servers: [{{name: Todo, url: \"http://localhost:3002/mcp\", \
         scopes: {{a: , b: , c: , new: New{kept}}}}}]\n"
    );
    std::fs::write(world.jeton.folder().join("jeton.yaml"), text).unwrap();
    let apply = ["apply", "-f", "jeton.yaml"];
    let done = world.jeton.command(&apply).await;
    assert!(done.status.success(), "{done:?}");
    let defined = world.defined().await;
    let has = |name: &str| defined.iter().any(|defined| defined == name);
    assert!(
        defined.len() == 200 && has("new") && !has("s0"),
        "{defined:?}"
    );
    assert_eq!(world.granted(&world.both).await, "a b");
    let again = world.jeton.command(&apply).await;
    let words = String::from_utf8(again.stderr).unwrap();
    assert!(words.contains("everything is as declared"), "{words}");
}
