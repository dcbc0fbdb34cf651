//! The audit log, taken along.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_audit_log_is_exported_whole_and_safe_for_spreadsheets() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let server = operator.mcp_server("http://localhost:3/mcp", &[]).await;
    operator
        .patch(&format!("/mcp-servers/{server}"), json!({ "name": "=1+1" }))
        .await;
    let lines = world.admin.page("/dashboard/audit/export.jsonl").await;
    let events: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.last().unwrap()["seq"], 1, "down to the first event");
    let csv = world.admin.page("/dashboard/audit/export.csv").await;
    assert_eq!(csv.lines().count(), events.len() + 1);
    let only = world
        .admin
        .page("/dashboard/audit/export.jsonl?kind=client.created")
        .await;
    assert!(only.lines().all(|line| line.contains("client.created")) && only.lines().count() >= 1);
    assert_eq!(
        world
            .jeton
            .get("/dashboard/audit/export.csv")
            .await
            .status(),
        303
    );
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_shows_and_exports_nothing() {
    let world = World::new().await;
    let get = async |path: &str| {
        let answer = world.admin.get(path).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for query in [
        "kind=client.creatd",
        "outcome=refusd",
        "client=m2m_nobody",
        "server=res_nothing",
        "since=yesterday",
        "until=2026-13-01T00:00",
        "before=last",
        "kind=client.created&kind=client.deleted",
        "knd=client.created",
    ] {
        let (status, page) = get(&format!("/dashboard/audit?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(!page.contains("/dashboard/audit/1\""), "{query}");
        for format in ["jsonl", "csv"] {
            let (status, text) = get(&format!("/dashboard/audit/export.{format}?{query}")).await;
            assert_eq!(status, 400, "{query}");
            assert!(
                !text.contains("client.created,") && !text.contains("\"seq\""),
                "{query}"
            );
        }
    }
    let client = &world.client;
    for path in [
        "/dashboard?range=fortnight".to_owned(),
        "/dashboard/clients?after=x".to_owned(),
        "/dashboard/clients?query=x".to_owned(),
        "/dashboard/mcp-servers?after=x".to_owned(),
        "/dashboard/mcp-servers?page=2".to_owned(),
        format!("/dashboard/clients/{client}/activity?before=x"),
        format!("/dashboard/clients/{client}/try?scopes=a"),
        format!("/dashboard/clients/{client}/try?run=maybe"),
        "/dashboard/audit?live=maybe".to_owned(),
    ] {
        let (status, _) = get(&path).await;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    // What pages link to is none of these.
    for path in [
        "/dashboard/clients?done=saved&q=a",
        "/dashboard/audit?live=yes&q=&before=",
    ] {
        assert_eq!(get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn nobody_searches_for_more_than_a_database_takes() {
    let world = World::new().await;
    let (long, longest) = ("x".repeat(50_001), "%".repeat(200).replace('%', "%25"));
    for path in [
        "/dashboard/audit?q=",
        "/dashboard/audit/export.csv?q=",
        "/dashboard/clients?q=",
    ] {
        for (text, expected) in [(long.as_str(), 400), ("a%00b", 400), (&longest, 200)] {
            let answer = world.admin.get(&format!("{path}{text}")).send().await;
            assert_eq!(answer.unwrap().status(), expected, "{path}");
        }
    }
    let operator = world.jeton.operator().await;
    for parameter in ["jti", "actor", "request_id", "source"] {
        for text in [long.as_str(), "a%00b"] {
            let path = format!("/audit-events?{parameter}={text}");
            let (status, problem) = operator.send(reqwest::Method::GET, &path, None).await;
            assert_eq!(status, 400, "{problem}");
            assert!(problem.to_string().contains(parameter), "{problem}");
        }
    }
}
