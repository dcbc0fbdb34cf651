//! What the token endpoint answers to requests that are malformed or forbidden: one table, one
//! snapshot with status, headers and body of each.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_tests::{Answer, Credentials, Jeton, form, http};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";

/// Everything that the table's rows need.
struct World {
    jeton: Jeton,
    good: Credentials,
    several: Credentials,
    nowhere: Credentials,
    disabled: Credentials,
    revoked: Credentials,
    expired: Credentials,
    server: Credentials,
    todo: String,
    notes: String,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let todo = operator
            .mcp_server("http://localhost:3002/", &["todo:read", "todo:write"])
            .await;
        let notes = operator
            .mcp_server("http://localhost:3002/notes", &["notes:read"])
            .await;
        let good = operator.client(&todo, &["todo:read"]).await;
        let several = operator.client(&todo, &["todo:read"]).await;
        let grant = format!("/clients/{}/grants/{notes}", several.client_id);
        operator
            .put(&grant, json!({ "scopes": ["notes:read"] }))
            .await;
        let path = format!("/clients/{}", several.client_id);
        let no_default = json!({ "default_mcp_server_id": null });
        operator.patch(&path, no_default).await;
        let nowhere = operator.client(&todo, &["todo:read"]).await;
        operator
            .delete(&format!("/clients/{}/grants/{todo}", nowhere.client_id))
            .await;
        let disabled = operator.client(&todo, &["todo:read"]).await;
        operator
            .patch(
                &format!("/clients/{}", disabled.client_id),
                json!({ "status": "disabled" }),
            )
            .await;
        let revoked = operator.client(&todo, &["todo:read"]).await;
        let secrets = operator
            .get(&format!("/clients/{}/secrets", revoked.client_id))
            .await;
        operator
            .delete(&format!(
                "/secrets/{}",
                secrets["items"][0]["id"].as_str().unwrap()
            ))
            .await;
        let expired = operator.client(&todo, &["todo:read"]).await;
        let rotate = format!("/clients/{}/secrets/rotate", expired.client_id);
        operator.post(&rotate, json!({ "grace": 0 })).await;
        let server = Credentials::of(
            &operator
                .post(&format!("/mcp-servers/{todo}/secrets"), json!({}))
                .await,
        );
        Self {
            jeton,
            good,
            several,
            nowhere,
            disabled,
            revoked,
            expired,
            server,
            todo,
            notes,
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        http().post(format!("{}{path}", self.jeton.url))
    }

    /// Any body.
    fn raw(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.post("/oauth/token")
            .header(CONTENT_TYPE, FORM)
            .body(body)
    }

    /// A form as it is.
    fn form(&self, parameters: &[(&str, &str)]) -> RequestBuilder {
        self.raw(form(parameters))
    }

    /// A client credentials request of `who`, with something more.
    fn of(&self, who: &Credentials, more: &[(&str, &str)]) -> RequestBuilder {
        let own = [
            ("grant_type", "client_credentials"),
            ("client_id", who.client_id.as_str()),
            ("client_secret", who.client_secret.as_str()),
        ];
        self.form(&[&own, more].concat())
    }

    /// The same of a client that may read todos.
    fn good(&self, more: &[(&str, &str)]) -> RequestBuilder {
        self.of(&self.good, more)
    }

    /// A request authenticated by this header value, with something in the body.
    fn header(&self, value: impl AsRef<[u8]>, more: &[(&str, &str)]) -> RequestBuilder {
        let body = form(&[&[("grant_type", "client_credentials")], more].concat());
        self.raw(body).header(
            AUTHORIZATION,
            HeaderValue::from_bytes(value.as_ref()).unwrap(),
        )
    }

