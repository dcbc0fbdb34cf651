//! Somebody who can write to the database and has no key can hide nothing: each attempt is found by
//! `jeton audit verify`, on both databases; and what is honest is not called a forgery.

mod attacks;
mod forger;
mod forks;
mod hidden;
mod honest;
mod keys;
mod lost_memory;
mod memory;
mod retention;
mod unsigned;

use jeton_tests::{Credentials, Jeton, JetonOptions};

/// A server in whose log there are a few batches, with a checkpoint behind some of them, and tokens after
/// it that no checkpoint covers yet.
pub(crate) async fn busy() -> (Jeton, Credentials) {
    let mut jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let client = operator.client(&todo, &["a"]).await;
    tokens(&jeton, &client, 4).await;
    // Signs at its end and at its start.
    assert_eq!(jeton.terminate().await, Some(0));
    let jeton = restart(jeton).await;
    tokens(&jeton, &client, 4).await;
    (jeton, client)
}

/// In the same folder, at the same address.
pub(crate) async fn restart(jeton: Jeton) -> Jeton {
    restart_with(jeton, JetonOptions::default()).await
}

pub(crate) async fn restart_with(jeton: Jeton, options: JetonOptions<'_>) -> Jeton {
    let port = jeton.port();
    jeton
        .restart(JetonOptions {
            port: Some(port),
            ..options
        })
        .await
}

pub(crate) async fn tokens(jeton: &Jeton, client: &Credentials, number: usize) {
    for _ in 0..number {
        client.token(&jeton.url, &[]).await;
    }
}

pub(crate) async fn assert_content(jeton: &Jeton) {
    let (content, words) = jeton.verify_audit().await;
    assert!(content, "{words}\n{}", jeton.log());
}

pub(crate) async fn assert_found(jeton: &Jeton, what: &str) -> String {
    let (content, words) = jeton.verify_audit().await;
    assert!(!content, "{what} was not found: {words}\n{}", jeton.log());
    assert!(words.contains("Next: "), "{what}: {words}");
    words
}
