//! Two people change the same thing: whoever read it before the other's change overwrites nothing.

use jeton_tests::{Admin, Credentials, Jeton, Operator, forms_in, hidden_field};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// A server with three scopes, a client with `a` and `b`, and a signed-in admin.
struct World {
    jeton: Jeton,
    operator: Operator,
    admin: Admin,
    todo: String,
    client: Credentials,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let (todo, client) = operator.server_with_three_scopes().await;
        Self {
            admin: Admin::first(&jeton).await,
            client,
            jeton,
            operator,
            todo,
        }
    }

    fn client_path(&self) -> String {
        format!("/clients/{}", self.client.client_id)
    }

    fn grant_path(&self) -> String {
        format!("{}/grants/{}", self.client_path(), self.todo)
    }

    async fn grant(&self) -> Value {
        let client = self.operator.get(&self.client_path()).await;
        client["grants"][0].clone()
    }

    /// A request that says which version was read.
    async fn send_if(&self, method: Method, path: &str, version: &Value, body: Value) -> Response {
        let request = self.operator.unconditional(method, path).json(&body);
        let tag = format!("\"v{version}\"");
        request.header("if-match", tag).send().await.unwrap()
    }
}

#[tokio::test]
async fn a_scope_that_was_taken_away_does_not_come_back_with_a_stale_page() {
    let world = World::new().await;
    let path = format!("/dashboard{}", world.client_path());
    let action = format!("{path}/grants");
    let page = world.admin.page(&path).await;
    let version = hidden_field(&page, &action, "version");
    let scopes = json!({ "scopes": ["a"] });
    world.operator.put(&world.grant_path(), scopes).await;
    let fields = [
        ("mcp_server_id", world.todo.as_str()),
        ("version", version.as_str()),
        ("scope", "a"),
        ("scope", "b"),
        ("scope", "c"),
    ];
    let answer = world.admin.post(&action, &fields).await;
    assert_eq!(answer.status(), 409);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Someone else changed this"), "{page}");
    assert!(page.contains("<dd>a</dd>"), "what is saved now: {page}");
    assert!(
        page.contains("name=\"scope\" value=\"c\" checked"),
        "{page}"
    );
    assert_eq!(world.grant().await["scopes"], json!(["a"]));
    // Who has seen it may save it.
    let version = hidden_field(&page, &action, "version");
    let fields = [
        ("mcp_server_id", world.todo.as_str()),
        ("version", version.as_str()),
        ("scope", "c"),
    ];
    assert_eq!(world.admin.post(&action, &fields).await.status(), 303);
    assert_eq!(world.grant().await["scopes"], json!(["c"]));
}

#[tokio::test]
async fn a_grant_that_was_removed_or_made_again_is_another_one() {
    let world = World::new().await;
    let path = format!("/dashboard{}", world.client_path());
    let action = format!("{path}/grants");
    let page = world.admin.page(&path).await;
    let version = hidden_field(&page, &action, "version");
    let fields = [
        ("mcp_server_id", world.todo.as_str()),
        ("version", version.as_str()),
        ("scope", "b"),
    ];
    world.operator.delete(&world.grant_path()).await;
    let answer = world.admin.post(&action, &fields).await;
    assert_eq!(answer.status(), 409);
    let page = answer.text().await.unwrap();
    assert!(page.contains("the grant was removed"), "{page}");
    let form = format!("{path}/grants/new?mcp_server={}", world.todo);
    let form = world.admin.page(&form).await;
    let none = hidden_field(&form, &action, "version");
    let scopes = json!({ "scopes": ["a"] });
    world.operator.put(&world.grant_path(), scopes).await;
    for version in [&version, &none] {
        let fields = [
            ("mcp_server_id", world.todo.as_str()),
            ("version", version.as_str()),
            ("scope", "b"),
        ];
        assert_eq!(world.admin.post(&action, &fields).await.status(), 409);
        let remove = format!("{action}/{}/delete", world.todo);
        let fields = [("version", version.as_str())];
        assert_eq!(world.admin.post(&remove, &fields).await.status(), 409);
    }
    assert_eq!(world.grant().await["scopes"], json!(["a"]));
}

