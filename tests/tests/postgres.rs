//! What only PostgreSQL has: a connection that somebody else could answer, and others who write.

use std::time::Duration;

use jeton_tests::{
    Cluster, Credentials, HeldLog, Jeton, JetonOptions, TestDatabase, binary, eventually,
};
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

fn over_tls(cluster: &Cluster, host: &str, ca: &str) -> String {
    let port = cluster.port();
    format!("postgres://jeton@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={ca}")
}

#[tokio::test]
async fn over_tls_the_database_has_to_be_who_it_says() {
    let cluster = Cluster::create().await;
    let ca = cluster.require_tls().await;
    let other_cluster = Cluster::create().await;
    let another = other_cluster.require_tls().await;
    let (ca, another) = (ca.to_str().unwrap(), another.to_str().unwrap());

    let jeton = Jeton::start_with(JetonOptions {
        database: Some(TestDatabase::Postgres(over_tls(&cluster, "localhost", ca))),
        ..JetonOptions::default()
    })
    .await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name <> 'psql' AND client_addr IS NOT NULL";
    assert_eq!(jeton.database().sql(encrypted).await.trim(), "t");

    let full = over_tls(&cluster, "localhost", ca);
    for (url, says) in [
        (over_tls(&cluster, "localhost", another), "certificate"),
        (over_tls(&cluster, "127.0.0.1", ca), "certificate"),
        (full.replace("verify-full", "disable"), "no encryption"),
        (
            full.replace("ca.pem", "nowhere.pem"),
            "nowhere.pem, which cannot be used: there is no such file",
        ),
        (full.replace("sslrootcert", "sslrootcrt"), "sslrootcert"),
        (full.replace("verify-full", "full"), "verify-full"),
    ] {
        let errors = refused(&url).await;
        assert!(errors.contains(says), "{url}: {errors}");
    }
}

/// Why a server does not start on this database.
async fn refused(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let starting = Command::new(binary("jeton"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .env("JETON_DATABASE_URL", url)
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(Duration::from_secs(60), starting).await;
    let ended = ended.unwrap().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success(), "{url}: {errors}");
    errors
}

#[tokio::test]
async fn who_ends_a_deadlock_by_failing_tries_again() {
    let cluster = Cluster::create().await;
    let database = TestDatabase::new_in(&cluster.url).await;
    let url = database.url();
    let (_, name) = url.rsplit_once('/').unwrap();
    // Jeton finds the deadlock, and finds it only once there is one.
    let later = format!("ALTER DATABASE {name} SET deadlock_timeout = '3s'");
    database.sql(&later).await;
    let jeton = Jeton::start_with(JetonOptions {
        database: Some(database.clone()),
        ..JetonOptions::default()
    })
    .await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;

    let mut other = HeldLog::hold(&database).await;
    let path = format!("/clients/{}", client.client_id);
    let renaming = operator.send(Method::PATCH, &path, Some(json!({"name": "renamed"})));
    let deadlock = async {
        eventually("Jeton waits for it", async || database.waiting().await == 1).await;
        let update = format!(
            "UPDATE client SET description = 'theirs' WHERE id = '{}';",
            client.client_id
        );
        other.run(&update).await;
        other.release().await;
    };
    let ((status, body), ()) = tokio::join!(renaming, deadlock);
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["name"], "renamed");
    let deadlocks = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{name}'");
    eventually("there was one", async || {
        database.sql(&deadlocks).await.trim() == "1"
    })
    .await;
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}

#[tokio::test]
async fn what_was_taken_away_at_one_server_is_taken_away_at_the_other() {
    let cluster = Cluster::create().await;
    let started = |flags: Vec<&'static str>, key: String| {
        let database = TestDatabase::Postgres(cluster.url.clone());
        async move {
            Jeton::start_with(JetonOptions {
                flags,
                environment: vec![("JETON_MASTER_KEY", key.as_str())],
                database: Some(database),
                ..JetonOptions::default()
            })
            .await
        }
    };
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let issuer = vec!["--issuer", "http://127.0.0.1:8420"];
    let one = started(issuer.clone(), key.to_owned()).await;
    let two = started(issuer, key.to_owned()).await;
    let (here, there) = (one.listening(), two.listening());
    let operator = one.operator_at(&here).await;
    let post = async |path: &str, body: serde_json::Value| operator.post(path, body).await;
    let scopes = json!([{ "name": "a" }]);
    let parent = json!({ "name": "P", "url": "https://h.example", "scopes": scopes });
    let parent = post("/mcp-servers", parent).await;
    let child = json!({ "name": "C", "url": "https://h.example/c", "scopes": scopes });
    let child = post("/mcp-servers", child).await;
    let client = json!({ "name": "agent", "mcp_server_id": parent["id"], "all_scopes": true });
    let client = Credentials::of(&post("/clients", client).await);
    eventually("the other server knows the client", async || {
        client.ask(&there, &[]).await.status == 200
    })
    .await;
    let path = format!(
        "/mcp-servers/{}?confirm=true",
        child["id"].as_str().unwrap()
    );
    operator.delete(&path).await;
    // Before it hears of the deletion, the URL is the child's; afterwards it is retired.
    for _ in 0..40 {
        let resource = [("resource", "https://h.example/c")];
        let answer = client.ask(&there, &resource).await;
        assert_eq!(answer.error(), "invalid_target", "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let token = client.token(&there, &[]).await;
    assert_eq!(client.introspect(&there, &token).await["active"], true);
    let path = format!("/clients/{}/revoke-tokens", client.client_id);
    post(&path, json!({})).await;
    assert_eq!(client.introspect(&there, &token).await["active"], false);
}
