//! What the provider's word is worth: of whom, about what, and what of it is taken.

use jeton_tests::{Admin, Jeton, PASSWORD, http, set_cookie};
use serde_json::{Value, json};

use crate::passkeys::refused_for;
use crate::provider::Provider;
use crate::sessions::sign_in;
use crate::world::{id_of, invite};

/// What the provider says of the account `sub` with this address.
fn account(sub: &str, email: &str) -> Value {
    json!({ "sub": sub, "email": email, "email_verified": true })
}

async fn status(jeton: &Jeton, session: &str) -> u16 {
    let request = http().get(format!("{}/dashboard", jeton.url));
    let answer = request.header("cookie", session).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn an_address_counts_where_the_provider_has_verified_it_and_the_lists_have_it() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ada@example.com\"]").await;
    let email = "ada@example.com";
    for (claims, reason) in [
        (json!({ "sub": "1" }), "no verified e-mail address"),
        (json!({ "sub": "1", "email": email }), "no verified"),
        (
            json!({ "sub": "1", "email": email, "email_verified": false }),
            "no verified",
        ),
        (account("1", "eve@example.com"), "on no list"),
    ] {
        let answer = provider.sign_in(&jeton, &claims).await;
        assert_eq!(answer.status(), 403, "{claims}");
        assert_eq!(set_cookie(&answer, "jeton_session"), None);
        refused_for(&jeton, reason).await;
    }
    let admins = "SELECT COUNT(*) FROM admin";
    assert_eq!(jeton.database().sql(admins).await.trim(), "0");
    let answer = provider.sign_in(&jeton, &account("1", email)).await;
    assert_eq!(answer.status(), 303);
    // Another account of the provider's to which the address was given since.
    let answer = provider.sign_in(&jeton, &account("2", email)).await;
    assert_eq!(answer.status(), 403);
    refused_for(&jeton, "another account").await;
}

#[tokio::test]
async fn an_account_follows_the_lists_at_every_sign_in() {
    let provider = Provider::start().await;
    let lists = "admins = [\"grace@example.com\"]\nviewers = [\"grace@example.org\"]";
    let (jeton, _folder) = provider.jeton(lists).await;
    // Somebody else may change things.
    Admin::first(&jeton).await;
    let grace = account("7", "grace@example.com");
    let answer = provider.sign_in(&jeton, &grace).await;
    let session = set_cookie(&answer, "jeton_session").unwrap();
    // That the provider leaves the address out says nothing about the lists.
    let answer = provider.sign_in(&jeton, &json!({ "sub": "7" })).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(status(&jeton, &session).await, 200);
    // An address on another list.
    let moved = account("7", "grace@example.org");
    let answer = provider.sign_in(&jeton, &moved).await;
    assert_eq!(answer.status(), 303);
    let found = "SELECT role FROM admin WHERE oidc_subject = '7' AND email = 'grace@example.org'";
    assert_eq!(jeton.database().sql(found).await.trim(), "viewer");
    assert_eq!(status(&jeton, &session).await, 200);
    // And on none.
    let left = account("7", "grace@example.net");
    let answer = provider.sign_in(&jeton, &left).await;
    assert_eq!(answer.status(), 403);
    refused_for(&jeton, "not on the lists").await;
    assert_eq!(status(&jeton, &session).await, 303, "it was ended");
}

#[tokio::test]
async fn an_account_of_before_that_the_lists_do_not_name_is_not_bound() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    let link = invite(&ada, &[("note", "Bob"), ("role", "viewer")]).await;
    Admin::join(&jeton, &link, "Bob", "bob@example.com").await;
    let before = "UPDATE admin SET role_source = 'provider', password_hash = NULL \
                  WHERE email = 'bob@example.com'";
    jeton.database().sql(before).await;
    let bob = account("1", "bob@example.com");
    assert_eq!(provider.sign_in(&jeton, &bob).await.status(), 403);
}

#[tokio::test]
async fn a_sign_in_ends_ones_own_session_in_this_browser_and_nobody_elses() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    let ceo = account("1", "ceo@example.com");
    let sign_in_beside = async |session: &str| {
        let begun = provider.begin(&jeton, "").await;
        let code = provider.code(&begun, 0, &ceo);
        let query = [
            ("code", code.as_str()),
            ("state", &begun.state),
            ("iss", &provider.issuer),
        ];
        let answer = Provider::back(&jeton, &format!("{}; {session}", begun.cookie), &query).await;
        set_cookie(&answer, "jeton_session").unwrap()
    };
    let first = sign_in_beside(&ada.session).await;
    assert_eq!(status(&jeton, &ada.session).await, 200, "Ada's");
    let second = sign_in_beside(&first).await;
    assert_eq!(status(&jeton, &first).await, 303, "replaced");
    assert_eq!(status(&jeton, &second).await, 200);
}