#[tokio::test]
async fn the_admin_api_refuses_a_version_that_is_no_more() {
    let world = World::new().await;
    let grant = world.grant().await["version"].clone();
    let scopes = json!({ "scopes": ["b"] });
    let path = world.grant_path();
    let put = world
        .send_if(Method::PUT, &path, &grant, scopes.clone())
        .await;
    assert_eq!(put.status(), 200);
    let tag = put.headers()["etag"].to_str().unwrap().to_owned();
    let now = world.grant().await["version"].clone();
    assert_eq!(tag, format!("\"v{now}\""));
    for (method, body) in [(Method::PUT, scopes.clone()), (Method::DELETE, json!({}))] {
        let stale = world.send_if(method, &path, &grant, body).await;
        assert_eq!(stale.status(), 412);
    }
    let request = world
        .operator
        .unconditional(Method::PUT, &path)
        .json(&scopes);
    let taken = request.header("if-none-match", "*").send().await.unwrap();
    assert_eq!(taken.status(), 412);
    for path in [world.client_path(), format!("/mcp-servers/{}", world.todo)] {
        let seen = world.operator.get(&path).await["version"].clone();
        world
            .operator
            .patch(&path, json!({ "description": "x" }))
            .await;
        let rename = json!({ "name": "y" });
        for (method, body) in [(Method::PATCH, rename), (Method::DELETE, json!({}))] {
            let stale = world.send_if(method, &path, &seen, body).await;
            assert_eq!(stale.status(), 412, "{path}");
        }
    }
}

#[tokio::test]
async fn the_admin_api_changes_nothing_without_the_version_that_was_read() {
    let world = World::new().await;
    let server = format!("/mcp-servers/{}", world.todo);
    let (client, grant) = (world.client_path(), world.grant_path());
    let rename = json!({ "name": "y" });
    let scopes = json!({ "scopes": ["c"] });
    let changes = [
        (Method::PATCH, &server, rename.clone()),
        (Method::DELETE, &server, json!({})),
        (Method::PATCH, &client, rename),
        (Method::DELETE, &client, json!({})),
        (Method::PUT, &grant, scopes.clone()),
        (Method::DELETE, &grant, json!({})),
    ];
    let before = (
        world.operator.get(&server).await,
        world.operator.get(&client).await,
    );
    for (method, path, body) in &changes {
        let request = || {
            world
                .operator
                .unconditional(method.clone(), path)
                .json(body)
        };
        let refused = request().send().await.unwrap();
        assert_eq!(refused.status(), 428, "{method} {path}");
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["type"], "urn:jeton:problem:precondition-required");
        assert!(problem["detail"].as_str().unwrap().contains("If-Match: *"));
        for tag in ["\"v1\", \"v2\"", "W/\"v1\"", "v1", ""] {
            let refused = request().header("if-match", tag).send().await.unwrap();
            assert_eq!(refused.status(), 400, "{method} {path} {tag}");
        }
        let twice = request()
            .header("if-match", "*")
            .header("if-match", "\"v9\"");
        assert_eq!(twice.send().await.unwrap().status(), 400, "{method} {path}");
    }
    let after = (
        world.operator.get(&server).await,
        world.operator.get(&client).await,
    );
    assert_eq!(before, after);
    // A star overwrites what is there, and makes nothing.
    let any = |method: Method, path: &str, body: &Value| {
        let request = world.operator.unconditional(method, path).json(body);
        request.header("if-match", "*").send()
    };
    let put = any(Method::PUT, &grant, &scopes).await.unwrap();
    assert_eq!(put.status(), 200);
    let deleted = any(Method::DELETE, &grant, &json!({})).await.unwrap();
    assert_eq!(deleted.status(), 204);
    let gone = any(Method::PUT, &grant, &scopes).await.unwrap();
    assert_eq!(gone.status(), 412, "a grant that was removed stays so");
    let both = world
        .operator
        .unconditional(Method::PUT, &grant)
        .json(&scopes);
    let both = both.header("if-match", "*").header("if-none-match", "*");
    assert_eq!(both.send().await.unwrap().status(), 400);
    let made = world
        .operator
        .unconditional(Method::PUT, &grant)
        .json(&scopes);
    let made = made.header("if-none-match", "*").send().await.unwrap();
    assert_eq!(made.status(), 200);
}

