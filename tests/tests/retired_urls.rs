//! URLs of MCP servers that are gone: nobody gets tokens for them.

use std::ops::Deref;

use jeton_tests::{Admin, Answer, Jeton, JetonOptions, World, claims};
use reqwest::Method;
use serde_json::json;

const PARENT: &str = "https://tools.example.com";
const CHILD: &str = "https://tools.example.com/payments";

/// Two servers, one under the other, and a client of the parent.
struct Family {
    world: World,
    child: String,
}

impl Deref for Family {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Family {
    async fn new() -> Self {
        let world = World::new(PARENT, json!({}), &["a"]).await;
        let child = world.operator.mcp_server(CHILD, &["pay"]).await;
        Self { world, child }
    }

    async fn ask(&self, resource: &str) -> Answer {
        self.world.ask(&[("resource", resource)]).await
    }

    async fn assert_refused(&self, resource: &str) {
        let answer = self.ask(resource).await;
        assert_eq!(
            answer.error(),
            "invalid_target",
            "{resource}: {}",
            answer.body
        );
    }

    fn child_path(&self) -> String {
        format!("/mcp-servers/{}", self.child)
    }
}

#[tokio::test]
async fn a_deleted_servers_url_is_not_opened_to_clients_of_the_server_above_it() {
    let world = Family::new().await;
    world.assert_refused(CHILD).await;
    let path = world.child_path();
    let (status, problem) = world.operator.send(Method::DELETE, &path, None).await;
    assert_eq!(status, 409, "{problem}");
    assert_eq!(problem["type"], "urn:jeton:problem:confirmation-required");
    assert!(problem["detail"].as_str().unwrap().contains(PARENT));
    world.operator.get(&path).await;
    world.operator.delete(&format!("{path}?confirm=true")).await;
    for below in [CHILD, &format!("{CHILD}/"), &format!("{CHILD}/refunds")] {
        world.assert_refused(below).await;
    }
    let refused = world.operator.audit("kind=token.refused").await;
    assert_eq!(refused[0]["mcp_server_id"], world.child.as_str());
    let beside = world.ask(&format!("{PARENT}/paymentsx")).await;
    assert_eq!(beside.status, 200);

    // Until the operator releases it.
    let list = world.jeton.json(&["mcp-server", "retired-urls"]).await;
    assert_eq!(list[0]["url"], CHILD);
    assert_eq!(list[0]["mcp_server_id"], world.child.as_str());
    world
        .jeton
        .json(&["mcp-server", "release-url", CHILD])
        .await;
    assert_eq!(world.ask(CHILD).await.status, 200);
    let events = world.operator.audit("kind=mcp_server.url_released").await;
    assert_eq!(events.len(), 1);
    let again = world
        .jeton
        .command(&["mcp-server", "release-url", CHILD])
        .await;
    assert_eq!(again.status.code(), Some(1));
}

#[tokio::test]
async fn the_command_line_says_what_a_deletion_opens_and_wants_yes() {
    let world = Family::new().await;
    let refused = world
        .jeton
        .command(&["mcp-server", "delete", &world.child])
        .await;
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains(PARENT) && words.contains("--yes"), "{words}");
    world
        .jeton
        .json(&["mcp-server", "delete", &world.child, "--yes"])
        .await;
    world.assert_refused(CHILD).await;
}

#[tokio::test]
async fn a_url_that_a_server_leaves_is_retired_and_comes_back_by_registering_it() {
    let world = Family::new().await;
    let elsewhere = json!({ "url": "https://payments.example.com/mcp" });
    let path = world.child_path();
    let (status, problem) = world
        .operator
        .send(Method::PATCH, &path, Some(elsewhere.clone()))
        .await;
    assert_eq!(status, 409, "{problem}");
    let confirmed = format!("{path}?confirm=true");
    world.operator.patch(&confirmed, elsewhere).await;
    world.assert_refused(CHILD).await;
    let second = world.operator.mcp_server(CHILD, &["pay"]).await;
    let list = world.operator.get("/retired-urls").await;
    assert_eq!(list["items"], json!([]));
    world.assert_refused(CHILD).await;
    let grant = format!("/clients/{}/grants/{second}", world.client.client_id);
    let scopes = json!({ "scopes": ["pay"] });
    world.operator.put(&grant, scopes).await;
    assert_eq!(world.ask(CHILD).await.body["scope"], "pay");
    // A server that moves to a parent of its own URL still covers that.
    let path = format!("/mcp-servers/{second}");
    let deeper = json!({ "url": format!("{CHILD}/v2") });
    world
        .operator
        .patch(&format!("{path}?confirm=true"), deeper)
        .await;
    let back = json!({ "url": CHILD });
    world.operator.patch(&path, back).await;
    let list = world.operator.get("/retired-urls").await;
    assert_eq!(list["items"], json!([]));
    assert_eq!(world.ask(&format!("{CHILD}/v2")).await.status, 200);
}

