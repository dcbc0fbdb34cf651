//! `jeton-guard` in front of a server, with real tokens of a real Jeton.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Extension, Request};
use axum::routing::{get, post};
use axum::{Json, Router};
use jeton_core::{KeyId, SigningAlgorithm, Timestamp};
use jeton_guard::{GuardBuilder, GuardLayer, VerifiedToken};
use jeton_jose::{KeysLocation, OsEntropy, RemoteKeys, SigningKey, http_client};
use jeton_tests::{Answer, Jeton, JetonOptions, eventually, free_port, http};
use reqwest::RequestBuilder;
use serde_json::json;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A protected server that says whose token it got.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn echo(guard: GuardBuilder) -> Router {
    let say = |Extension(token): Extension<VerifiedToken>, request: Request| async move {
        let body = axum::body::to_bytes(request.into_body(), 1 << 20)
            .await
            .unwrap();
        Json(json!({ "sub": token.sub, "bytes": body.len() }))
    };
    Router::new()
        .route("/mcp", post(say).get(say))
        .layer(guard.build().unwrap())
}

/// A server under its own address, once that is known.
async fn protected(issuer: &str, change: impl Fn(GuardBuilder) -> GuardBuilder) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = echo(change(GuardLayer::builder(&url, issuer)));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn post_with(url: &str, token: &str) -> Answer {
    Answer::of(
        http()
            .post(url)
            .bearer_auth(token)
            .body("{}")
            .send()
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn a_token_for_this_server_passes_with_its_claims_and_one_for_another_does_not() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let here = operator.mcp_server(&url, &["a"]).await;
    let elsewhere = operator.mcp_server("http://localhost:1/mcp", &["a"]).await;
    let client = operator.client(&here, &["a"]).await;
    let stranger = operator.client(&elsewhere, &["a"]).await;

    let passed = post_with(&url, &client.token(&jeton.url, &[]).await).await;
    assert_eq!(passed.status, 200, "{}", passed.body);
    assert_eq!(passed.body["sub"], client.client_id.as_str());
    let refused = post_with(&url, &stranger.token(&jeton.url, &[]).await).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains("invalid_token") && challenge.contains("another resource"),
        "{challenge}"
    );
}

#[tokio::test]
async fn a_token_for_the_parent_path_is_not_a_token_for_this_server() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let parent = operator
        .mcp_server(url.strip_suffix("mcp").unwrap(), &["a"])
        .await;
    let client = operator.client(&parent, &["a"]).await;
    assert_eq!(
        post_with(&url, &client.token(&jeton.url, &[]).await)
            .await
            .status,
        401
    );
    // Asked for this server by name, the token is for it.
    let token = client.token(&jeton.url, &[("resource", &url)]).await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    // A server that was told its ID accepts what carries it.
    let told = protected(&jeton.url, |guard| guard.audience(&parent)).await;
    assert_eq!(
        post_with(&told, &client.token(&jeton.url, &[]).await)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_metadata_is_public_at_both_well_known_paths() {
    let jeton = Jeton::start().await;
    let url = protected(&jeton.url, |guard| guard.require(["a"])).await;
    let origin = url.strip_suffix("/mcp").unwrap();
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let document =
            Answer::of(http().get(format!("{origin}{path}")).send().await.unwrap()).await;
        assert_eq!(document.status, 200);
        assert_eq!(document.body["resource"], url.as_str());
        assert_eq!(document.body["authorization_servers"], json!([jeton.url]));
        assert_eq!(document.body["scopes_supported"], json!(["a"]));
    }
    let refused = Answer::of(http().post(&url).send().await.unwrap()).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.headers["www-authenticate"].to_str().unwrap(),
        format!(
            "Bearer resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp\", scope=\"a\""
        )
    );
}

