//! What pages say of how things are: of the database that there is, and of the settings that there are.

use jeton_tests::{Admin, Jeton, JetonOptions, TestDatabase};

const DAY: i64 = 24 * 60 * 60 * 1000;

async fn start(flags: &[&str]) -> (Jeton, Admin) {
    let jeton = Jeton::start_with(JetonOptions {
        flags: flags.to_vec(),
        ..JetonOptions::default()
    })
    .await;
    let admin = Admin::first(&jeton).await;
    (jeton, admin)
}

#[tokio::test]
async fn the_overview_names_the_database_that_there_is() {
    let (jeton, admin) = start(&[]).await;
    let (there, other) = match jeton.database() {
        TestDatabase::Postgres(_) => ("PostgreSQL", "SQLite"),
        _ => ("SQLite", "PostgreSQL"),
    };
    let page = admin.page("/dashboard").await;
    assert!(page.contains(&format!("{there}: OK")), "{page}");
    assert!(!page.contains(other), "{page}");
}

#[tokio::test]
async fn a_key_is_due_after_the_configured_interval_and_never_without_one() {
    let due = "rotation due";
    for (days, ages) in [
        ("10", [(9, false), (11, true)]),
        ("200", [(100, false), (199, false)]),
        ("0", [(100, false), (1_000, false)]),
    ] {
        let (jeton, admin) = start(&["--signing-key-rotation-days", days]).await;
        assert!(!admin.page("/dashboard").await.contains(due));
        let mut age = 0;
        for (wanted, is_due) in ages {
            let by = (wanted - age) * DAY;
            let older = format!(
                "UPDATE signing_key SET activated_at = activated_at - {by} WHERE state = 'active'"
            );
            jeton.database().sql(&older).await;
            age = wanted;
            let page = admin.page("/dashboard").await;
            assert_eq!(page.contains(due), is_due, "{days} days, {age} old: {page}");
        }
    }
}

#[tokio::test]
async fn the_audit_log_says_when_events_are_removed_and_never_that_they_stay() {
    for (flags, removed) in [
        (&["--audit-retention-days", "90"][..], true),
        (&[][..], false),
    ] {
        let (_jeton, admin) = start(flags).await;
        let page = admin.page("/dashboard/audit").await;
        let says = page.contains("Events older than 90 days are removed.");
        assert_eq!(says, removed, "{page}");
        assert_eq!(page.contains("are removed"), removed, "{page}");
        assert!(!page.contains("for good") && !page.contains("Everything that happened"));
    }
}