#[tokio::test]
async fn the_openapi_document_wants_if_match_wherever_a_version_is_overwritten() {
    let jeton = Jeton::start().await;
    let document: Value = jeton.get("/api/openapi.json").await.json().await.unwrap();
    let mut conditional = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["patch", "put", "delete", "post"] {
            let operation = &item[method];
            if operation.is_null()
                || !operation["responses"]
                    .as_object()
                    .unwrap()
                    .contains_key("428")
            {
                continue;
            }
            let parameters = operation["parameters"].as_array().unwrap();
            let header = parameters
                .iter()
                .find(|one| one["name"] == "If-Match")
                .unwrap();
            // A grant that is made has If-None-Match in its place, and what has no version a member of the body.
            assert_eq!(
                header["required"] == true,
                !["put", "post"].contains(&method),
                "{method} {path}"
            );
            assert!(operation["responses"]["412"].is_object(), "{method} {path}");
            conditional.push(format!("{method} {path}"));
        }
    }
    conditional.sort();
    assert_eq!(
        conditional,
        [
            "delete /api/v1/clients/{client_id}/grants/{mcp_server_id}",
            "delete /api/v1/clients/{id}",
            "delete /api/v1/mcp-servers/{id}",
            "patch /api/v1/clients/{id}",
            "patch /api/v1/mcp-servers/{id}",
            "post /api/v1/audit-checkpoint/rotate-key",
            "post /api/v1/clients/{client_id}/secrets/rotate",
            "post /api/v1/retired-urls/release",
            "post /api/v1/signing-keys/rotate",
            "put /api/v1/clients/{client_id}/grants/{mcp_server_id}",
        ]
    );
}

#[tokio::test]
async fn the_command_line_deletes_what_it_has_read() {
    let world = World::new().await;
    world
        .jeton
        .json(&["client", "delete", &world.client.client_id])
        .await;
    world
        .jeton
        .json(&["mcp-server", "delete", &world.todo])
        .await;
    for path in [world.client_path(), format!("/mcp-servers/{}", world.todo)] {
        let (status, _) = world.operator.send(Method::GET, &path, None).await;
        assert_eq!(status, 404, "{path}");
    }
    // What is deleted already is deleted, and what is no ID is not.
    for (id, code) in [(world.client.client_id.as_str(), 0), ("m2m_none", 1)] {
        let again = world.jeton.command(&["client", "delete", id]).await;
        assert_eq!(again.status.code(), Some(code), "{id}");
    }
}

#[tokio::test]
async fn a_stale_settings_page_keeps_what_was_typed_and_shows_what_changed() {
    let world = World::new().await;
    let server = format!("/mcp-servers/{}", world.todo);
    for (path, more) in [
        (world.client_path(), vec![]),
        (
            server,
            vec![
                ("url", "http://localhost:3002/mcp"),
                ("signing_alg", "RS256"),
                ("token_profile", "compatible"),
                ("token_ttl", "1"),
            ],
        ),
    ] {
        let page = format!("/dashboard{path}/settings");
        let before = world.admin.page(&page).await;
        let version = hidden_field(&before, "", "version");
        let theirs = json!({ "description": "Ask Grace" });
        world.operator.patch(&path, theirs).await;
        let mut fields = vec![
            ("version", version.as_str()),
            ("name", "My name for it"),
            ("description", "Ask Ada"),
            ("token_ttl_unit", "hours"),
        ];
        fields.extend(more);
        let answer = world.admin.post(&page, &fields).await;
        assert_eq!(answer.status(), 409, "{path}");
        let shown = answer.text().await.unwrap();
        for text in ["value=\"My name for it\"", "value=\"Ask Ada\"", "Ask Grace"] {
            assert!(shown.contains(text), "{path}: {text}: {shown}");
        }
        let remove = format!("/dashboard{path}/delete");
        let name = world.operator.get(&path).await["name"].clone();
        let fields = [
            ("version", version.as_str()),
            ("confirm", name.as_str().unwrap()),
        ];
        assert_eq!(world.admin.post(&remove, &fields).await.status(), 409);
        let version = hidden_field(&shown, "", "version");
        let mut fields: Vec<_> = vec![
            ("version", version.as_str()),
            ("name", "My name for it"),
            ("token_ttl_unit", "hours"),
            ("url", "http://localhost:3002/mcp"),
            ("signing_alg", "RS256"),
            ("token_profile", "compatible"),
        ];
        if path.starts_with("/mcp") {
            fields.push(("token_ttl", "1"));
        }
        assert_eq!(world.admin.post(&page, &fields).await.status(), 303);
        let nonsense = [
            ("version", "oops"),
            ("name", "x"),
            ("token_ttl_unit", "hours"),
        ];
        assert_eq!(world.admin.post(&page, &nonsense).await.status(), 422);
    }
}