#[tokio::test]
async fn it_works_on_while_jeton_is_down_and_says_503_where_it_never_saw_a_key() {
    let mut jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard.refresh_keys_after(Duration::ZERO)).await;
    let fresh = protected(&jeton.url, |guard| guard.audience(&url)).await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&jeton.url, &[])
        .await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    jeton.kill().await;
    for _ in 0..5 {
        assert_eq!(post_with(&url, &token).await.status, 200);
    }
    let unavailable = post_with(&fresh, &token).await;
    assert_eq!(unavailable.status, 503);
    assert!(unavailable.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_when_a_token_names_it() {
    let port = free_port();
    let options = || JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let mut old = Jeton::start_with(options()).await;
    let url = protected(&old.url, |guard| guard.key_fetch_interval(Duration::ZERO)).await;
    let operator = old.operator().await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&old.url, &[])
        .await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    old.kill().await;
    // Another server at the same address has other keys.
    let new = Jeton::start_with(options()).await;
    let operator = new.operator().await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&new.url, &[])
        .await;
    assert_eq!(post_with(&url, &token).await.status, 200);
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_however_many_come() {
    let issuer = Issuer::start(Away::Failing).await;
    let keys_url = format!("{}/keys", issuer.url);
    let url = protected(&issuer.url, move |guard| guard.jwks_uri(keys_url.clone())).await;
    let mut attempts = Vec::new();
    for number in 0..40_i64 {
        let token = issuer.stray_token(&url, number);
        let url = url.clone();
        attempts.push(tokio::spawn(
            async move { post_with(&url, &token).await.status },
        ));
    }
    for attempt in attempts {
        assert_eq!(attempt.await.unwrap(), 401);
    }
    assert_eq!(issuer.asked(), 1);
}

/// An authorization server that serves its keys until it is told to go away.
struct Issuer {
    url: String,
    key: SigningKey,
    pkcs8: Vec<u8>,
    asked: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
}

/// How an authorization server that is away behaves.
#[derive(Clone, Copy)]
enum Away {
    Failing,
    Hanging,
}

impl Issuer {
    async fn start(away: Away) -> Self {
        let algorithm = SigningAlgorithm::Es256;
        let pkcs8 = SigningKey::generate_pkcs8(algorithm).unwrap().to_vec();
        let id = KeyId::generate(Timestamp::from_seconds(1), &OsEntropy).unwrap();
        let key = SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap();
        let keys = json!({ "keys": [key.public_jwk()] });
        let (asked, is_away) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, state) = (Arc::clone(&asked), Arc::clone(&is_away));
        let answer = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let (keys, is_away) = (keys.clone(), state.load(Ordering::SeqCst));
            async move {
                match away {
                    _ if !is_away => Ok(Json(keys)),
                    Away::Failing => Err(axum::http::StatusCode::BAD_GATEWAY),
                    Away::Hanging => std::future::pending().await,
                }
            }
        };
        Self {
            url: serve(Router::new().route("/keys", get(answer))).await,
            key,
            pkcs8,
            asked,
            is_away,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn claims(&self, audience: &str) -> jeton_core::AccessTokenClaims {
        serde_json::from_value(json!({
            "iss": self.url, "aud": audience, "sub": "x", "client_id": "x", "jti": "x",
            "exp": 9_999_999_999_i64, "iat": 0, "scope": "a",
        }))
        .unwrap()
    }

    fn token(&self, audience: &str) -> String {
        self.key.sign_access_token(&self.claims(audience)).unwrap()
    }

    /// A token that names another key.
    fn stray_token(&self, audience: &str, number: i64) -> String {
        let id = KeyId::generate(Timestamp::from_seconds(number), &OsEntropy).unwrap();
        let key = SigningKey::from_pkcs8(id, SigningAlgorithm::Es256, &self.pkcs8).unwrap();
        key.sign_access_token(&self.claims(audience)).unwrap()
    }
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_writer(move || log.clone())
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .set_default()
    }

    fn lines_with(&self, words: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(words)).count()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn while_the_authorization_server_is_away_each_attempt_is_one_warning_and_attempts_are_few() {
    let issuer = Issuer::start(Away::Failing).await;
    let keys_url = format!("{}/keys", issuer.url);
    let interval = Duration::from_millis(400);
    let url = protected(&issuer.url, move |guard| {
        guard
            .jwks_uri(keys_url.clone())
            .refresh_keys_after(Duration::ZERO)
            .key_fetch_interval(interval)
    })
    .await;
    let token = issuer.token(&url);
    assert_eq!(post_with(&url, &token).await.status, 200);
    assert_eq!(issuer.asked(), 1);
    issuer.is_away.store(true, Ordering::SeqCst);
    let log = Log::default();
    let _capturing = log.capture();
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < 4 * interval || number < 60 {
        number += 1;
        assert_eq!(post_with(&url, &token).await.status, 200, "works on");
        let stray = issuer.stray_token(&url, number);
        assert_eq!(post_with(&url, &stray).await.status, 401);
    }
    eventually("the last attempt has failed", async || {
        log.lines_with("fetching the signing keys failed") == issuer.asked() - 1
    })
    .await;
    let attempts = issuer.asked() - 1;
    let allowed = begin.elapsed().as_millis() / interval.as_millis() + 1;
    assert!(attempts >= 2, "it is tried again");
    assert!(
        attempts as u128 <= allowed,
        "{attempts} attempts, {allowed} allowed, {number} requests"
    );
    assert_eq!(log.lines_with("fetching the signing keys failed"), attempts);
    assert_eq!(log.lines_with("WARN"), attempts);
    issuer.is_away.store(false, Ordering::SeqCst);
}

