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

#[tokio::test]
async fn the_chart_is_drawn_by_the_viewers_clock_and_its_bars_lead_to_their_events() {
    let (jeton, admin) = start(&[]).await;
    jeton
        .operator()
        .await
        .todo_client()
        .await
        .token(&jeton.url, &[])
        .await;
    let see = async |path: &str, zone: &str| {
        let cookie = format!("{}; jeton_zone={zone}", admin.session);
        let page = admin.get(path).header("cookie", cookie);
        page.send().await.unwrap().text().await.unwrap()
    };
    for range in ["hour", "day", "week"] {
        let page = see(&format!("/dashboard?range={range}"), "Asia~Kolkata_330").await;
        let chart = page.split("id=\"tokens-title\"").nth(1).unwrap();
        let chart = chart.split("</section>").next().unwrap();
        assert_eq!(chart.matches("Asia/Kolkata").count(), 1, "{range}: {chart}");
        assert!(!chart.contains("UTC"), "{range}: {chart}");
        // The log is asked in the same zone, and finds what the bar counts.
        let bar = chart.split("<td><a href=\"").nth(1).unwrap();
        let (href, rest) = bar.split_once('"').unwrap();
        let href = href.replace("&#38;", "&").replace("&amp;", "&");
        let log = see(&href, "Asia~Kolkata_330").await;
        assert!(log.contains("token.issued"), "{range} {href}: {rest}");
        // So do the figures above.
        let figure = page
            .split("Tokens issued</span><b><a href=\"")
            .nth(1)
            .unwrap();
        let href = figure.split('"').next().unwrap();
        let href = href.replace("&#38;", "&").replace("&amp;", "&");
        let log = see(&href, "Asia~Kolkata_330").await;
        assert!(log.contains("token.issued"), "{range} {href}");
    }
    let page = see("/dashboard", "UTC_0").await;
    assert!(page.contains("Times in UTC"), "{page}");
}
