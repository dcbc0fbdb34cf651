//! Scopes that imply others.

use axum::extract::Extension;
use axum::routing::post;
use axum::{Json, Router};
use jeton_guard::{BuildError, GuardBuilder, GuardLayer, VerifiedToken};
use jeton_tests::{Admin, Answer, Jeton, World, http};
use reqwest::Method;
use serde_json::{Value, json};

const URL: &str = "http://localhost:3002/mcp";

fn chain() -> Value {
    json!([
        { "name": "todo:read" },
        { "name": "todo:write", "implies": ["todo:read"] },
        { "name": "todo:admin", "implies": ["todo:write"] },
        { "name": "mail:send" },
    ])
}

/// A client that was granted the broadest scope.
async fn chained(settings: Value) -> World {
    let mut all = json!({ "scopes": chain() });
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    World::new(URL, all, &["todo:admin"]).await
}

/// What each scope implies, as the admin API shows it.
async fn implications(world: &World) -> Value {
    let server = world.operator.get(&world.path()).await;
    let scopes = server["scopes"].as_array().unwrap().iter();
    let pairs = scopes.map(|scope| {
        let name = scope["name"].as_str().unwrap().to_owned();
        (name, scope["implies"].clone())
    });
    Value::Object(pairs.collect())
}

#[tokio::test]
async fn whoever_was_granted_the_broader_scope_may_ask_for_the_narrower_alone() {
    for profile in ["compatible", "strict"] {
        let world = chained(json!({ "token_profile": profile })).await;
        for scope in ["todo:read", "todo:write", "todo:admin todo:read"] {
            let answer = world.ask(&[("scope", scope)]).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body["scope"], scope, "neither more nor less");
        }
        let answer = world.client.ask(&world.jeton.url, &[]).await;
        let all = "todo:admin todo:write todo:read";
        assert_eq!(
            answer.body["scope"], all,
            "for verifiers that compare names"
        );
        assert_eq!(
            world.ask(&[("scope", "mail:send")]).await.error(),
            "invalid_scope"
        );
        let narrow = world.operator.client(&world.todo, &["todo:read"]).await;
        let broader = [("scope", "todo:write")];
        let answer = narrow.ask(&world.jeton.url, &broader).await;
        assert_eq!(answer.error(), "invalid_scope", "{}", answer.body);
    }
}

#[tokio::test]
async fn introspection_counts_what_is_implied() {
    let world = chained(json!({})).await;
    let told = async |token: &str| {
        let told = world.client.introspect(&world.jeton.url, token).await;
        told["scope"].as_str().unwrap_or("inactive").to_owned()
    };
    let scope = [("scope", "todo:read")];
    let token = world.client.token(&world.jeton.url, &scope).await;
    assert_eq!(told(&token).await, "todo:read");
    let grant = format!("/clients/{}/grants/{}", world.client.client_id, world.todo);
    let narrower = json!({ "scopes": ["todo:write"] });
    world.operator.put(&grant, narrower).await;
    assert_eq!(told(&token).await, "todo:read");
    let other = json!({ "scopes": ["mail:send"] });
    world.operator.put(&grant, other).await;
    assert_eq!(told(&token).await, "inactive");
}