#[tokio::test]
async fn callers_share_one_attempt_at_an_authorization_server_that_hangs() {
    let issuer = Issuer::start(Away::Hanging).await;
    let keys_url = format!("{}/keys", issuer.url);
    let url = protected(&issuer.url, move |guard| {
        guard
            .jwks_uri(keys_url.clone())
            .configure_http(|http| http.timeout(Duration::from_secs(2)))
            .key_fetch_interval(Duration::from_millis(500))
    })
    .await;
    issuer.is_away.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    // Callers that hang up do not make the next one begin again.
    for _ in 0..5 {
        let hung_up = http()
            .post(&url)
            .bearer_auth(issuer.token(&url))
            .timeout(Duration::from_millis(50))
            .send()
            .await;
        assert!(hung_up.is_err());
    }
    // Each hangs for two seconds.
    let allowed = || usize::try_from(begin.elapsed().as_secs()).unwrap() / 2 + 1;
    eventually("it was asked", async || issuer.asked() > 0).await;
    assert!(issuer.asked() <= allowed(), "{} attempts", issuer.asked());
    // One after the other, these would wait for more than a minute.
    let waiting = (0..40).map(|_| {
        let (url, token) = (url.clone(), issuer.token(&url));
        tokio::spawn(async move { post_with(&url, &token).await.status })
    });
    for waiting in waiting.collect::<Vec<_>>() {
        assert_eq!(waiting.await.unwrap(), 503);
    }
    assert!(issuer.asked() <= allowed(), "{} attempts", issuer.asked());
}

