//! MCP servers with several URLs.

use axum::Router;
use axum::routing::post;
use jeton_guard::{GuardBuilder, GuardLayer};
use jeton_tests::{Admin, Credentials, FastMcp, Jeton, World, call_tool, claims, http};
use reqwest::Method;
use serde_json::{Value, json};

const OUTSIDE: &str = "https://todo.example.com/mcp";
const INSIDE: &str = "http://todo.internal:3002/mcp";

async fn aliased(settings: Value) -> World {
    let mut all = json!({ "aliases": [INSIDE] });
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    World::new(OUTSIDE, all, &["a"]).await
}

async fn retired(world: &World) -> Vec<String> {
    let list = world.operator.get("/retired-urls").await;
    let items = list["items"].as_array().unwrap().iter();
    let mut urls: Vec<_> = items
        .map(|one| one["url"].as_str().unwrap().to_owned())
        .collect();
    urls.sort();
    urls
}

async fn refused(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let (status, problem) = world.operator.send(method, path, Some(body)).await;
    assert!(status >= 400, "{problem}");
    (status, problem)
}

#[tokio::test]
async fn a_token_by_an_alias_names_the_server_in_every_way_a_verifier_may_know_it() {
    let world = aliased(json!({})).await;
    let id = world.todo.as_str();
    assert_eq!(
        world.audience(&[("resource", OUTSIDE)]).await,
        json!([OUTSIDE, id])
    );
    assert_eq!(
        world.audience(&[("resource", INSIDE)]).await,
        json!([OUTSIDE, INSIDE, id])
    );
    let slash = format!("{INSIDE}/");
    let names = json!([OUTSIDE, INSIDE, slash, id]);
    assert_eq!(world.audience(&[("resource", &slash)]).await, names);
    let below = "http://todo.internal:3002/mcp/v2";
    let names = json!([OUTSIDE, INSIDE, below, id]);
    assert_eq!(
        world
            .audience(&[("resource", "HTTP://Todo.Internal:3002/mcp/v2")])
            .await,
        names
    );
    let refused = world
        .ask(&[("resource", "http://todo.internal:3002/other")])
        .await;
    let words = refused.body["error_description"].as_str().unwrap();
    assert!(words.contains(OUTSIDE) && words.contains(INSIDE), "{words}");

    let strict = aliased(json!({ "token_profile": "strict" })).await;
    assert_eq!(strict.audience(&[("resource", INSIDE)]).await, INSIDE);
    let token = strict.client.token(&strict.jeton.url, &[]).await;
    assert_eq!(claims(&token)["aud"], OUTSIDE);
    let told = strict
        .client
        .introspect(
            &strict.jeton.url,
            &strict.token(&[("resource", INSIDE)]).await,
        )
        .await;
    assert_eq!(told["active"], true);
}

#[tokio::test]
async fn a_url_belongs_to_one_server_as_identifier_or_alias() {
    let world = aliased(json!({})).await;
    let other =
        |url: &str, aliases: Value| json!({ "name": "Other", "url": url, "aliases": aliases });
    let far = "https://other.example.com/mcp";
    for body in [
        other(INSIDE, json!([])),
        other(far, json!([OUTSIDE])),
        other(far, json!(["HTTP://todo.internal:3002/mcp/"])),
    ] {
        let (status, problem) = refused(&world, Method::POST, "/mcp-servers", body).await;
        assert_eq!(status, 409);
        assert!(problem["detail"].as_str().unwrap().contains(&world.todo));
    }
    let own = format!("{}/api", world.jeton.url);
    let many: Vec<_> = (0..21)
        .map(|n| format!("http://h{n}.example/mcp"))
        .collect();
    for (aliases, parameter) in [
        (json!([far]), "aliases"),
        (json!(["http://a.example", "http://a.example/"]), "aliases"),
        (json!([own]), "url"),
        (json!(many), "aliases"),
    ] {
        let body = other(far, aliases);
        let (status, problem) = refused(&world, Method::POST, "/mcp-servers", body).await;
        assert_eq!((status, &problem["parameter"]), (400, &json!(parameter)));
    }
    let second = world.operator.mcp_server(far, &["x"]).await;
    let path = format!("/mcp-servers/{second}");
    let take = json!({ "add_aliases": [INSIDE] });
    let (status, _) = refused(&world, Method::PATCH, &path, take).await;
    assert_eq!(status, 409);
    let same = world.operator.get(&path).await;
    assert_eq!(same["aliases"], json!([]), "nothing was changed");
}

