//! What strangers can cost: room in the audit log, and the patience of those they pretend to be.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use jeton_core::{ClientId, Entropy, SystemClock};
use jeton_jose::OsEntropy;
use jeton_tests::{Answer, Credentials, Jeton, JetonOptions, eventually, form, http};
use reqwest::Client;
use serde_json::Value;

/// An HTTP client with a source address of its own.
fn from(source: Ipv4Addr) -> Client {
    Client::builder()
        .no_proxy()
        .local_address(std::net::IpAddr::from(source))
        .build()
        .unwrap()
}

fn somebody() -> String {
    use jeton_core::Clock as _;
    let now = SystemClock.now();
    ClientId::generate(now, &OsEntropy as &dyn Entropy)
        .unwrap()
        .to_string()
}

fn secret() -> String {
    let secret = jeton_core::PlainSecret::generate(&OsEntropy).unwrap();
    secret.expose().to_owned()
}

async fn post(client: &Client, url: &str, id: &str, secret: &str, more: &[(&str, &str)]) -> Answer {
    let own = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
    ];
    let request = client
        .post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form(&[&own, more].concat()));
    Answer::of(request.send().await.unwrap()).await
}

/// Every refusal that is in the log, and how many refusals they stand for.
async fn refusals(jeton: &Jeton, kind: &str) -> (usize, u64) {
    let details =
        format!("SELECT detail FROM audit_event WHERE outcome = 'refused' AND kind = '{kind}'");
    let rows = jeton.database().sql(&details).await;
    let counts = rows.lines().map(|detail| {
        let detail: Value = serde_json::from_str(detail).unwrap();
        detail["count"].as_u64().unwrap_or(1)
    });
    (rows.lines().count(), counts.sum())
}