#[tokio::test]
async fn a_key_that_is_missing_is_not_looked_for_again_at_once() {
    let issuer = Issuer::start(Away::Failing).await;
    let keys_url = format!("{}/keys", issuer.url);
    // A missing key is remembered for six of them: long enough for a machine that does much else.
    let interval = Duration::from_secs(2);
    let url = protected(&issuer.url, move |guard| {
        guard
            .jwks_uri(keys_url.clone())
            .key_fetch_interval(interval)
    })
    .await;
    let stray = issuer.stray_token(&url, 7);
    assert_eq!(post_with(&url, &stray).await.status, 401);
    tokio::time::sleep(interval).await;
    for _ in 0..4 {
        assert_eq!(post_with(&url, &stray).await.status, 401);
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(post_with(&url, &issuer.token(&url)).await.status, 200);
}

#[tokio::test]
async fn a_guard_that_leaves_tools_or_methods_open_warns_once_when_it_is_built() {
    let build = |change: fn(GuardBuilder) -> GuardBuilder| {
        let log = Log::default();
        let capturing = log.capture();
        let guard = GuardLayer::builder("http://localhost:1/mcp", "http://localhost:2");
        change(guard).build().unwrap();
        drop(capturing);
        let tools = log.lines_with("may call the others");
        (tools, log.lines_with("may use the others"))
    };
    assert_eq!(build(|guard| guard), (0, 0));
    assert_eq!(build(|guard| guard.require_for_tool("a", ["a"])), (1, 0));
    assert_eq!(build(|guard| guard.require_for_method("m", ["a"])), (0, 1));
    // What every request needs may be little: a forgotten tool that writes would be open to readers.
    let and_always = |guard: GuardBuilder| guard.require(["a"]).require_for_tool("b", ["b"]);
    assert_eq!(build(and_always), (1, 0));
    let and_always = |guard: GuardBuilder| guard.require(["a"]).require_for_method("m", ["b"]);
    assert_eq!(build(and_always), (0, 1));
    let said = |guard: GuardBuilder| {
        let named = guard.require(["a"]).require_for_tool("b", ["b"]);
        named.allow_other_tools()
    };
    assert_eq!(build(said), (0, 0));
    for covered in [
        |guard: GuardBuilder| guard.require_for_other_tools(["b"]),
        |guard: GuardBuilder| guard.allow_other_tools(),
        |guard: GuardBuilder| guard.require_for_other_methods(["b"]),
        |guard: GuardBuilder| {
            guard
                .require_for_method("tools/call", ["b"])
                .allow_other_methods()
        },
    ] {
        let guard = GuardLayer::builder("http://localhost:1/mcp", "http://localhost:2");
        let log = Log::default();
        let capturing = log.capture();
        covered(guard.require_for_tool("a", ["a"])).build().unwrap();
        drop(capturing);
        assert_eq!(log.lines_with("WARN"), 0);
    }
}

#[tokio::test]
async fn only_the_authorization_header_is_read_and_only_one() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&jeton.url, &[])
        .await;
    let status =
        |request: RequestBuilder| async { request.send().await.unwrap().status().as_u16() };
    assert_eq!(
        status(http().get(format!("{url}?access_token={token}"))).await,
        401
    );
    assert_eq!(
        status(http().post(&url).body(format!("access_token={token}"))).await,
        401
    );
    assert_eq!(
        status(
            http()
                .post(&url)
                .header("Authorization", format!("bearer {token}"))
        )
        .await,
        200
    );
    assert_eq!(
        status(
            http()
                .post(&url)
                .header("Authorization", format!("Basic {token}"))
        )
        .await,
        401
    );
    let two = http()
        .post(&url)
        .bearer_auth(&token)
        .header("Authorization", "Bearer other");
    assert_eq!(status(two).await, 400);
}

#[tokio::test]
async fn keys_are_fetched_from_the_url_that_names_them_and_from_no_other() {
    let jeton = Jeton::start().await;
    let keys = format!("{}/keys", jeton.url);
    let to = keys.clone();
    let elsewhere = serve(Router::new().fallback(move || {
        let to = to.clone();
        async move { axum::response::Redirect::temporary(&to) }
    }))
    .await;
    let following = || reqwest::redirect::Policy::limited(5);
    // Whatever the client was told.
    let location = elsewhere.clone();
    let url = protected(&jeton.url, move |guard| {
        let guard = guard.jwks_uri(location.clone());
        guard.configure_http(|http| http.redirect(following()))
    })
    .await;
    let operator = jeton.operator().await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let client = operator.client(&server, &["a"]).await;
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(post_with(&url, &token).await.status, 503);
    let url = protected(&jeton.url, move |guard| guard.jwks_uri(keys.clone())).await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let client = operator.client(&server, &["a"]).await;
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    // Nor are those believed that another's client brings from elsewhere.
    let client = reqwest::Client::builder().redirect(following()).build();
    let location = KeysLocation::JwksUri(elsewhere);
    let keys = RemoteKeys::builder(location, client.unwrap()).build();
    let error = keys.find(None).await.unwrap_err();
    assert!(format!("{error:?}").contains("Redirected"), "{error:?}");
}

#[tokio::test]
async fn metadata_does_not_lead_to_keys_that_are_nearer_than_its_server() {
    for jwks_uri in ["https://169.254.169.254/keys", "http://a.example/keys"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": issuer, "token_endpoint": format!("{issuer}/token"), "jwks_uri": jwks_uri,
        });
        let router = Router::new().fallback(move || async move { Json(document) });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let location = KeysLocation::Issuer(issuer);
        let keys = RemoteKeys::builder(location, http_client().unwrap()).build();
        let error = keys.find(None).await.unwrap_err();
        let refused = format!("{error:?}");
        assert!(
            refused.contains("Inward") || refused.contains("Insecure"),
            "{refused}"
        );
    }
}
