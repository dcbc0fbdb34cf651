//! What the audit log shows, and how it is searched.

use jeton_core::{Actor, AuditEvent, AuditKind, Clock as _, EventId, SystemClock};
use jeton_jose::OsEntropy;
use jeton_store::{Database, Postgres, Store};
use jeton_tests::{
    Admin, Credentials, Jeton, JetonOptions, TestDatabase, eventually, first_admin_path, set_cookie,
};
use serde_json::{Value, json};

/// The link of the newest event of a kind.
async fn newest(jeton: &Jeton, query: &str) -> String {
    let events = jeton.operator().await.audit(query).await;
    format!("href=\"/dashboard/audit/{}\"", events[0]["seq"])
}

/// A page as text alone, each gap one space.
fn text(page: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for letter in page.chars() {
        match letter {
            '<' => {
                in_tag = true;
                text.push(' ');
            }
            '>' => in_tag = false,
            letter if !in_tag => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn named_client(jeton: &Jeton, name: &str) -> (String, Credentials) {
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let settings = json!({ "name": name, "scopes": ["a"] });
    let client = operator.client_with(&server, settings).await;
    (server, client)
}

#[tokio::test]
async fn a_search_by_a_name_finds_every_event_that_shows_it() {
    let jeton = Jeton::start().await;
    let link = first_admin_path(&jeton).await;
    // With a letter that no ID has.
    let admin = Admin::join(&jeton, &link, "Lou", "lou@example.com").await;
    let operator = jeton.operator().await;
    let (server, client) = named_client(&jeton, "Nightly triage").await;
    client.token(&jeton.url, &[]).await;
    let of_client = format!("kind=token.issued&client_id={}", client.client_id);
    let issued = newest(&jeton, &of_client).await;
    // No event holds the names that they have now.
    let id = &client.client_id;
    for (path, name) in [
        (format!("/clients/{id}"), "Évening round"),
        (format!("/mcp-servers/{server}"), "Ticket desk"),
    ] {
        operator.patch(&path, json!({ "name": name })).await;
    }
    let renamed = newest(&jeton, "kind=client.updated").await;
    admin
        .post(&format!("/dashboard/clients/{id}/disable"), &[])
        .await;
    let disabled = newest(&jeton, "kind=client.disabled").await;
    for (name, found, other) in [
        ("%C3%A9VENING", &issued, &server),
        ("ticket+desk", &issued, &"nothing".to_owned()),
        ("lou", &disabled, &issued),
        ("nightly", &renamed, &server),
    ] {
        let page = admin.page(&format!("/dashboard/audit?q={name}")).await;
        assert!(page.contains(found.as_str()), "{name}: {}", text(&page));
        if other.starts_with("href") {
            assert!(!page.contains(other.as_str()), "{name}");
        }
    }
    let page = admin.page("/dashboard/audit?q=nobody+at+all").await;
    assert!(page.contains("No event matches."), "{}", text(&page));
    // An export has just what the page counts.
    let page = text(&admin.page("/dashboard/audit?q=ticket+desk").await);
    let lines = admin
        .page("/dashboard/audit/export.jsonl?q=ticket+desk")
        .await;
    let count = lines.lines().count();
    assert!(
        count > 1 && page.contains(&format!("{count} events match")),
        "{count}: {page}"
    );
    // IDs lead to their events, and what they are the ID of is no text of a page.
    let events = operator.audit(&of_client).await;
    for member in ["id", "request_id", "jti", "secret_id", "client_id"] {
        let id = events[0][member].as_str().unwrap();
        let page = admin.page(&format!("/dashboard/audit?q={id}")).await;
        assert!(page.contains(&issued), "{member} {id}: {}", text(&page));
    }
}

#[tokio::test]
async fn a_client_that_was_quiet_for_long_is_found_by_its_name() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let (_, client) = named_client(&jeton, "before").await;
    let operator = jeton.operator().await;
    operator
        .patch(
            &format!("/clients/{}", client.client_id),
            json!({ "name": "Quiet one" }),
        )
        .await;
    client.token(&jeton.url, &[]).await;
    let of_client = format!("kind=token.issued&client_id={}", client.client_id);
    let issued = newest(&jeton, &of_client).await;
    // More events than one search reads, of nobody.
    let mut jeton = jeton;
    jeton.terminate().await;
    let database = match jeton.database() {
        TestDatabase::Sqlite(file) => Database::Sqlite(file.clone()),
        TestDatabase::Postgres(url) => Database::Postgres(Postgres {
            url: url.clone().into(),
            notification_url: None,
            connections: 4,
        }),
    };
    let store = Store::open(&database).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for _ in 0..850 {
        let refused = || {
            let now = SystemClock.now();
            let id = EventId::generate(now, &OsEntropy).unwrap();
            AuditEvent::new(id, now, AuditKind::TokenRefused, Actor::Anonymous)
        };
        let batch: Vec<_> = std::iter::repeat_with(refused).take(32).collect();
        tx.append_audit(&batch).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;
    let options = JetonOptions {
        port: Some(jeton.port()),
        ..JetonOptions::default()
    };
    let _jeton = jeton.restart(options).await;
    eventually("the client is found", async || {
        let page = admin.page("/dashboard/audit?q=quiet+one").await;
        page.contains(&issued)
    })
    .await;
}

#[tokio::test]
async fn what_repeats_is_one_line_and_refusals_say_why_in_words() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let (server, client) = named_client(&jeton, "Poller").await;
    let (_, other) = (
        server.clone(),
        jeton.operator().await.client(&server, &["a"]).await,
    );
    for round in 0..5 {
        client.token(&jeton.url, &[]).await;
        if round % 2 == 0 {
            other.token(&jeton.url, &[]).await;
        }
    }
    let refused = client.ask(&jeton.url, &[("scope", "b")]).await;
    assert_eq!(refused.status, 400);
    let of_server = format!("/dashboard/audit?kind=token.issued&server={server}");
    let page = admin.page(&of_server).await;
    let lines = text(&page);
    assert!(
        lines.contains("Token issued ×5") && lines.contains("Token issued ×3"),
        "{lines}"
    );
    assert_eq!(page.matches("<details id=\"events-").count(), 2, "{lines}");
    let issued = format!("kind=token.issued&mcp_server_id={server}");
    let events = jeton.operator().await.audit(&issued).await;
    for event in &events {
        let link = format!("href=\"/dashboard/audit/{}\"", event["seq"]);
        assert!(page.contains(&link), "each can still be opened: {link}");
    }
    assert!(lines.contains("8 events match"), "{lines}");
    let refused = text(&admin.page("/dashboard/audit?kind=token.refused").await);
    assert!(
        refused.contains("Token refused token.refused Poller · Todo The MCP server defines no scope b. invalid_scope"),
        "{refused}"
    );
    // The same on the client's own tab, without what is somebody else's.
    let path = format!("/dashboard/clients/{}/activity", client.client_id);
    let tab = text(&admin.page(&path).await);
    assert!(
        tab.contains("Token issued ×5") && !tab.contains("×3"),
        "{tab}"
    );
}

#[tokio::test]
async fn filters_are_chips_that_can_be_taken_away_and_spans_are_offered() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let (server, client) = named_client(&jeton, "Poller").await;
    client.token(&jeton.url, &[]).await;
    let id = &client.client_id;
    let page = admin
        .page(&format!(
            "/dashboard/audit?q=Poller&outcome=success&client={id}&server={server}&within=1h"
        ))
        .await;
    for (chip, without) in [
        (
            "“Poller”",
            format!("?outcome=success&#38;client={id}&#38;server={server}&#38;within=1h\""),
        ),
        (
            "Succeeded",
            format!("?q=Poller&#38;client={id}&#38;server={server}&#38;within=1h\""),
        ),
        (
            "Client: Poller",
            format!("?q=Poller&#38;outcome=success&#38;server={server}&#38;within=1h\""),
        ),
        (
            "MCP server: Todo",
            format!("?q=Poller&#38;outcome=success&#38;client={id}&#38;within=1h\""),
        ),
        (
            "Last 1 hour",
            format!("?q=Poller&#38;outcome=success&#38;client={id}&#38;server={server}\""),
        ),
    ] {
        let link = format!("<a class=\"chip\" href=\"/dashboard/audit{without}>{chip} ");
        assert!(page.contains(&link), "{link}\n{page}");
    }
    for within in ["15m", "1h", "24h", "7d"] {
        let page = admin
            .page(&format!("/dashboard/audit?within={within}"))
            .await;
        assert!(
            page.contains("aria-current=\"true\">") && page.contains("Token issued"),
            "{within}"
        );
        let link = format!("/dashboard/audit/export.csv?within={within}\"");
        assert!(page.contains(&link), "{link}");
    }
    // What happened before a span is not in it, and a span that is none shows nothing.
    jeton
        .database()
        .sql("UPDATE audit_event SET at = at - 7200000 WHERE kind = 'token.issued'")
        .await;
    let page = admin
        .page("/dashboard/audit?within=1h&kind=token.issued")
        .await;
    assert!(page.contains("No event matches."));
    for query in ["within=1y", "within=1h&since=2026-01-01T00:00"] {
        let answer = admin
            .get(&format!("/dashboard/audit?{query}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{query}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("/dashboard/audit/1\""), "{query}");
    }
}

#[tokio::test]
async fn times_are_told_by_the_viewers_clock_and_by_utc_without_a_script() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let (_, client) = named_client(&jeton, "Poller").await;
    client.token(&jeton.url, &[]).await;
    let at = "UPDATE audit_event SET at = 1795735985000 WHERE kind = 'token.issued'";
    jeton.database().sql(at).await;
    let see = async |zone: &str, query: &str| {
        let cookie = format!("{}; jeton_zone={zone}", admin.session);
        let page = admin.get(&format!("/dashboard/audit?kind=token.issued{query}"));
        let answer = page.header("cookie", cookie).send().await.unwrap();
        text(&answer.text().await.unwrap())
    };
    let utc = text(&admin.page("/dashboard/audit?kind=token.issued").await);
    assert!(
        utc.contains("Thursday, 26 November 2026 23:33:05 Token issued")
            && utc.contains("Times are in UTC"),
        "{utc}"
    );
    let paris = see("Europe~Paris_60", "").await;
    assert!(
        paris.contains("Friday, 27 November 2026 00:33:05 Token issued")
            && paris.contains("Times are in Europe/Paris"),
        "{paris}"
    );
    // Fields of a form mean the viewer's clock; a link means the same to everybody.
    for (zone, query, found) in [
        ("Europe~Paris_60", "&since=2026-11-27T00:33", true),
        ("Europe~Paris_60", "&since=2026-11-27T00:34", false),
        ("UTC_0", "&since=2026-11-27T00:33", false),
        ("UTC_0", "&since=2026-11-26T23:33", true),
        ("Europe~Paris_60", "&since=2026-11-26T23:33:00Z", true),
    ] {
        let page = see(zone, query).await;
        assert_eq!(
            page.contains(":33:05 Token issued"),
            found,
            "{zone} {query}: {page}"
        );
    }
    let broken = see("<b>_60", "").await;
    assert!(broken.contains("Times are in UTC"), "{broken}");
}

