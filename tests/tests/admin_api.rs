//! The admin API: who may use it, and how it treats what it is sent.

use std::collections::BTreeSet;

use jeton_tests::{Answer, Credentials, Jeton, http};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn only_a_token_for_the_admin_api_with_the_right_scope_may() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["admin:read", "admin:write"])
        .await;
    // An MCP server may define scopes of the same names: its tokens are for itself all the same.
    let impostor = operator.client(&todo, &["admin:read", "admin:write"]).await;
    let impostor = impostor.token(&jeton.url, &[]).await;
    let reader = operator
        .credentials
        .token(&jeton.url, &[("scope", "admin:read")])
        .await;
    let url = format!("{}/api/v1/mcp-servers", jeton.url);
    let get = |token: &str| http().get(&url).bearer_auth(token);
    let post = |token: &str| http().post(&url).bearer_auth(token).json(&json!({}));

    for (request, status, words) in [
        (http().get(&url), 401, "send an access token"),
        (get("x"), 401, "not a JWT"),
        (get(&impostor), 401, "another resource"),
        (get(&operator.credentials.client_secret), 401, "not a JWT"),
        (get(&reader), 200, ""),
        (post(&reader), 403, "admin:write"),
    ] {
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status != 200 {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert!(
                answer.body["detail"].as_str().unwrap().contains(words),
                "{}",
                answer.body
            );
            let challenge = answer.headers["www-authenticate"].to_str().unwrap();
            assert!(
                challenge.contains("/.well-known/oauth-protected-resource/api"),
                "{challenge}"
            );
        }
    }
    let metadata: Value = jeton
        .get("/.well-known/oauth-protected-resource/api")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(metadata["resource"], format!("{}/api", jeton.url));
}

#[tokio::test]
async fn a_revoked_token_or_a_disabled_client_opens_the_admin_api_no_more() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let api = operator.get("/mcp-servers?system=true").await["items"][0]["id"].clone();
    let second = operator
        .client(api.as_str().unwrap(), &["admin:read"])
        .await;
    let token = second.token(&jeton.url, &[]).await;
    let status = async |token: &str| {
        let url = format!("{}/api/v1/clients", jeton.url);
        let answer = http().get(url).bearer_auth(token).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(status(&token).await, 200);
    operator
        .patch(
            &format!("/clients/{}", second.client_id),
            json!({ "status": "disabled" }),
        )
        .await;
    assert_eq!(status(&token).await, 401);
    operator
        .patch(
            &format!("/clients/{}", second.client_id),
            json!({ "status": "enabled" }),
        )
        .await;
    assert_eq!(status(&token).await, 401, "it stays dead");
    let token = second.token(&jeton.url, &[]).await;
    assert_eq!(status(&token).await, 200);
    second
        .send(&format!("{}/oauth/revoke", jeton.url), &[("token", &token)])
        .await;
    assert_eq!(status(&token).await, 401);
}