    /// The good client's request with raw text after it.
    fn followed_by(&self, text: &[u8]) -> RequestBuilder {
        let mut body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.good.client_id),
            ("client_secret", &self.good.client_secret),
        ])
        .into_bytes();
        body.extend_from_slice(text);
        self.raw(body)
    }

    fn with_secret(&self, secret: &str) -> Credentials {
        Credentials {
            client_secret: secret.to_owned(),
            ..self.good.clone()
        }
    }

    fn rows(&self) -> Vec<(&'static str, RequestBuilder)> {
        let good = &self.good;
        let unknown_id = format!("m2m_{}", "0".repeat(26));
        let unknown = Credentials {
            client_id: unknown_id,
            ..good.clone()
        };
        let odd = Credentials {
            client_id: "no such <client>".into(),
            ..good.clone()
        };
        let mut typo = good.client_secret.clone();
        typo.truncate(typo.len() - 1);
        let typo = self.with_secret(&typo);
        let others = self.with_secret(&self.several.client_secret);
        let big = "x".repeat(65 * 1024);
        let basic = good.basic();
        let id_and_secret = form(&[
            ("client_id", &good.client_id),
            ("client_secret", &good.client_secret),
        ]);
        let get = http().get(format!("{}/oauth/token?{id_and_secret}", self.jeton.url));
        let in_url = self.post(&format!(
            "/oauth/token?grant_type=client_credentials&{id_and_secret}"
        ));
        let b64 = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let two_headers = self
            .header(&basic, &[])
            .header(AUTHORIZATION, "Bearer stale");
        let elsewhere = |path: &str| {
            let form = form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &good.client_id),
                ("client_secret", &good.client_secret),
            ]);
            self.post(path).header(CONTENT_TYPE, FORM).body(form)
        };
        vec![
            // The request as a whole.
            ("a GET request", get),
            (
                "a PUT request",
                http().request(Method::PUT, format!("{}/oauth/token", self.jeton.url)),
            ),
            ("credentials in the URL", in_url.header(CONTENT_TYPE, FORM)),
            (
                "no content type",
                self.post("/oauth/token").body(id_and_secret.clone()),
            ),
            (
                "a JSON body",
                self.post("/oauth/token")
                    .header(CONTENT_TYPE, "application/json")
                    .body("{}"),
            ),
            (
                "a multipart body",
                self.post("/oauth/token")
                    .header(CONTENT_TYPE, "multipart/form-data; boundary=x")
                    .body("--x--"),
            ),
            ("an empty body", self.raw("")),
            ("a body over 64 KiB", self.good(&[("more", &big)])),
            (
                "over a hundred parameters",
                self.raw((0..101).map(|n| format!("p{n}=1&")).collect::<String>()),
            ),
            (
                "a percent sign without digits",
                self.followed_by(b"&scope=%zz"),
            ),
            (
                "a percent sign at the end",
                self.followed_by(b"&scope=todo%"),
            ),
            ("bytes that are not UTF-8", self.followed_by(b"&scope=\xff")),
            (
                "percent-encoded bytes that are not UTF-8",
                self.followed_by(b"&scope=%C3%28"),
            ),
            // Repeated parameters.
            (
                "grant_type twice",
                self.good(&[("grant_type", "client_credentials")]),
            ),
            ("client_id twice", self.good(&[("client_id", "other")])),
            (
                "client_secret twice",
                self.good(&[("client_secret", "other")]),
            ),
            (
                "scope twice",
                self.good(&[("scope", "todo:read"), ("scope", "todo:read")]),
            ),
            (
                "resource twice",
                self.good(&[
                    ("resource", "http://localhost:3002/"),
                    ("resource", "http://localhost:3002/notes"),
                ]),
            ),
            (
                "audience twice",
                self.good(&[
                    ("audience", "http://localhost:3002/"),
                    ("audience", "http://localhost:3002/"),
                ]),
            ),
            (
                "an unknown parameter twice",
                self.good(&[("colour", "red"), ("colour", "blue")]),
            ),
            // The grant.
            (
                "no grant_type",
                self.form(&[
                    ("client_id", &good.client_id),
                    ("client_secret", &good.client_secret),
                ]),
            ),
            (
                "an empty grant_type",
                self.form(&[
                    ("grant_type", ""),
                    ("client_id", &good.client_id),
                    ("client_secret", &good.client_secret),
                ]),
            ),
            (
                "an unknown grant_type",
                self.form(&[
                    ("grant_type", "password"),
                    ("client_id", &good.client_id),
                    ("client_secret", &good.client_secret),
                ]),
            ),
            (
                "the authorization code grant",
                self.form(&[
                    ("grant_type", "authorization_code"),
                    ("client_id", &good.client_id),
                    ("client_secret", &good.client_secret),
                    ("code", "x"),
                ]),
            ),
            (
                "a grant_type in capitals",
                self.form(&[
                    ("grant_type", "CLIENT_CREDENTIALS"),
                    ("client_id", &good.client_id),
                    ("client_secret", &good.client_secret),
                ]),
            ),
            // Authentication.
            (
                "no credentials",
                self.form(&[("grant_type", "client_credentials")]),
            ),
            (
                "a client_id alone",
                self.form(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", &good.client_id),
                ]),
            ),
            (
                "a client_secret alone",
                self.form(&[
                    ("grant_type", "client_credentials"),
                    ("client_secret", &good.client_secret),
                ]),
            ),
            (
                "an empty client_secret",
                self.of(&self.with_secret(""), &[]),
            ),
            ("an unknown client", self.of(&unknown, &[])),
            (
                "an unknown client in the header",
                self.header(unknown.basic(), &[]),
            ),
            ("a client_id of another form", self.of(&odd, &[])),
            ("another client's secret", self.of(&others, &[])),
            (
                "another client's secret in the header",
                self.header(others.basic(), &[]),
            ),
            (
                "a secret with its last character missing",
                self.of(&typo, &[]),
            ),
            (
                "a word for a secret",
                self.of(&self.with_secret("hunter2"), &[]),
            ),
            ("an expired secret", self.of(&self.expired, &[])),
            ("a revoked secret", self.of(&self.revoked, &[])),
            ("a disabled client", self.of(&self.disabled, &[])),
            ("an MCP server's credentials", self.of(&self.server, &[])),
            (
                "header and body at once",
                self.header(&basic, &[("client_secret", &good.client_secret)]),
            ),
            (
                "header and assertion at once",
                self.header(&basic, &[("client_assertion", "x")]),
            ),
            (
                "secret and assertion at once",
                self.good(&[("client_assertion", "x")]),
            ),
            (
                "an assertion",
                self.form(&[
                    ("grant_type", "client_credentials"),
                    ("client_assertion", "x"),
                ]),
            ),
            (
                "header and body naming different clients",
                self.header(&basic, &[("client_id", &self.several.client_id)]),
            ),
            ("two Authorization headers", two_headers),
            (
                "a Bearer token instead of credentials",
                self.header("Bearer x", &[]),
            ),
            ("Digest authentication", self.header("Digest x", &[])),
            ("Basic without credentials", self.header("Basic", &[])),
            ("Basic that is not base64", self.header("Basic %%%", &[])),
            ("Basic without a colon", self.header(b64("m2m_x"), &[])),
            (
                "Basic with an empty secret",
                self.header(b64("m2m_x:"), &[]),
            ),
            (
                "Basic with bad percent-encoding",
                self.header(b64("m2m%zz:x"), &[]),
            ),
            (
                "a header that is not ASCII",
                self.header(b"Basic \xe9", &[]),
            ),
            // Scopes.
            (
                "an unknown scope",
                self.good(&[("scope", "todo:read todo:burn")]),
            ),
            (
                "a scope of the server outside the grant",
                self.good(&[("scope", "todo:write")]),
            ),
            (
                "a scope of another server",
                self.good(&[("scope", "notes:read")]),
            ),
            (
                "a scope with a quotation mark",
                self.good(&[("scope", "todo\"read")]),
            ),
            (
                "a scope that is not ASCII",
                self.good(&[("scope", "todo:réad")]),
            ),
            (
                "two spaces between scopes",
                self.good(&[("scope", "todo:read  todo:read")]),
            ),
            ("a space for a scope", self.good(&[("scope", " ")])),
            // Resources.
            (
                "an unknown resource",
                self.good(&[("resource", "http://localhost:4000/mcp")]),
            ),
            (
                "a resource of another server below the granted one",
                self.good(&[("resource", "http://localhost:3002/notes/mcp")]),
            ),
            (
                "a resource on another host that begins alike",
                self.good(&[("resource", "http://localhost:30021/")]),
            ),
            ("a relative resource", self.good(&[("resource", "/mcp")])),
            (
                "a resource with a fragment",
                self.good(&[("resource", "http://localhost:3002/#x")]),
            ),
            (
                "a resource with a query and a fragment",
                self.good(&[("resource", "http://localhost:3002/?x=1#y")]),
            ),
            (
                "a resource with a password",
                self.good(&[("resource", "http://u:p@localhost:3002/")]),
            ),
            (
                "a resource with dot segments",
                self.good(&[("resource", "http://localhost:3002/a/../b")]),
            ),
            (
                "a resource that is no http URL",
                self.good(&[("resource", "urn:todo")]),
            ),
            (
                "an unknown audience",
                self.good(&[("audience", "http://localhost:4000/mcp")]),
            ),
            ("a word for an audience", self.good(&[("audience", "todo")])),
            (
                "an audience that is not the resource",
                self.good(&[
                    ("resource", "http://localhost:3002/"),
                    ("audience", "http://localhost:3002/notes"),
                ]),
            ),
            (
                "no resource where there are several grants and no default",
                self.of(&self.several, &[]),
            ),
            ("no grant at all", self.of(&self.nowhere, &[])),
            (
                "a resource of the API's own",
                self.good(&[("resource", &format!("{}/api", self.jeton.url))]),
            ),
            // The endpoints of MCP servers.
            (
                "another MCP server's endpoint",
                elsewhere(&format!("/resources/{}/oauth/token", self.notes)),
            ),
            (
                "an unknown MCP server's endpoint",
                elsewhere(&format!("/resources/res_{}/oauth/token", "0".repeat(26))),
            ),
            (
                "a malformed MCP server's endpoint",
                elsewhere("/resources/todo/oauth/token"),
            ),
        ]
    }

    /// What differs from run to run, by name.
    fn redact(&self, text: &str) -> String {
        let mut text = text.replace(&self.jeton.url, "{issuer}");
        for (name, value) in [("{todo}", &self.todo), ("{notes}", &self.notes)] {
            text = text.replace(value, name);
        }
        text
    }
}

