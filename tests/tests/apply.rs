//! Configuration as code.

use std::os::unix::fs::PermissionsExt as _;

use jeton_tests::{Credentials, Jeton};
use serde_json::{Value, json};

const TWO_SERVERS: &str = "
mcp_servers:
  - name: Todo
    url: http://localhost:3002/mcp
    description: Things to do
    scopes:
      todo:read: Read todos
      todo:write:
  - name: Mail
    url: http://localhost:3003/mcp
    signing_alg: ES256
    token_profile: strict
    scopes: {mail:send: Send mail}
clients:
  - name: nightly-agent
    token_ttl: 120
    custom_claims: {team: night}
    grants:
      - mcp_server: Todo
        scopes: [todo:read]
      - mcp_server: http://localhost:3003/mcp
        all_scopes: true
    secret_file: nightly.json
";

struct World {
    jeton: Jeton,
}

impl World {
    async fn new() -> Self {
        Self {
            jeton: Jeton::start().await,
        }
    }

    async fn apply(&self, text: &str, more: &[&str]) -> (bool, String, Value) {
        let file = self.jeton.folder().join("jeton.yaml");
        std::fs::write(&file, text).unwrap();
        let arguments = [&["apply", "-f", "jeton.yaml", "--json"], more].concat();
        let output = self.jeton.command(&arguments).await;
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
            serde_json::from_slice(&output.stdout).unwrap_or_default(),
        )
    }

    async fn changes(&self, text: &str, more: &[&str]) -> Vec<String> {
        let (done, words, document) = self.apply(text, more).await;
        assert!(done, "{words}");
        let changes = document["changes"].as_array().unwrap();
        changes
            .iter()
            .map(|change| change.as_str().unwrap().to_owned())
            .collect()
    }

    fn secret(&self) -> Credentials {
        let file = self.jeton.folder().join("nightly.json");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(document["issuer"], self.jeton.url.as_str());
        Credentials::of(&document)
    }
}

#[tokio::test]
async fn a_file_is_made_so_and_again_changes_nothing() {
    let world = World::new().await;
    let planned = world.changes(TWO_SERVERS, &["--dry-run"]).await;
    assert_eq!(planned.len(), 4, "{planned:?}");
    assert!(!world.jeton.folder().join("nightly.json").exists());
    assert_eq!(
        world
            .jeton
            .json(&["client", "list"])
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(world.changes(TWO_SERVERS, &[]).await, planned, "as it said");
    assert_eq!(world.changes(TWO_SERVERS, &[]).await, [""; 0]);
    let client = world.secret();
    let resource = [("resource", "http://localhost:3002/mcp")];
    let answer = client.ask(&world.jeton.url, &resource).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["scope"], "todo:read");
    assert_eq!(answer.body["expires_in"], 120);
    let text = std::fs::read_to_string(world.jeton.folder().join("jeton.yaml")).unwrap();
    assert!(!text.contains("jeton_"), "the secret is not in the file");
}

#[tokio::test]
async fn what_differs_is_changed_and_nothing_else() {
    let world = World::new().await;
    world.changes(TWO_SERVERS, &[]).await;
    let client = world.secret();
    let changed = TWO_SERVERS
        .replace("token_ttl: 120", "token_ttl: 90")
        .replace("scopes: [todo:read]", "scopes: [todo:read, todo:write]")
        .replace("Things to do", "Chores")
        .replace("localhost:3003", "localhost:3004")
        .replace(
            "      - mcp_server: http://localhost:3004/mcp\n        all_scopes: true\n",
            "",
        );
    let changes = world.changes(&changed, &[]).await;
    assert_eq!(
        changes,
        [
            "~ MCP server Todo: description",
            "~ MCP server Mail: url \"http://localhost:3003/mcp\" -> \"http://localhost:3004/mcp\"",
            "~ client nightly-agent: token_ttl 120 -> 90",
            "~ grant of nightly-agent on Todo: todo:read todo:write",
            "- grant of nightly-agent on Mail",
        ]
    );
    let answer = client.ask(&world.jeton.url, &[]).await;
    assert_eq!(answer.body["scope"], "todo:read todo:write");
    // Disabled by the file, and manually against it.
    let disabled = changed.replace("    token_ttl: 90", "    token_ttl: 90\n    disabled: true");
    world.changes(&disabled, &[]).await;
    assert_eq!(client.ask(&world.jeton.url, &[]).await.status, 401);
    world.changes(&changed, &[]).await;
    assert_eq!(client.ask(&world.jeton.url, &[]).await.status, 200);
}