#[tokio::test]
async fn a_form_with_a_mistake_is_not_shown_again_as_if_it_were_made_from_what_is_there_now() {
    let world = World::new().await;
    let server = format!("/mcp-servers/{}", world.todo);
    let lifetime = vec![("token_ttl", "soon")];
    let row = vec![("scope_name", "two words"), ("scope_description", "")];
    for (path, end, mistake) in [
        (world.client_path(), "/settings", lifetime.clone()),
        (server.clone(), "/settings", lifetime),
        (server, "/scopes", row),
    ] {
        let page = format!("/dashboard{path}{end}");
        let form = world.admin.form(&page, &page).await;
        let theirs = json!({ "description": "Ask Grace" });
        world.operator.patch(&path, theirs).await;
        let fields = [&form.seen()[..], &[("name", "Mine")], &mistake].concat();
        let answer = world.admin.post(&page, &fields).await;
        assert_eq!(answer.status(), 409, "{page}");
        let shown = answer.text().await.unwrap();
        assert!(shown.contains("Someone else changed this"), "{shown}");
    }
    // Nor does a secret count as seen that was made in between.
    let path = format!("/dashboard{}", world.client_path());
    let rotate = format!("{path}/secrets/rotate");
    let form = world.admin.form(&rotate, &rotate).await;
    let secrets = format!("{}/secrets", world.client_path());
    world.operator.post(&secrets, json!({})).await;
    let fields = [&form.seen()[..], &[("grace", "soon")]].concat();
    let answer = world.admin.post(&rotate, &fields).await;
    assert_eq!(answer.status(), 422);
    let shown = forms_in(&answer.text().await.unwrap(), &path);
    let shown = shown.iter().find(|shown| shown.action == rotate).unwrap();
    assert_eq!(shown.seen(), form.seen());
}

#[tokio::test]
async fn a_client_that_was_disabled_again_is_not_enabled_by_a_stale_page() {
    let world = World::new().await;
    let path = world.client_path();
    let disable = json!({ "status": "disabled" });
    world.operator.patch(&path, disable.clone()).await;
    let page = world.admin.page(&format!("/dashboard{path}")).await;
    let enable = format!("/dashboard{path}/enable");
    let version = hidden_field(&page, &enable, "version");
    world
        .operator
        .patch(&path, json!({ "status": "enabled" }))
        .await;
    world.operator.patch(&path, disable).await;
    let fields = [("version", version.as_str())];
    assert_eq!(world.admin.post(&enable, &fields).await.status(), 409);
    assert_eq!(world.operator.get(&path).await["status"], "disabled");
}

#[tokio::test]
async fn a_secret_that_was_not_seen_does_not_expire_by_a_rotation() {
    let world = World::new().await;
    let path = format!("/dashboard{}", world.client_path());
    let rotate = format!("{path}/secrets/rotate");
    let page = world.admin.page(&rotate).await;
    let seen = hidden_field(&page, &rotate, "seen");
    let secrets = format!("{}/secrets", world.client_path());
    world.operator.post(&secrets, json!({})).await;
    let fields = [("seen", seen.as_str()), ("grace", "1h")];
    let answer = world.admin.post(&rotate, &fields).await;
    assert_eq!(answer.status(), 422);
    let list = world.operator.get(&secrets).await;
    for secret in list["items"].as_array().unwrap() {
        assert_eq!(secret["expires_at"], Value::Null);
    }
    let body = json!({ "seen_secret_ids": [seen] });
    let path = format!("{secrets}/rotate");
    let (status, _) = world.operator.send(Method::POST, &path, Some(body)).await;
    assert_eq!(status, 412);
    // What was seen has to be said.
    let unseen = || world.operator.request(Method::POST, &path).json(&json!({}));
    let refused = unseen().send().await.unwrap();
    assert_eq!(refused.status(), 428);
    let problem: Value = refused.json().await.unwrap();
    for named in ["seen_secret_ids", "If-Match: *"] {
        assert!(problem["detail"].as_str().unwrap().contains(named));
    }
    let version = unseen().header("if-match", "\"v1\"").send();
    assert_eq!(version.await.unwrap().status(), 400, "it has no version");
    let list = world.operator.get(&secrets).await;
    for secret in list["items"].as_array().unwrap() {
        assert_eq!(secret["expires_at"], Value::Null);
    }
    // Of two that saw the same, one rotates.
    let list = list["items"].as_array().unwrap();
    let seen: Vec<_> = list.iter().map(|secret| &secret["id"]).collect();
    let body = json!({ "seen_secret_ids": seen });
    let rotate = || world.operator.send(Method::POST, &path, Some(body.clone()));
    let (one, other) = tokio::join!(rotate(), rotate());
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
}

