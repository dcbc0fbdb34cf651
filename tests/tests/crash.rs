//! `kill -9` under load, twenty times in a row: every token that a caller received is in the audit
//! log afterwards, and the database opens each time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jeton_store::{Database, Postgres, Store};
use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase, claims, form, free_port, http};
use serde_json::Value;

const ROUNDS: usize = 20;
const CALLERS: usize = 8;
const TOKENS_A_ROUND: usize = 40;

/// Asks for tokens until told to stop, and keeps the `jti` of each that arrived.
async fn ask_on(
    url: String,
    who: Credentials,
    received: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
) {
    let client = http();
    while !stop.load(Ordering::SeqCst) {
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &who.client_id),
            ("client_secret", &who.client_secret),
        ]);
        let request = client
            .post(format!("{url}/oauth/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = match request.send().await {
            Ok(answer) => answer.json::<Value>().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let token = answer["access_token"].as_str().expect("a token");
                let jti = claims(token)["jti"].as_str().unwrap().to_owned();
                received.lock().unwrap().push(jti);
            }
            // The server is gone; the caller comes back.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_token_that_was_received_survives_kill_9_in_the_audit_log() {
    let port = free_port();
    let options = || JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["todo:read"])
        .await;
    let client = operator.client(&todo, &["todo:read"]).await;
    let received = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (received, stop) = (Arc::clone(&received), Arc::clone(&stop));
            tokio::spawn(ask_on(jeton.url.clone(), client.clone(), received, stop))
        })
        .collect();

    let mut slowest = Duration::ZERO;
    for round in 1..=ROUNDS {
        let wanted = received.lock().unwrap().len() + TOKENS_A_ROUND;
        jeton_tests::eventually("tokens arrive", || async {
            received.lock().unwrap().len() >= wanted
        })
        .await;
        jeton.kill().await;
        let start = Instant::now();
        jeton = jeton.restart(options()).await;
        assert_eq!(jeton.get("/readyz").await.status(), 200, "round {round}");
        slowest = slowest.max(start.elapsed());
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }

    let recorded = recorded_tokens(&jeton, &client).await;
    let received = received.lock().unwrap().clone();
    let distinct: HashSet<_> = received.iter().cloned().collect();
    assert_eq!(distinct.len(), received.len(), "two tokens were alike");
    let missing: Vec<_> = distinct.difference(&recorded).collect();
    assert!(
        missing.is_empty(),
        "{} received tokens have no record: {missing:?}",
        missing.len()
    );
    println!(
        "{} tokens received over {ROUNDS} kills, {} recorded, none missing; ready again after {slowest:?} at most",
        received.len(),
        recorded.len(),
    );

    assert_eq!(jeton.terminate().await, Some(0));
    let database = match jeton.database() {
        TestDatabase::Sqlite(file) => Database::Sqlite(file.clone()),
        TestDatabase::Postgres(url) => Database::Postgres(Postgres {
            url: url.clone().into(),
            notification_url: None,
            connections: 4,
        }),
    };
    let store = Store::open(&database).await.unwrap();
    let mut after = 0;
    loop {
        let span = store.verify_audit(after, 20_000).await.unwrap();
        assert_eq!(span.broken, None);
        if span.is_end {
            break;
        }
        after = span.end.seq;
    }
}

async fn recorded_tokens(jeton: &Jeton, client: &Credentials) -> HashSet<String> {
    let operator = jeton.operator().await;
    let (mut found, mut cursor) = (HashSet::new(), String::new());
    loop {
        let path = format!(
            "/audit-events?limit=200&kind=token.issued&client_id={}{cursor}",
            client.client_id
        );
        let page = operator.get(&path).await;
        let items = page["items"].as_array().unwrap();
        found.extend(
            items
                .iter()
                .map(|event| event["jti"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}
