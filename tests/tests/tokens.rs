//! Tokens that are issued: what they say, for whom, for how long.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_tests::{Answer, Jeton, claims, form, http};
use serde_json::{Value, json};

fn header(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[tokio::test]
async fn the_request_of_the_quickstart_gets_a_token() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["todo:read", "todo:write"])
        .await;
    let client = operator.client(&todo, &["todo:read", "todo:write"]).await;
    let curl = tokio::process::Command::new("curl")
        .args([
            "--silent",
            "--location",
            &format!("{}/oauth/token", jeton.url),
        ])
        .args([
            "--header",
            "Content-Type: application/x-www-form-urlencoded",
        ])
        .args(["--data-urlencode", "grant_type=client_credentials"])
        .args([
            "--data-urlencode",
            &format!("client_id={}", client.client_id),
        ])
        .args([
            "--data-urlencode",
            &format!("client_secret={}", client.client_secret),
        ])
        .args(["--data-urlencode", "scope=todo:read todo:write"])
        .output()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&curl.stdout).unwrap();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["scope"], "todo:read todo:write");
    let token = answer["access_token"].as_str().unwrap();
    let header = header(token);
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["typ"], "at+jwt");
    let keys: Value = jeton.get("/keys").await.json().await.unwrap();
    assert!(
        keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["kid"] == header["kid"])
    );
    let claims = claims(token);
    assert_eq!(claims["iss"], jeton.url.as_str());
    assert_eq!(claims["sub"], client.client_id.as_str());
    assert_eq!(claims["client_id"], client.client_id.as_str());
    assert_eq!(claims["aud"], json!(["http://localhost:3002/mcp", todo]));
    assert_eq!(claims["scope"], "todo:read todo:write");
    assert_eq!(claims["scopes"], json!(["todo:read", "todo:write"]));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3600
    );
    assert_eq!(
        claims["iat"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(),
        120,
        "for verifiers whose clock is behind"
    );
}

#[tokio::test]
async fn credentials_work_in_the_header_and_beside_a_stale_bearer_token() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["todo:read"])
        .await;
    let client = operator.client(&todo, &["todo:read"]).await;
    let request = |body: String| {
        http()
            .post(format!("{}/oauth/token", jeton.url))
            .header(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(body)
    };
    let grant = ("grant_type", "client_credentials");
    let in_header = request(form(&[grant])).header("Authorization", client.basic());
    let with_id = request(form(&[grant, ("client_id", &client.client_id)]))
        .header("Authorization", client.basic());
    let with_stale = request(form(&[
        grant,
        ("client_id", &client.client_id),
        ("client_secret", &client.client_secret),
    ]))
    .header("Authorization", "Bearer stale");
    for request in [in_header, with_id, with_stale] {
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn an_absent_or_empty_scope_means_all_of_the_grant() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a", "b", "c"])
        .await;
    let client = operator.client(&todo, &["b", "a"]).await;
    for parameters in [&[][..], &[("scope", "")]] {
        assert_eq!(
            client.ask(&jeton.url, parameters).await.body["scope"],
            "b a"
        );
    }
    assert_eq!(
        client.ask(&jeton.url, &[("scope", "a")]).await.body["scope"],
        "a"
    );
}

#[tokio::test]
async fn the_resource_is_found_by_its_url_and_by_paths_below_it() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let root = operator
        .mcp_server("http://localhost:3002/", &["root"])
        .await;
    let mcp = operator
        .mcp_server("http://localhost:3002/deep/mcp", &["deep"])
        .await;
    let client = operator.client(&root, &["root"]).await;
    operator
        .put(
            &format!("/clients/{}/grants/{mcp}", client.client_id),
            json!({"scopes": ["deep"]}),
        )
        .await;
    for (resource, scope, audience) in [
        (
            "http://localhost:3002",
            "root",
            json!(["http://localhost:3002/", "http://localhost:3002", root]),
        ),
        (
            "http://localhost:3002/",
            "root",
            json!(["http://localhost:3002/", root]),
        ),
        (
            "HTTP://LocalHost:3002/mcp",
            "root",
            json!(["http://localhost:3002/", "http://localhost:3002/mcp", root]),
        ),
        (
            "http://localhost:3002/deep",
            "root",
            json!(["http://localhost:3002/", "http://localhost:3002/deep", root]),
        ),
        (
            "http://localhost:3002/deep/mcp/",
            "deep",
            json!([
                "http://localhost:3002/deep/mcp",
                "http://localhost:3002/deep/mcp/",
                mcp
            ]),
        ),
        (
            "http://localhost:3002/deep/mcp/x",
            "deep",
            json!([
                "http://localhost:3002/deep/mcp",
                "http://localhost:3002/deep/mcp/x",
                mcp
            ]),
        ),
    ] {
        let answer = client.ask(&jeton.url, &[("resource", resource)]).await;
        assert_eq!(answer.body["scope"], scope, "{resource}: {}", answer.body);
        assert_eq!(
            claims(answer.body["access_token"].as_str().unwrap())["aud"],
            audience,
            "{resource}"
        );
    }
}