#[tokio::test]
async fn circles_and_scopes_that_are_not_defined_are_refused_by_name() {
    let world = chained(json!({})).await;
    for (scopes, words) in [
        (
            json!([{ "name": "todo:read", "implies": ["todo:admin"] }]),
            "todo:read → todo:admin → todo:write → todo:read",
        ),
        (
            json!([{ "name": "todo:read", "implies": ["todo:read"] }]),
            "todo:read → todo:read",
        ),
        (
            json!([{ "name": "todo:read", "implies": ["todo:delete"] }]),
            "todo:delete",
        ),
    ] {
        let body = json!({ "add_scopes": scopes });
        let (status, problem) = world
            .operator
            .send(Method::PATCH, &world.path(), Some(body))
            .await;
        assert_eq!((status, &problem["parameter"]), (400, &json!("scopes")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
    let id = world.todo.as_str();
    for (implies, words) in [
        ("todo:read=todo:admin", "todo:read → todo:admin"),
        ("todo:read=todo:delete", "todo:read=todo:delete"),
        ("todo:read", "BROADER=NARROWER"),
    ] {
        let update = ["mcp-server", "update", id, "--implies", implies];
        let refused = world.jeton.command(&update).await;
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(words), "{said}");
    }
    for (implies, words) in [
        ("{a: [b], b: [a]}", "a → b → a"),
        ("{a: [c]}", "c"),
        ("{c: [a]}", "\"c\""),
    ] {
        let file = format!(
            "mcp_servers:\n- {{name: New, url: \"http://localhost:1/mcp\", scopes: {{a: , b: }}, implies: {implies}}}\n"
        );
        std::fs::write(world.jeton.folder().join("jeton.yaml"), file).unwrap();
        let refused = world.jeton.command(&["apply", "-f", "jeton.yaml"]).await;
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn the_command_line_declares_implications_and_takes_them_away() {
    let world = chained(json!({})).await;
    let create = [
        "mcp-server",
        "create",
        "--name",
        "Files",
        "--url",
        "http://localhost:1/mcp",
        "--scope",
        "f:all",
        "--scope",
        "f:read",
        "--implies",
        "f:all=f:read",
    ];
    let made = world.jeton.json(&create).await;
    assert_eq!(made["scopes"][0]["implies"], json!(["f:read"]));
    let id = made["id"].as_str().unwrap();
    // A scope with = in its name: the scopes that there are say where the text is split.
    let odd = json!({ "add_scopes": [{ "name": "k=v" }] });
    let path = format!("/mcp-servers/{id}");
    world.operator.patch(&path, odd).await;
    let update = ["mcp-server", "update", id, "--implies", "f:all=k=v"];
    let changed = world.jeton.json(&update).await;
    assert_eq!(changed["scopes"][0]["implies"], json!(["f:read", "k=v"]));
    let update = [
        "mcp-server",
        "update",
        id,
        "--add-scope",
        "f:root",
        "--implies",
        "f:root=f:all",
        "--remove-implies",
        "f:all=k=v",
    ];
    let changed = world.jeton.json(&update).await;
    let scopes = changed["scopes"].as_array().unwrap();
    assert_eq!(scopes[0]["implies"], json!(["f:read"]));
    assert_eq!(
        scopes[3],
        json!({ "name": "f:root", "description": "", "implies": ["f:all"] })
    );
    let shown = world.jeton.command(&["mcp-server", "show", id]).await;
    let words = String::from_utf8(shown.stdout).unwrap();
    assert!(words.contains("f:all=f:read f:root=f:all"), "{words}");
    let events = world.operator.audit("kind=mcp_server.updated").await;
    let implied = json!({ "f:all": ["f:read"], "f:root": ["f:all"] });
    assert_eq!(events[0]["detail"]["implies"], implied);
    // All scopes anew: what is not said about implications stays.
    let update = [
        "mcp-server",
        "update",
        id,
        "--scope",
        "f:all=All",
        "--scope",
        "f:read",
        "--yes",
    ];
    let changed = world.jeton.json(&update).await;
    assert_eq!(changed["scopes"][0]["implies"], json!(["f:read"]));
}

#[tokio::test]
async fn implications_and_renamed_or_removed_scopes_change_together() {
    let world = chained(json!({})).await;
    let id = world.todo.as_str();
    let update = [
        "mcp-server",
        "update",
        id,
        "--rename-scope",
        "todo:read=todo:see",
        "--remove-scope",
        "todo:write",
        "--implies",
        "todo:admin=mail:send",
        "--implies",
        "mail:send=todo:see",
        "--yes",
    ];
    world.jeton.json(&update).await;
    // What the removed scope implied is inherited, by its new name, beside what was added.
    let expected = json!({
        "todo:admin": ["todo:see", "mail:send"], "mail:send": ["todo:see"], "todo:see": [],
    });
    assert_eq!(implications(&world).await, expected);
    let update = [
        "mcp-server",
        "update",
        id,
        "--rename-scope",
        "mail:send=mail:post",
        "--remove-implies",
        "todo:admin=mail:post",
        "--remove-implies",
        "mail:post=todo:see",
        "--yes",
    ];
    world.jeton.json(&update).await;
    let expected = json!({ "todo:admin": ["todo:see"], "mail:post": [], "todo:see": [] });
    assert_eq!(implications(&world).await, expected);
    // The name from before the change is none of the scopes any more.
    let update = [
        "mcp-server",
        "update",
        id,
        "--rename-scope",
        "mail:post=mail:send",
        "--implies",
        "mail:post=todo:see",
    ];
    let refused = world.jeton.command(&update).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{said}");
    assert!(
        said.contains("it defines: ") && said.contains("mail:send"),
        "{said}"
    );
}

#[tokio::test]
async fn an_equals_sign_in_a_name_is_written_with_a_backslash_where_it_could_be_either() {
    let world = chained(json!({})).await;
    // a=b=c is a and b=c, or a=b and c.
    let names = ["a", "b=c", "a=b", "c"];
    let odd: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    let all = json!({ "scopes": odd });
    world
        .operator
        .patch(&format!("{}?confirm=true", world.path()), all)
        .await;
    let update = |implies: &'static str| {
        ["mcp-server", "update", &world.todo, "--implies", implies].map(str::to_owned)
    };
    let refused = update("a=b=c");
    let refused: Vec<_> = refused.iter().map(String::as_str).collect();
    let refused = world.jeton.command(&refused).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains(r"\="), "{said}");
    for (implies, broader, narrower) in [(r"a=b\=c", "a", "b=c"), (r"a\=b=c", "a=b", "c")] {
        let update = update(implies);
        let update: Vec<_> = update.iter().map(String::as_str).collect();
        world.jeton.json(&update).await;
        assert_eq!(implications(&world).await[broader], json!([narrower]));
    }
    // What is shown can be typed again.
    let shown = world
        .jeton
        .command(&["mcp-server", "show", &world.todo])
        .await;
    let words = String::from_utf8(shown.stdout).unwrap();
    assert!(words.contains(r"a=b\=c a\=b=c"), "{words}");
}

#[tokio::test]
async fn removing_a_scope_between_two_others_leaves_these_as_they_are() {
    let world = chained(json!({})).await;
    let remove = json!({ "remove_scopes": ["todo:write"] });
    let (status, problem) = world
        .operator
        .send(Method::PATCH, &world.path(), Some(remove.clone()))
        .await;
    assert_eq!(status, 409, "the client has it: {problem}");
    assert_eq!(problem["losses"][0]["scopes"], json!(["todo:write"]));
    let path = format!("{}?confirm=true", world.path());
    world.operator.patch(&path, remove).await;
    assert_eq!(
        implications(&world).await["todo:admin"],
        json!(["todo:read"])
    );
    assert_eq!(world.ask(&[("scope", "todo:read")]).await.status, 200);
    assert_eq!(
        world.ask(&[("scope", "todo:write")]).await.error(),
        "invalid_scope"
    );
    let rename = json!({ "rename_scopes": [{ "from": "todo:read", "to": "todo:see" }] });
    world.operator.patch(&world.path(), rename).await;
    assert_eq!(
        implications(&world).await["todo:admin"],
        json!(["todo:see"])
    );
    assert_eq!(world.ask(&[("scope", "todo:see")]).await.status, 200);
    // All scopes anew, without one of them.
    let all = json!({ "scopes": [{ "name": "todo:admin" }, { "name": "mail:send" }] });
    world.operator.patch(&path, all).await;
    assert_eq!(implications(&world).await["todo:admin"], json!([]));
}

#[tokio::test]
async fn an_implication_is_taken_from_clients_only_when_that_is_confirmed() {
    let world = chained(json!({})).await;
    let id = world.todo.as_str();
    let update = [
        "mcp-server",
        "update",
        id,
        "--remove-implies",
        "todo:admin=todo:write",
    ];
    let refused = world.jeton.command(&update).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        words.contains("loses todo:write todo:read") && words.contains("--yes"),
        "{words}"
    );
    let file = format!(
        "mcp_servers:\n- {{name: Todo, url: \"{URL}\", scopes: {{todo:read: , todo:write: , todo:admin: , mail:send: }}}}\n"
    );
    std::fs::write(world.jeton.folder().join("jeton.yaml"), file).unwrap();
    let refused = world.jeton.command(&["apply", "-f", "jeton.yaml"]).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        words.contains("todo:read (clients that have it: 1)"),
        "{words}"
    );
    assert!(words.contains("Nothing was changed"), "{words}");
    let remove = ["mcp-server", "update", id, "--scope", "todo:admin"];
    let refused = world.jeton.command(&remove).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        words.contains("todo:read (clients that have it: 1)"),
        "{words}"
    );
    assert_eq!(world.ask(&[("scope", "todo:read")]).await.status, 200);
    world.jeton.json(&[&update[..], &["--yes"]].concat()).await;
    assert_eq!(
        world.ask(&[("scope", "todo:read")]).await.error(),
        "invalid_scope"
    );
    assert_eq!(world.ask(&[("scope", "todo:admin")]).await.status, 200);
}

