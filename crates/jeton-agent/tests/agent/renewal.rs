//! Who holds a good token waits for nothing; who holds none waits for a bounded time.

use std::time::Duration;

use jeton_agent::{AgentError, TokenSource};

use crate::support::{Mode, World, eventually};

/// More than anything here should take, and less than one attempt of a server that hangs.
const PROMPTLY: Duration = Duration::from_secs(8);

async fn promptly<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PROMPTLY, what).await.unwrap()
}

/// Asks for a token from fifty tasks.
async fn fifty(source: &TokenSource) -> Vec<Result<String, AgentError>> {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { Ok(source.token().await?.expose().to_owned()) })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn nobody_with_a_good_token_waits_for_its_renewal() {
    let world = World::new().await;
    let source = world.source();
    let first = source.token().await.unwrap();
    world.auth.set(Mode::Hang);
    world.clock.advance(Duration::from_secs(3541));
    for outcome in promptly(fifty(&source)).await {
        assert_eq!(outcome.unwrap(), first.expose());
    }
    eventually("the renewal was begun", async || {
        world.auth.token_requests().len() == 2
    })
    .await;
    for outcome in promptly(fifty(&source)).await {
        assert_eq!(outcome.unwrap(), first.expose());
    }
    assert_eq!(world.auth.token_requests().len(), 2);
}

#[tokio::test]
async fn a_renewal_that_failed_is_not_tried_again_by_everybody() {
    let world = World::new().await;
    let source = world.source();
    let first = source.token().await.unwrap();
    world.auth.set(Mode::Refuse("invalid_client"));
    world.clock.advance(Duration::from_secs(3541));
    promptly(source.token()).await.unwrap();
    eventually("the renewal failed", async || {
        world.auth.token_requests().len() == 2
    })
    .await;
    for _ in 0..3 {
        for outcome in promptly(fifty(&source)).await {
            assert_eq!(outcome.unwrap(), first.expose());
        }
        // Time for an attempt, if one was begun.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(world.auth.token_requests().len(), 2);
    // Some seconds later it is.
    world.auth.set(Mode::Issue);
    world.clock.advance(Duration::from_secs(2));
    eventually("it was renewed", async || {
        source.token().await.unwrap().expose() != first.expose()
    })
    .await;
    assert_eq!(world.auth.token_requests().len(), 3);
}

#[tokio::test]
async fn without_a_good_token_the_wait_is_bounded_and_one_attempt_serves_all() {
    let world = World::new().await;
    world.auth.set(Mode::Hang);
    let limit = Duration::from_millis(500);
    let source = world.builder().wait_at_most(limit).build().unwrap();
    for outcome in promptly(fifty(&source)).await {
        let error = outcome.unwrap_err();
        assert!(matches!(error, AgentError::TimedOut { .. }), "{error}");
    }
    eventually("the failure is known", async || {
        matches!(source.token().await, Err(AgentError::TimedOut { .. }))
    })
    .await;
    let made = world.auth.token_requests().len();
    assert!(made <= 2, "{made}");
    for outcome in promptly(fifty(&source)).await {
        assert!(outcome.is_err());
    }
    assert_eq!(world.auth.token_requests().len(), made);

    world.auth.set(Mode::Issue);
    world.clock.advance(Duration::from_secs(60));
    source.token().await.unwrap();
}

#[tokio::test]
async fn a_token_that_nobody_waits_for_any_more_still_arrives() {
    let world = World::new().await;
    world.auth.set(Mode::IssueAfter(Duration::from_millis(500)));
    let source = world.source();
    let left = tokio::time::timeout(Duration::from_millis(100), source.token()).await;
    assert!(left.is_err());
    eventually("it was asked for", async || {
        world.auth.token_requests().len() == 1
    })
    .await;
    promptly(source.token()).await.unwrap();
    assert_eq!(world.auth.token_requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_every_token_does_not_cause_a_request_for_each_call() {
    let world = World::new().await;
    let source = world.source();
    source.token().await.unwrap();
    world.mcp.change(|saying| saying.refuses = true);
    for _ in 0..20 {
        let url = world.mcp.url().parse().unwrap();
        let request = reqwest::Request::new(reqwest::Method::POST, url);
        assert_eq!(source.send(request).await.unwrap().status(), 401);
    }
    assert_eq!(world.auth.token_requests().len(), 6);
}