#[tokio::test]
async fn pruning_takes_what_is_not_declared_and_leaves_the_operator_in() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let extra = operator
        .mcp_server_with(
            "http://localhost:9/mcp",
            &["a"],
            json!({ "name": "By hand" }),
        )
        .await;
    operator.client(&extra, &["a"]).await;
    world.changes(TWO_SERVERS, &[]).await;
    let gone = world.changes(TWO_SERVERS, &["--prune"]).await;
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().all(|change| change.starts_with('-')));
    assert_eq!(world.changes(TWO_SERVERS, &["--prune"]).await, [""; 0]);
    let everything = world.changes("{}", &["--prune"]).await;
    assert_eq!(everything.len(), 3, "{everything:?}");
    let left = world.jeton.json(&["client", "list"]).await;
    assert_eq!(left[0]["name"], "Command line (admin.json)");
}

#[tokio::test]
async fn an_interrupted_secret_is_made_again() {
    let world = World::new().await;
    world.changes(TWO_SERVERS, &[]).await;
    let first = world.secret();
    // The machine died between making the client and writing its secret.
    std::fs::write(world.jeton.folder().join("nightly.json"), "").unwrap();
    assert_eq!(world.changes(TWO_SERVERS, &[]).await.len(), 1);
    let second = world.secret();
    assert_ne!(first.client_secret, second.client_secret);
    assert_eq!(first.client_id, second.client_id);
    let resource = [("resource", "http://localhost:3002/mcp")];
    assert_eq!(second.ask(&world.jeton.url, &resource).await.status, 200);
}

#[tokio::test]
async fn a_file_with_a_mistake_changes_nothing_and_is_told_which() {
    let world = World::new().await;
    for (from, to, expected) in [
        ("signing_alg: ES256", "signing_alg: HS256", "HS256"),
        ("token_ttl: 120", "token_ttl: 5", "60"),
        ("name: Mail", "nmae: Mail", "nmae"),
        ("mcp_server: Todo", "mcp_server: Toddo", "Toddo"),
        (
            "scopes: [todo:read]",
            "scopes: [todo:delete]",
            "todo:delete",
        ),
        ("    secret_file: nightly.json\n", "", "secret_file"),
        (
            "url: http://localhost:3003/mcp",
            "url: http://localhost:3002/mcp/",
            "two MCP servers",
        ),
        ("clients:", "clients: [", "jeton.yaml"),
        (
            "        all_scopes: true",
            "        all_scopes: true\n        scopes: []",
            "scopes and all_scopes",
        ),
    ] {
        let text = TWO_SERVERS.replace(from, to);
        assert_ne!(text, TWO_SERVERS, "{from}");
        let (done, words, _) = world.apply(&text, &[]).await;
        assert!(!done && words.contains(expected), "{from}: {words}");
    }
    let servers = world.jeton.json(&["mcp-server", "list"]).await;
    assert_eq!(servers.as_array().unwrap().len(), 0);
    let missing = world.jeton.command(&["apply", "-f", "none.yaml"]).await;
    assert_eq!(missing.status.code(), Some(1));
}

#[tokio::test]
async fn a_name_of_several_mcp_servers_is_refused_with_the_id_of_each() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let one = operator.mcp_server("http://localhost:1/mcp", &["a"]).await;
    let other = operator.mcp_server("http://localhost:2/mcp", &["a"]).await;
    let client = operator.client(&one, &["a"]).await;
    let file = |server: &str| {
        format!("clients: [{{name: agent, grants: [{{mcp_server: \"{server}\", scopes: [a]}}]}}]")
    };
    let by_id = file(&other);
    for text in [
        file("Todo"),
        by_id.replace("}]}]", "}], default_mcp_server: Todo}]"),
    ] {
        let (done, words, _) = world.apply(&text, &[]).await;
        assert!(!done, "{words}");
        assert!(
            words.contains(&one) && words.contains(&other),
            "{text}: {words}"
        );
    }
    let same = operator
        .get(&format!("/clients/{}", client.client_id))
        .await;
    assert_eq!(same["grants"][0]["mcp_server_id"], one.as_str());
    // An ID and a URL choose one.
    for (server, id) in [(other.as_str(), &other), ("http://localhost:1/mcp", &one)] {
        let changes = world.changes(&file(server), &[]).await;
        assert_eq!(changes.len(), 2, "{changes:?}");
        let now = operator
            .get(&format!("/clients/{}", client.client_id))
            .await;
        assert_eq!(now["grants"][0]["mcp_server_id"], id.as_str());
    }
    // One that has moved cannot be told from the others.
    let moved = "mcp_servers: [{name: Todo, url: \"http://localhost:3/mcp\", scopes: {a: }}]";
    let (done, words, _) = world.apply(moved, &[]).await;
    assert!(
        !done && words.contains(&one) && words.contains(&other),
        "{words}"
    );
}