#[tokio::test]
async fn of_many_who_take_one_url_at_once_one_gets_it() {
    let world = aliased(json!({})).await;
    let shared = "http://shared.internal/mcp";
    let takers = (0..8).map(|n| {
        let own = format!("https://s{n}.example.com/mcp");
        // As identifier and as alias, in several spellings.
        let body = match n % 3 {
            0 => json!({ "name": "S", "url": shared }),
            1 => json!({ "name": "S", "url": own, "aliases": [shared] }),
            _ => json!({ "name": "S", "url": own, "aliases": [format!("{shared}/")] }),
        };
        world
            .operator
            .send(Method::POST, "/mcp-servers", Some(body))
    });
    let answers = futures_util::future::join_all(takers).await;
    let made = answers.iter().filter(|(status, _)| *status < 300).count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|(status, _)| *status < 300 || *status == 409),
        "{answers:?}"
    );
    let listed = world.operator.get("/mcp-servers").await.to_string();
    assert_eq!(listed.matches("shared.internal").count(), 1, "{listed}");
}

#[tokio::test]
async fn the_longest_match_over_all_urls_wins() {
    let world = aliased(json!({})).await;
    let deeper = format!("{INSIDE}/admin");
    let settings = json!({ "aliases": ["https://todo.example.com"] });
    let other = world
        .operator
        .mcp_server_with(&deeper, &["x"], settings)
        .await;
    let client = world.operator.client(&other, &["x"]).await;
    let who = async |client: &Credentials, resource: &str| {
        let parameters = [("resource", resource)];
        let answer = client.ask(&world.jeton.url, &parameters).await;
        answer.status == 200
    };
    assert!(who(&client, &deeper).await);
    assert!(!who(&world.client, &format!("{deeper}/x")).await);
    assert!(who(&client, "https://todo.example.com/other").await);
    assert!(!who(&client, OUTSIDE).await);
    assert!(who(&world.client, &format!("{OUTSIDE}/x")).await);
}

#[tokio::test]
async fn an_alias_that_is_removed_is_retired_and_comes_back_when_it_is_added() {
    let world = aliased(json!({ "token_profile": "strict" })).await;
    let (jeton, id) = (&world.jeton, world.todo.as_str());
    let token = world.token(&[("resource", INSIDE)]).await;
    let update = ["mcp-server", "update", id, "--remove-url", INSIDE];
    assert_eq!(jeton.json(&update).await["aliases"], json!([]));
    assert_eq!(retired(&world).await, [INSIDE]);
    assert_eq!(
        world.ask(&[("resource", INSIDE)]).await.error(),
        "invalid_target"
    );
    let again = jeton.command(&update).await;
    let words = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && words.contains(INSIDE), "{words}");
    let update = ["mcp-server", "update", id, "--add-url", INSIDE];
    jeton.json(&update).await;
    assert_eq!(retired(&world).await, [""; 0]);
    assert_eq!(world.ask(&[("resource", INSIDE)]).await.status, 200);
    let told = world.client.introspect(&jeton.url, &token).await;
    assert_eq!(told["active"], false, "it is void since the URL was left");
    let events = world.operator.audit("kind=mcp_server.updated").await;
    assert_eq!(events[0]["detail"]["aliases"], json!([INSIDE]));

    // The alias becomes the identifier, and the identifier an alias: no URL is left.
    let swap = [
        "mcp-server",
        "update",
        id,
        "--url",
        INSIDE,
        "--add-url",
        OUTSIDE,
    ];
    let swapped = jeton.json(&swap).await;
    assert_eq!(
        (&swapped["url"], &swapped["aliases"]),
        (&json!(INSIDE), &json!([OUTSIDE]))
    );
    assert_eq!(retired(&world).await, [""; 0]);
    let update = ["mcp-server", "update", id, "--remove-url", INSIDE];
    let refused = jeton.command(&update).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("resource identifier"), "{words}");

    world.operator.delete(&world.path()).await;
    assert_eq!(retired(&world).await, [INSIDE, OUTSIDE]);
    let create = [
        "mcp-server",
        "create",
        "--name",
        "New",
        "--url",
        OUTSIDE,
        "--url",
        INSIDE,
        "--scope",
        "a",
    ];
    let made = jeton.json(&create).await;
    assert_eq!(
        (&made["url"], &made["aliases"]),
        (&json!(OUTSIDE), &json!([INSIDE]))
    );
    assert_eq!(retired(&world).await, [""; 0]);
    assert_eq!(
        world.ask(&[("resource", INSIDE)]).await.error(),
        "invalid_target",
        "another server"
    );
}