/// The event page's rows of what changed.
async fn changes(admin: &Admin, jeton: &Jeton, query: &str) -> String {
    let events = jeton.operator().await.audit(query).await;
    let page = admin
        .page(&format!("/dashboard/audit/{}", events[0]["seq"]))
        .await;
    let table = page.split("id=\"changes\"").nth(1).unwrap_or_default();
    text(table.split("</table>").next().unwrap())
}

#[tokio::test]
async fn an_event_of_a_change_says_what_was_before_and_after() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server("http://localhost:3002/mcp", &["a", "b"])
        .await;
    let settings = json!({ "name": "Old name", "scopes": ["a"] });
    let client = operator.client_with(&server, settings).await.client_id;
    let path = format!("/clients/{client}");
    operator
        .patch(&path, json!({ "name": "New name", "token_ttl": 900 }))
        .await;
    let told = changes(&admin, &jeton, "kind=client.updated").await;
    assert!(
        told.contains("Name Old name New name") && told.contains("Token lifetime none 15 minutes"),
        "{told}"
    );
    assert!(
        !told.contains("Description"),
        "what is the same is not told: {told}"
    );
    operator
        .put(
            &format!("{path}/grants/{server}"),
            json!({ "scopes": ["a", "b"] }),
        )
        .await;
    let told = changes(&admin, &jeton, "kind=grant.updated").await;
    assert!(told.contains("Scopes a a b"), "{told}");
    operator
        .patch(
            &format!("/mcp-servers/{server}"),
            json!({ "name": "Desk", "token_ttl": 600, "signing_alg": "ES256" }),
        )
        .await;
    let told = changes(&admin, &jeton, "kind=mcp_server.updated").await;
    for row in [
        "Name Todo Desk",
        "Token lifetime 1 hour 10 minutes",
        "Signing algorithm RS256 ES256",
    ] {
        assert!(told.contains(row), "{row}: {told}");
    }
    operator.delete(&format!("{path}/grants/{server}")).await;
    let told = changes(&admin, &jeton, "kind=grant.deleted").await;
    assert!(told.contains("Scopes a b none"), "{told}");
    operator.delete(&path).await;
    let told = changes(&admin, &jeton, "kind=client.deleted").await;
    assert!(told.contains("Name New name none"), "{told}");
    // The whole as it was recorded.
    let event = &operator.audit("kind=client.updated").await[0];
    assert_eq!(
        event["detail"]["changes"],
        json!({
            "name": { "before": "Old name", "after": "New name" },
            "token_ttl": { "before": Value::Null, "after": 900 },
        })
    );
    let page = admin
        .page(&format!("/dashboard/audit/{}", event["seq"]))
        .await;
    assert!(page.contains("id=\"event-json\"") && page.contains("data-copy=\"event-json\""));
}

