//! Whoever opens the dashboard sees which clients are broken, why, since when, and what to do.

use jeton_tests::{Admin, Credentials, Jeton, Operator, eventually, first_admin_path, workspace};
use reqwest::Method;
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

struct World {
    jeton: Jeton,
    admin: Admin,
    operator: Operator,
    server: String,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let admin = Admin::first(&jeton).await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server_with(
                "http://localhost:1/mcp",
                &["todo:read", "todo:write"],
                json!({ "name": "Todo" }),
            )
            .await;
        Self {
            jeton,
            admin,
            operator,
            server,
        }
    }

    async fn client(&self, name: &str) -> Credentials {
        let settings = json!({ "name": name, "scopes": ["todo:read"] });
        self.operator.client_with(&self.server, settings).await
    }

    /// A client whose secret expired five days ago, before anybody asked for it.
    async fn expired(&self, name: &str) -> Credentials {
        let client = self.client(name).await;
        let at = now() - 5 * DAY - 60_000;
        let expire = format!(
            "UPDATE client_secret SET expires_at = {at} WHERE owner = '{}'",
            client.client_id
        );
        self.jeton.database().sql(&expire).await;
        client
    }

    async fn ask(&self, client: &Credentials, scope: &str, expected: u16) {
        let answer = client.ask(&self.jeton.url, &[("scope", scope)]).await;
        assert_eq!(answer.status, expected, "{}", client.client_id);
    }

    /// The row of a client that has one: who was refused is kept for a moment, and this waits for it.
    async fn shown(&self, name: &str) -> String {
        eventually("the client needs attention", async || {
            self.row(name).await.is_some()
        })
        .await;
        self.row(name).await.unwrap()
    }

    /// The row of a client in *Needs attention*, as text without tags.
    async fn row(&self, name: &str) -> Option<String> {
        let page = self.admin.page("/dashboard").await;
        let section = page.split("<section class=\"card attention").nth(1)?;
        let section = section.split("</section>").next()?;
        let mut rows = section.split("<li class=\"");
        let row = rows.find(|row| row.contains(&format!(">{name}</a>")))?;
        Some(row.split("</li>").next()?.to_owned())
    }
}

#[tokio::test]
async fn the_overview_names_each_broken_client_with_why_since_when_and_what_to_do() {
    let world = World::new().await;
    let (expired, greedy, cut_off, working) = (
        world.expired("nightly-triage").await,
        world.client("release-notes").await,
        world.client("invoice-sync").await,
        world.client("support").await,
    );
    for _ in 0..3 {
        world.ask(&expired, "todo:read", 401).await;
        world.ask(&greedy, "todo:write", 400).await;
    }
    world.ask(&cut_off, "todo:read", 200).await;
    let grant = format!("/clients/{}/grants/{}", cut_off.client_id, world.server);
    world.operator.delete(&grant).await;
    world.ask(&cut_off, "todo:read", 400).await;
    // One mistake among tokens is nothing.
    world.ask(&working, "todo:read", 200).await;

    let row = world.shown("nightly-triage").await;
    assert!(row.starts_with("bad"), "{row}");
    for words in [
        "Its secret expired",
        "5 days ago",
        "refused in the last 24 hours",
        ">Rotate<",
        &format!("/dashboard/clients/{}/secrets/rotate", expired.client_id),
        &format!("/dashboard/audit?client={}", expired.client_id),
    ] {
        assert!(row.contains(words), "{words}: {row}");
    }
    let row = world.shown("release-notes").await;
    assert!(row.starts_with("bad"), "{row}");
    assert!(
        row.contains("Asks for todo:write, which it was not granted"),
        "{row}"
    );
    let row = world.shown("invoice-sync").await;
    assert!(row.starts_with("bad"), "{row}");
    assert!(row.contains("Its access to Todo was removed"), "{row}");
    assert!(
        row.contains(&format!("grants/new?mcp_server={}", world.server)),
        "{row}"
    );
    assert_eq!(world.row("support").await, None);
    let page = world.admin.page("/dashboard").await;
    assert!(page.contains("3 clients can't get tokens"), "{page}");

    // What was cured goes, before the client asks again.
    let rotate = format!("/clients/{}/secrets/rotate", expired.client_id);
    world.operator.post(&rotate, json!({})).await;
    assert_eq!(world.row("nightly-triage").await, None);
    let scopes = json!({ "scopes": ["todo:read", "todo:write"] });
    let grant = format!("/clients/{}/grants/{}", greedy.client_id, world.server);
    world.operator.put(&grant, scopes.clone()).await;
    assert_eq!(world.row("release-notes").await, None);
    let grant = format!("/clients/{}/grants/{}", cut_off.client_id, world.server);
    world.operator.put(&grant, scopes).await;
    assert_eq!(world.row("invoice-sync").await, None);
}

