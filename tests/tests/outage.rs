//! When the database is away: what goes on, what is refused and how, and that it ends by itself.

use std::time::Duration;

use jeton_tests::{
    Cluster, Credentials, HeldLog, Jeton, JetonOptions, TestDatabase, claims, eventually,
};

async fn start(cluster: &Cluster, flags: Vec<&str>) -> (Jeton, Credentials) {
    let jeton = Jeton::start_with(JetonOptions {
        database: Some(TestDatabase::new_in(&cluster.url).await),
        flags,
        ..JetonOptions::default()
    })
    .await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    client.token(&jeton.url, &[]).await;
    (jeton, client)
}

async fn recorded(jeton: &Jeton, token: &str) -> bool {
    let jti = claims(token)["jti"].as_str().unwrap().to_owned();
    let events = jeton.operator().await.audit(&format!("jti={jti}")).await;
    events.len() == 1
}

#[tokio::test]
async fn without_the_database_tokens_wait_and_the_rest_goes_on() {
    let cluster = Cluster::create().await;
    let (mut jeton, client) = start(&cluster, vec![]).await;
    for how in ["fast", "immediate"] {
        cluster.stop(how).await;
        let asked = std::time::Instant::now();
        for _ in 0..3 {
            let answer = client.ask(&jeton.url, &[]).await;
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert_eq!(answer.error(), "temporarily_unavailable");
            assert!(answer.headers.contains_key("retry-after"));
        }
        assert!(asked.elapsed() < Duration::from_secs(30), "no hang");
        for path in [
            "/keys",
            "/.well-known/oauth-authorization-server",
            "/healthz",
        ] {
            assert_eq!(jeton.get(path).await.status(), 200, "{path}");
        }
        let ready = jeton.get("/readyz").await;
        assert_eq!(ready.status(), 503);
        let admin = jeton.command(&["client", "list"]).await;
        assert_eq!(admin.status.code(), Some(1));
        let dashboard = jeton.get("/dashboard/sign-in").await;
        assert!(dashboard.status().as_u16() < 600);
        cluster.start().await;
        eventually("tokens are issued again", async || {
            client.ask(&jeton.url, &[]).await.status == 200
        })
        .await;
        eventually("and it says so", async || {
            jeton.get("/readyz").await.status() == 200
        })
        .await;
    }
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
    // It also stops while the database is away.
    cluster.stop("fast").await;
    assert_eq!(jeton.terminate().await, Some(0));
}

#[tokio::test]
async fn who_chose_async_gets_tokens_from_memory_and_records_later() {
    let cluster = Cluster::create().await;
    let (jeton, client) = start(&cluster, vec!["--audit-durability", "async"]).await;
    cluster.stop("fast").await;
    // Longer than memory is believed while nothing is heard.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(client.token(&jeton.url, &[]).await);
    }
    assert_eq!(jeton.get("/readyz").await.status(), 503);
    cluster.start().await;
    eventually("the server is ready", async || {
        jeton.get("/readyz").await.status() == 200
    })
    .await;
    for token in &tokens {
        eventually("the token is recorded", async || {
            recorded(&jeton, token).await
        })
        .await;
    }
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}

#[tokio::test]
async fn what_was_committed_unheard_is_recorded_once() {
    let cluster = Cluster::create().await;
    let (jeton, client) = start(&cluster, vec!["--audit-durability", "async"]).await;
    let database = jeton.database();
    // Commits are on disk and not answered: a standby that is away has to confirm them.
    database
        .sql("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        .await;
    database.sql("SELECT CAST(pg_reload_conf() AS TEXT)").await;
    let standing = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(client.token(&jeton.url, &[]).await);
    }
    eventually("a commit waits", async || {
        let insert = format!("{standing} AND query LIKE '%audit_event%'");
        database.sql(&insert).await.trim() != "0"
    })
    .await;
    cluster.stop("immediate").await;
    // Until the server has tried again, and given up for now.
    eventually("the server knows", async || {
        jeton.log().contains("writing the audit log failed")
    })
    .await;
    cluster.start().await;
    database
        .sql("ALTER SYSTEM RESET synchronous_standby_names")
        .await;
    database.sql("SELECT CAST(pg_reload_conf() AS TEXT)").await;
    for token in &tokens {
        eventually("the token is recorded", async || {
            let jti = claims(token)["jti"].as_str().unwrap().to_owned();
            let count = format!("SELECT COUNT(*) FROM audit_event WHERE jti = '{jti}'");
            let count = database.sql(&count).await;
            assert!(["0", "1"].contains(&count.trim()), "{count} times");
            count.trim() == "1"
        })
        .await;
    }
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}

#[tokio::test]
async fn a_token_that_took_long_to_record_is_decided_again_before_it_leaves() {
    let cluster = Cluster::create().await;
    let (jeton, client) = start(&cluster, vec![]).await;
    let operator = jeton.operator().await;
    let path = format!("/clients/{}", client.client_id);
    // Something holds up everybody who appends to the audit log. First in the queue behind it is
    // the operator who disables the client, then something that lets nobody pass until that is done,
    // then the client.
    let database = jeton.database();
    let held = HeldLog::hold(database).await;
    let waiting = async |number| {
        eventually("they wait", async || database.waiting().await == number).await;
    };
    let disabling = operator.patch(&path, serde_json::json!({ "status": "disabled" }));
    let asking = async {
        waiting(2).await;
        client.ask(&jeton.url, &[]).await
    };
    let releasing = async {
        waiting(1).await;
        let second = HeldLog::queue(database).await;
        waiting(3).await;
        // Longer than what counts as recorded at once.
        tokio::time::sleep(Duration::from_millis(300)).await;
        held.release().await;
        second
    };
    let holding = async {
        let (_, second) = tokio::join!(disabling, releasing);
        second.release().await;
    };
    let (answer, ()) = tokio::join!(asking, holding);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(client.ask(&jeton.url, &[]).await.status, 401);
}

#[tokio::test]
async fn after_a_restart_of_the_database_the_first_changes_succeed() {
    let cluster = Cluster::create().await;
    let (jeton, client) = start(&cluster, vec![]).await;
    let operator = jeton.operator().await;
    let path = format!("/clients/{}", client.client_id);
    for how in ["fast", "immediate"] {
        // Every pooled connection has just been used.
        for _ in 0..10 {
            client.token(&jeton.url, &[]).await;
            operator.get(&path).await;
        }
        cluster.stop(how).await;
        cluster.start().await;
        for number in 0..20 {
            let change = serde_json::json!({ "description": format!("{how} {number}") });
            let (status, answer) = operator
                .send(reqwest::Method::PATCH, &path, Some(change))
                .await;
            assert_eq!(status, 200, "{how} {number}: {answer}");
        }
    }
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}
