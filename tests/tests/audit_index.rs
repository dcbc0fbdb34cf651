//! What leads a search to its events: whoever damages it is found, and `jeton audit reindex` makes it anew.

use std::time::Duration;

use jeton_tests::{Credentials, Jeton, JetonOptions, eventually};
use serde_json::Value;

/// What somebody does to the list of clients.
const DAMAGES: [&str; 3] = [
    "DELETE FROM audit_client_span",
    "UPDATE audit_client_span SET first_seq = last_seq",
    "UPDATE audit_client_span SET span = span + 1000",
];

/// The events of the first span, all of which are listed.
const SPAN: i64 = 256;

struct World {
    jeton: Jeton,
    client: Credentials,
}

impl World {
    /// Whole spans with events of one client, all listed.
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let client = jeton.operator().await.todo_client().await;
        let ask = async || {
            for _ in 0..SPAN / 4 {
                client.token(&jeton.url, &[]).await;
            }
        };
        tokio::join!(ask(), ask(), ask(), ask());
        let world = Self { jeton, client };
        world.is_listed().await;
        world
    }

    async fn number(&self, query: &str) -> i64 {
        let number = self.jeton.database().sql(query).await;
        number.trim().parse().unwrap()
    }

    async fn is_listed(&self) {
        let listed = "SELECT seq FROM statistics_progress WHERE id = 3";
        eventually("the first span is listed", async || {
            self.number(listed).await >= SPAN - 1
        })
        .await;
    }

    /// How many tokens of the client a search finds.
    async fn found(&self) -> usize {
        let arguments = ["audit", "list", "--client", &self.client.client_id];
        let arguments = [&arguments[..], &["--kind", "token.issued", "--limit", "0"]].concat();
        let found = self.jeton.json(&arguments).await;
        found.as_array().unwrap().len()
    }

    async fn assert_verified(&self) {
        let (is_verified, words) = self.jeton.verify_audit().await;
        assert!(is_verified, "{words}\n{}", self.jeton.log());
    }

    async fn restart(self) -> Self {
        let options = JetonOptions {
            port: Some(self.jeton.port()),
            ..JetonOptions::default()
        };
        Self {
            jeton: self.jeton.restart(options).await,
            client: self.client,
        }
    }
}

#[tokio::test]
async fn a_damaged_list_is_found_and_made_anew_while_tokens_are_issued() {
    let world = World::new().await;
    let mut issued = world.found().await;
    world.assert_verified().await;
    for (round, damage) in DAMAGES.into_iter().enumerate() {
        world.jeton.database().sql(damage).await;
        let (is_verified, words) = world.jeton.verify_audit().await;
        assert!(
            !is_verified && words.contains("jeton audit reindex"),
            "{damage}: {words}"
        );
        assert!(world.found().await < issued, "{damage}");
        // Twice at once, while tokens are issued.
        let issue = async {
            for _ in 0..20 {
                world.client.token(&world.jeton.url, &[]).await;
            }
        };
        let reindex = || world.jeton.json(&["audit", "reindex"]);
        tokio::join!(issue, reindex(), reindex());
        issued += 20;
        // At once, for the log itself is read until the list is there again.
        assert_eq!(world.found().await, issued, "{damage}");
        world.assert_verified().await;
        world.is_listed().await;
        assert_eq!(world.found().await, issued, "{damage}");
        world.assert_verified().await;
        let events = ["audit", "list", "--kind", "audit.reindexed"];
        let events = world.jeton.json(&events).await;
        assert_eq!(events.as_array().map(Vec::len), Some(2 * (round + 1)));
        assert_ne!(events[0]["actor"], Value::Null);
    }
    let elsewhere = "SELECT COUNT(*) FROM audit_client_span WHERE span >= 1000";
    assert_eq!(world.number(elsewhere).await, 0, "nothing of it is left");
}

#[tokio::test]
async fn a_list_whose_making_was_interrupted_is_finished_by_the_next_start() {
    let mut world = World::new().await;
    let issued = world.found().await;
    world.jeton.database().sql(DAMAGES[0]).await;
    // The server dies, sooner or later after it was told to.
    for wait in [0, 5, 20, 60] {
        let kill = async {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        };
        tokio::select! {
            () = kill => {}
            _ = world.jeton.command(&["audit", "reindex"]) => {}
        }
        world.jeton.kill().await;
        world = world.restart().await;
    }
    // It died after it had discarded the list, and removed none or a part of it.
    world.jeton.json(&["audit", "reindex"]).await;
    world.is_listed().await;
    world.jeton.kill().await;
    for discarded in [
        "UPDATE statistics_progress SET seq = 0 WHERE id = 3",
        "UPDATE audit_clock SET seq = 0, latest = 0 WHERE id = 1",
        "UPDATE audit_client_span SET first_seq = last_seq",
    ] {
        world.jeton.database().sql(discarded).await;
    }
    world = world.restart().await;
    world.is_listed().await;
    world.assert_verified().await;
    assert_eq!(world.found().await, issued);
}
