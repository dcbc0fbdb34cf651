//! Behind a proxy: whose address counts as the source of a request.

use jeton_tests::{Credentials, Jeton, JetonOptions, Operator, eventually, form, http};

/// A server that trusts some proxies, with somebody who may ask for tokens.
struct Proxied {
    jeton: Jeton,
    operator: Operator,
    client: Credentials,
}

impl Proxied {
    async fn start(options: JetonOptions<'_>) -> Self {
        let jeton = Jeton::start_with(options).await;
        let operator = jeton.operator().await;
        let todo = operator
            .mcp_server("http://localhost:3002/mcp", &["a"])
            .await;
        let client = operator.client(&todo, &["a"]).await;
        Self {
            jeton,
            operator,
            client,
        }
    }

    /// The source in the audit event of a token request with these headers.
    async fn source(&self, request_id: &str, headers: &[(&str, &str)]) -> String {
        let mut request = http()
            .post(format!("{}/oauth/token", self.jeton.listening()))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("X-Request-Id", request_id)
            .body(form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &self.client.client_id),
                ("client_secret", &self.client.client_secret),
            ]));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        assert_eq!(request.send().await.unwrap().status(), 200, "{headers:?}");
        let events = self
            .operator
            .audit(&format!("request_id={request_id}"))
            .await;
        events[0]["source"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_request_came_from() {
    let server = Proxied::start(JetonOptions {
        flags: vec!["--trusted-proxy", "10.0.0.0/8"],
        environment: vec![("JETON_TRUSTED_PROXY", "192.0.2.1")],
        ..JetonOptions::default()
    })
    .await;
    // The flag replaces what the environment says: the peer is no trusted proxy.
    let untrusted = server
        .source("untrusted", &[("X-Forwarded-For", "203.0.113.9")])
        .await;
    assert_eq!(untrusted, "127.0.0.1");
    eventually("the log says so", async || {
        server.jeton.log().contains("--trusted-proxy 127.0.0.1")
    })
    .await;

    let server = Proxied::start(JetonOptions {
        environment: vec![("JETON_TRUSTED_PROXY", "127.0.0.0/8, 10.0.0.0/8")],
        ..JetonOptions::default()
    })
    .await;
    for (number, (headers, source)) in [
        (vec![], "127.0.0.1"),
        (vec![("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
        (
            vec![("X-Forwarded-For", "1.2.3.4, 203.0.113.9, 10.0.0.2")],
            "203.0.113.9",
        ),
        (
            vec![("Forwarded", "for=1.2.3.4, for=\"[2001:db8::1]:80\"")],
            "2001:db8::1",
        ),
        (
            vec![
                ("Forwarded", "for=1.2.3.4"),
                ("X-Forwarded-For", "203.0.113.9"),
            ],
            "203.0.113.9",
        ),
        (vec![("X-Forwarded-For", "nonsense,,")], "127.0.0.1"),
        (vec![("Forwarded", "for=unknown")], "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("request-{number}");
        assert_eq!(server.source(&id, &headers).await, source, "{headers:?}");
    }
    assert!(!server.jeton.log().contains("--trusted-proxy 127.0.0.1"));
}

#[tokio::test]
async fn a_proxy_that_takes_secrets_over_plain_http_is_warned_of() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec![
            "--trusted-proxy",
            "127.0.0.1",
            "--issuer",
            "https://auth.example.com",
        ],
        ..JetonOptions::default()
    })
    .await;
    let get = async |proto| {
        let request = http()
            .get(format!("{}/keys", jeton.listening()))
            .header("X-Forwarded-For", "203.0.113.9")
            .header("X-Forwarded-Proto", proto);
        assert_eq!(request.send().await.unwrap().status(), 200);
    };
    get("https").await;
    assert!(!jeton.log().contains("plain http"));
    get("http").await;
    eventually("the log says so", async || {
        jeton.log().contains("plain http")
    })
    .await;
}
