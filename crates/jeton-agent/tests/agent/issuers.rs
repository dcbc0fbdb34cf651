//! Credentials go to the issuer that they belong to.

use jeton_agent::{AgentError, TokenError, TokenSource, request_token};
use jeton_core::{ScopeSet, ServerMetadata};

use crate::support::{AuthorizationServer, SECRET, World, credentials};

fn request(world: &World) -> reqwest::Request {
    reqwest::Request::new(reqwest::Method::POST, world.mcp.url().parse().unwrap())
}

#[tokio::test]
async fn an_mcp_server_cannot_name_who_gets_the_secret() {
    let world = World::new().await;
    let other = AuthorizationServer::start().await;
    world
        .mcp
        .change(|saying| saying.issuers = vec![other.issuer()]);
    let error = world.source().token().await.unwrap_err();
    assert!(matches!(error, AgentError::OtherIssuer { .. }), "{error}");
    let words = error.to_string();
    assert!(
        words.contains(&other.issuer()) && words.contains(&world.auth.issuer()),
        "{words}"
    );
    assert!(!format!("{error:?} {error}").contains(SECRET));
    assert!(other.asked().is_empty());
    assert!(world.auth.token_requests().is_empty());
}

#[tokio::test]
async fn nor_can_it_after_a_401() {
    let world = World::new().await;
    let other = AuthorizationServer::start().await;
    let source = world.source();
    assert_eq!(source.send(request(&world)).await.unwrap().status(), 200);
    world.mcp.change(|saying| {
        saying.issuers = vec![other.issuer()];
        saying.refuses = true;
    });
    let error = source.send(request(&world)).await.unwrap_err();
    assert!(matches!(error, AgentError::OtherIssuer { .. }), "{error}");
    assert!(other.asked().is_empty());
    assert_eq!(world.auth.token_requests().len(), 1);
}

#[tokio::test]
async fn of_several_authorization_servers_the_one_of_the_credentials_is_asked() {
    let world = World::new().await;
    let other = AuthorizationServer::start().await;
    world
        .mcp
        .change(|saying| saying.issuers.insert(0, other.issuer()));
    world.source().token().await.unwrap();
    assert!(other.asked().is_empty());
    assert!(!world.mcp.has_seen(SECRET));
}

#[tokio::test]
async fn the_same_jetons_issuer_for_one_mcp_server_is_asked() {
    let world = World::new().await;
    let issuer = world.auth.issuer();
    let own = format!("{issuer}/resources/res_01890a5d3cv8q9r7s6t5w4x3y2");
    world
        .mcp
        .change(|saying| saying.issuers = vec![own.clone()]);
    world.source().token().await.unwrap();
    let [asked] = &world.auth.token_requests()[..] else {
        panic!("one token request");
    };
    assert_eq!(
        format!("{issuer}{}", asked.path),
        format!("{own}/oauth/token")
    );
    // Another tenant of the same host is somebody else.
    for other in ["/resources/other", "/other", "/resources/res_1/../../other"] {
        world
            .mcp
            .change(|saying| saying.issuers = vec![format!("{issuer}{other}")]);
        let error = world.source().token().await.unwrap_err();
        assert!(matches!(error, AgentError::OtherIssuer { .. }), "{error}");
    }
    assert_eq!(world.auth.token_requests().len(), 1);
}

#[tokio::test]
async fn the_slash_after_an_origin_does_not_matter_and_any_other_difference_does() {
    let world = World::new().await;
    let issuer = world.auth.issuer();
    for (named, metadata) in [
        (format!("{issuer}/"), issuer.clone()),
        (issuer.clone(), format!("{issuer}/")),
        (format!("{issuer}/"), format!("{issuer}/")),
    ] {
        world
            .mcp
            .change(|saying| saying.issuers = vec![named.clone()]);
        world.auth.call_itself(&metadata);
        world.source().token().await.unwrap();
        // The other way round, too.
        let credentials = credentials(&metadata);
        let source = TokenSource::builder(world.mcp.url(), credentials);
        source.build().unwrap().token().await.unwrap();
    }
    for other in [
        format!("{issuer}//"),
        format!("{issuer}/x"),
        "https://a.example".into(),
    ] {
        world.auth.call_itself(&other);
        let error = world.source().token().await.unwrap_err();
        assert!(
            matches!(error, AgentError::Discovery(_)),
            "{other}: {error}"
        );
    }
    assert_eq!(world.auth.token_requests().len(), 6);
}

#[tokio::test]
async fn a_token_request_to_another_issuers_endpoint_is_not_made() {
    let world = World::new().await;
    let other = AuthorizationServer::start().await;
    let issuer = other.issuer();
    let server = ServerMetadata::for_issuer(&issuer, &issuer, &ScopeSet::empty());
    let client = jeton_jose::http_client().unwrap();
    let credentials = credentials(&world.auth.issuer());
    let error = request_token(&client, &server, &credentials, None, None)
        .await
        .unwrap_err();
    assert!(matches!(error, TokenError::OtherIssuer { .. }), "{error}");
    assert!(other.asked().is_empty());
}
