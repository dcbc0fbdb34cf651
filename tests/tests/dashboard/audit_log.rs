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
