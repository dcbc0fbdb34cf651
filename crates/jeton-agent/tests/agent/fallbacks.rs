//! Where what a server advertises is wrong, the well-known addresses of the server that the person
//! named are used, and every check holds there as well.

use jeton_agent::{AgentError, TokenSource};
use jeton_jose::FetchError;
use serde_json::json;

use crate::support::{
    Asked, AuthorizationServer, SECRET, Site, Tls, World, credentials, json as document, status,
};

#[tokio::test]
async fn a_wrong_metadata_url_in_the_challenge_does_not_end_discovery() {
    let world = World::new().await;
    let origin = world.mcp.origin();
    for challenge in [
        format!(r#"Bearer resource_metadata="{origin}/nowhere""#),
        r#"Bearer resource_metadata="/.well-known/oauth-protected-resource/mcp""#.to_owned(),
        r#"Bearer resource_metadata="metadata""#.to_owned(),
        r#"Bearer resource_metadata="""#.to_owned(),
        "Bearer resource_metadata=".to_owned(),
        r#"Bearer resource_metadata="http://mcp.example.com/metadata""#.to_owned(),
        r#"Bearer resource_metadata="http://127.0.0.1:1/metadata""#.to_owned(),
        // An answer, but not the document.
        format!(r#"Bearer resource_metadata="{}/keys""#, world.auth.issuer()),
        "Bearer resource_metadata=\"".to_owned(),
        "Bearer".to_owned(),
    ] {
        world
            .mcp
            .change(|saying| saying.challenge = Some(challenge.clone()));
        let token = world.source().token().await;
        assert!(token.is_ok(), "{challenge}: {token:?}");
    }
}

#[tokio::test]
async fn a_url_without_quotes_is_read() {
    let other = AuthorizationServer::start().await;
    let world = World::new().await;
    let mcp = world.mcp.url();
    let issuer = world.auth.issuer();
    // The well-known address has another document, so that it is known which one was read.
    world
        .mcp
        .change(|saying| saying.issuers = vec![other.issuer()]);
    let metadata = Site::start(move |_| {
        let right = json!({ "resource": mcp, "authorization_servers": [issuer] });
        async move { document(&right) }
    })
    .await;
    let challenge = format!("Bearer resource_metadata={}/x, scope=a", metadata.url);
    world
        .mcp
        .change(|saying| saying.challenge = Some(challenge.clone()));
    world.source().token().await.unwrap();
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn where_nothing_is_right_the_error_says_what_is_wrong_with_what_was_advertised() {
    let world = World::new().await;
    world.mcp.change(|saying| {
        saying.challenge = Some(r#"Bearer resource_metadata="/metadata""#.to_owned());
        saying.resource = Some("https://elsewhere.example.com/mcp".to_owned());
    });
    let error = world.source().token().await.unwrap_err();
    let AgentError::AdvertisedMetadata { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, FetchError::NotAbsolute(_)), "{source}");
    assert!(source.to_string().contains("\"/metadata\""), "{source}");
}

#[tokio::test]
async fn a_fallback_is_held_to_the_issuer_of_the_credentials() {
    let world = World::new().await;
    let other = AuthorizationServer::start().await;
    world.mcp.change(|saying| {
        saying.challenge = Some(r#"Bearer resource_metadata="""#.to_owned());
        saying.issuers = vec![other.issuer()];
    });
    let error = world.source().token().await.unwrap_err();
    assert!(matches!(error, AgentError::OtherIssuer { .. }), "{error}");
    assert!(other.asked().is_empty() && world.auth.token_requests().is_empty());
    // And to the resource that was asked for.
    world.mcp.change(|saying| {
        saying.issuers = vec![world.auth.issuer()];
        saying.resource = Some(format!("{}/other", world.mcp.origin()));
    });
    let source = world.builder().allow_parent_resource().build().unwrap();
    let error = source.token().await.unwrap_err();
    assert!(
        matches!(error, AgentError::AdvertisedMetadata { .. }),
        "{error}"
    );
    assert!(world.auth.token_requests().is_empty());
    assert!(!world.mcp.has_seen(SECRET));
}

#[tokio::test]
async fn a_document_about_another_server_is_passed_over_for_the_right_one() {
    let world = World::new().await;
    let issuer = world.auth.issuer();
    let wrong = Site::start(move |_| {
        let about = "https://elsewhere.example.com/mcp";
        let wrong = json!({ "resource": about, "authorization_servers": [issuer] });
        async move { document(&wrong) }
    })
    .await;
    world
        .mcp
        .change(|saying| saying.metadata_url = Some(wrong.url.clone()));
    world.source().token().await.unwrap();
    assert_eq!(wrong.asked().len(), 1);
}

const MCP: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";

/// Servers elsewhere: the challenge leads inside, and the well-known address names `token_endpoint`
/// through the authorization server's metadata.
async fn elsewhere(advertised: String, token_endpoint: String) -> TokenSource {
    let tls = Tls::new();
    let (mcp, auth) = (tls.listen().await, tls.listen().await);
    let names = [
        ("mcp.example.com", mcp.address()),
        ("auth.example.com", auth.address()),
    ];
    Site::on(mcp, MCP.to_owned(), move |asked: Asked| {
        let advertised = advertised.clone();
        async move {
            if asked.path == "/.well-known/oauth-protected-resource/mcp" {
                return document(&json!({
                    "resource": MCP, "authorization_servers": [ISSUER],
                }));
            }
            let mut refused = status(401);
            let header = format!(r#"Bearer resource_metadata="{advertised}""#);
            refused
                .headers_mut()
                .insert("www-authenticate", header.parse().unwrap());
            refused
        }
    });
    Site::on(auth, ISSUER.to_owned(), move |asked: Asked| {
        let metadata = json!({ "issuer": ISSUER, "token_endpoint": token_endpoint });
        async move {
            match asked.path.as_str() {
                "/.well-known/oauth-authorization-server" => document(&metadata),
                "/oauth/token" => document(&json!({
                    "access_token": "token", "token_type": "Bearer", "expires_in": 3600,
                })),
                _ => status(404),
            }
        }
    });
    TokenSource::builder(MCP, credentials(ISSUER))
        .configure_http(tls.reaching(&names))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_challenge_that_leads_inside_is_not_followed_and_a_fallback_leads_no_further() {
    let inside = Site::start(async |_| document(&json!({}))).await;
    let advertised = format!("{}/metadata", inside.url);
    let source = elsewhere(advertised.clone(), format!("{ISSUER}/oauth/token")).await;
    assert_eq!(source.token().await.unwrap().expose(), "token");
    let source = elsewhere(advertised, format!("{}/oauth/token", inside.url)).await;
    let error = source.token().await.unwrap_err();
    assert!(
        matches!(error, AgentError::Endpoint(FetchError::Inward { .. })),
        "{error:?}"
    );
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn an_authorization_server_that_has_its_metadata_at_one_address_only_is_found() {
    let right = "/.well-known/openid-configuration";
    for elsewhere in [404, 500, 200] {
        let world = World::new().await;
        let auth = Site::start(move |asked: Asked| async move {
            let origin = format!("http://{}", asked.header("host").unwrap());
            match asked.path.as_str() {
                path if path == right => document(&json!({
                    "issuer": origin, "token_endpoint": format!("{origin}/oauth/token"),
                })),
                "/oauth/token" => document(&json!({
                    "access_token": "token", "token_type": "Bearer", "expires_in": 3600,
                })),
                // With 200, a page instead of a document.
                _ => status(elsewhere),
            }
        })
        .await;
        world
            .mcp
            .change(|saying| saying.issuers = vec![auth.url.clone()]);
        let source = TokenSource::builder(world.mcp.url(), credentials(&auth.url));
        let token = source.build().unwrap().token().await;
        assert!(token.is_ok(), "{elsewhere}: {token:?}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_does_not_hide_the_right_one() {
    let world = World::new().await;
    let auth = Site::start(|asked: Asked| async move {
        let origin = format!("http://{}", asked.header("host").unwrap());
        match asked.path.as_str() {
            "/.well-known/oauth-authorization-server" => document(&json!({
                "issuer": "https://elsewhere.example.com",
                "token_endpoint": "https://elsewhere.example.com/token",
            })),
            "/.well-known/openid-configuration" => document(&json!({
                "issuer": origin, "token_endpoint": format!("{origin}/oauth/token"),
            })),
            "/oauth/token" => document(&json!({
                "access_token": "token", "token_type": "Bearer", "expires_in": 3600,
            })),
            _ => status(404),
        }
    })
    .await;
    world
        .mcp
        .change(|saying| saying.issuers = vec![auth.url.clone()]);
    let source = TokenSource::builder(world.mcp.url(), credentials(&auth.url));
    let token = source.build().unwrap().token().await.unwrap();
    assert_eq!(token.expose(), "token");
}
