//! Whatever fails below `/oauth/`, the answer has OAuth's form; a compressed body is refused everywhere as
//! what it is; a browser finds the dashboard.

use jeton_tests::{Admin, Answer, Credentials, Jeton, JetonOptions, form, http};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const FORM: &str = "application/x-www-form-urlencoded";

struct World {
    jeton: Jeton,
    server: String,
    client: Credentials,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server("http://localhost:3002/mcp", &["a"])
            .await;
        let client = operator.client(&server, &["a"]).await;
        Self {
            jeton,
            server,
            client,
        }
    }

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        http().request(method.clone(), format!("{}{path}", self.jeton.url))
    }

    /// The endpoints that take a form.
    fn endpoints(&self) -> [String; 4] {
        let own = format!("/resources/{}/oauth/token", self.server);
        ["/oauth/token", "/oauth/introspect", "/oauth/revoke", &own].map(str::to_owned)
    }

    /// A form that each of them takes.
    fn form(&self, more: &str) -> String {
        form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.client.client_id),
            ("client_secret", &self.client.client_secret),
            ("token", "x"),
            ("more", more),
        ])
    }
}

async fn assert_oauth_error(request: RequestBuilder, status: u16, what: &str) -> Answer {
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/json", "{what}");
    assert_eq!(answer.headers["access-control-allow-origin"], "*", "{what}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
    assert_eq!(answer.error(), "invalid_request", "{what}");
    assert!(answer.body["error_description"].is_string(), "{what}");
    answer
}

#[tokio::test]
async fn every_failure_below_oauth_has_oauths_form() {
    let world = World::new().await;
    let own = format!("/resources/{}", world.server);
    for path in [
        "/oauth".to_owned(),
        "/oauth/".to_owned(),
        "/oauth/token/".to_owned(),
        "/oauth//token".to_owned(),
        "//oauth/token".to_owned(),
        "/oauth/token/x".to_owned(),
        "/oauth/nothing".to_owned(),
        format!("{own}/oauth/token/"),
        format!("{own}//oauth/token"),
        format!("{own}/oauth/nothing"),
        "/resources/todo/oauth/introspect".to_owned(),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT] {
            let request = world.request(&method, &path);
            let answer = assert_oauth_error(request, 404, &format!("{method} {path}")).await;
            let words = answer.body["error_description"].as_str().unwrap();
            let odd = path.contains("//") || path.ends_with('/');
            assert_eq!(words.contains("slashes"), odd, "{path}: {words}");
        }
    }
    for path in [
        "/resources/%ff/oauth/token".to_owned(),
        "/resources/todo/oauth/token".to_owned(),
        format!("{own}x/oauth/token"),
    ] {
        assert_oauth_error(world.request(&Method::POST, &path), 404, &path).await;
    }
    for path in world.endpoints() {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let request = world.request(&method, &path);
            let answer = assert_oauth_error(request, 405, &format!("{method} {path}")).await;
            assert_eq!(answer.headers["allow"], "POST", "{path}");
        }
        let post = || world.request(&Method::POST, &path);
        let large = post()
            .header("Content-Type", FORM)
            .body(world.form(&"x".repeat(65 * 1024)));
        assert_oauth_error(large, 413, &path).await;
        let json = post().header("Content-Type", "application/json").body("{}");
        assert_oauth_error(json, 400, &path).await;
        let in_url = world.request(&Method::POST, &format!("{path}?client_id=x"));
        assert_oauth_error(in_url.header("Content-Type", FORM), 400, &path).await;
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such_by_every_endpoint() {
    let world = World::new().await;
    for path in world.endpoints() {
        let send = |coding: &str| {
            world
                .request(&Method::POST, &path)
                .header("Content-Type", FORM)
                .header("Content-Encoding", coding)
                .body(world.form(""))
        };
        for coding in ["gzip", "br", "identity, zstd"] {
            let answer = assert_oauth_error(send(coding), 415, &path).await;
            let words = answer.body["error_description"].as_str().unwrap();
            assert!(words.contains("Content-Encoding"), "{path}: {words}");
            assert_eq!(answer.headers["accept-encoding"], "identity", "{path}");
        }
        let plain = Answer::of(send("identity").send().await.unwrap()).await;
        assert_eq!(plain.status, 200, "{path}: {}", plain.body);
    }

    let operator = world.jeton.operator().await;
    let body = json!({ "name": "Packed", "url": "http://localhost:3003/mcp", "scopes": [] });
    let packed = operator
        .request(Method::POST, "/mcp-servers")
        .header("Content-Encoding", "gzip")
        .json(&body);
    let answer = Answer::of(packed.send().await.unwrap()).await;
    assert_eq!(answer.status, 415, "{}", answer.body);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("Content-Encoding"), "{detail}");

    let admin = Admin::first(&world.jeton).await;
    let packed = world
        .request(&Method::POST, "/dashboard/sign-out")
        .header("cookie", &admin.session)
        .header("Content-Encoding", "gzip")
        .form(&[("csrf", admin.csrf.as_str())]);
    let answer = packed.send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(answer.text().await.unwrap().contains("Content-Encoding"));
}