#[tokio::test]
async fn the_strict_profile_has_one_audience_and_no_array_of_scopes() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let strict = json!({ "token_profile": "strict" });
    let todo = operator
        .mcp_server_with("http://localhost:3002/", &["a"], strict)
        .await;
    let client = operator.client(&todo, &["a"]).await;
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(claims(&token)["aud"], "http://localhost:3002/");
    assert_eq!(claims(&token)["scopes"], Value::Null);
    let token = client
        .token(&jeton.url, &[("resource", "http://localhost:3002/mcp")])
        .await;
    assert_eq!(claims(&token)["aud"], "http://localhost:3002/mcp");
}

#[tokio::test]
async fn each_algorithm_signs_with_a_published_key() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    for (port, algorithm) in [(1, "RS256"), (2, "ES256"), (3, "EdDSA")] {
        let settings = json!({ "signing_alg": algorithm });
        let url = format!("http://localhost:{port}/mcp");
        let server = operator.mcp_server_with(&url, &["a"], settings).await;
        let client = operator.client(&server, &["a"]).await;
        let token = client.token(&jeton.url, &[]).await;
        assert_eq!(header(&token)["alg"], algorithm);
        assert_eq!(
            client.introspect(&jeton.url, &token).await["active"],
            true,
            "{algorithm}"
        );
    }
}

#[tokio::test]
async fn the_lifetime_is_the_servers_lowered_by_the_clients_own() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let settings = json!({ "token_ttl": 600 });
    let todo = operator
        .mcp_server_with("http://localhost:3002/mcp", &["a"], settings)
        .await;
    for (own, expected) in [(json!(null), 600), (json!(60), 60), (json!(7200), 600)] {
        let client = operator
            .client_with(&todo, json!({ "token_ttl": own }))
            .await;
        assert_eq!(
            client.ask(&jeton.url, &[]).await.body["expires_in"],
            expected,
            "{own}"
        );
    }
}

#[tokio::test]
async fn a_clients_own_claims_are_in_its_tokens_and_reserved_ones_are_refused() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let own = json!({ "custom_claims": { "team": "search", "limits": { "calls": 5 } } });
    let client = operator.client_with(&todo, own).await;
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(claims(&token)["team"], "search");
    assert_eq!(claims(&token)["limits"]["calls"], 5);
    for reserved in [
        "iss",
        "sub",
        "aud",
        "exp",
        "scope",
        "client_id",
        "jti",
        "cnf",
    ] {
        let body =
            json!({ "name": "x", "mcp_server_id": todo, "custom_claims": { reserved: "x" } });
        let (status, problem) = operator
            .send(reqwest::Method::POST, "/clients", Some(body))
            .await;
        assert_eq!(status, 400, "{reserved}");
        assert!(
            problem["detail"].as_str().unwrap().contains(reserved),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn an_mcp_servers_own_endpoint_and_issuer_are_for_that_server() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["todo"])
        .await;
    let own = json!({ "own_issuer": true });
    let notes = operator
        .mcp_server_with("http://localhost:3003/mcp", &["notes"], own)
        .await;
    let client = operator.client(&todo, &["todo"]).await;
    operator
        .put(
            &format!("/clients/{}/grants/{notes}", client.client_id),
            json!({"scopes": ["notes"]}),
        )
        .await;
    let grant = ("grant_type", "client_credentials");
    let answer = client
        .send(
            &format!("{}/resources/{notes}/oauth/token", jeton.url),
            &[grant],
        )
        .await;
    assert_eq!(answer.body["scope"], "notes", "{}", answer.body);
    let token = answer.body["access_token"].as_str().unwrap();
    assert_eq!(
        claims(token)["iss"],
        format!("{}/resources/{notes}", jeton.url)
    );
    assert_eq!(client.introspect(&jeton.url, token).await["active"], true);
    // A resource that is named wins over the endpoint's own.
    let resource = ("resource", "http://localhost:3002/mcp");
    let answer = client
        .send(
            &format!("{}/resources/{notes}/oauth/token", jeton.url),
            &[grant, resource],
        )
        .await;
    assert_eq!(answer.body["scope"], "todo");
}

