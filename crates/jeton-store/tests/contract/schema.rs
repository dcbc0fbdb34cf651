//! The schema is what the migrations make, and what is not is told apart.

use jeton_store::Database;

use crate::world::World;

/// What PostgreSQL has to hold. After a new migration, put what this test prints into the file.
#[tokio::test]
async fn the_expected_schema_is_what_the_migrations_make() {
    let world = World::new().await;
    let check = world.store.check_schema().await.unwrap();
    if check != jeton_store::SchemaCheck::default() {
        let file = std::env::temp_dir().join("schema_postgres.txt");
        std::fs::write(&file, world.store.schema_listing().await.unwrap()).unwrap();
        panic!(
            "{check:#?}\nsrc/schema_postgres.txt has to be as {}",
            file.display()
        );
    }
}

#[tokio::test]
async fn what_is_missing_altered_or_added_is_named() {
    let world = World::new().await;
    for statement in [
        "DROP INDEX audit_event_jti",
        "CREATE INDEX audit_event_jti ON audit_event (kind)",
        "DROP TABLE audit_clock_step",
        "DROP INDEX client_not_folded",
        "CREATE INDEX mine ON client (name)",
        "CREATE INDEX spans_of_clients ON audit_client_span (client_id)",
    ] {
        world.sql(statement).await;
    }
    let check = world.store.check_schema().await.unwrap();
    let lies = matches!(world.database, Database::Sqlite(_));
    let hiding = check.hiding.join("\n");
    for named in [
        "the index audit_event_jti is not as Jeton made it",
        "the table audit_clock_step is missing",
    ] {
        assert!(hiding.contains(named), "{hiding}");
    }
    assert_eq!(
        hiding.contains("index spans_of_clients of audit_client_span"),
        lies
    );
    let foreign = check.foreign.join("\n");
    for named in [
        "index client_not_folded of client is missing",
        "index mine of client",
    ] {
        assert!(foreign.contains(named), "{foreign}");
    }
}