#[tokio::test]
async fn a_secret_is_told_before_it_expires_and_does_not_vanish_when_it_has() {
    let world = World::new().await;
    let soon = json!({ "name": "soon", "scopes": ["todo:read"], "secret_expires_in": 3 * 86_400 });
    world.operator.client_with(&world.server, soon).await;
    world.expired("silent").await;
    let row = world.shown("soon").await;
    assert!(
        row.starts_with("warn") && row.contains(" expires "),
        "{row}"
    );
    assert!(
        row.contains("in 2 days") || row.contains("in 3 days"),
        "{row}"
    );
    let row = world.shown("silent").await;
    assert!(row.starts_with("warn"), "{row}");
    assert!(row.contains("its only one, expired"), "{row}");
    // With a successor it is of no interest.
    let page = world.admin.page("/dashboard/clients?q=silent").await;
    let id = page.split("/dashboard/clients/m2m_").nth(1).unwrap();
    let id = format!("m2m_{}", id.split('"').next().unwrap());
    let secrets = format!("/clients/{id}/secrets");
    world.operator.post(&secrets, json!({})).await;
    assert_eq!(world.row("silent").await, None);
}

#[tokio::test]
async fn strangers_make_no_client_look_broken() {
    let world = World::new().await;
    let client = world.client("support").await;
    let stranger = |id: &str| Credentials {
        client_id: id.to_owned(),
        client_secret: client.client_secret.replace("jeton_", "jeton_x"),
    };
    world
        .ask(&stranger(&client.client_id), "todo:read", 401)
        .await;
    let (start, last) = client.client_id.split_at(client.client_id.len() - 1);
    for end in ["a", "b", "c", "d"].iter().filter(|end| **end != last) {
        let id = format!("{start}{end}");
        world.ask(&stranger(&id), "todo:read", 401).await;
    }
    let row = world.shown("support").await;
    assert!(row.starts_with("warn"), "{row}");
    assert!(row.contains("Requests with a wrong secret"), "{row}");
    let page = world.admin.page("/dashboard").await;
    assert!(!page.contains("can't get tokens"), "{page}");
}

#[tokio::test]
async fn lists_and_the_clients_page_say_what_works_and_not_what_is_configured() {
    let world = World::new().await;
    let expired = world.expired("Zoe").await;
    let working = world.client("alan").await;
    world.ask(&working, "todo:read", 200).await;
    let clients = world.admin.page("/dashboard/clients").await;
    assert!(clients.contains("secret expired"), "{clients}");
    assert!(!clients.contains("admin.json"), "no agent: {clients}");
    assert!(clients.contains("/dashboard/clients/new"), "{clients}");
    assert!(clients.contains(">Todo</a>"), "where it may go: {clients}");
    let names = |page: &str| {
        let rows: Vec<_> = page
            .split("<a class=\"row clamp\"")
            .skip(1)
            .map(|row| row.split('>').nth(1).unwrap().replace("</a", ""))
            .collect();
        rows
    };
    let at_server = format!("/dashboard/mcp-servers/{}/clients", world.server);
    for path in ["/dashboard/clients", &at_server] {
        for (query, expected) in [
            ("", &["alan", "Zoe"][..]),
            ("?sort=name", &["alan", "Zoe"]),
            ("?sort=-name", &["Zoe", "alan"]),
            ("?sort=created", &["Zoe", "alan"]),
            ("?sort=-last", &["alan", "Zoe"]),
            ("?sort=last", &["Zoe", "alan"]),
            ("?show=attention", &["Zoe"]),
            ("?show=unused", &["Zoe"]),
            ("?show=disabled", &[]),
            ("?q=aLaN&sort=name", &["alan"]),
        ] {
            let page = world.admin.page(&format!("{path}{query}")).await;
            assert_eq!(names(&page), expected, "{path}{query}");
        }
    }
    let page = world.admin.page("/dashboard/clients?sort=name").await;
    assert!(page.contains("aria-sort=\"ascending\""), "{page}");
    for wrong in ["?show=all", "?sort=size"] {
        let answer = world.admin.get(&format!("/dashboard/clients{wrong}"));
        assert_eq!(answer.send().await.unwrap().status(), 400, "{wrong}");
    }
    for tab in ["", "/try", "/activity"] {
        let path = format!("/dashboard/clients/{}{tab}", expired.client_id);
        let page = world.admin.page(&path).await;
        assert!(
            page.contains("This client can't get tokens."),
            "{tab}: {page}"
        );
        assert!(page.contains("Its secret expired") && page.contains("5 days ago"));
        assert!(!page.contains("status good\">enabled"), "{tab}");
    }
    let path = format!("/dashboard/clients/{}", working.client_id);
    let page = world.admin.page(&path).await;
    assert!(!page.contains("can't get tokens"), "{page}");
}

