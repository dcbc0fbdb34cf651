//! Changes, and those that must not be made.

use jeton_tests::{Admin, PASSWORD, PageForm, http, set_cookie};
use serde_json::json;

use crate::sessions::sign_in;
use crate::world::{World, fields};

#[tokio::test]
async fn no_change_is_made_without_the_right_session_role_and_form() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let before = world.changed().await;
    // Those that the second half of this test leaves out are refused alike, whatever they are about.
    let zeros = "0".repeat(26);
    let others = [
        format!("/dashboard/settings/admins/adm_{zeros}/role"),
        format!("/dashboard/settings/admins/adm_{zeros}/remove"),
        format!("/dashboard/settings/invitations/inv_{zeros}/revoke"),
    ];
    let others = others.into_iter().map(|path| (path, Vec::new()));
    for (path, values) in &world
        .changes
        .iter()
        .cloned()
        .chain(others)
        .collect::<Vec<_>>()
    {
        let admin = &world.admin;
        let nobody = http();
        let url = format!("{}{path}", world.jeton.url);
        let right = fields(values, &admin.csrf);
        let cases = [
            (
                "no CSRF token",
                403,
                admin.post_raw(path, &fields(values, "")),
            ),
            (
                "another session's CSRF token",
                403,
                admin.post_raw(path, &fields(values, &viewer.csrf)),
            ),
            (
                "another site",
                403,
                admin
                    .post_raw(path, &right)
                    .header("sec-fetch-site", "cross-site"),
            ),
            (
                "another origin of the same site",
                403,
                admin
                    .post_raw(path, &right)
                    .header("sec-fetch-site", "same-site"),
            ),
            ("no session", 303, nobody.post(&url).form(&right)),
            (
                "a session that never was",
                303,
                nobody
                    .post(&url)
                    .header("cookie", "jeton_session=jeton_oops")
                    .form(&right),
            ),
            (
                "a viewer",
                403,
                viewer.post_raw(path, &fields(values, &viewer.csrf)),
            ),
            (
                "JSON",
                415,
                admin
                    .get(path)
                    .build()
                    .map(|_| {
                        nobody
                            .post(&url)
                            .header("cookie", &admin.session)
                            .json(&json!({ "csrf": admin.csrf }))
                    })
                    .unwrap(),
            ),
            (
                "too large",
                413,
                admin.post_raw(
                    path,
                    &[
                        ("csrf", admin.csrf.as_str()),
                        ("name", &"x".repeat(600_000)),
                    ],
                ),
            ),
        ];
        for (what, expected, request) in cases {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), expected, "{what}: {path}");
            if expected == 303 {
                let location = answer.headers()["location"].to_str().unwrap().to_owned();
                assert!(location.starts_with("/dashboard/sign-in"), "{location}");
            }
            assert_eq!(
                answer.headers()["cache-control"],
                "no-store",
                "{what}: {path}"
            );
        }
    }
    assert_eq!(world.changed().await, before, "something was changed");

    // With all of it right, each of them works, in this order.
    for (path, values) in &world.changes {
        let forms = world.forms().await;
        // Its own form says what it was made from, where it has to.
        let form = forms.iter().find(|form| form.action == *path);
        let seen = form.map(PageForm::seen).unwrap_or_default();
        let values = [fields(values, ""), seen].concat();
        let answer = world.admin.post(path, &values).await;
        assert_eq!(answer.status(), 303, "{path}: {:?}", answer.text().await);
    }
    assert!(world.changed().await >= before + world.changes.len() - 1);
}