#[tokio::test]
async fn an_event_of_an_admin_names_who_was_changed_and_every_kind_is_about_something() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let (server, client) = named_client(&jeton, "Poller").await;
    let answer = admin
        .post(
            "/dashboard/settings/invitations",
            &[("note", "Vera"), ("role", "viewer")],
        )
        .await;
    let reveal = set_cookie(&answer, "jeton_reveal").unwrap();
    let cookie = format!("{}; {reveal}", admin.session);
    let page = admin.get("/dashboard/settings").header("cookie", cookie);
    let page = page.send().await.unwrap().text().await.unwrap();
    let link = page.split("/dashboard/join/").nth(1).unwrap();
    let link = format!("/dashboard/join/{}", link.split('<').next().unwrap());
    Admin::join(&jeton, &link, "Vera", "vera@example.com").await;
    let events = operator.audit("kind=admin.created").await;
    let vera = events[0]["detail"]["admin_id"].as_str().unwrap().to_owned();
    let path = format!("/dashboard/settings/admins/{vera}/role");
    let fields = [("role", "admin"), ("was", "viewer")];
    assert_eq!(admin.post(&path, &fields).await.status(), 303);
    let told = changes(&admin, &jeton, "kind=admin.updated").await;
    assert!(told.contains("Role viewer admin"), "{told}");
    let remove = format!("/dashboard/settings/admins/{vera}/remove");
    assert_eq!(admin.submit(&remove, &remove, &[]).await.status(), 303);
    let told = changes(&admin, &jeton, "kind=admin.deleted").await;
    assert!(
        told.contains("Name Vera none") && told.contains("vera@example.com"),
        "{told}"
    );
    // Also when she is gone, the list says who it was.
    let list = text(&admin.page("/dashboard/audit?kind=admin.updated").await);
    assert!(list.contains("admin.updated Vera Ada"), "{list}");

    let id = &client.client_id;
    for path in [
        format!("/dashboard/clients/{id}/secrets/rotate"),
        format!("/dashboard/clients/{id}/revoke-tokens"),
        format!("/dashboard/mcp-servers/{server}/revoke-tokens"),
    ] {
        admin
            .post(&path, &[("grace", "1"), ("grace_unit", "hours")])
            .await;
    }
    let list = admin.page("/dashboard/audit").await;
    let lines = list.matches("class=\"log-about\">").count();
    let empty = list.matches("class=\"log-about\"></span>").count();
    assert!(
        lines > 10 && empty == 0,
        "{empty} of {lines} are about nothing"
    );
}