#[tokio::test]
async fn what_a_file_says_twice_is_refused() {
    let world = World::new().await;
    let mail = "      - mcp_server: http://localhost:3003/mcp\n        all_scopes: true\n";
    for (from, to, expected) in [
        (
            mail,
            format!("{mail}      - mcp_server: Mail\n        scopes: []\n"),
            "two grants on one MCP server",
        ),
        (
            "      todo:write:\n",
            "      todo:write:\n      todo:write: again\n".to_owned(),
            "todo:write",
        ),
        (
            "    description: Things to do\n",
            "    aliases: [http://localhost:3003/mcp/]\n".to_owned(),
            "http://localhost:3003/mcp",
        ),
    ] {
        let text = TWO_SERVERS.replace(from, &to);
        assert_ne!(text, TWO_SERVERS, "{from}");
        let (done, words, _) = world.apply(&text, &[]).await;
        assert!(!done && words.contains(expected), "{to}: {words}");
    }
    let servers = world.jeton.json(&["mcp-server", "list"]).await;
    assert_eq!(servers, json!([]));
}

#[tokio::test]
async fn aliases_implications_and_the_default_server_are_applied_and_again_change_nothing() {
    let world = World::new().await;
    let full = TWO_SERVERS
        .replace("    description: Things to do\n", "    aliases: [http://127.0.0.1:3002/mcp, http://todo.internal/mcp]\n    implies: {todo:write: [todo:read]}\n")
        .replace("    secret_file", "    default_mcp_server: http://localhost:3003/mcp\n    secret_file");
    world.changes(&full, &[]).await;
    assert_eq!(world.changes(&full, &[]).await, [""; 0]);
    let reordered = full.replace(
        "[http://127.0.0.1:3002/mcp, http://todo.internal/mcp]",
        "[http://todo.internal/mcp, http://127.0.0.1:3002/mcp]",
    );
    assert_eq!(world.changes(&reordered, &[]).await, [""; 0]);
    let servers = world.jeton.json(&["mcp-server", "list"]).await;
    let id = |name: &str| {
        let mut servers = servers.as_array().unwrap().iter();
        let found = servers.find(|server| server["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let operator = world.jeton.operator().await;
    let todo = operator.get(&format!("/mcp-servers/{}", id("Todo"))).await;
    assert_eq!(
        todo["aliases"],
        json!(["http://127.0.0.1:3002/mcp", "http://todo.internal/mcp"])
    );
    assert_eq!(todo["scopes"][1]["implies"], json!(["todo:read"]));
    let client = format!("/clients/{}", world.secret().client_id);
    let default = async || operator.get(&client).await["default_mcp_server_id"].clone();
    assert_eq!(default().await, id("Mail").as_str());
    let changed = full
        .replace(
            "default_mcp_server: http://localhost:3003/mcp",
            "default_mcp_server: http://todo.internal/mcp",
        )
        .replace(", http://todo.internal/mcp]", "]")
        .replace(
            "implies: {todo:write: [todo:read]}",
            "implies: {todo:read: [todo:write]}",
        );
    let changed = changed.replace(
        "default_mcp_server: http://todo.internal/mcp",
        "default_mcp_server: Todo",
    );
    assert_eq!(
        world.changes(&changed, &[]).await,
        [
            "~ MCP server Todo: aliases, scopes",
            "~ client nightly-agent: default_mcp_server Todo",
        ]
    );
    assert_eq!(world.changes(&changed, &[]).await, [""; 0]);
    assert_eq!(default().await, id("Todo").as_str());
    // Not said, it stays.
    let silent = changed.replace("    default_mcp_server: Todo\n", "");
    assert_eq!(world.changes(&silent, &[]).await, [""; 0]);
    // A default without a grant.
    let none = changed.replace(
        "      - mcp_server: Todo\n        scopes: [todo:read]\n",
        "",
    );
    let (done, words, _) = world.apply(&none, &[]).await;
    assert!(!done && words.contains("no grant on it"), "{words}");
    // A client without a default, whose only grant becomes it with the second.
    let only_mail = none.replace("    default_mcp_server: Todo\n", "");
    world.changes(&only_mail, &[]).await;
    let delete = format!("/mcp-servers/{}", id("Todo"));
    operator.delete(&delete).await;
    let (done, words, _) = world.apply(&changed, &["--yes"]).await;
    assert!(done, "{words}");
    assert_ne!(default().await, id("Mail").as_str());
    assert_eq!(world.changes(&changed, &[]).await, [""; 0]);
}

/// MCP servers as a file declares them: name, URL and aliases.
fn servers(declared: &[(&str, &str, &[&str])]) -> String {
    let servers: Vec<_> = declared
        .iter()
        .map(|(name, url, aliases)| {
            json!({ "name": name, "url": url, "aliases": aliases, "scopes": { "r": null } })
        })
        .collect();
    json!({ "mcp_servers": servers }).to_string()
}

const A: &str = "https://a.test/mcp";
const B: &str = "https://b.test/mcp";
const C: &str = "https://c.test/mcp";

impl World {
    /// What is registered: the ID, URL and aliases by name.
    async fn registered(&self) -> std::collections::BTreeMap<String, Value> {
        let servers = self.jeton.json(&["mcp-server", "list"]).await;
        let servers = servers.as_array().unwrap().iter();
        servers
            .map(|server| (server["name"].as_str().unwrap().to_owned(), server.clone()))
            .collect()
    }

    /// Applies, again without effect, and gives what is registered.
    async fn settled(
        &self,
        text: &str,
        more: &[&str],
    ) -> std::collections::BTreeMap<String, Value> {
        self.changes(text, more).await;
        assert_eq!(self.changes(text, more).await, [""; 0], "again");
        self.registered().await
    }
}

#[tokio::test]
async fn an_alias_that_becomes_a_server_of_its_own_leaves_the_one_that_had_it() {
    for reversed in [false, true] {
        let world = World::new().await;
        let before = world.settled(&servers(&[("Billing", A, &[B])]), &[]).await;
        let mut split: [(&str, &str, &[&str]); 2] = [("Billing", A, &[]), ("Ledger", B, &[])];
        if reversed {
            split.reverse();
        }
        let after = world.settled(&servers(&split), &[]).await;
        assert_eq!(after.len(), 2, "{after:?}");
        assert_eq!(after["Billing"]["id"], before["Billing"]["id"]);
        assert_eq!(after["Billing"]["url"], A);
        assert_eq!(after["Billing"]["aliases"], json!([]));
        assert_eq!(after["Ledger"]["url"], B);
    }
}

#[tokio::test]
async fn a_server_that_moved_keeps_its_registration_before_one_that_takes_its_alias() {
    let world = World::new().await;
    let before = world.settled(&servers(&[("Billing", A, &[B])]), &[]).await;
    let after = world
        .settled(&servers(&[("Ledger", B, &[]), ("Billing", C, &[])]), &[])
        .await;
    assert_eq!(after["Billing"]["id"], before["Billing"]["id"]);
    assert_eq!(after["Billing"]["url"], C);
    assert_eq!(after["Ledger"]["url"], B);
    // Renamed, with its URL as alias of its new one.
    let file = servers(&[("Books", "https://d.test/mcp", &[B]), ("Billing", C, &[])]);
    let renamed = world.settled(&file, &[]).await;
    assert_eq!(renamed["Books"]["id"], after["Ledger"]["id"]);
}

#[tokio::test]
async fn two_servers_that_could_be_one_are_refused() {
    let world = World::new().await;
    world.settled(&servers(&[("Billing", A, &[B])]), &[]).await;
    let before = world.registered().await;
    let file = servers(&[("One", C, &[A]), ("Two", B, &[])]);
    let (done, words, _) = world.apply(&file, &[]).await;
    assert!(
        !done && words.contains("One") && words.contains("Two"),
        "{words}"
    );
    assert_eq!(world.registered().await, before);
    // The other way around: one that could be two.
    world
        .settled(&servers(&[("Billing", A, &[]), ("Ledger", B, &[])]), &[])
        .await;
    let before = world.registered().await;
    let (done, words, _) = world
        .apply(&servers(&[("All", C, &[A, B])]), &["--prune"])
        .await;
    let ids = [&before["Billing"]["id"], &before["Ledger"]["id"]];
    assert!(
        !done && ids.iter().all(|id| words.contains(id.as_str().unwrap())),
        "{words}"
    );
    assert_eq!(world.registered().await, before);
}

#[tokio::test]
async fn urls_are_left_before_they_are_taken() {
    let world = World::new().await;
    let (x, y) = ("https://x.test/mcp", "https://y.test/mcp");
    let before = world
        .settled(&servers(&[("A", A, &[x]), ("B", B, &[y])]), &[])
        .await;
    // Those that take stand first; in the second, each takes from the other.
    for (a, b) in [
        (&[][..], &[x, y][..]),
        (&[x, y], &[]),
        (&[x], &[y]),
        (&[y], &[x]),
    ] {
        let after = world
            .settled(&servers(&[("B", B, b), ("A", A, a)]), &[])
            .await;
        for (name, aliases) in [("A", a), ("B", b)] {
            assert_eq!(after[name]["id"], before[name]["id"]);
            assert_eq!(after[name]["aliases"], json!(aliases), "{name}");
        }
    }
    // A new server takes from one that stands behind it.
    let file = servers(&[("C", C, &[y]), ("B", B, &[x]), ("A", A, &[])]);
    let after = world.settled(&file, &[]).await;
    assert_eq!(after["C"]["aliases"], json!([y]));
}

#[tokio::test]
async fn a_server_takes_the_urls_of_one_that_is_pruned_and_of_no_other() {
    let world = World::new().await;
    let text = servers(&[("A", A, &[]), ("B", B, &["https://b.internal/mcp"])]);
    let before = world.settled(&text, &[]).await;
    let operator = world.jeton.operator().await;
    let client = operator
        .client(before["A"]["id"].as_str().unwrap(), &["r"])
        .await;
    let merged = servers(&[("C", C, &["https://b.internal/mcp"]), ("A", A, &[B])]);
    let clients =
        r#""clients": [{"name": "agent", "grants": [{"mcp_server": "A", "all_scopes": true}]}]"#;
    let merged = format!("{}, {clients}}}", merged.strip_suffix('}').unwrap());
    let (done, words, _) = world.apply(&merged, &[]).await;
    assert!(!done && words.contains("--prune"), "{words}");
    assert_eq!(world.registered().await, before, "nothing is half done");
    let after = world.settled(&merged, &["--prune"]).await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(after["A"]["id"], before["A"]["id"]);
    assert_eq!(after["A"]["aliases"], json!([B]));
    assert_eq!(after["C"]["aliases"], json!(["https://b.internal/mcp"]));
    let answer = client.ask(&world.jeton.url, &[("resource", B)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_grant_that_names_no_scopes_has_none_and_takes_none_away_unasked() {
    let world = World::new().await;
    let unstated = TWO_SERVERS.replace("        all_scopes: true\n", "");
    let mail = [("resource", "http://localhost:3003/mcp")];
    // Whoever has all of them keeps them until somebody confirms that none are meant.
    world.changes(TWO_SERVERS, &[]).await;
    let client = world.secret();
    let (done, words, _) = world.apply(&unstated, &[]).await;
    assert!(!done, "{words}");
    for part in ["nightly-agent", "mail:send", "all_scopes: true", "--yes"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let answer = client.ask(&world.jeton.url, &mail).await;
    assert_eq!(answer.body["scope"], "mail:send", "{}", answer.body);
    let (done, words, document) = world.apply(&unstated, &["--yes"]).await;
    assert!(done && words.contains("gets no token"), "{words}");
    let changes = json!(["~ grant of nightly-agent on http://localhost:3003/mcp: no scopes"]);
    assert_eq!(document["changes"], changes);
    assert_eq!(
        client.ask(&world.jeton.url, &mail).await.error(),
        "invalid_scope"
    );
    // One who is made by it has none.
    let other = unstated.replace("nightly", "weekly");
    let (done, words, _) = world.apply(&other, &[]).await;
    assert!(
        done && words.contains("weekly-agent has no scope on"),
        "{words}"
    );
    let made = world.jeton.json(&["client", "show", "weekly-agent"]).await;
    let scopes: Vec<_> = made["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| &grant["scopes"])
        .collect();
    assert_eq!(scopes, [&json!(["todo:read"]), &json!([])]);
}