#[tokio::test]
async fn a_browser_at_the_root_lands_on_the_dashboard_and_a_program_reads_what_there_is() {
    let jeton = Jeton::start().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let root = || http().get(format!("{}/", jeton.url));
    let seen = root().header("Accept", browser).send().await.unwrap();
    assert_eq!(seen.status(), 303);
    assert_eq!(seen.headers()["location"], "/dashboard");
    let read = root().send().await.unwrap();
    assert_eq!(read.status(), 200);
    assert!(read.text().await.unwrap().contains("/oauth/token"));
}

/// The status of the answer to `GET path`, and its body.
async fn get(jeton: &Jeton, version: &str, path: &str, hosts: &[&str]) -> (u16, Value) {
    let hosts = hosts.iter().map(|host| format!("Host: {host}\r\n"));
    let head = hosts.collect::<String>();
    let request = format!("GET {path} {version}\r\n{head}Connection: close\r\n\r\n");
    let address = jeton.listening();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://"))
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn a_request_without_one_host_that_is_well_formed_is_refused_in_the_form_of_its_path() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--issuer", "http://127.0.0.1:8420/auth"],
        ..JetonOptions::default()
    })
    .await;
    let wrong: [&[&str]; 5] = [
        &[],
        &["jeton", "jeton"],
        &["jeton", "other"],
        &["user@jeton"],
        &[""],
    ];
    for hosts in wrong {
        for path in [
            "/auth/oauth/token",
            "/auth/oauth/introspect",
            "/auth/resources/res_x/oauth/token",
            "/oauth/token",
            "http://jeton/auth/oauth/token",
        ] {
            let (status, body) = get(&jeton, "HTTP/1.1", path, hosts).await;
            assert_eq!(status, 400, "{path} {hosts:?}: {body}");
            assert_eq!(body["error"], "invalid_request", "{path} {hosts:?}");
        }
        for path in [
            "/healthz",
            "/auth/readyz",
            "/auth/keys",
            "/auth/.well-known/openid-configuration",
            "/auth/api/v1/clients",
            "/auth/dashboard/sign-in",
            "/elsewhere",
        ] {
            let (status, body) = get(&jeton, "HTTP/1.1", path, hosts).await;
            assert_eq!(status, 400, "{path} {hosts:?}: {body}");
            assert_eq!(
                body["type"], "urn:jeton:problem:unreadable",
                "{path} {hosts:?}"
            );
        }
    }
    // HTTP/1.0 knows no Host, and has it once where it sends one.
    assert_eq!(get(&jeton, "HTTP/1.0", "/auth/keys", &[]).await.0, 200);
    let two = get(&jeton, "HTTP/1.0", "/auth/keys", &["a", "b"]).await;
    assert_eq!(two.0, 400);
    // Whoever it names: a proxy may pass on any.
    for host in ["other.example", "other.example:1", "[::1]:8420"] {
        let (status, _) = get(&jeton, "HTTP/1.1", "/auth/keys", &[host]).await;
        assert_eq!(status, 200, "{host}");
    }
}