#[tokio::test]
async fn the_dashboard_shows_implications_and_changes_them() {
    let world = chained(json!({})).await;
    let admin = Admin::first(&world.jeton).await;
    let client = format!("/dashboard/clients/{}", world.client.client_id);
    let page = admin.page(&client).await;
    assert!(page.contains("implies todo:write"), "{page}");
    let tried = admin
        .page(&format!("{client}/try?run=yes&scope=todo:read"))
        .await;
    assert!(tried.contains("A token would be issued"), "{tried}");
    let path = format!("/dashboard{}/scopes", world.path());
    let page = admin.page(&path).await;
    assert!(
        page.contains("name=\"scope_implies\" value=\"todo:read\""),
        "{page}"
    );
    let row = |name: &'static str, implies: &'static str| {
        [
            ("scope_name", name),
            ("scope_description", ""),
            ("scope_implies", implies),
        ]
    };
    let untouched = [
        row("todo:write", "todo:read"),
        row("todo:admin", "todo:write"),
    ]
    .concat();
    let send = async |rows: &[(&str, &str)]| {
        let fields = [&untouched, rows].concat();
        admin.submit(&path, &path, &fields).await
    };
    let circle = send(&row("todo:read", "todo:admin")).await;
    assert_eq!(circle.status(), 422);
    let page = circle.text().await.unwrap();
    assert!(page.contains("todo:read → todo:admin"), "{page}");
    let saved = send(&row("mail:all", "mail:send todo:read")).await;
    assert_eq!(saved.status(), 303);
    let implied = implications(&world).await;
    assert_eq!(implied["mail:all"], json!(["mail:send", "todo:read"]));
    assert_eq!(implied["todo:admin"], json!(["todo:write"]));
    // A scope that is removed on the same form is no mistake in the rows that nobody touched.
    let removal = [("remove_scope", "todo:write"), ("confirmed", "yes")];
    assert_eq!(send(&removal).await.status(), 303);
    assert_eq!(
        implications(&world).await["todo:admin"],
        json!(["todo:read"])
    );
}

