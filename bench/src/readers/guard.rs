//! The whole guard: a request with a good token goes in, and an answer comes out.

use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use jeton_core::{AccessTokenClaims, Clock as _, KeyId, SigningAlgorithm, SystemClock};
use jeton_guard::{Body, GuardLayer};
use jeton_jose::{OsEntropy, SigningKey};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Table, repeated};

const RESOURCE: &str = "http://localhost:1/mcp";

/// Bodies: how they begin, what is repeated, how they end.
const BODIES: [(&str, &str, &str, &str); 7] = [
    (
        "guard: many members of a message",
        "{",
        "\"m#\":0,",
        "\"method\":\"tools/list\"}",
    ),
    (
        "guard: many members of params",
        "{\"method\":\"tools/call\",\"params\":{",
        "\"m#\":0,",
        "\"name\":\"a\"}}",
    ),
    (
        "guard: one member again and again",
        "{",
        "\"m\":0,",
        "\"method\":\"tools/list\"}",
    ),
    (
        "guard: a large batch",
        "[",
        "{\"method\":\"tools/call\",\"params\":{\"name\":\"#\"}},",
        "{}]",
    ),
    (
        "guard: many arguments",
        "{\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{",
        "\"m#\":0,",
        "\"m\":0}}}",
    ),
    (
        "guard: deep nesting",
        "{\"method\":\"a\",\"params\":",
        "[",
        "0]}",
    ),
    (
        "guard: an escaped tool name",
        "{\"method\":\"tools/call\",\"params\":{\"name\":\"",
        "\\u0061",
        "\"}}",
    ),
];

struct Guarded {
    layer: GuardLayer,
    token: String,
}

pub(super) async fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let guarded = Guarded::new().await?;
    for (name, begin, part, end) in BODIES {
        table
            .row(
                name,
                |size| Bytes::from(format!("{begin}{}{end}", repeated(part, size))),
                async |body| guarded.send(body.clone(), None).await,
            )
            .await;
    }
    for (name, begin, part) in [
        ("guard: a long Mcp-Name", "", "a"),
        ("guard: a long Mcp-Name in Base64", "=?base64?", "YWFh"),
    ] {
        let body = "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}";
        table
            .row(
                name,
                |size| HeaderValue::try_from(format!("{begin}{}?=", repeated(part, size))).ok(),
                async |header| {
                    let body = Bytes::from_static(body.as_bytes());
                    guarded.send(body, header.clone()).await;
                },
            )
            .await;
    }
    table
        .row_up_to(
            ("guard: a long token", 16 << 10),
            |size| Guarded {
                layer: guarded.layer.clone(),
                token: repeated("eyJh.", size),
            },
            async |guarded| guarded.send(Bytes::new(), None).await,
        )
        .await;
    table
        .row(
            "guard: a token above its limit",
            |size| Guarded {
                layer: guarded.layer.clone(),
                token: repeated("eyJh.", size),
            },
            async |guarded| guarded.send(Bytes::new(), None).await,
        )
        .await;
    Ok(())
}

impl Guarded {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let algorithm = SigningAlgorithm::Es256;
        let pkcs8 = SigningKey::generate_pkcs8(algorithm)?;
        let id = KeyId::generate(SystemClock.now(), &OsEntropy)?;
        let key = SigningKey::from_pkcs8(id, algorithm, &pkcs8)?;
        let keys_url = serve(json!({ "keys": [key.public_jwk()] }).to_string()).await?;
        let issuer = "http://localhost:2";
        let claims: AccessTokenClaims = serde_json::from_value(json!({
            "iss": issuer, "aud": RESOURCE, "sub": "x", "client_id": "x", "jti": "x",
            "exp": 9_999_999_999_i64, "iat": 0, "scope": "a",
        }))?;
        let layer = GuardLayer::builder(RESOURCE, issuer)
            .jwks_uri(keys_url)
            .require_for_other_tools(["a"])
            .max_body(16 << 20)
            .build()?;
        Ok(Self {
            layer,
            token: key.sign_access_token(&claims)?,
        })
    }

    async fn send(&self, body: Bytes, name: Option<HeaderValue>) {
        let service = service_fn(async |request: Request<Body>| {
            drop(black_box(request.into_body().collect().await));
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        let headers = request.headers_mut();
        if let Ok(token) = HeaderValue::try_from(format!("Bearer {}", self.token)) {
            headers.insert("authorization", token);
        }
        if let Some(name) = name {
            headers.insert("mcp-name", name);
        }
        drop(black_box(self.layer.layer(service).oneshot(request).await));
    }
}

/// A document at an address of this machine, as often as it is asked for.
#[expect(clippy::disallowed_methods, reason = "a benchmark's own server")]
pub(super) async fn serve(keys: String) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    tokio::spawn(async move {
        let length = keys.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{keys}"
        );
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0_u8; 4096];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(answer.as_bytes()).await;
            let _ = connection.shutdown().await;
        }
    });
    Ok(url)
}