#[tokio::test]
async fn events_are_filtered_by_who_did_it() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let (_, client) = named_client(&jeton, "Poller").await;
    client.token(&jeton.url, &[]).await;
    let id = &client.client_id;
    admin
        .post(&format!("/dashboard/clients/{id}/disable"), &[])
        .await;
    let disabled = newest(&jeton, "kind=client.disabled").await;
    let issued = newest(&jeton, &format!("kind=token.issued&client_id={id}")).await;
    // The event leads to everything that whoever did it has done.
    let page = admin.page(disabled.split('"').nth(1).unwrap()).await;
    let link = page.split("href=\"/dashboard/audit?actor=").nth(1).unwrap();
    let ada = link.split('"').next().unwrap();
    assert!(ada.starts_with("adm_"), "{ada}");
    assert!(link.contains(">Show all events by Ada<"), "{link}");
    let by = |actor: &str| format!("/dashboard/audit?outcome=success&actor={actor}");
    let page = admin.page(&by(ada)).await;
    assert!(page.contains(&disabled), "{}", text(&page));
    assert!(!page.contains(&issued), "{}", text(&page));
    // A chip that is removed, and an export of the same.
    let chip = "<a class=\"chip\" href=\"/dashboard/audit?outcome=success\">By: Ada ";
    assert!(page.contains(chip), "{page}");
    let export = format!("/dashboard/audit/export.jsonl?actor={ada}");
    let lines = admin.page(&export).await;
    let is_hers = |line: &str| line.contains(&format!("\"actor\":\"{ada}\""));
    assert!(
        lines.lines().count() > 1 && lines.lines().all(is_hers),
        "{lines}"
    );
    let page = admin.page(&by(id)).await;
    assert!(page.contains(&issued), "{}", text(&page));
    assert!(!page.contains(&disabled), "{}", text(&page));
    assert!(page.contains(">By: Poller "), "{page}");
    // What is nobody's ID shows nothing.
    let answer = admin.get(&by("Ada")).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let page = answer.text().await.unwrap();
    assert!(
        !page.contains(&disabled) && page.contains("adm_…"),
        "{page}"
    );
}