async fn protected(issuer: &str, change: impl Fn(GuardBuilder) -> GuardBuilder) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let say = |Extension(token): Extension<VerifiedToken>| async move {
        Json(json!({ "scope": token.scope.to_string(), "scopes": token.scopes().to_string() }))
    };
    let guard = change(GuardLayer::builder(&url, issuer)).build().unwrap();
    let router = Router::new().route("/mcp", post(say)).layer(guard);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn call(url: &str, token: &str, tool: &str) -> Answer {
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
    let request = http().post(url).bearer_auth(token).json(&body);
    Answer::of(request.send().await.unwrap()).await
}

/// The scope that a 403 names.
fn challenged(answer: &Answer) -> String {
    assert_eq!(answer.status, 403, "{}", answer.body);
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    let scope = challenge.split(" scope=\"").nth(1).unwrap();
    scope.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_guard_accepts_the_broader_scope_and_tells_all_that_an_operation_needs() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let rules = |guard: GuardBuilder| {
        guard
            .require(["todo:read"])
            .require_for_tool("add", ["todo:write"])
            .require_for_tool("send", ["mail:send", "todo:write"])
            .allow_other_tools()
    };
    let plain = protected(&jeton.url, rules).await;
    let knowing = protected(&jeton.url, |guard| {
        rules(guard)
            .scope_implies("todo:admin", "todo:write")
            .scope_implies("todo:write", "todo:read")
    })
    .await;
    let settings = json!({ "scopes": chain(), "aliases": [plain] });
    let server = operator.mcp_server_with(&knowing, &[], settings).await;
    let client = operator.client(&server, &["todo:admin", "mail:send"]).await;
    let token = async |resource: &str, scope: &str| {
        let parameters = [("resource", resource), ("scope", scope)];
        client.token(&jeton.url, &parameters).await
    };
    let broad = token(&knowing, "todo:admin").await;
    let passed = call(&knowing, &broad, "add").await;
    assert_eq!(passed.status, 200, "{}", passed.body);
    assert_eq!(passed.body["scope"], "todo:admin");
    assert_eq!(passed.body["scopes"], "todo:admin todo:write todo:read");
    // A guard that knows of no implications compares names.
    let broad = token(&plain, "todo:admin").await;
    assert_eq!(
        challenged(&call(&plain, &broad, "add").await),
        "todo:read todo:write"
    );
    let all = client.token(&jeton.url, &[("resource", &plain)]).await;
    assert_eq!(
        call(&plain, &all, "send").await.status,
        200,
        "the token lists what is implied"
    );
    // All that the operation needs at once, also what every request needs, and nothing that the token has beside it.
    for (scope, tool, needed) in [
        ("mail:send", "add", "todo:read todo:write"),
        ("mail:send", "list", "todo:read"),
        ("todo:read", "send", "todo:read mail:send todo:write"),
        ("todo:admin", "send", "todo:read mail:send todo:write"),
    ] {
        let token = token(&knowing, scope).await;
        assert_eq!(
            challenged(&call(&knowing, &token, tool).await),
            needed,
            "{scope} {tool}"
        );
    }
    let token = token(&knowing, "mail:send").await;
    let request = http().post(&knowing).bearer_auth(&token).body("no message");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(challenged(&answer), "todo:read");
    let request = http().get(&knowing).bearer_auth(&token);
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(challenged(&answer), "todo:read");
    let circle = GuardLayer::builder(URL, &jeton.url)
        .scope_implies("a", "b")
        .scope_implies("b", "a")
        .build();
    assert!(matches!(circle, Err(BuildError::ScopeCycle(_))));
}
