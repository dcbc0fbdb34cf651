//! An issuer on a path of a host that other applications share.

use axum::Router;
use axum::routing::post;
use jeton_guard::GuardLayer;
use jeton_tests::{
    Admin, Answer, Jeton, JetonOptions, SharedHost, TodoServer, claims, first_admin_path, http,
};
use reqwest::header::{LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use serde_json::{Value, json};

async fn shared() -> SharedHost {
    SharedHost::start(JetonOptions::default()).await
}

async fn document(url: String) -> Value {
    let answer = http().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn the_metadata_is_at_the_root_of_the_host_and_below_the_path() {
    let host = shared().await;
    let (origin, issuer) = (&host.origin, &host.jeton.url);
    assert_eq!(*issuer, format!("{origin}/auth"));
    let operator = host.jeton.operator().await;
    let server = operator
        .mcp_server(&format!("{origin}/mcp"), &["todo:read"])
        .await;
    for (own, issuer) in [
        (String::new(), issuer.clone()),
        (
            format!("/resources/{server}"),
            format!("{issuer}/resources/{server}"),
        ),
    ] {
        for url in [
            format!("{origin}/.well-known/oauth-authorization-server/auth{own}"),
            format!("{origin}/.well-known/openid-configuration/auth{own}"),
            format!("{origin}/auth{own}/.well-known/openid-configuration"),
            format!("{origin}/auth{own}/.well-known/oauth-authorization-server"),
            format!("{origin}/auth/.well-known/oauth-authorization-server{own}"),
        ] {
            let metadata = document(url.clone()).await;
            assert_eq!(metadata["issuer"], *issuer, "{url}");
            assert_eq!(metadata["token_endpoint"], format!("{issuer}/oauth/token"));
            assert_eq!(metadata["jwks_uri"], format!("{origin}/auth/keys"));
        }
    }
    for (wrong, told) in [
        ("/auth/oauth/token/", "/auth/oauth/token"),
        (
            "/auth/oauth/tokens",
            "/auth/.well-known/oauth-authorization-server",
        ),
    ] {
        let lost = http().get(format!("{origin}{wrong}")).send().await.unwrap();
        assert_eq!(lost.status(), 404, "{wrong}");
        let lost: Value = lost.json().await.unwrap();
        let words = lost["error_description"].as_str().unwrap();
        assert!(words.contains(told), "{wrong}: {words}");
    }
    let keys = document(format!("{origin}/auth/keys")).await;
    assert!(!keys["keys"].as_array().unwrap().is_empty());
    let api = document(format!(
        "{origin}/.well-known/oauth-protected-resource/auth/api"
    ))
    .await;
    assert_eq!(api["resource"], format!("{issuer}/api"));
    let refused = host.jeton.get("/api/v1/clients").await;
    let challenge = refused.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    let named = format!("{origin}/.well-known/oauth-protected-resource/auth/api");
    assert!(challenge.contains(&named), "{challenge}");
    let described = document(format!("{issuer}/api/openapi.json")).await;
    assert_eq!(described["servers"], json!([{ "url": "/auth" }]));
    let flow = &described["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"];
    assert_eq!(flow["tokenUrl"], "/auth/oauth/token");
    let introspected = operator
        .credentials
        .introspect(issuer, &operator.token)
        .await;
    assert_eq!(introspected["active"], true);
}

#[tokio::test]
async fn each_address_has_one_spelling_and_another_is_told_the_path() {
    let host = shared().await;
    let direct = host.jeton.listening();
    for path in [
        "/",
        "/dashboard",
        "/dashboard/sign-in",
        "/oauth/token",
        "/keys",
        "/api/openapi.json",
        "/.well-known/oauth-authorization-server",
        "/Auth/keys",
        "/authx/keys",
        "//auth/keys",
        "/%61uth/keys",
    ] {
        let answer = http().get(format!("{direct}{path}")).send().await.unwrap();
        let answer = Answer::of(answer).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.headers.get(SET_COOKIE).is_none(), "{path}");
        let member = if path == "/oauth/token" {
            "error_description"
        } else {
            "detail"
        };
        let detail = answer.body[member].as_str().unwrap();
        assert!(detail.contains(&host.jeton.url), "{detail}");
    }
    for path in ["/healthz", "/readyz", "/auth/healthz", "/auth/readyz"] {
        let answer = http().get(format!("{direct}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn agents_guards_and_commands_work_with_such_an_issuer() {
    let host = shared().await;
    let (jeton, issuer) = (&host.jeton, &host.jeton.url);
    let todo = TodoServer::start(issuer).await;
    let own = json!({ "own_issuer": true });
    let scopes = ["todo:read", "todo:write"];
    let operator = jeton.operator().await;
    let server = operator.mcp_server(&todo.url, &scopes).await;
    let client = jeton
        .json(&[
            "client",
            "create",
            "--mcp-server",
            &server,
            "--name",
            "A",
            "--all-scopes",
        ])
        .await;
    let (id, secret) = (
        client["client_id"].as_str().unwrap(),
        client["client_secret"].as_str().unwrap(),
    );
    let environment = [("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)];
    let call = ["call", &todo.url, "list_todos", "--issuer", issuer];
    let called = jeton.command_with(&environment, &call).await;
    assert!(called.status.success(), "{called:?}");

    // The command line reaches the server without the proxy, too, by the same path.
    let direct = format!("{}/auth", jeton.listening());
    let token = jeton
        .json(&[
            "token",
            "--server",
            &direct,
            "--client-id",
            id,
            "--client-secret",
            secret,
        ])
        .await;
    assert_eq!(
        claims(token["access_token"].as_str().unwrap())["iss"],
        *issuer
    );
    let listed = jeton
        .command_with(&[("JETON_URL", &direct)], &["client", "list"])
        .await;
    assert!(listed.status.success(), "{listed:?}");
    let without = jeton.listening();
    let refused = jeton
        .command_with(&[("JETON_URL", &without)], &["client", "list"])
        .await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("has a path"), "{said}");

    // A server with an issuer of its own: tokens say so, and a guard finds the keys by it.
    let url = format!("{}/strict", todo.url);
    let server = operator.mcp_server_with(&url, &scopes, own).await;
    let reader = operator.client(&server, &["todo:read"]).await;
    let token = reader.token(issuer, &[("resource", &url)]).await;
    let own_issuer = format!("{issuer}/resources/{server}");
    assert_eq!(claims(&token)["iss"], own_issuer);
    let guard = GuardLayer::builder(&url, &own_issuer).build().unwrap();
    let router = Router::new()
        .route("/mcp/strict", post(async || "in"))
        .layer(guard);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(socket, router).await });
    let answer = http()
        .post(format!("http://{at}/mcp/strict"))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.headers());
    serving.abort();
    assert!(operator.credentials.ask(&own_issuer, &[]).await.status < 500);
}

#[tokio::test]
async fn other_applications_of_the_host_are_sent_no_cookie_of_the_dashboard() {
    let host = shared().await;
    let link = first_admin_path(&host.jeton).await;
    let joined = host.jeton.get(&link).await;
    let cookies: Vec<_> = joined.headers().get_all(SET_COOKIE).iter().collect();
    assert!(!cookies.is_empty());
    for cookie in cookies {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("; Path=/auth;"), "{cookie}");
    }
    let admin = Admin::first(&host.jeton).await;
    let signed_out = http()
        .get(format!("{}/dashboard/audit?q=x", host.jeton.url))
        .send()
        .await
        .unwrap();
    assert_eq!(signed_out.status(), 303);
    assert_eq!(
        signed_out.headers()[LOCATION],
        "/auth/dashboard/sign-in?next=%2Fdashboard%2Faudit%3Fq%3Dx"
    );
    let home = http().get(&host.jeton.url).header("accept", "text/html");
    let home = home.send().await.unwrap();
    assert_eq!(home.headers()[LOCATION], "/auth/dashboard");
    // Every link of every page leads below the path.
    for path in [
        "/dashboard",
        "/dashboard/mcp-servers",
        "/dashboard/mcp-servers/new",
        "/dashboard/clients",
        "/dashboard/audit",
        "/dashboard/signing-keys",
        "/dashboard/settings",
    ] {
        let page = admin.page(path).await;
        for attribute in ["href", "src", "action"] {
            for link in page.split(&format!(" {attribute}=\"/")).skip(1) {
                let link = link.split('"').next().unwrap();
                assert!(link.starts_with("auth/"), "{path}: {attribute}=/{link}");
            }
        }
    }
}

#[tokio::test]
async fn over_https_the_cookies_are_secure_and_bound_to_the_path() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--issuer", "https://tools.example.com/auth"],
        ..JetonOptions::default()
    })
    .await;
    let page = http()
        .get(format!("{}/auth/dashboard/sign-in", jeton.listening()))
        .send()
        .await
        .unwrap();
    let cookie = page.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Secure-jeton_form="), "{cookie}");
    assert!(cookie.contains("; Path=/auth;"), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn an_mcp_server_may_be_beside_such_an_issuer_and_not_below_it() {
    let host = shared().await;
    let operator = host.jeton.operator().await;
    operator
        .mcp_server(&format!("{}/mcp", host.origin), &["todo:read"])
        .await;
    for below in ["/auth", "/auth/", "/auth/api/x", "/auth/mcp"] {
        let url = format!("{}{below}", host.origin);
        let body = json!({ "name": "X", "url": url, "scopes": [] });
        let (status, problem) = operator
            .send(reqwest::Method::POST, "/mcp-servers", Some(body))
            .await;
        assert_eq!(status, 400, "{problem}");
        assert_eq!(problem["parameter"], "url", "{problem}");
    }
}
