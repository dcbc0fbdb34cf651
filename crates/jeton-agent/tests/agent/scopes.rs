//! Scopes are widened, kept, and given up.

use std::time::Duration;

use jeton_agent::AgentError;

use crate::support::{Mode, World, eventually, wants};

fn scopes_asked(world: &World) -> Vec<String> {
    let asked = world.auth.token_requests();
    let scopes = asked.iter().map(|asked| asked.parameter("scope"));
    scopes.map(Option::unwrap_or_default).collect()
}

#[tokio::test]
async fn a_server_that_asks_in_vain_is_answered_again_later() {
    let world = World::new().await;
    let source = world.source();
    let token = source.token().await.unwrap();
    world.auth.set(Mode::Refuse("invalid_scope"));
    for step in 0..20 {
        let wider = source.widen(&token, &wants(&format!("s{step}"))).await;
        assert_eq!(wider.is_err(), step < 5, "{step}");
        assert!(wider.ok().flatten().is_none());
    }
    // Each with what the token has, and alone.
    assert_eq!(world.auth.token_requests().len(), 1 + 5 * 2);
    let was_left_out = |scope: &str| source.was_left_out(&scope.parse().unwrap());
    assert!(was_left_out("s4") && !was_left_out("s5"), "not asked for");
    world.clock.advance(Duration::from_secs(61));
    world.auth.set(Mode::Issue);
    let wider = source.widen(&token, &wants("s5")).await.unwrap().unwrap();
    assert_eq!(wider.scope().unwrap().to_string(), "a s5");
}

#[tokio::test]
async fn each_scope_that_is_granted_can_be_had_within_a_minute() {
    let world = World::new().await;
    let source = world.source();
    let mut token = source.token().await.unwrap();
    for step in 0..20 {
        let scope = format!("s{step}");
        token = source.widen(&token, &wants(&scope)).await.unwrap().unwrap();
    }
    assert_eq!(token.scope().unwrap().len(), 21);
}

#[tokio::test]
async fn calls_that_need_different_scopes_get_both() {
    let world = World::new().await;
    let source = world.source();
    let token = source.token().await.unwrap();
    let first = source.widen(&token, &wants("b")).await.unwrap().unwrap();
    // The other call was refused with the first token too.
    let second = source.widen(&token, &wants("c")).await.unwrap().unwrap();
    assert_eq!(second.scope().unwrap().to_string(), "a b c");
    // What is there already is not asked for.
    let third = source.widen(&first, &wants("b c")).await.unwrap().unwrap();
    assert_eq!(third.expose(), second.expose());
    assert_eq!(scopes_asked(&world), ["a", "a b", "a b c"]);
}

#[tokio::test]
async fn a_scope_that_is_no_longer_granted_does_not_stop_widening() {
    let world = World::new().await;
    let source = world.source();
    let token = source.token().await.unwrap();
    let token = source.widen(&token, &wants("b")).await.unwrap().unwrap();
    world.auth.set(Mode::RefuseScope("b"));
    let other = source.widen(&token, &wants("c")).await.unwrap().unwrap();
    assert_eq!(other.scope().unwrap().to_string(), "c");
    // What was had beside it comes back when it is needed.
    let both = source.widen(&other, &wants("a")).await.unwrap().unwrap();
    assert_eq!(both.scope().unwrap().to_string(), "c a");
    assert!(!source.was_left_out(&"c".parse().unwrap()));
    assert_eq!(scopes_asked(&world), ["a", "a b", "a b c", "c", "c a"]);
}

#[tokio::test]
async fn an_answer_without_scope_grants_what_was_asked_for() {
    let world = World::new().await;
    world.auth.set(Mode::IssueWithoutScope);
    let source = world.source();
    let token = source.token().await.unwrap();
    assert_eq!(token.scope().unwrap().to_string(), "a");
    let wider = source.widen(&token, &wants("b")).await.unwrap().unwrap();
    assert_eq!(wider.scope().unwrap().to_string(), "a b");
    let widest = source.widen(&wider, &wants("c")).await.unwrap().unwrap();
    assert_eq!(widest.scope().unwrap().to_string(), "a b c");
    // Renewal keeps them.
    world.clock.advance(Duration::from_secs(3601));
    let renewed = source.token().await.unwrap();
    assert_eq!(renewed.scope().unwrap().to_string(), "a b c");
    assert_eq!(scopes_asked(&world), ["a", "a b", "a b c", "a b c"]);
}

#[tokio::test]
async fn a_scope_that_was_refused_is_not_asked_for_at_every_call() {
    let world = World::new().await;
    world.auth.set(Mode::RefuseScope("b"));
    let source = world.source();
    let token = source.token().await.unwrap();
    let error = source.widen(&token, &wants("b")).await.unwrap_err();
    assert!(matches!(error, AgentError::Token(_)), "{error}");
    for _ in 0..20 {
        assert!(source.widen(&token, &wants("b")).await.unwrap().is_none());
    }
    assert!(source.was_left_out(&"b".parse().unwrap()));
    assert_eq!(scopes_asked(&world), ["a", "a b", "b"]);
    // It takes nothing away: the token is in use, and other scopes can be had.
    assert_eq!(source.token().await.unwrap().expose(), token.expose());
    let wider = source.widen(&token, &wants("c")).await.unwrap().unwrap();
    assert_eq!(wider.scope().unwrap().to_string(), "a c");
    // After a minute the grant may have been changed.
    world.auth.set(Mode::Issue);
    world.clock.advance(Duration::from_secs(61));
    let wider = source.widen(&wider, &wants("b")).await.unwrap().unwrap();
    assert_eq!(wider.scope().unwrap().to_string(), "a c b");
}

