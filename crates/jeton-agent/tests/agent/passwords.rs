//! A user name, a password and a query in a URL, wherever it stands, are in no error.

use std::error::Error;

use jeton_agent::{AgentError, ClientCredentials, TokenError, TokenSource};
use jeton_jose::FetchError;
use serde_json::{Value, json};

use crate::support::{Asked, SECRET, Site, World, credentials, json as document, status};

/// An error with its causes, in every form in which somebody may read it.
fn told(error: &AgentError) -> String {
    let mut told = format!("{error:?}");
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        told = format!("{told}\n{error}");
        cause = error.source();
    }
    told
}

fn assert_hidden(error: &AgentError, place: &str) {
    let told = told(error);
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains(&format!("[redacted]@{place}")), "{told}");
}

async fn error(source: TokenSource) -> AgentError {
    source.token().await.unwrap_err()
}

#[tokio::test]
async fn no_error_repeats_the_password_or_the_query_of_a_url() {
    let nobody = "http://ada:hunter2@127.0.0.1:1?key=hunter2";
    let mcp = "https://ada:hunter2@mcp.example.com/mcp?key=hunter2#hunter2";
    let built = TokenSource::builder(mcp, credentials("https://auth.example.com")).build();
    assert_hidden(&built.unwrap_err(), "mcp.example.com/mcp");

    // The challenge's metadata, and what the document says that it is about.
    let world = World::new().await;
    let advertised = "http://ada:hunter2@127.0.0.1:1/metadata?key=hunter2".to_owned();
    world.mcp.change(|saying| {
        saying.metadata_url = Some(advertised);
        saying.resource = Some(mcp.to_owned());
    });
    let failed = error(world.source()).await;
    assert!(
        matches!(failed, AgentError::AdvertisedMetadata { .. }),
        "{failed}"
    );
    assert_hidden(&failed, "127.0.0.1:1/metadata");
    let inward = "https://ada:hunter2@169.254.169.254/x?key=hunter2";
    world
        .mcp
        .change(|saying| saying.metadata_url = Some(inward.to_owned()));
    assert_hidden(&error(world.source()).await, "169.254.169.254/x");
    world.mcp.change(|saying| {
        saying.metadata_url = Some("http://ada:hunter2@a.example/x?key=hunter2".to_owned());
    });
    let failed = error(world.source()).await;
    let AgentError::AdvertisedMetadata { source, .. } = &failed else {
        panic!("{failed:?}")
    };
    assert!(matches!(source, FetchError::Insecure(_)), "{source}");
    assert_hidden(&failed, "a.example/x");
    world.mcp.change(|saying| saying.metadata_url = None);
    let failed = error(world.source()).await;
    assert!(
        matches!(failed, AgentError::ResourceMismatch { .. }),
        "{failed}"
    );
    assert_hidden(&failed, "mcp.example.com/mcp");

    // The authorization servers that it names, and the credentials' own.
    world.mcp.change(|saying| {
        saying.resource = None;
        saying.issuers = vec![nobody.to_owned()];
    });
    let failed = error(world.source()).await;
    assert!(matches!(failed, AgentError::OtherIssuer { .. }), "{failed}");
    assert_hidden(&failed, "127.0.0.1:1");
    let own = || ClientCredentials::new(nobody, "m2m_1", SECRET);
    let source = TokenSource::builder(world.mcp.url(), own()).build();
    let failed = error(source.unwrap()).await;
    assert!(matches!(failed, AgentError::Discovery(_)), "{failed}");
    assert!(!told(&failed).contains("hunter2"), "{failed:?}");
    assert!(!format!("{:?}", own()).contains("hunter2"));
    world
        .mcp
        .change(|saying| saying.issuers = vec![world.auth.issuer()]);
    let source = TokenSource::builder(world.mcp.url(), own()).build();
    assert_hidden(&error(source.unwrap()).await, "127.0.0.1:1");

    // Where a request goes that the token is not for.
    let elsewhere = reqwest::Request::new(reqwest::Method::POST, mcp.parse().unwrap());
    let failed = world.source().send(elsewhere).await.unwrap_err();
    assert_hidden(&failed, "mcp.example.com/mcp");
}

#[tokio::test]
async fn nor_does_one_about_the_token_endpoint() {
    let metadata = |token_endpoint: &'static str, methods: Value| {
        Site::start(move |asked: Asked| {
            let origin = format!("http://{}", asked.header("host").unwrap());
            let metadata = json!({
                "issuer": origin, "token_endpoint": token_endpoint,
                "token_endpoint_auth_methods_supported": methods,
            });
            async move {
                match asked.path.as_str() {
                    "/.well-known/oauth-authorization-server" => document(&metadata),
                    _ => status(404),
                }
            }
        })
    };
    let nobody = "http://ada:hunter2@127.0.0.1:1/token?key=hunter2";
    for (endpoint, methods, place) in [
        (nobody, json!(["private_key_jwt"]), "127.0.0.1:1/token"),
        (nobody, json!([]), "127.0.0.1:1/token"),
        (
            "http://ada:hunter2@a.example/token?key=hunter2",
            json!([]),
            "a.example/token",
        ),
    ] {
        let world = World::new().await;
        let auth = metadata(endpoint, methods).await;
        world
            .mcp
            .change(|saying| saying.issuers = vec![auth.url.clone()]);
        let source = TokenSource::builder(world.mcp.url(), credentials(&auth.url)).build();
        let failed = error(source.unwrap()).await;
        assert!(
            matches!(
                failed,
                AgentError::Token(
                    TokenError::Unreachable { .. } | TokenError::NoSecretMethod { .. }
                ) | AgentError::Endpoint(_)
            ),
            "{failed:?}"
        );
        assert_hidden(&failed, place);
    }
}