#[tokio::test]
async fn an_alias_under_another_servers_url_is_left_only_when_that_is_confirmed() {
    let world = aliased(json!({})).await;
    let parent = "http://todo.internal:3002";
    let above = world.operator.mcp_server(parent, &["x"]).await;
    let client = world.operator.client(&above, &["x"]).await;
    let path = world.path();
    let body = json!({ "aliases": [] });
    let (status, problem) = refused(&world, Method::PATCH, &path, body.clone()).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains(parent));
    let (status, _) = refused(&world, Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, 409);
    let text = format!(
        "mcp_servers:\n- {{name: Todo, url: \"{OUTSIDE}\", scopes: {{a: }}}}\n\
         - {{name: Above, url: \"{parent}\", scopes: {{x: }}}}\n"
    );
    std::fs::write(world.jeton.folder().join("jeton.yaml"), text).unwrap();
    let refused = world.jeton.command(&["apply", "-f", "jeton.yaml"]).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains(INSIDE) && words.contains("--yes"), "{words}");
    world
        .operator
        .patch(&format!("{path}?confirm=true"), body)
        .await;
    let answer = client.ask(&world.jeton.url, &[("resource", INSIDE)]).await;
    assert_eq!(answer.error(), "invalid_target", "{}", answer.body);
}

#[tokio::test]
async fn the_dashboard_shows_aliases_and_changes_them() {
    let world = aliased(json!({})).await;
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard{}", world.path());
    for page in [
        path.clone(),
        format!("{path}/settings"),
        "/dashboard/mcp-servers?q=todo.internal".into(),
    ] {
        let shown = admin.page(&page).await;
        assert!(shown.contains(INSIDE), "{page}: {shown}");
    }
    let aliases = "http://127.0.0.1:3002/mcp\nhttp://[::1]:3002/mcp";
    let fields = [
        ("name", "Todo"),
        ("url", OUTSIDE),
        ("aliases", aliases),
        ("token_ttl", "1"),
        ("token_ttl_unit", "hours"),
        ("signing_alg", "RS256"),
        ("token_profile", "compatible"),
    ];
    let settings = format!("{path}/settings");
    let saved = admin.submit(&settings, &settings, &fields).await;
    assert_eq!(saved.status(), 303);
    let saved = world.operator.get(&world.path()).await;
    assert_eq!(
        saved["aliases"],
        json!(["http://127.0.0.1:3002/mcp", "http://[::1]:3002/mcp"])
    );
    assert_eq!(retired(&world).await, [INSIDE]);
    let mut wrong = fields;
    wrong[2].1 = "not a url";
    let refused = admin.submit(&settings, &settings, &wrong).await;
    assert_eq!(refused.status(), 422);
}

#[tokio::test]
async fn the_code_on_the_servers_page_names_aliases_and_implications() {
    let world = aliased(json!({ "scopes": [
        { "name": "a", "implies": ["b"] }, { "name": "b", "implies": ["c"] }, { "name": "c" },
    ] }))
    .await;
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard{}", world.path());
    let page = admin.page(&path).await.replace("&#34;", "\"");
    for line in [
        format!(".audience(\"{INSIDE}\")"),
        ".scope_implies(\"a\", \"b\")".to_owned(),
        ".scope_implies(\"b\", \"c\")".to_owned(),
        format!("audience=[\"{OUTSIDE}\", \"{INSIDE}\"]"),
        format!("audience: [\"{OUTSIDE}\", \"{INSIDE}\"]"),
    ] {
        assert!(page.contains(&line), "{line}: {page}");
    }
    let plain = world
        .operator
        .mcp_server("https://plain.example.com/mcp", &["a"])
        .await;
    let page = admin.page(&format!("/dashboard/mcp-servers/{plain}")).await;
    let page = page.replace("&#34;", "\"");
    assert!(
        page.contains("audience=\"https://plain.example.com/mcp\""),
        "{page}"
    );
    for line in [".audience(", ".scope_implies("] {
        assert!(!page.contains(line), "{line}: {page}");
    }
}

