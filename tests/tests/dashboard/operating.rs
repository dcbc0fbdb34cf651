//! Keys and admins, from the pages and from the command line.

use jeton_tests::{Admin, Jeton, JetonOptions, eventually, free_port, http};

#[tokio::test]
async fn a_rotated_key_is_published_first_signs_a_day_later_and_breaks_no_token() {
    // The issuer stays the same.
    let port = Some(free_port());
    let options = || JetonOptions {
        port,
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server("http://localhost:1/mcp", &["todo:read"])
        .await;
    let client = operator.client(&server, &["todo:read"]).await;
    let old_token = client.token(&jeton.url, &[]).await;
    let rotate = async |admin: &Admin| {
        let fields = [("algorithm", "RS256")];
        admin
            .post("/dashboard/signing-keys/rotate", &fields)
            .await
            .status()
    };
    assert_eq!(rotate(&admin).await, 303);
    assert_eq!(rotate(&admin).await, 409, "one waits already");
    let kid = |token: &str| {
        use base64::Engine as _;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(
        kid(&token),
        kid(&old_token),
        "the new key does not sign yet"
    );

    // A day passes.
    jeton.terminate().await;
    let day = "UPDATE signing_key SET activated_at = activated_at - 86400001 \
               WHERE state = 'pending'";
    jeton.database().sql(day).await;
    let jeton = jeton.restart(options()).await;
    eventually("the new key signs", async || {
        kid(&client.token(&jeton.url, &[]).await) != kid(&old_token)
    })
    .await;
    let keys = jeton.get("/keys").await.text().await.unwrap();
    assert!(
        keys.contains(&kid(&old_token)),
        "the old key is still published"
    );
    let operator = jeton.operator().await;
    for kind in ["key.activated", "key.retired"] {
        assert_eq!(
            operator.audit(&format!("kind={kind}")).await.len(),
            1,
            "{kind}"
        );
    }
    // The token that the old key signed still counts.
    let answer = http()
        .post(format!("{}/oauth/introspect", jeton.url))
        .form(&[
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.client_secret.as_str()),
            ("token", old_token.as_str()),
        ])
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["active"], true);
}

#[tokio::test]
async fn the_command_line_invites_admins_and_rotates_keys() {
    let jeton = Jeton::start().await;
    Admin::first(&jeton).await;
    let made = jeton
        .json(&["admin", "invite", "--note", "Grace", "--role", "admin"])
        .await;
    let path = made["link"]
        .as_str()
        .unwrap()
        .strip_prefix(&jeton.url)
        .unwrap();
    let grace = Admin::join(&jeton, path, "Grace", "grace@example.com").await;
    assert!(
        grace
            .page("/dashboard/mcp-servers")
            .await
            .contains("Add MCP server")
    );
    let wrong = jeton
        .command(&["admin", "invite", "--note", "x", "--role", "owner"])
        .await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("viewer, admin"));

    let key = jeton.json(&["key", "rotate", "--algorithm", "EdDSA"]).await;
    assert_eq!(
        (key["algorithm"].as_str(), key["state"].as_str()),
        (Some("EdDSA"), Some("pending"))
    );
    let again = jeton
        .command(&["key", "rotate", "--algorithm", "EdDSA"])
        .await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("begins to sign at"));
    let wrong = jeton
        .command(&["key", "rotate", "--algorithm", "none"])
        .await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("RS256, ES256 or EdDSA"));
}