#[tokio::test]
async fn no_two_tokens_are_alike() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let settings = json!({ "signing_alg": "EdDSA" });
    let todo = operator
        .mcp_server_with("http://localhost:3002/mcp", &["a"], settings)
        .await;
    let client = operator.client(&todo, &["a"]).await;
    let (mut tokens, mut jtis) = (HashSet::new(), HashSet::new());
    for _ in 0..200 {
        let token = client.token(&jeton.url, &[]).await;
        jtis.insert(claims(&token)["jti"].as_str().unwrap().to_owned());
        tokens.insert(token);
    }
    assert_eq!((tokens.len(), jtis.len()), (200, 200));
    // Each has its record.
    let recorded = operator
        .audit(&format!("kind=token.issued&client_id={}", client.client_id))
        .await;
    assert_eq!(recorded.len(), 200);
    assert!(
        recorded
            .iter()
            .all(|event| jtis.contains(event["jti"].as_str().unwrap()))
    );
}

#[tokio::test]
async fn a_change_counts_for_the_next_request() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a", "b"])
        .await;
    let client = operator.client(&todo, &["a", "b"]).await;
    let ask = || async { client.ask(&jeton.url, &[]).await };
    assert_eq!(ask().await.body["scope"], "a b");

    operator
        .put(
            &format!("/clients/{}/grants/{todo}", client.client_id),
            json!({"scopes": ["b"]}),
        )
        .await;
    assert_eq!(ask().await.body["scope"], "b");

    let path = format!("/clients/{}", client.client_id);
    operator.patch(&path, json!({ "status": "disabled" })).await;
    assert_eq!(ask().await.error(), "invalid_client");
    operator.patch(&path, json!({ "status": "enabled" })).await;
    assert_eq!(ask().await.status, 200);

    operator
        .patch(
            &format!("/mcp-servers/{todo}?confirm=true"),
            json!({ "scopes": [{ "name": "a" }] }),
        )
        .await;
    assert_eq!(ask().await.error(), "invalid_scope");
    operator.delete(&format!("/mcp-servers/{todo}")).await;
    assert_eq!(ask().await.error(), "invalid_target");
    operator.delete(&path).await;
    assert_eq!(ask().await.error(), "invalid_client");
}

#[tokio::test]
async fn secrets_overlap_while_they_are_rotated() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let old = operator.client(&todo, &["a"]).await;
    let rotate = format!("/clients/{}/secrets/rotate", old.client_id);
    let new = jeton_tests::Credentials::of(&operator.post(&rotate, json!({ "grace": 3600 })).await);
    assert_eq!(old.ask(&jeton.url, &[]).await.status, 200);
    assert_eq!(new.ask(&jeton.url, &[]).await.status, 200);
    let newest = jeton_tests::Credentials::of(&operator.post(&rotate, json!({ "grace": 0 })).await);
    assert_eq!(old.ask(&jeton.url, &[]).await.error(), "invalid_client");
    assert_eq!(new.ask(&jeton.url, &[]).await.error(), "invalid_client");
    assert_eq!(newest.ask(&jeton.url, &[]).await.status, 200);
}
