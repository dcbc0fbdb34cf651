//! Changes at two servers over one PostgreSQL follow one another: the second is decided by what the first left.

use jeton_tests::{HeldLog, Jeton, Operator, TestDatabase, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// So often each is tried: whether a server would decide by what it remembers is a matter of milliseconds.
const ROUNDS: usize = 8;

/// Two servers, where there is PostgreSQL.
async fn two_servers() -> Option<(Jeton, Jeton, Operator, Operator)> {
    let here = Jeton::start().await;
    if !matches!(here.database(), TestDatabase::Postgres(_)) {
        return None;
    }
    let there = here.replica().await;
    let operator = here.operator().await;
    let other = operator.at(&there.listening());
    Some((here, there, operator, other))
}

type Request<'a> = (&'a Operator, Method, String, Value);

/// Sends one request, and another at the other server while the first is not committed yet; gives the answer to
/// the second.
async fn one_after_the_other(
    database: &TestDatabase,
    first: Request<'_>,
    second: Request<'_>,
) -> (u16, Value) {
    let held = HeldLog::hold(database).await;
    let send = |(operator, method, path, body): Request<'_>| {
        let operator = operator.at(operator.url());
        async move { operator.send(method, &path, Some(body)).await }
    };
    let first = tokio::spawn(send(first));
    eventually("the first waits to be committed", async || {
        database.waiting().await >= 1
    })
    .await;
    let second = tokio::spawn(send(second));
    eventually("the second waits too", async || {
        database.waiting().await >= 2
    })
    .await;
    held.release().await;
    let (status, document) = first.await.unwrap();
    assert!(status < 300, "{status} {document}");
    second.await.unwrap()
}

#[tokio::test]
async fn a_scope_that_goes_is_given_to_nobody() {
    let Some((here, _there, operator, other)) = two_servers().await else {
        return;
    };
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a", "c"])
        .await;
    let notes = operator
        .mcp_server("http://localhost:3003/mcp", &["n"])
        .await;
    let server = format!("/mcp-servers/{todo}");
    let remove = || {
        let path = format!("{server}?confirm=true");
        let body = json!({ "remove_scopes": ["c"] });
        (&operator, Method::PATCH, path, body)
    };
    for round in 0..ROUNDS {
        let client = json!({ "name": "agent", "mcp_server_id": todo, "scopes": ["a", "c"] });
        let create = (&other, Method::POST, "/clients".to_owned(), client);
        let (status, document) = one_after_the_other(here.database(), remove(), create).await;
        assert_eq!(status, 400, "{round}: {document}");
        assert_eq!(document["parameter"], "scopes", "{round}: {document}");
        let back = json!({ "add_scopes": [{ "name": "c", "description": "" }] });
        operator.patch(&server, back.clone()).await;

        let client = operator.client(&notes, &["n"]).await.client_id;
        let grant = format!("/clients/{client}/grants/{todo}");
        operator.put(&grant, json!({ "scopes": ["a"] })).await;
        eventually("the other server knows the scope", async || {
            other.get(&server).await["scopes"].as_array().unwrap().len() == 2
        })
        .await;
        let scopes = json!({ "scopes": ["a", "c"] });
        let change = (&other, Method::PUT, grant, scopes);
        let (status, document) = one_after_the_other(here.database(), remove(), change).await;
        assert_eq!(status, 400, "{round}: {document}");
        operator.patch(&server, back).await;
    }
    let left = "SELECT count(*) FROM client_grant WHERE scopes LIKE '%c%'";
    assert_eq!(here.database().sql(left).await.trim(), "0");
}

#[tokio::test]
async fn a_server_is_not_deleted_unconfirmed_under_one_that_was_just_registered() {
    let Some((here, _there, operator, other)) = two_servers().await else {
        return;
    };
    for round in 0..ROUNDS {
        let parent = format!("https://tools{round}.example.com");
        let child = operator.mcp_server(&format!("{parent}/a"), &["x"]).await;
        let path = format!("/mcp-servers/{child}");
        eventually("the other server knows it", async || {
            other.send(Method::GET, &path, None).await.0 == 200
        })
        .await;
        let register = json!({ "name": "Parent", "url": parent });
        let register = (&operator, Method::POST, "/mcp-servers".to_owned(), register);
        let delete = (&other, Method::DELETE, path, json!({}));
        let (status, document) = one_after_the_other(here.database(), register, delete).await;
        assert_eq!(status, 409, "{round}: {document}");
        let problem = "urn:jeton:problem:confirmation-required";
        assert_eq!(document["type"], problem, "{round}: {document}");
    }
}