#[tokio::test]
async fn strangers_with_ever_new_names_and_addresses_cost_the_log_a_bounded_number_of_events() {
    const SOURCES: u8 = 40;
    const EACH: u64 = 100;
    let mut jeton = Jeton::start().await;
    let url = format!("{}/oauth/token", jeton.url);
    let begun = Instant::now();
    let tasks: Vec<_> = (1..=SOURCES)
        .map(|last| {
            let (url, secret) = (url.clone(), secret());
            tokio::spawn(async move {
                let client = from(Ipv4Addr::new(127, 0, 7, last));
                for _ in 0..EACH {
                    let answer = post(&client, &url, &somebody(), &secret, &[]).await;
                    assert!([401, 429].contains(&answer.status), "{}", answer.body);
                    assert_eq!(answer.error(), "invalid_client");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // A server that stops records what it counted.
    assert_eq!(jeton.terminate().await, Some(0));
    let passed = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let jeton = jeton.restart(JetonOptions::default()).await;
    let (events, refused) = refusals(&jeton, "token.refused").await;
    assert_eq!(refused, u64::from(SOURCES) * EACH, "each is counted");
    // As docs/operations.md says: 120 at once, one a second, one a minute for the rest.
    let most = 120 + passed + passed / 60 + 2;
    assert!(events <= most, "{events} events in {passed} seconds");

    // What the dashboard shows counts refusals, not events.
    let minutes = "SELECT CAST(SUM(refused) AS BIGINT) FROM token_minute";
    eventually("all are counted", async || {
        jeton.database().sql(minutes).await.trim() == refused.to_string()
    })
    .await;
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}

#[tokio::test]
async fn a_refusal_that_repeats_is_recorded_once_and_then_with_its_number() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    let ask = async |parameters: &[(&str, &str)]| client.ask(&jeton.url, parameters).await;
    for _ in 0..50 {
        assert_eq!(ask(&[("scope", "b")]).await.status, 400);
    }
    // The first is there at once, the others soon.
    let query = format!("outcome=refused&client_id={}", client.client_id);
    eventually("all are recorded", async || {
        let events = operator.audit(&query).await;
        let count = |event: &Value| event["detail"]["count"].as_u64().unwrap_or(1);
        events.iter().map(count).sum::<u64>() == 50
    })
    .await;
    let events = operator.audit(&query).await;
    assert!(events.len() <= 10, "{} events", events.len());
    let first = events.last().unwrap();
    let summary = events.first().unwrap();
    assert!(first["detail"].get("count").is_none());
    for name in [
        "reason",
        "client_id",
        "secret_id",
        "source",
        "scope",
        "actor",
    ] {
        assert_eq!(first[name], summary[name], "{name}");
    }
    assert!(summary["detail"]["last_at"].is_string());
    // Another reason is another event.
    ask(&[("resource", "https://elsewhere.example/mcp")]).await;
    let reasons: BTreeSet<_> = operator
        .audit(&query)
        .await
        .iter()
        .map(|event| event["reason"].to_string())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    // The dashboard's counts are of refusals.
    let refused = format!(
        "SELECT CAST(COALESCE(SUM(refused), 0) AS BIGINT) FROM client_hour WHERE client_id = '{}'",
        client.client_id
    );
    eventually("the client's refusals are counted", async || {
        jeton.database().sql(&refused).await.trim() == "51"
    })
    .await;
    let listed = jeton
        .command(&["audit", "list", "--client", &client.client_id])
        .await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("(×"), "{listed}");
}

#[tokio::test]
async fn when_the_disk_is_nearly_full_strangers_are_counted_and_tokens_are_recorded() {
    let reserve = JetonOptions {
        // More than any disk has.
        flags: vec!["--audit-reserve-mib", "4000000000"],
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(reserve).await;
    if !jeton.database().url().starts_with("sqlite:") {
        // PostgreSQL's disk is another machine's.
        return;
    }
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    eventually("the server has noticed", async || {
        jeton.log().contains("the disk is nearly full")
    })
    .await;
    let endpoint = format!("{}/oauth/token", jeton.url);
    for _ in 0..10 {
        let wrong = post(&http(), &endpoint, &somebody(), &secret(), &[]).await;
        assert_eq!(wrong.status, 401);
        client.token(&jeton.url, &[]).await;
    }
    assert_eq!(refusals(&jeton, "token.refused").await, (0, 0));
    let tokens = "SELECT COUNT(*) FROM audit_event WHERE kind = 'token.issued'";
    let tokens: u32 = jeton.database().sql(tokens).await.trim().parse().unwrap();
    assert!(tokens >= 10);
    // Nothing is lost: one event says how many there were.
    assert_eq!(jeton.terminate().await, Some(0));
    let jeton = jeton.restart(JetonOptions::default()).await;
    assert_eq!(refusals(&jeton, "token.refused").await, (1, 10));
}

#[tokio::test]
async fn whoever_waits_as_long_as_retry_after_says_is_heard() {
    let jeton = Jeton::start().await;
    let wrong = Credentials {
        client_secret: secret(),
        ..jeton.operator().await.todo_client().await
    };
    // A wait of one second, then one of two.
    for _ in 0..2 {
        let mut answer = wrong.ask(&jeton.url, &[]).await;
        while answer.status == 401 {
            answer = wrong.ask(&jeton.url, &[]).await;
        }
        assert_eq!(answer.status, 429);
        let wait = answer.headers["retry-after"].to_str().unwrap();
        tokio::time::sleep(Duration::from_secs(wait.parse().unwrap())).await;
        assert_eq!(wrong.ask(&jeton.url, &[]).await.status, 401, "after {wait}");
    }
}

#[tokio::test]
async fn wrong_secrets_are_throttled_and_the_right_one_is_served_all_the_while() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    let wrong = Credentials {
        client_secret: secret(),
        ..client.clone()
    };
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let endpoint = format!("{}{path}", jeton.url);
        let mut statuses = Vec::new();
        for _ in 0..30 {
            statuses.push(wrong.send(&endpoint, &[("token", "t")]).await.status);
            // The same client from the same address.
            client.token(&jeton.url, &[]).await;
        }
        assert!(statuses.contains(&429), "{path}: {statuses:?}");
    }
    // Each wait that ends lets one more try in, and doubles.
    let mut throttled = wrong.ask(&jeton.url, &[]).await;
    while throttled.status == 401 {
        throttled = wrong.ask(&jeton.url, &[]).await;
    }
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.error(), "invalid_client");
    let wait = throttled.headers["retry-after"].to_str().unwrap();
    let wait: u32 = wait.parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Somebody else's mistakes are somebody else's.
    let elsewhere = from(Ipv4Addr::new(127, 0, 9, 1));
    let url = format!("{}/oauth/token", jeton.url);
    let answer = post(
        &elsewhere,
        &url,
        &client.client_id,
        &wrong.client_secret,
        &[],
    )
    .await;
    assert_eq!(answer.status, 401);
}
