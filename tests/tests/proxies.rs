//! Behind a proxy: whose address counts as the source of a request.

use std::net::Ipv4Addr;

use jeton_tests::{Credentials, Jeton, JetonOptions, Operator, eventually, form, http};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

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
                ("Forwarded", "for=1.2.3.4, for=203.0.113.9"),
                ("X-Forwarded-For", "203.0.113.9"),
            ],
            "203.0.113.9",
        ),
        (
            vec![
                ("Forwarded", "for=203.0.113.9"),
                ("X-Forwarded-For", "1.2.3.4"),
            ],
            "127.0.0.1",
        ),
        (
            vec![
                ("Forwarded", "for=1.2.3.4"),
                ("X-Forwarded-For", "203.0.113.9"),
            ],
            "127.0.0.1",
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
    eventually("the log says once that the headers disagree", async || {
        server.jeton.log().matches("name different sources").count() == 1
    })
    .await;
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

/// A PROXY protocol header, version 2, for a source over IPv4.
fn proxy_header(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(source);
    header.extend([127, 0, 0, 1, 0x12, 0x34, 0x20, 0xe4]);
    header
}

/// Sends these bytes on a connection of their own; gives all that comes back.
async fn exchange(from: Ipv4Addr, to: &str, bytes: &[u8]) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let to = to.trim_start_matches("http://").parse().unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A refusal may come as a reset.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_proxy_protocol_is_required_of_trusted_proxies_and_of_nobody_else() {
    let server = Proxied::start(JetonOptions {
        flags: vec!["--trusted-proxy", "127.0.9.1", "--proxy-protocol"],
        ..JetonOptions::default()
    })
    .await;
    let (proxy, stranger) = (Ipv4Addr::new(127, 0, 9, 1), Ipv4Addr::new(127, 0, 9, 2));
    let url = server.jeton.listening();
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &server.client.client_id),
        ("client_secret", &server.client.client_secret),
    ]);
    let request = |id: &str| {
        format!(
            "POST /oauth/token HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\nX-Request-Id: {id}\r\n\
             X-Forwarded-For: 198.51.100.1\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let source = async |id: &str| {
        let events = server.operator.audit(&format!("request_id={id}")).await;
        events[0]["source"].as_str().unwrap().to_owned()
    };

    let with_header = [proxy_header([203, 0, 113, 9]), request("named")].concat();
    let answer = exchange(proxy, &url, &with_header).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(source("named").await, "203.0.113.9");
    // A header that names nobody makes what the caller wrote no truer: of the proxy itself, of a source
    // that it does not know, of a local socket.
    let unix = [b"\x21\x31\0\xd8".to_vec(), vec![0; 216]].concat();
    for (id, nobody) in [
        ("local", b"\x20\0\0\0".to_vec()),
        ("unspecified", b"\x21\0\0\0".to_vec()),
        ("unix", unix),
    ] {
        let signature = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        let unnamed = [signature, nobody, request(id)].concat();
        let answer = exchange(proxy, &url, &unnamed).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(source(id).await, "127.0.9.1", "{id}");
    }
    // A named source that is trusted, and only such a one, may name another.
    let trusted = [proxy_header([127, 0, 9, 1]), request("trusted")].concat();
    let answer = exchange(proxy, &url, &trusted).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(source("trusted").await, "198.51.100.1");

    let without = exchange(proxy, &url, &request("without")).await;
    assert_eq!(without, "", "a trusted proxy has to send the header");
    eventually("the log says so", async || {
        server.jeton.log().contains("PROXY protocol's version 2")
    })
    .await;
    let forged = exchange(stranger, &url, &with_header).await;
    assert!(!forged.contains(" 200 "), "{forged}");
    let direct = exchange(stranger, &url, &request("direct")).await;
    assert!(direct.starts_with("HTTP/1.1 200 "), "{direct}");
    assert_eq!(source("direct").await, "127.0.9.2");
}