#[tokio::test]
async fn fields_that_cannot_be_used_are_refused_with_a_sentence_and_kept() {
    let world = World::new().await;
    let long = "x".repeat(101);
    let base = [
        ("name", "New"),
        ("url", "http://localhost:9/mcp"),
        ("token_ttl", "1"),
        ("token_ttl_unit", "hours"),
        ("signing_alg", "RS256"),
    ];
    for (field, value, sentence) in [
        ("name", "", "not be empty"),
        ("name", long.as_str(), "101 characters"),
        ("name", "a\u{7}b", "control character U+0007"),
        ("url", "javascript:alert(1)", "xpected an http or https URL"),
        ("url", "data:text/html,x", "xpected an http or https URL"),
        ("url", "http://localhost:1/mcp", "registered already"),
        ("token_ttl", "25", "86400"),
        ("token_ttl", "-1", "above zero"),
        ("token_ttl", "soon", "whole number"),
        ("token_ttl_unit", "eons", "seconds, minutes"),
        ("signing_alg", "none", "RS256"),
        ("scope_name", "two words", "scope"),
        ("description", &"y".repeat(1001), "1001 characters"),
    ] {
        let mut fields: Vec<_> = base
            .iter()
            .copied()
            .filter(|(name, _)| *name != field)
            .collect();
        fields.push((field, value));
        fields.push(("scope_description", ""));
        let answer = world.admin.post("/dashboard/mcp-servers", &fields).await;
        assert_eq!(answer.status(), 422, "{field} = {value}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(sentence), "{field} = {value}: {sentence}");
    }
    let path = format!("/dashboard/clients/{}/settings", world.client);
    for (field, value, sentence) in [
        ("custom_claims", "[1]", "JSON object"),
        (
            "custom_claims",
            "{\"iss\": 1}",
            "set by the authorization server",
        ),
        ("token_ttl", "5", "60"),
    ] {
        let fields = [
            ("name", "agent"),
            ("token_ttl_unit", "seconds"),
            (field, value),
        ];
        let answer = world.admin.submit(&path, &path, &fields).await;
        assert_eq!(answer.status(), 422, "{field} = {value}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(sentence), "{field} = {value}: {sentence}");
    }
    // What somebody else changed meanwhile is not overwritten.
    let fields = [("name", "agent"), ("version", "1")];
    assert_eq!(world.admin.post(&path, &fields).await.status(), 303);
    assert_eq!(world.admin.post(&path, &fields).await.status(), 409);
}

#[tokio::test]
async fn a_new_secret_is_shown_once_to_the_one_who_made_it() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let path = format!("/dashboard/clients/{}", world.client);
    let answer = world.admin.post(&format!("{path}/secrets"), &[]).await;
    let reveal = set_cookie(&answer, "jeton_reveal").unwrap();
    let secret_id = "id=\"client-secret\"";
    let with = |admin: &Admin| {
        admin
            .get(&path)
            .header("cookie", format!("{}; {reveal}", admin.session))
    };
    // A viewer cannot open it, nor another session of the same admin, nor another page.
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let session = set_cookie(&again, "jeton_session").unwrap();
    let elsewhere = http()
        .get(format!("{}{path}", world.jeton.url))
        .header("cookie", format!("{session}; {reveal}"));
    let page = elsewhere.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(secret_id));
    let settings = world
        .admin
        .get("/dashboard/settings")
        .header("cookie", format!("{}; {reveal}", world.admin.session));
    let page = settings.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("invitation-link"));
    let page = with(&viewer).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(secret_id));
    let answer = with(&world.admin).send().await.unwrap();
    let taken_away = answer.headers().get_all("set-cookie").iter().any(|value| {
        let value = value.to_str().unwrap();
        value.starts_with("jeton_reveal=;") && value.contains("Max-Age=0")
    });
    assert!(
        taken_away,
        "the page that shows the secret takes the cookie away"
    );
    let page = answer.text().await.unwrap();
    let secret = page.split(secret_id).nth(1).unwrap()[1..]
        .split('<')
        .next()
        .unwrap();
    assert!(secret.starts_with("jeton_"), "{secret}");
    assert!(!world.admin.page(&path).await.contains(secret));
    assert!(!reveal.contains(secret), "the cookie is sealed");
    assert!(!world.jeton.log().contains(secret));
}