/// FastMCP knows the one URL that it was started with.
#[tokio::test]
async fn fastmcp_accepts_tokens_by_an_alias_that_it_knows_itself_by() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let fast = FastMcp::start(&jeton.url).await;
    let gateway = "https://gateway.example.com/todo";
    let settings = json!({ "aliases": [fast.url] });
    let server = operator
        .mcp_server_with(gateway, &["todo:read"], settings)
        .await;
    let client = operator.client(&server, &["todo:read"]).await;
    let list = async |token: &str| {
        let answer = call_tool(&fast.url, token, "list_todos", json!({})).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for profile in ["compatible", "strict"] {
        let path = format!("/mcp-servers/{server}");
        let change = json!({ "token_profile": profile });
        operator.patch(&path, change).await;
        let by_alias = [("resource", fast.url.as_str())];
        let (status, answer) = list(&client.token(&jeton.url, &by_alias).await).await;
        assert!(
            status == 200 && answer.contains("todos"),
            "{profile}: {status} {answer}"
        );
        // The identifier alone is not its name.
        for other in [&[][..], &[("resource", gateway)]] {
            let (status, answer) = list(&client.token(&jeton.url, other).await).await;
            assert_eq!(status, 401, "{profile}: {answer}");
        }
    }
}

/// A protected server that is reached at its own address, whatever it is called.
async fn protected(
    issuer: &str,
    resource: impl FnOnce(u16) -> String,
    change: impl FnOnce(GuardBuilder) -> GuardBuilder,
) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let guard = change(GuardLayer::builder(&resource(port), issuer));
    let router = Router::new()
        .route("/mcp", post(async || "done"))
        .layer(guard.build().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://127.0.0.1:{port}/mcp")
}

async fn call(url: &str, token: &str) -> u16 {
    let request = http().post(url).bearer_auth(token).body("{}");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_guard_accepts_tokens_by_an_alias_whichever_url_it_was_given() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let by_name = |port| format!("http://localhost:{port}/mcp");
    for profile in ["compatible", "strict"] {
        let address = protected(&jeton.url, by_name, |guard| guard).await;
        let name = address.replace("127.0.0.1", "localhost");
        let settings = json!({ "aliases": [address], "token_profile": profile });
        let server = operator.mcp_server_with(&name, &["a"], settings).await;
        let client = operator.client(&server, &["a"]).await;
        for (resource, strict) in [(&name, 200), (&address, 401)] {
            let token = client.token(&jeton.url, &[("resource", resource)]).await;
            let expected = if profile == "strict" { strict } else { 200 };
            assert_eq!(
                call(&address, &token).await,
                expected,
                "{profile} {resource}"
            );
        }
        operator.delete(&format!("/mcp-servers/{server}")).await;
    }
    // A strict token names the one resource that was asked for: the guard is told the others.
    let address = protected(&jeton.url, by_name, |guard| {
        guard.audience("http://todo.internal/mcp")
    })
    .await;
    let name = address.replace("127.0.0.1", "localhost");
    let settings = json!({ "aliases": ["http://todo.internal/mcp"], "token_profile": "strict" });
    let server = operator.mcp_server_with(&name, &["a"], settings).await;
    let client = operator.client(&server, &["a"]).await;
    for resource in [name.as_str(), "http://todo.internal/mcp"] {
        let token = client.token(&jeton.url, &[("resource", resource)]).await;
        assert_eq!(call(&address, &token).await, 200, "{resource}");
    }
    // A guard that knows the server by an alias.
    let address = protected(&jeton.url, by_name, |guard| guard).await;
    let name = address.replace("127.0.0.1", "localhost");
    let settings = json!({ "aliases": [name] });
    let server = operator
        .mcp_server_with("https://gateway.example.com/todo", &["a"], settings)
        .await;
    let client = operator.client(&server, &["a"]).await;
    let token = client.token(&jeton.url, &[("resource", &name)]).await;
    assert_eq!(call(&address, &token).await, 200);
    let slash = format!("{name}/");
    let token = client.token(&jeton.url, &[("resource", &slash)]).await;
    assert_eq!(call(&address, &token).await, 200);
}