#[tokio::test]
async fn an_answer_belongs_to_the_sign_in_that_this_browser_began() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let ceo = account("1", "ceo@example.com");
    let (mine, other) = (
        provider.begin(&jeton, "").await,
        provider.begin(&jeton, "").await,
    );
    let iss = ("iss", provider.issuer.as_str());
    let code = provider.code(&other, 0, &ceo);
    // Somebody leads this browser to the end of a sign-in of their own.
    let query = [("code", code.as_str()), ("state", &other.state), iss];
    let answer = Provider::back(&jeton, &mine.cookie, &query).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(Provider::back(&jeton, "a=b", &query).await.status(), 400);
    let confirming = other.cookie.replace("sign-in", "confirm");
    let answer = Provider::back(&jeton, &confirming, &query).await;
    assert_eq!(answer.status(), 400, "for another purpose");
    // The nonce ties the ID token to it.
    let query = [("code", code.as_str()), ("state", &mine.state), iss];
    let answer = Provider::back(&jeton, &mine.cookie, &query).await;
    assert_eq!(answer.status(), 502);
    // The provider says no.
    let begun = provider.begin(&jeton, "").await;
    let query = [
        ("error", "access_denied"),
        ("state", begun.state.as_str()),
        iss,
    ];
    let answer = Provider::back(&jeton, &begun.cookie, &query).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("access_denied"));
}

#[tokio::test]
async fn whoever_invents_codes_is_slowed_down() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let mut statuses = Vec::new();
    for number in 0..60 {
        let begun = provider.begin(&jeton, "").await;
        let code = format!("invented-{number}");
        let query = [
            ("code", code.as_str()),
            ("state", &begun.state),
            ("iss", &provider.issuer),
        ];
        let answer = Provider::back(&jeton, &begun.cookie, &query).await;
        statuses.push(answer.status().as_u16());
        if answer.status() == 429 {
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let refused = statuses.iter().filter(|status| **status == 400).count();
    assert!(refused >= 50, "{statuses:?}");
}

#[tokio::test]
async fn whoever_has_no_way_to_sign_in_is_no_admin_who_is_left() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    let link = invite(&ada, &[("note", "Bob"), ("role", "admin")]).await;
    let bob = Admin::join(&jeton, &link, "Bob", "bob@example.com").await;
    let own = id_of(&jeton, "ada@example.com").await;
    let role = format!("/dashboard/settings/admins/{own}/role");
    let demote = async || {
        let fields = [("role", "viewer"), ("was", "admin")];
        ada.post(&role, &fields).await.status().as_u16()
    };
    let of_bob = async |columns: &str| {
        let change = format!("UPDATE admin SET {columns} WHERE email = 'bob@example.com'");
        jeton.database().sql(&change).await;
    };
    // Bound to an account of another provider.
    of_bob("password_hash = NULL, oidc_issuer = 'https://other.example', oidc_subject = '1'").await;
    assert_eq!(demote().await, 409);
    // Bound to none, with an address that nobody named.
    of_bob("oidc_issuer = NULL, oidc_subject = NULL").await;
    assert_eq!(demote().await, 409);
    let issuer = &provider.issuer;
    of_bob(&format!("oidc_issuer = '{issuer}', oidc_subject = '1'")).await;
    assert_eq!(demote().await, 303);
    assert_eq!(status(&jeton, &bob.session).await, 200);
    let answer = sign_in(&jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 303, "as a viewer");
}

#[tokio::test]
async fn a_password_is_no_way_to_sign_in_where_passwords_are_off() {
    let provider = Provider::start().await;
    let lines = "admins = [\"ceo@example.com\"]\npasswords = false";
    let (jeton, _folder) = provider.jeton(lines).await;
    // By the link of the first start, which gives her a password.
    Admin::first(&jeton).await;
    let ceo = account("1", "ceo@example.com");
    let answer = provider.sign_in(&jeton, &ceo).await;
    let session = set_cookie(&answer, "jeton_session").unwrap();
    let ceo = Admin::of_session(&jeton.url, session, "/dashboard").await;
    let own = id_of(&jeton, "ceo@example.com").await;
    let role = format!("/dashboard/settings/admins/{own}/role");
    let fields = [("role", "viewer"), ("was", "admin")];
    assert_eq!(ceo.post(&role, &fields).await.status(), 409);
}