fn describe(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        if !["date", "content-length", "x-request-id"].contains(&name.as_str()) {
            writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    writeln!(text, "{}", answer.body).unwrap();
    text
}

#[tokio::test]
async fn each_malformed_or_forbidden_request_gets_its_own_clear_error() {
    let world = World::new().await;
    let secrets = [
        &world.good,
        &world.several,
        &world.expired,
        &world.revoked,
        &world.disabled,
    ]
    .map(|credentials| credentials.client_secret.clone());
    let mut table = String::new();
    for (name, request) in world.rows() {
        let answer = Answer::of(request.send().await.unwrap()).await;
        let described = describe(&answer);
        assert!(
            answer.status >= 400 && answer.status < 500,
            "{name}: {described}"
        );
        assert!(
            !secrets.iter().any(|secret| described.contains(secret)),
            "{name} shows a secret"
        );
        assert!(answer.headers.contains_key("x-request-id"), "{name}");
        writeln!(table, "## {name}\n{}", world.redact(&described)).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_cannot_be_told_apart() {
    let world = World::new().await;
    let unknown = Credentials {
        client_id: format!("m2m_{}", "0".repeat(26)),
        ..world.several.clone()
    };
    let wrong = Credentials {
        client_secret: world.good.client_secret.clone(),
        ..world.several.clone()
    };
    let unknown = world.of(&unknown, &[]).send().await.unwrap();
    let wrong = world.of(&wrong, &[]).send().await.unwrap();
    assert_eq!(
        describe(&Answer::of(unknown).await),
        describe(&Answer::of(wrong).await)
    );
}

#[tokio::test]
async fn each_refusal_is_in_the_audit_log_with_its_reason() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    for (who, reason) in [
        (&world.disabled, "disabled client"),
        (&world.revoked, "revoked secret"),
        (&world.expired, "expired secret"),
        (&world.nowhere, "no grant"),
    ] {
        let answer = who.ask(&world.jeton.url, &[]).await;
        let request_id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        let events = operator.audit(&format!("request_id={request_id}")).await;
        assert_eq!(events.len(), 1, "{reason}");
        assert_eq!(events[0]["kind"], "token.refused");
        assert_eq!(events[0]["outcome"], "refused");
        assert_eq!(events[0]["client_id"], who.client_id.as_str());
        assert_eq!(events[0]["source"], "127.0.0.1");
        assert!(
            events[0]["reason"].as_str().unwrap().contains(reason),
            "{}",
            events[0]
        );
    }
}

#[tokio::test]
async fn thousands_of_scopes_are_refused_by_number_and_recorded_in_part() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyz".chars().collect();
    let names: Vec<String> = (0..15_900)
        .map(|n| [n / 676, n / 26 % 26, n % 26].map(|digit| letters[digit]))
        .map(String::from_iter)
        .collect();
    for (scopes, reason) in [
        (
            &names[..],
            "scope names 15900 scopes; at most 200 are allowed",
        ),
        (&names[..200], "no scope aaa"),
    ] {
        let scope = scopes.join(" ");
        let answer = world.good.ask(&world.jeton.url, &[("scope", &scope)]).await;
        assert_eq!((answer.status, answer.error()), (400, "invalid_scope"));
        let description = answer.body["error_description"].as_str().unwrap();
        assert!(description.contains(reason), "{description}");
        assert!(description.len() < 2_000);
        let request_id = answer.headers["x-request-id"].to_str().unwrap();
        let events = operator.audit(&format!("request_id={request_id}")).await;
        let recorded = events[0]["scope"].as_str().unwrap();
        assert!(scope.starts_with(recorded));
        let is_part = recorded.len() < scope.len();
        assert_eq!(is_part, scopes.len() > 200, "{recorded}");
        assert!(recorded.len() <= 1_024);
        let truncated = if is_part {
            json!(["scope"])
        } else {
            Value::Null
        };
        assert_eq!(events[0]["detail"]["truncated"], truncated);
    }
}

#[tokio::test]
async fn an_overlong_client_id_is_refused_with_its_limit() {
    let world = World::new().await;
    let long = Credentials {
        client_id: "m".repeat(60_000),
        ..world.good.clone()
    };
    let answer = long.ask(&world.jeton.url, &[]).await;
    assert_eq!((answer.status, answer.error()), (400, "invalid_request"));
    assert_eq!(
        answer.body["error_description"],
        "client_id has at most 256 characters"
    );
}