#[tokio::test]
async fn apply_says_what_pruning_opens_and_wants_yes() {
    let world = Family::new().await;
    let file = world.jeton.folder().join("jeton.yaml");
    let text = format!(
        "mcp_servers: [{{name: Todo, url: \"{PARENT}\", scopes: {{a: A}}}}]\n\
         clients: [{{name: agent, grants: [{{mcp_server: \"{PARENT}\", all_scopes: true}}]}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let apply = ["apply", "-f", "jeton.yaml", "--prune"];
    let refused = world.jeton.command(&apply).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains(CHILD) && words.contains("--yes"), "{words}");
    world.operator.get(&world.child_path()).await;
    let done = world
        .jeton
        .command(&[&apply[..], &["--yes"]].concat())
        .await;
    assert!(done.status.success(), "{done:?}");
    world.assert_refused(CHILD).await;
}

#[tokio::test]
async fn the_dashboard_warns_before_a_deletion_and_releases_the_url() {
    let world = Family::new().await;
    let admin = Admin::first(&world.jeton).await;
    let path = format!("/dashboard/mcp-servers/{}", world.child);
    let page = admin.page(&format!("{path}/delete")).await;
    assert!(page.contains("It lies under the URL of"), "{page}");
    assert!(page.contains("name=\"confirmed\" value=\"yes\""), "{page}");
    let delete = format!("{path}/delete");
    let unwarned = [("confirm", "Todo")];
    let answer = admin.submit(&delete, &delete, &unwarned).await;
    assert_eq!(answer.status(), 409, "the warning was not on that page");
    let fields = [("confirm", "Todo"), ("confirmed", "yes")];
    let deleted = admin.submit(&delete, &delete, &fields).await;
    assert_eq!(deleted.status(), 303);
    world.assert_refused(CHILD).await;
    let page = admin.page("/dashboard/mcp-servers").await;
    assert!(page.contains("Retired URLs") && page.contains(CHILD));
    let release = "/dashboard/retired-urls/release";
    let retired_at = async || {
        let list = world.operator.get("/retired-urls").await;
        list["items"][0]["retired_at"].as_str().unwrap().to_owned()
    };
    let stale = retired_at().await;
    assert!(page.contains(&stale), "{page}");
    // Registered and deleted again since the page was opened: that is another one.
    let again = world.operator.mcp_server(CHILD, &["pay"]).await;
    let again = format!("/mcp-servers/{again}?confirm=true");
    world.operator.delete(&again).await;
    let fields = [("url", CHILD), ("retired_at", stale.as_str())];
    assert_eq!(admin.post(release, &fields).await.status(), 409);
    let body = json!({ "url": CHILD, "retired_at": stale });
    let path = "/retired-urls/release";
    let (status, _) = world.operator.send(Method::POST, path, Some(body)).await;
    assert_eq!(status, 412);
    let body = json!({ "url": CHILD });
    let (status, problem) = world.operator.send(Method::POST, path, Some(body)).await;
    assert_eq!(status, 428, "{problem}");
    for named in ["retired_at", "If-Match: *"] {
        assert!(problem["detail"].as_str().unwrap().contains(named));
    }
    world.assert_refused(CHILD).await;
    let now = retired_at().await;
    let fields = [("url", CHILD), ("retired_at", now.as_str())];
    assert_eq!(admin.post(release, &fields).await.status(), 303);
    assert_eq!(world.ask(CHILD).await.status, 200);
    let page = admin.page("/dashboard/mcp-servers").await;
    assert!(!page.contains("Retired URLs"));
}

