//! What a token is asked for: the MCP server's own URL, and a parent of it by permission only.

use jeton_agent::{AgentError, TokenSource};

use crate::support::{Mode, World, credentials};

fn resources(world: &World) -> Vec<Option<String>> {
    let asked = world.auth.token_requests();
    asked
        .iter()
        .map(|asked| asked.parameter("resource"))
        .collect()
}

#[tokio::test]
async fn a_token_for_a_parent_is_asked_for_where_that_is_allowed_only() {
    let world = World::new().await;
    for parent in [world.mcp.origin(), format!("{}/", world.mcp.origin())] {
        world
            .mcp
            .change(|saying| saying.resource = Some(parent.clone()));
        world.source().token().await.unwrap();
        assert_eq!(
            resources(&world).last().unwrap().as_ref(),
            Some(&world.mcp.url())
        );
        let allowing = world.builder().allow_parent_resource().build().unwrap();
        allowing.token().await.unwrap();
        assert_eq!(resources(&world).last().unwrap().as_ref(), Some(&parent));
    }
}

#[tokio::test]
async fn an_authorization_server_that_knows_the_parent_only_leads_to_an_error_that_says_so() {
    let world = World::new().await;
    world.auth.set(Mode::Refuse("invalid_target"));
    let error = world.source().token().await.unwrap_err();
    assert!(matches!(error, AgentError::Token(_)), "{error}");
    world
        .mcp
        .change(|saying| saying.resource = Some(world.mcp.origin()));
    let error = world.source().token().await.unwrap_err();
    assert!(
        matches!(error, AgentError::ParentResource { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("allow_parent_resource"),
        "{error}"
    );
}

#[tokio::test]
async fn metadata_about_anything_else_is_not_used() {
    let world = World::new().await;
    let origin = world.mcp.origin();
    for other in [
        format!("{origin}/other"),
        format!("{origin}/mcp/below"),
        format!("{origin}/mc"),
        origin.replace("127.0.0.1", "localhost"),
        "https://mcp.example.com/mcp".to_owned(),
        "mcp".to_owned(),
    ] {
        world
            .mcp
            .change(|saying| saying.resource = Some(other.clone()));
        let source = world.builder().allow_parent_resource().build().unwrap();
        let error = source.token().await.unwrap_err();
        assert!(
            matches!(error, AgentError::ResourceMismatch { .. }),
            "{other}: {error}"
        );
    }
    assert!(world.auth.token_requests().is_empty());
    // The slash at the end makes no other resource.
    world
        .mcp
        .change(|saying| saying.resource = Some(format!("{origin}/mcp/")));
    world.source().token().await.unwrap();
}

#[tokio::test]
async fn a_query_is_sent_with_requests_and_left_out_of_the_resource() {
    let world = World::new().await;
    let url = format!("{}?profile=x", world.mcp.url());
    let issuer = world.auth.issuer();
    // Servers differ in what they call themselves then.
    for resource in [None, Some(url.clone())] {
        world.mcp.change(|saying| saying.resource = resource);
        let source = TokenSource::builder(&url, credentials(&issuer))
            .build()
            .unwrap();
        let request = reqwest::Request::new(reqwest::Method::POST, url.parse().unwrap());
        assert_eq!(source.send(request).await.unwrap().status(), 200);
        assert_eq!(
            resources(&world).last().unwrap().as_ref(),
            Some(&world.mcp.url())
        );
    }
    let asked = world.mcp.asked();
    let calls: Vec<_> = asked.iter().filter(|asked| asked.path == "/mcp").collect();
    assert!(calls.len() >= 4);
    for call in calls {
        assert_eq!(call.query.as_deref(), Some("profile=x"));
    }
}