#[tokio::test]
async fn a_scope_that_is_no_longer_granted_does_not_stop_renewal() {
    let world = World::new().await;
    let source = world.source();
    let token = source.token().await.unwrap();
    source.widen(&token, &wants("b")).await.unwrap().unwrap();
    world.auth.set(Mode::RefuseScope("b"));
    world.clock.advance(Duration::from_secs(3541));
    eventually("it is renewed with what is left", async || {
        source.token().await.unwrap().scope().unwrap().to_string() == "a"
    })
    .await;
    assert_eq!(scopes_asked(&world), ["a", "a b", "a b", "a"]);
}

#[tokio::test]
async fn scopes_that_the_program_named_are_never_widened() {
    let world = World::new().await;
    let source = world.builder().scope("a".parse().unwrap()).build().unwrap();
    let token = source.token().await.unwrap();
    assert!(source.widen(&token, &wants("b")).await.unwrap().is_none());
    world.auth.set(Mode::RefuseScope("a"));
    world.clock.advance(Duration::from_secs(3601));
    assert!(source.token().await.is_err());
    assert_eq!(scopes_asked(&world), ["a", "a"]);
}

#[tokio::test]
async fn a_scope_that_was_left_out_is_not_asked_for_at_every_call() {
    let world = World::new().await;
    world.auth.set(Mode::LeaveOut("b"));
    let source = world.source();
    let token = source.token().await.unwrap();
    // The token that came is no wider, so the request is not sent again with it.
    assert!(source.widen(&token, &wants("b")).await.unwrap().is_none());
    for _ in 0..20 {
        let wider = source.widen(&token, &wants("b")).await.unwrap();
        // One token came of it, no wider than the first: sending a request again would not help.
        let current = source.token().await.unwrap();
        assert!(wider.is_none_or(|wider| wider.expose() == current.expose()));
        assert!(source.widen(&current, &wants("b")).await.unwrap().is_none());
        assert!(
            source
                .widen(&current, &wants("b c"))
                .await
                .unwrap()
                .is_none()
        );
    }
    assert_eq!(scopes_asked(&world), ["a", "a b"]);
    // What is needed beside it can be had.
    let current = source.token().await.unwrap();
    let wider = source.widen(&current, &wants("c")).await.unwrap().unwrap();
    assert_eq!(wider.scope().unwrap().to_string(), "a c");
    // After a minute the grant may have been changed.
    world.auth.set(Mode::Issue);
    world.clock.advance(Duration::from_secs(61));
    let wider = source.widen(&wider, &wants("b")).await.unwrap().unwrap();
    assert_eq!(wider.scope().unwrap().to_string(), "a c b");
}

#[tokio::test]
async fn what_the_first_answer_left_out_is_not_asked_for_again_either() {
    let world = World::new().await;
    world.mcp.change(|saying| {
        let own = format!(
            "{}/.well-known/oauth-protected-resource/mcp",
            world.mcp.origin()
        );
        saying.challenge = Some(format!(
            r#"Bearer resource_metadata="{own}", scope="a b c""#
        ));
    });
    world.auth.set(Mode::LeaveOut("b c"));
    let source = world.source();
    let token = source.token().await.unwrap();
    assert_eq!(token.scope().unwrap().to_string(), "a");
    for scope in ["b", "c", "b c", "c d"] {
        let wider = source.widen(&token, &wants(scope)).await.unwrap();
        assert!(wider.is_none(), "{scope}");
    }
    assert_eq!(scopes_asked(&world), ["a b c"]);
}

#[tokio::test]
async fn a_challenge_for_more_than_was_granted_leads_to_a_token_for_what_was() {
    let world = World::new().await;
    world.mcp.change(|saying| {
        let own = format!(
            "{}/.well-known/oauth-protected-resource/mcp",
            world.mcp.origin()
        );
        saying.challenge = Some(format!(r#"Bearer resource_metadata="{own}", scope="a b""#));
    });
    world.auth.set(Mode::RefuseScope("b"));
    let source = world.source();
    let token = source.token().await.unwrap();
    assert_eq!(token.scope().unwrap().to_string(), "all");
    // Renewed the same way, without being refused first.
    world.clock.advance(Duration::from_secs(3601));
    source.token().await.unwrap();
    assert_eq!(scopes_asked(&world), ["a b", "", ""]);
}

/// MCP 2026-07-28, *Scope Challenge Handling*.
#[tokio::test]
async fn what_an_operation_needs_is_asked_for_beside_what_the_token_has() {
    let world = World::new().await;
    let source = world.source();
    let token = source.token().await.unwrap();
    let wider = source.widen(&token, &wants("b c")).await.unwrap().unwrap();
    source.widen(&wider, &wants("d")).await.unwrap().unwrap();
    assert_eq!(scopes_asked(&world), ["a", "a b c", "a b c d"]);
}