#[tokio::test]
async fn other_spellings_of_a_registered_path_are_refused_with_the_normal_one() {
    let world = Family::new().await;
    for other in [
        "https://tools.example.com/%70ayments",
        "https://tools.example.com/pa%79ments",
        "https://tools.example.com/%2570ayments",
        "https://tools.example.com//payments",
        "https://tools.example.com/x/../payments",
        "https://tools.example.com/x/%2e%2e/payments",
        "https://tools.example.com/x%2f..%2Fpayments",
        "https://tools.example.com/%2Fpayments",
        "https://tools.example.com/%5cpayments",
        "https://tools.example.com\\payments",
        "https://tools.example.com/pay\tments",
        "https://tools.example.com/payments.",
        "https://tools.example.com/payments;x",
        "https://tools.example.com/payments%20",
        "https://tools.example.com/%EF%BD%90ayments",
        "https://tools.example.com./payments",
    ] {
        let answer = world.ask(other).await;
        assert_eq!(answer.error(), "invalid_target", "{other}: {}", answer.body);
        let words = answer.body["error_description"].as_str().unwrap();
        assert!(words.contains(CHILD), "{other}: {words}");
        let body = json!({ "name": "Other", "url": other });
        let (status, problem) = world
            .operator
            .send(Method::POST, "/mcp-servers", Some(body))
            .await;
        assert_eq!(
            (status, &problem["parameter"]),
            (400, &json!("url")),
            "{other}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(CHILD));
    }
    // What the parent's client gets still names its own server only.
    let token = world.client.token(&world.jeton.url, &[]).await;
    assert_eq!(claims(&token)["aud"][0], PARENT);
}

#[tokio::test]
async fn a_server_that_moves_above_its_parent_does_not_open_its_url_to_the_parent() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (above, parent, left) = (
        "https://h.example.com/a",
        "https://h.example.com/a/b",
        "https://h.example.com/a/b/c",
    );
    let settings = json!({ "name": "Parent" });
    let id = operator.mcp_server_with(parent, &["a"], settings).await;
    let client = operator.client(&id, &["a"]).await;
    let settings = json!({ "name": "Mover" });
    let mover = operator.mcp_server_with(left, &["m"], settings).await;
    let text = format!(
        "mcp_servers:\n- {{name: Parent, url: \"{parent}\", scopes: {{a: }}}}\n\
         - {{name: Mover, url: \"{above}\", scopes: {{m: }}}}\n"
    );
    std::fs::write(jeton.folder().join("jeton.yaml"), text).unwrap();
    let refused = jeton.command(&["apply", "-f", "jeton.yaml"]).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains(left) && words.contains("--yes"), "{words}");
    // The plan says so before the server is asked.
    let planned = jeton.command(&["apply", "-f", "jeton.yaml", "--dry-run"]);
    let words = String::from_utf8(planned.await.stderr).unwrap();
    assert!(words.contains(&format!("under {parent}")), "{words}");
    let body = json!({ "url": above });
    let path = format!("/mcp-servers/{mover}");
    let (status, problem) = operator
        .send(Method::PATCH, &path, Some(body.clone()))
        .await;
    assert_eq!(status, 409, "{problem}");
    let path = format!("{path}?confirm=true");
    operator.patch(&path, body).await;
    let answer = client.ask(&jeton.url, &[("resource", left)]).await;
    assert_eq!(answer.error(), "invalid_target", "{}", answer.body);
    let list = operator.get("/retired-urls").await;
    assert_eq!(list["items"][0]["url"], left);
}

#[tokio::test]
async fn a_change_with_two_consequences_tells_both() {
    let world = Family::new().await;
    world.operator.client(&world.child, &["pay"]).await;
    let path = world.child_path();
    let body = json!({ "url": "https://payments.example.com/mcp", "remove_scopes": ["pay"] });
    let (status, problem) = world.operator.send(Method::PATCH, &path, Some(body)).await;
    assert_eq!(status, 409, "{problem}");
    let words = problem["detail"].as_str().unwrap();
    assert!(
        words.contains("1 client loses") && words.contains(PARENT),
        "{words}"
    );
}

#[tokio::test]
async fn a_url_that_is_refused_today_is_named_at_start_and_may_stay() {
    let world = Family::new().await;
    let old = "https://tools.example.com//payments";
    let spell = format!(
        "UPDATE mcp_server SET url = '{old}', url_key = '{old}' WHERE id = '{}'",
        world.child
    );
    world.jeton.database().sql(&spell).await;
    let Family {
        world: World { jeton, .. },
        child,
    } = world;
    let port = jeton.url.rsplit(':').next().unwrap().parse().unwrap();
    let options = JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let jeton = jeton.crash_and_restart(options).await;
    let log = jeton.log();
    assert!(log.contains(&child) && log.contains(CHILD), "{log}");
    let operator = jeton.operator().await;
    let path = format!("/mcp-servers/{child}");
    let body = json!({ "url": old, "description": "changed" });
    let changed = operator.patch(&path, body).await;
    assert_eq!(changed["url"], old);
    let admin = Admin::first(&jeton).await;
    let fields = [
        ("name", "Todo"),
        ("url", old),
        ("description", "again"),
        ("token_ttl", "1"),
        ("token_ttl_unit", "hours"),
        ("signing_alg", "RS256"),
        ("token_profile", "compatible"),
    ];
    let settings = format!("/dashboard{path}/settings");
    let answer = admin.submit(&settings, &settings, &fields).await;
    assert_eq!(answer.status(), 303);
    let body = json!({ "url": "https://tools.example.com//other" });
    let (status, problem) = operator.send(Method::PATCH, &path, Some(body)).await;
    assert_eq!((status, &problem["parameter"]), (400, &json!("url")));
    let body = json!({ "url": CHILD });
    let path = format!("{path}?confirm=true");
    assert_eq!(operator.patch(&path, body).await["url"], CHILD);
}
