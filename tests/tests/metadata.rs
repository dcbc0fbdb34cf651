//! The documents that clients and verifiers read.

use jeton_tests::{Admin, Jeton, JetonOptions, http};
use reqwest::Method;
use serde_json::{Value, json};

async fn document(jeton: &Jeton, path: &str) -> Value {
    let response = jeton.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(
        response.headers()["content-type"],
        "application/json",
        "{path}"
    );
    response.json().await.unwrap()
}

#[tokio::test]
async fn the_issuers_metadata_is_as_the_sdks_expect_it() {
    let jeton = Jeton::start().await;
    jeton
        .operator()
        .await
        .mcp_server("http://localhost:3002/mcp", &["todo:read", "todo:write"])
        .await;
    let oauth = document(&jeton, "/.well-known/oauth-authorization-server").await;
    assert_eq!(oauth["issuer"], jeton.url.as_str());
    assert_eq!(
        oauth,
        document(&jeton, "/.well-known/openid-configuration").await
    );
    let text = serde_json::to_string_pretty(&oauth)
        .unwrap()
        .replace(&jeton.url, "{issuer}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn each_mcp_servers_own_issuer_is_at_all_four_addresses() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["todo:read"])
        .await;
    operator
        .mcp_server("http://localhost:3003/mcp", &["other"])
        .await;
    for path in [
        format!("/.well-known/oauth-authorization-server/resources/{todo}"),
        format!("/.well-known/openid-configuration/resources/{todo}"),
        format!("/resources/{todo}/.well-known/oauth-authorization-server"),
        format!("/resources/{todo}/.well-known/openid-configuration"),
    ] {
        let metadata = document(&jeton, &path).await;
        assert_eq!(
            metadata["issuer"],
            format!("{}/resources/{todo}", jeton.url),
            "{path}"
        );
        assert_eq!(
            metadata["scopes_supported"],
            serde_json::json!(["todo:read"]),
            "{path}"
        );
        assert_eq!(
            metadata["jwks_uri"],
            format!("{}/keys", jeton.url),
            "{path}"
        );
        assert_eq!(
            metadata["token_endpoint"],
            format!("{}/resources/{todo}/oauth/token", jeton.url),
            "{path}"
        );
    }
    let unknown = jeton
        .get("/.well-known/oauth-authorization-server/resources/res_x")
        .await;
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn the_root_lists_scopes_only_where_the_operator_says_so() {
    let all = ["--metadata-scopes", "all"];
    for (flags, environment, expected) in [
        (&[][..], vec![], Value::Null),
        (&all[..], vec![], json!(["notes:read", "todo:read"])),
        (
            &[],
            vec![("JETON_METADATA_SCOPES", "all")],
            json!(["notes:read", "todo:read"]),
        ),
    ] {
        let options = JetonOptions {
            flags: flags.to_vec(),
            environment,
            ..JetonOptions::default()
        };
        let jeton = Jeton::start_with(options).await;
        let operator = jeton.operator().await;
        let todo = operator
            .mcp_server("http://localhost:3002/mcp", &["todo:read"])
            .await;
        operator
            .mcp_server("http://localhost:3003/mcp", &["notes:read"])
            .await;
        for path in ["oauth-authorization-server", "openid-configuration"] {
            let root = document(&jeton, &format!("/.well-known/{path}")).await;
            assert_eq!(root["scopes_supported"], expected);
            // RFC 8414 §3.2: what would be empty is left out.
            let empty = json!([]);
            let members = root.as_object().unwrap();
            assert!(members.values().all(|member| *member != empty), "{root}");
            assert_eq!(
                root["token_endpoint_auth_signing_alg_values_supported"],
                Value::Null
            );
        }
        let own = document(
            &jeton,
            &format!("/resources/{todo}/.well-known/oauth-authorization-server"),
        )
        .await;
        assert_eq!(own["scopes_supported"], json!(["todo:read"]));
        // The dashboard shows the documents as they are.
        let admin = Admin::first(&jeton).await;
        let page = admin
            .page(&format!("/dashboard/mcp-servers/{todo}/metadata"))
            .await;
        assert_eq!(page.contains("notes:read"), !expected.is_null(), "{page}");
    }
    let bare = Jeton::start().await;
    let operator = bare.operator().await;
    let none = operator.mcp_server("http://localhost:3002/mcp", &[]).await;
    let own = document(
        &bare,
        &format!("/resources/{none}/.well-known/oauth-authorization-server"),
    )
    .await;
    assert_eq!(own["scopes_supported"], Value::Null);
}

#[tokio::test]
async fn keys_are_cached_by_their_etag_and_hold_no_private_half() {
    let jeton = Jeton::start().await;
    let response = jeton.get("/keys").await;
    let etag = response.headers()["etag"].clone();
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    let keys: Value = response.json().await.unwrap();
    assert_eq!(keys, document(&jeton, "/.well-known/jwks.json").await);
    let algorithms: Vec<_> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["alg"])
        .collect();
    assert_eq!(algorithms.len(), 3);
    for key in keys["keys"].as_array().unwrap() {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(key[private], Value::Null, "{private}");
        }
    }
    let again = http()
        .get(format!("{}/keys", jeton.url))
        .header("If-None-Match", etag);
    assert_eq!(again.send().await.unwrap().status(), 304);
}

#[tokio::test]
async fn browsers_may_read_the_documents_and_ask_for_tokens() {
    let jeton = Jeton::start().await;
    for (method, path) in [
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::GET, "/keys"),
        (Method::POST, "/oauth/token"),
    ] {
        let url = format!("{}{path}", jeton.url);
        let answer = http()
            .request(method.clone(), &url)
            .header("Origin", "http://localhost:6274")
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.headers()["access-control-allow-origin"],
            "*",
            "{path}"
        );
        let preflight = http()
            .request(Method::OPTIONS, &url)
            .header("Origin", "http://localhost:6274")
            .header("Access-Control-Request-Method", method.as_str())
            .header(
                "Access-Control-Request-Headers",
                "authorization,mcp-protocol-version",
            )
            .send()
            .await
            .unwrap();
        assert!(preflight.status().is_success(), "{path}");
        assert_eq!(
            preflight.headers()["access-control-allow-origin"],
            "*",
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_authorization_endpoint_says_clearly_what_it_does_not_do() {
    let jeton = Jeton::start().await;
    let response = jeton
        .get("/oauth/authorize?response_type=code&client_id=x")
        .await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"], "unsupported_response_type");
    assert!(
        body["error_description"]
            .as_str()
            .unwrap()
            .contains("token_endpoint")
    );
}

#[tokio::test]
async fn health_is_told() {
    let jeton = Jeton::start().await;
    assert_eq!(document(&jeton, "/healthz").await["status"], "ok");
    assert_eq!(document(&jeton, "/readyz").await["status"], "ready");
}