#[tokio::test]
async fn the_api_and_the_command_line_say_what_keeps_a_client_from_getting_tokens() {
    let world = World::new().await;
    let expired = world.expired("Zoe").await;
    let working = world.client("alan").await;
    let shown = async |client: &Credentials| {
        let path = format!("/clients/{}", client.client_id);
        let (status, document) = world.operator.send(Method::GET, &path, None).await;
        assert_eq!(status, 200);
        document["problem"].clone()
    };
    assert_eq!(shown(&working).await, Value::Null);
    let problem = shown(&expired).await;
    assert_eq!(problem["code"], "secret_expired");
    assert!(problem["since"].is_string(), "{problem}");
    let listed = world.operator.get("/clients").await;
    let codes: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|client| client["problem"]["code"].as_str())
        .collect();
    assert_eq!(codes, [None, Some("secret_expired"), None], "{listed}");
    let table = world.jeton.command(&["client", "list"]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("enabled: secret_expired"), "{table}");
}

#[tokio::test]
async fn the_overview_of_a_new_server_does_not_contradict_itself() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let page = admin.page("/dashboard").await;
    assert!(page.contains("Register your first MCP server"), "{page}");
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let page = admin.page("/dashboard?range=week").await;
    assert!(!page.contains("Register your first"), "{page}");
    assert!(!page.contains("Create your first client"), "{page}");
    assert!(page.contains("Nothing needs attention"), "{page}");
    // The busiest are those of the range, found in the background where that takes long, and the chart begins with the
    // data.
    eventually("the busiest clients of the week are there", async || {
        let page = admin.page("/dashboard?range=week").await;
        page.contains("Tokens in the last 7 days.")
    })
    .await;
    let bars = page.matches("class=\"hover\"").count();
    assert_eq!(bars, 15, "fifteen minutes: {page}");
    let answer = admin.get("/dashboard?range=year").send().await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn a_browser_sees_an_overview_that_stays_true_and_lists_that_fit_a_telephone() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let mut jeton = Jeton::start().await;
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    let mut node = tokio::process::Command::new("node")
        .args(["dashboard_overview.mjs", &jeton.url, &link])
        .current_dir(workspace().join("tests/node"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(node.stdout.take().unwrap()).lines();
    if said.next_line().await.unwrap().as_deref() == Some("stop") {
        jeton.terminate().await;
        let mut stdin = node.stdin.take().unwrap();
        stdin.write_all(b"stopped\n").await.unwrap();
    }
    let output = node.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[tokio::test]
async fn every_tab_of_a_client_shows_what_works_and_not_what_is_configured() {
    let world = World::new().await;
    let expired = world.expired("Expired").await;
    let works = world.client("Works").await;
    let bare = world.client("Bare").await;
    let grant = format!("/clients/{}/grants/{}", bare.client_id, world.server);
    world.operator.delete(&grant).await;
    for (client, state, broken) in [
        (&expired, "secret expired", true),
        (&bare, "no access", true),
        (&works, "enabled", false),
    ] {
        for tab in [
            "",
            "/try",
            "/activity",
            "/settings",
            "/delete",
            "/revoke-tokens",
        ] {
            let path = format!("/dashboard/clients/{}{tab}", client.client_id);
            let page = world.admin.page(&path).await;
            let status = page.split("<span class=\"status ").nth(1).unwrap();
            let status = status.split("</span>").next().unwrap();
            assert!(
                status.ends_with(&format!(">{state}")),
                "{state}{tab}: {status}"
            );
            assert_eq!(page.contains("can't get tokens"), broken, "{state}{tab}");
        }
    }
}