#[tokio::test]
async fn of_two_emergencies_about_one_key_the_second_replaces_nothing() {
    let world = World::new().await;
    let keys = async || world.operator.get("/signing-keys").await["items"].clone();
    let before = keys().await;
    let signing = before.as_array().unwrap().iter();
    let mut signing = signing.filter(|key| key["algorithm"] == "EdDSA" && key["state"] == "active");
    let seen = signing.next().unwrap()["id"].clone();
    let rotate = |body: Value| {
        let path = "/signing-keys/rotate";
        let request = world.operator.unconditional(Method::POST, path);
        request.json(&body)
    };
    let unseen = json!({ "algorithm": "EdDSA", "emergency": true });
    let refused = rotate(unseen.clone()).send().await.unwrap();
    assert_eq!(refused.status(), 428);
    assert_eq!(keys().await, before);
    let mut body = unseen.clone();
    body["seen_key_id"] = seen;
    let both = tokio::join!(rotate(body.clone()).send(), rotate(body.clone()).send());
    let mut statuses = [both.0, both.1].map(|answer| answer.unwrap().status().as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
    assert_eq!(
        keys().await.as_array().unwrap().len(),
        before.as_array().unwrap().len() + 1
    );
    let any = rotate(unseen).header("if-match", "*").send();
    assert_eq!(any.await.unwrap().status(), 201);
    // The command line replaces what it has read.
    world
        .jeton
        .json(&["key", "rotate", "--emergency", "--algorithm", "EdDSA"])
        .await;
}

#[tokio::test]
async fn of_two_emergencies_about_one_checkpoint_key_the_second_replaces_nothing() {
    let world = World::new().await;
    let key = async || world.operator.get("/audit-checkpoint").await["key"].clone();
    let rotate = |body: Value| {
        let path = "/audit-checkpoint/rotate-key";
        let request = world.operator.unconditional(Method::POST, path);
        request.json(&body)
    };
    let seen = key().await;
    let unseen = json!({ "emergency": true });
    let refused = rotate(unseen.clone()).send().await.unwrap();
    assert_eq!(refused.status(), 428);
    let problem: Value = refused.json().await.unwrap();
    for named in ["seen_key", "If-Match: *"] {
        assert!(problem["detail"].as_str().unwrap().contains(named));
    }
    assert_eq!(key().await, seen);
    let body = json!({ "emergency": true, "seen_key": seen });
    let both = tokio::join!(rotate(body.clone()).send(), rotate(body).send());
    let mut statuses = [both.0, both.1].map(|answer| answer.unwrap().status().as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let after = key().await;
    assert_ne!(after, seen);
    let any = rotate(unseen).header("if-match", "*").send();
    assert_eq!(any.await.unwrap().status(), 200);
    assert_ne!(key().await, after);
    // The command line replaces what it has read, and what is no emergency is as it was.
    world
        .jeton
        .json(&["audit", "rotate-key", "--emergency"])
        .await;
    let orderly = rotate(json!({})).send().await.unwrap();
    assert_eq!(orderly.status(), 200);
}

#[tokio::test]
async fn a_client_that_changes_while_it_is_deleted_is_changed_or_deleted() {
    let world = World::new().await;
    for _ in 0..30 {
        let client = world.operator.client(&world.todo, &["a"]).await;
        let path = format!("/clients/{}", client.client_id);
        let version = world.operator.get(&path).await["version"].clone();
        let rename = json!({ "description": "in use again" });
        let (changed, deleted) = tokio::join!(
            world.send_if(Method::PATCH, &path, &version, rename),
            world.send_if(Method::DELETE, &path, &version, json!({})),
        );
        let (changed, deleted) = (changed.status(), deleted.status());
        assert!(
            changed != 200 || deleted == 412,
            "changed: {changed}, deleted: {deleted}"
        );
    }
}

#[tokio::test]
async fn a_role_that_was_changed_since_is_not_changed_by_a_stale_page() {
    let world = World::new().await;
    let page = world.admin.page("/dashboard/settings").await;
    assert!(!page.contains("name=\"was\""), "nobody else is there");
    let note = [("note", "Vera"), ("role", "viewer")];
    let invited = world
        .admin
        .post("/dashboard/settings/invitations", &note)
        .await;
    let reveal = jeton_tests::set_cookie(&invited, "jeton_reveal").unwrap();
    let page = world
        .admin
        .get("/dashboard/settings")
        .header("cookie", format!("{}; {reveal}", world.admin.session));
    let page = page.send().await.unwrap().text().await.unwrap();
    let link = page.split("/dashboard/join/").nth(1).unwrap();
    let link = format!("/dashboard/join/{}", link.split('<').next().unwrap());
    let vera = Admin::join(&world.jeton, &link, "Vera", "vera@example.com").await;
    let page = world.admin.page("/dashboard/settings").await;
    let action = page.split("/settings/admins/").nth(1).unwrap();
    let id = action.split('/').next().unwrap();
    let role = format!("/dashboard/settings/admins/{id}/role");
    let stale = [("role", "admin"), ("was", "admin")];
    assert_eq!(world.admin.post(&role, &stale).await.status(), 409);
    let unseen = [("role", "admin")];
    assert_eq!(world.admin.post(&role, &unseen).await.status(), 422);
    let was = hidden_field(&page, &role, "was");
    let right = [("role", "admin"), ("was", was.as_str())];
    assert_eq!(world.admin.post(&role, &right).await.status(), 303);
    assert_eq!(world.admin.post(&role, &right).await.status(), 409);
    drop(vera);
}

#[tokio::test]
async fn the_command_line_changes_a_grant_as_it_is_now() {
    let world = World::new().await;
    let id = world.client.client_id.as_str();
    let update = ["client", "update", id, "--mcp-server", &world.todo];
    let add = [&update[..], &["--add-scope", "c"]].concat();
    world.jeton.json(&add).await;
    assert_eq!(world.grant().await["scopes"], json!(["a", "b", "c"]));
    let remove = [&update[..], &["--remove-scope", "a"]].concat();
    world.jeton.json(&remove).await;
    assert_eq!(world.grant().await["scopes"], json!(["b", "c"]));
    let again = world.jeton.command(&remove).await;
    assert_eq!(again.status.code(), Some(1));
}

#[tokio::test]
async fn apply_overwrites_nothing_that_changed_after_it_planned() {
    let world = World::new().await;
    let folder = world.jeton.folder();
    // Opening it waits for a reader: apply has planned by then, and has not come to the grant.
    let pipe = folder.join("first.json");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let text = "
mcp_servers:
  - name: Todo
    url: http://localhost:3002/mcp
    description: Applied
    scopes: {a: , b: , c: }
clients:
  - name: first
    grants: [{mcp_server: Todo, scopes: [a]}]
    secret_file: first.json
  - name: agent
    grants: [{mcp_server: Todo, scopes: [a, b, c]}]
";
    std::fs::write(folder.join("jeton.yaml"), text).unwrap();
    let apply = world.jeton.command(&["apply", "-f", "jeton.yaml"]);
    let meanwhile = async {
        let server = format!("/mcp-servers/{}", world.todo);
        jeton_tests::eventually("apply has begun", async || {
            world.operator.get(&server).await["description"] == "Applied"
        })
        .await;
        let scopes = json!({ "scopes": ["a"] });
        world.operator.put(&world.grant_path(), scopes).await;
        let reading = std::fs::File::open(&pipe);
        tokio::task::spawn_blocking(move || drop(reading))
            .await
            .unwrap();
    };
    let (applied, ()) = tokio::join!(apply, meanwhile);
    let words = String::from_utf8(applied.stderr).unwrap();
    assert_eq!(applied.status.code(), Some(1), "{words}");
    assert!(words.contains("somebody else changed it"), "{words}");
    assert_eq!(world.grant().await["scopes"], json!(["a"]));
}