#[tokio::test]
async fn a_server_a_client_a_grant_and_a_secret_live_and_end() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a", "b"])
        .await;
    let created = operator
        .post(
            "/clients",
            json!({ "name": "agent", "mcp_server_id": todo, "all_scopes": true, "secret_expires_in": 3600 }),
        )
        .await;
    let client = Credentials::of(&created);
    assert_eq!(created["grants"][0]["scopes"], json!(["a", "b"]));
    let path = format!("/clients/{}", client.client_id);
    assert_eq!(operator.get(&path).await["client_secret"], Value::Null);

    let secrets = operator.get(&format!("{path}/secrets")).await;
    let secret = &secrets["items"][0];
    assert!(
        client
            .client_secret
            .ends_with(secret["suffix"].as_str().unwrap())
    );
    assert_eq!(secret["last_used_at"], Value::Null);
    assert!(secret["expires_at"].is_string() && secret["created_at"].is_string());
    client.token(&jeton.url, &[]).await;
    let secrets = operator.get(&format!("{path}/secrets")).await;
    assert!(secrets["items"][0]["last_used_at"].is_string());

    let revoke = format!("/secrets/{}", secret["id"].as_str().unwrap());
    for _ in 0..2 {
        operator.delete(&revoke).await;
    }
    assert_eq!(client.ask(&jeton.url, &[]).await.error(), "invalid_client");
    let grant = format!("{path}/grants/{todo}");
    assert_eq!(
        operator.put(&grant, json!({ "scopes": ["b"] })).await["scopes"],
        json!(["b"])
    );
    for target in [&grant, &path, &format!("/mcp-servers/{todo}")] {
        operator.delete(target).await;
        operator.delete(target).await;
    }
    let (status, _) = operator.send(Method::GET, &path, None).await;
    assert_eq!(status, 404);
    let kinds: Vec<_> = operator
        .audit("")
        .await
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .filter(|kind| !kind.starts_with("token."))
        .collect();
    assert_eq!(
        kinds,
        [
            "mcp_server.deleted",
            "client.deleted",
            "grant.deleted",
            "grant.updated",
            "secret.revoked",
            "client.created",
            "mcp_server.created",
            "client.created",
            "key.created",
            "key.created",
            "key.created",
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_by_name() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let server = |more: Value| {
        let mut body = json!({ "name": "x", "url": "http://localhost:4000/mcp" });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let client = |more: Value| {
        let mut body = json!({ "name": "x", "mcp_server_id": todo });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let own_url = format!("{}/anything", jeton.url);
    for (path, body, parameter) in [
        ("/mcp-servers", server(json!({ "name": " " })), "name"),
        (
            "/mcp-servers",
            server(json!({ "name": "x".repeat(101) })),
            "name",
        ),
        ("/mcp-servers", server(json!({ "url": "mcp" })), "url"),
        (
            "/mcp-servers",
            server(json!({ "url": "http://a.example/#x" })),
            "url",
        ),
        ("/mcp-servers", server(json!({ "url": own_url })), "url"),
        (
            "/mcp-servers",
            server(json!({ "token_ttl": 59 })),
            "token_ttl",
        ),
        (
            "/mcp-servers",
            server(json!({ "token_ttl": 86_401 })),
            "token_ttl",
        ),
        (
            "/mcp-servers",
            server(json!({ "token_ttl": "1h" })),
            "token_ttl",
        ),
        (
            "/mcp-servers",
            server(json!({ "signing_alg": "none" })),
            "signing_alg",
        ),
        (
            "/mcp-servers",
            server(json!({ "token_profile": "odd" })),
            "token_profile",
        ),
        (
            "/mcp-servers",
            server(json!({ "scopes": [{ "name": "a b" }] })),
            "scopes[0].name",
        ),
        (
            "/mcp-servers",
            server(json!({ "scopes": [{ "name": "a" }, { "name": "a" }] })),
            "scopes",
        ),
        (
            "/mcp-servers",
            server(json!({ "scopes": ["a"] })),
            "scopes[0]",
        ),
        ("/mcp-servers", server(json!({ "colour": "red" })), "colour"),
        (
            "/clients",
            client(json!({ "mcp_server_id": "res_x" })),
            "mcp_server_id",
        ),
        ("/clients", client(json!({ "scopes": ["b"] })), "scopes"),
        (
            "/clients",
            client(json!({ "scopes": ["a"], "all_scopes": true })),
            "all_scopes",
        ),
        (
            "/clients",
            client(json!({ "secret_expires_in": 0 })),
            "secret_expires_in",
        ),
        (
            "/clients",
            client(json!({ "custom_claims": { "iss": "x" } })),
            "custom_claims",
        ),
        ("/clients", json!({ "name": "x" }), "mcp_server_id"),
        ("/clients", json!([]), ""),
    ] {
        let (status, problem) = operator.send(Method::POST, path, Some(body.clone())).await;
        assert_eq!(status, 400, "{body}: {problem}");
        assert_eq!(problem["type"], "urn:jeton:problem:invalid", "{body}");
        assert_eq!(problem["status"], 400);
        let named = problem["parameter"].as_str().unwrap_or("");
        assert_eq!(named, parameter, "{body}: {problem}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
    }
    let long = "x".repeat(300 * 1024);
    let (status, _) = operator
        .send(Method::POST, "/clients", Some(json!({ "name": long })))
        .await;
    assert_eq!(status, 413);
    let text = operator
        .request(Method::POST, "/clients")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(text.status(), 415);
    let broken = operator
        .request(Method::POST, "/clients")
        .header("Content-Type", "application/json")
        .body("{\"name\":")
        .send()
        .await
        .unwrap();
    assert_eq!(broken.status(), 400);
}

#[tokio::test]
async fn a_url_is_registered_once_and_the_conflict_names_the_holder() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let first = operator.mcp_server("http://localhost:3002/mcp", &[]).await;
    let second = operator.mcp_server("http://localhost:3003/mcp", &[]).await;
    let same = json!({ "name": "x", "url": "HTTP://LOCALHOST:3002/mcp/" });
    let (status, problem) = operator
        .send(Method::POST, "/mcp-servers", Some(same.clone()))
        .await;
    assert_eq!(status, 409);
    assert!(
        problem["detail"].as_str().unwrap().contains(&first),
        "{problem}"
    );
    let path = format!("/mcp-servers/{second}");
    let change = json!({ "url": same["url"] });
    assert_eq!(
        operator.send(Method::PATCH, &path, Some(change)).await.0,
        409
    );
}

#[tokio::test]
async fn a_change_based_on_an_old_version_is_refused() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let client = operator.client(&todo, &["a"]).await;
    for path in [
        format!("/mcp-servers/{todo}"),
        format!("/clients/{}", client.client_id),
    ] {
        let seen = operator.request(Method::GET, &path).send().await.unwrap();
        let tag = seen.headers()["etag"].to_str().unwrap().to_owned();
        let patch = |tag: &str, name: &str| {
            let request = operator
                .unconditional(Method::PATCH, &path)
                .header("If-Match", tag);
            request.json(&json!({ "name": name })).send()
        };
        let changed = patch(&tag, "first").await.unwrap();
        assert_eq!(changed.status(), 200);
        assert_ne!(changed.headers()["etag"], tag.as_str());
        assert_eq!(patch(&tag, "second").await.unwrap().status(), 412);
        assert_eq!(patch("nonsense", "third").await.unwrap().status(), 400);
        assert_eq!(operator.get(&path).await["name"], "first");
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_filters_that_are_misspelt_are_refused() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let mut expected = BTreeSet::new();
    for _ in 0..5 {
        expected.insert(operator.client(&todo, &["a"]).await.client_id);
    }
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = operator
            .get(&format!("/clients?mcp_server_id={todo}&limit=2{cursor}"))
            .await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        found.extend(
            items
                .iter()
                .map(|client| client["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected);
    for path in [
        "/clients?limit=0",
        "/clients?limit=201",
        "/clients?cursor=x",
        "/clients?mcp_server=x",
        "/mcp-servers?system=perhaps",
        "/audit-events?kind=token",
        "/audit-events?outcome=maybe",
        "/audit-events?client_id=x",
        "/audit-events?since=yesterday",
        "/audit-events?clientid=x",
    ] {
        assert_eq!(
            operator.send(Method::GET, path, None).await.0,
            400,
            "{path}"
        );
    }
}

#[tokio::test]
async fn nobody_can_lock_themselves_out() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let own = format!("/clients/{}", operator.credentials.client_id);
    let api = operator.get("/mcp-servers?system=true").await["items"][0]["id"].clone();
    let api = api.as_str().unwrap();
    let secret = operator.get(&format!("{own}/secrets")).await["items"][0]["id"].clone();
    for (method, path, body) in [
        (Method::DELETE, own.clone(), None),
        (
            Method::PATCH,
            own.clone(),
            Some(json!({ "status": "disabled" })),
        ),
        (Method::DELETE, format!("{own}/grants/{api}"), None),
        (
            Method::DELETE,
            format!("/secrets/{}", secret.as_str().unwrap()),
            None,
        ),
        (Method::DELETE, format!("/mcp-servers/{api}"), None),
        (
            Method::PATCH,
            format!("/mcp-servers/{api}"),
            Some(json!({ "scopes": [] })),
        ),
    ] {
        let (status, problem) = operator.send(method.clone(), &path, body).await;
        assert_eq!(status, 409, "{method} {path}: {problem}");
    }
    assert_eq!(operator.credentials.ask(&jeton.url, &[]).await.status, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    for (method, path, expected) in [
        (Method::GET, "/nothing", 404),
        (Method::GET, "/clients/m2m_x", 404),
        (Method::GET, "/mcp-servers/m2m_x", 404),
        (Method::PUT, "/clients", 405),
    ] {
        let (status, problem) = operator.send(method, path, None).await;
        assert_eq!(status, expected, "{path}");
        assert!(
            problem["detail"].is_string() && problem["title"].is_string(),
            "{path}: {problem}"
        );
    }
}

#[tokio::test]
async fn the_openapi_document_describes_every_route_and_error() {
    let jeton = Jeton::start().await;
    let document: Value = jeton.get("/api/openapi.json").await.json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut summary = String::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let responses: Vec<_> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            for status in ["401", "403", "503"] {
                assert!(
                    responses.contains(&status.to_owned()),
                    "{method} {path} lacks {status}"
                );
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_error = status.as_str() >= "400";
                let documented = response["content"]["application/problem+json"].is_object();
                assert_eq!(documented, is_error, "{method} {path} {status}");
            }
            assert!(operation["operationId"].is_string() && operation["summary"].is_string());
            assert!(operation["security"].is_array(), "{method} {path}");
            let method = method.to_uppercase();
            summary.push_str(&format!("{method} {path} -> {}\n", responses.join(" ")));
        }
    }
    insta::assert_snapshot!(summary);
}
