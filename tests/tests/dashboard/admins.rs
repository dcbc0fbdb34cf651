//! Who is an admin: what the configuration and other admins give and take.

use jeton_tests::{
    Admin, HeldLog, Jeton, JetonOptions, JoinForm, PASSWORD, csrf_in, eventually, hidden_field,
    http, postgres_cluster, set_cookie,
};
use serde_json::json;

use crate::provider::Provider;
use crate::sessions::{device_in, guess_until_slowed_down, sign_in, sign_in_on};
use crate::world::{World, id_of, invite, link_of};

const ISSUER: &str = "https://login.example.com";

fn section(issuer: &str, admins: &str, viewers: &str) -> String {
    format!(
        "[oidc]\nissuer = \"{issuer}\"\nclient_id = \"jeton\"\nadmins = [{admins}]\nviewers = [{viewers}]\n"
    )
}

/// Starts the server again with this in `jeton.toml`.
async fn restart(mut jeton: Jeton, configuration: &str) -> Jeton {
    jeton.terminate().await;
    let file = jeton.folder().join("jeton.toml");
    std::fs::write(&file, configuration).unwrap();
    let options = JetonOptions {
        flags: vec!["--config", file.to_str().unwrap()],
        environment: vec![("JETON_OIDC_CLIENT_SECRET", "s")],
        ..JetonOptions::default()
    };
    jeton.restart(options).await
}

async fn status(jeton: &Jeton, session: &str) -> u16 {
    let request = http().get(format!("{}/dashboard", jeton.url));
    let answer = request.header("cookie", session).send().await.unwrap();
    answer.status().as_u16()
}

/// Ada, who has a password, and Vera, who came by the provider's lists, with Vera's session in the database.
async fn with_a_listed_viewer() -> (Jeton, Admin, Admin, String) {
    let world = World::new().await;
    let vera = world.viewer().await;
    let database = world.jeton.database();
    let columns = "digest, admin_id, created_at, seen_at";
    let found = database
        .sql(&format!(
            "SELECT {columns} FROM admin_session WHERE admin_id IN \
             (SELECT id FROM admin WHERE email = 'vera@example.com')"
        ))
        .await;
    let row = found.trim().split('|').collect::<Vec<_>>();
    let [digest, admin, created, seen]: [&str; 4] = row.try_into().unwrap();
    let again = format!(
        "INSERT INTO admin_session ({columns}) VALUES ('{digest}', '{admin}', {created}, {seen})"
    );
    database
        .sql(&format!(
            "UPDATE admin SET role_source = 'provider', password_hash = NULL, \
             oidc_issuer = '{ISSUER}', oidc_subject = '1' WHERE email = 'vera@example.com'"
        ))
        .await;
    (world.jeton, world.admin, vera, again)
}

#[tokio::test]
async fn a_configuration_that_does_not_list_somebody_signs_them_out_and_deletes_nobody() {
    let (mut jeton, ada, vera, begin_again) = with_a_listed_viewer().await;
    let listed = section(ISSUER, "", "\"@example.com\"");
    jeton = restart(jeton, &listed).await;
    assert_eq!(status(&jeton, &vera.session).await, 200, "listed");
    let page = http().get(format!("{}/dashboard/settings", jeton.url));
    let page = page.header("cookie", &ada.session).send().await.unwrap();
    let page = page.text().await.unwrap();
    let from_lists = page.matches("(from the lists of [oidc])").count();
    assert_eq!(from_lists, 1, "Ada's role stays: {page}");
    assert!(page.contains("To make someone follow the lists, remove them"));
    let slash = section(&format!("{ISSUER}/"), "", "\"@example.com\"");
    let unlisted = section(ISSUER, "\"ada@example.com\"", "");
    for without in [String::new(), slash, unlisted] {
        jeton = restart(jeton, &without).await;
        assert_eq!(status(&jeton, &vera.session).await, 303, "{without}");
        // Nor is a session honoured that another server, with other lists, began.
        jeton.database().sql(&begin_again).await;
        assert_eq!(status(&jeton, &vera.session).await, 303, "{without}");
        let page = http().get(format!("{}/dashboard/settings", jeton.url));
        let page = page.header("cookie", &ada.session).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("vera@example.com") && page.contains("no access"));
        assert_eq!(page.matches("no access").count(), 1, "Ada has a password");

        jeton = restart(jeton, &without).await;
        jeton = restart(jeton, &listed).await;
        assert_eq!(status(&jeton, &vera.session).await, 303, "it was ended");
        jeton.database().sql(&begin_again).await;
        assert_eq!(status(&jeton, &vera.session).await, 200, "back on the list");
    }
    let operator = jeton.operator().await;
    assert!(operator.audit("kind=admin.deleted").await.is_empty());
    let ended = operator.audit("kind=admin.signed_out").await;
    let system = ended.iter().filter(|event| event["actor"] == "system");
    assert_eq!(system.count(), 6, "{ended:?}");
}

#[tokio::test]
async fn the_lists_demote_neither_the_last_admin_nor_one_whose_role_may_be_another_admins_doing() {
    let (mut jeton, _, _, _) = with_a_listed_viewer().await;
    let role = async |jeton: &Jeton| {
        let roles = "SELECT role FROM admin WHERE email = 'vera@example.com'";
        jeton.database().sql(roles).await.trim().to_owned()
    };
    let as_viewer = section(ISSUER, "", "\"vera@example.com\"");
    let make = "UPDATE admin SET role = 'admin' WHERE email = 'vera@example.com'";

    // Ada may change things as well.
    jeton.database().sql(make).await;
    jeton = restart(jeton, &as_viewer).await;
    assert_eq!(role(&jeton).await, "viewer");

    // Whoever was there before accounts were bound.
    jeton.database().sql(make).await;
    let unbind = "UPDATE admin SET oidc_issuer = NULL, oidc_subject = NULL \
                  WHERE email = 'vera@example.com'";
    jeton.database().sql(unbind).await;
    jeton = restart(jeton, &as_viewer).await;
    assert_eq!(role(&jeton).await, "admin");

    // Ada came by the lists too, and is on them no more.
    let bind = format!(
        "UPDATE admin SET oidc_issuer = '{ISSUER}', oidc_subject = email, role_source = 'provider'"
    );
    jeton.database().sql(&bind).await;
    jeton = restart(jeton, &as_viewer).await;
    assert_eq!(role(&jeton).await, "admin");
    assert!(jeton.log().contains("kept the role of the last admin"));
}

#[tokio::test]
async fn an_admin_who_was_just_demoted_demotes_nobody() {
    let world = World::new().await;
    let vera = world.viewer().await;
    let ids = async |name: &str| {
        let id = format!("SELECT id FROM admin WHERE email = '{name}@example.com'");
        world.jeton.database().sql(&id).await.trim().to_owned()
    };
    let path = async |name: &str| format!("/dashboard/settings/admins/{}/role", ids(name).await);
    let (of_ada, of_vera) = (path("ada").await, path("vera").await);
    // Somebody else would be left.
    let link = world.invitation().await;
    Admin::join(&world.jeton, &link, "Grace", "grace@example.com").await;
    let promote = "UPDATE admin SET role = 'admin'";
    world.jeton.database().sql(promote).await;
    // On PostgreSQL something holds up both, so that they surely overlap.
    let database = world.jeton.database();
    let held = match postgres_cluster() {
        Some(_) => Some(HeldLog::hold(database).await),
        None => None,
    };
    let releasing = async {
        if let Some(held) = held {
            eventually("both wait", async || database.waiting().await >= 2).await;
            held.release().await;
        }
    };
    let viewer = [("role", "viewer"), ("was", "admin")];
    let (by_ada, by_vera, ()) = tokio::join!(
        world.admin.post(&of_vera, &viewer),
        vera.post(&of_ada, &viewer),
        releasing
    );
    let mut statuses = [by_ada.status().as_u16(), by_vera.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 303);
    assert!([403, 409].contains(&statuses[1]), "{statuses:?}");
    let left = "SELECT count(*) FROM admin WHERE role = 'admin'";
    assert_eq!(database.sql(left).await.trim(), "2");
}

#[tokio::test]
async fn nobody_comes_back_by_an_invitation_of_their_own() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    for end in ["remove", "role", "lists"] {
        let email = format!("bob-{end}@example.com");
        let path = invite(&world.admin, &[("note", "Bob"), ("role", "admin")]).await;
        let bob = Admin::join(&world.jeton, &path, "Bob", &email).await;
        let link = invite(&bob, &[("note", "Bob again"), ("role", "admin")]).await;
        assert_eq!(world.jeton.get(&link).await.status(), 200);
        let settings = world.admin.page("/dashboard/settings").await;
        assert!(settings.contains("Bob again") && settings.contains("<td>Bob</td>"));
        let id = world.id_of(&email).await;
        if end == "lists" {
            // He came by the lists, which no longer have him.
            let by_lists = format!("UPDATE admin SET role_source = 'provider' WHERE id = '{id}'");
            world.jeton.database().sql(&by_lists).await;
            let settings = world.admin.page("/dashboard/settings").await;
            assert!(settings.contains("may no longer invite"), "{settings}");
            let answer = sign_in(&world.jeton, &email, PASSWORD).await;
            assert_eq!(answer.status(), 401, "nor sign in");
        } else {
            let action = format!("/dashboard/settings/admins/{id}/{end}");
            let fields = [("role", "viewer"), ("was", "admin")];
            let answer = match end {
                "remove" => world.admin.submit(&action, &action, &[]).await,
                _ => world.admin.post(&action, &fields).await,
            };
            assert_eq!(answer.status(), 303);
            let cancelled = operator.audit("kind=admin.invitation_revoked").await;
            assert_eq!(cancelled[0]["detail"]["invited_by"], id.as_str());
            assert_eq!(cancelled[0]["detail"]["note"], "Bob again");
        }
        assert_eq!(world.jeton.get(&link).await.status(), 410, "{end}");
    }
    let changed = &operator.audit("kind=admin.updated").await[0]["detail"];
    assert_eq!(changed["admin_email"], "bob-role@example.com");
    let roles = (&changed["role_before"], &changed["role"]);
    assert_eq!(roles, (&json!("admin"), &json!("viewer")));
}

#[tokio::test]
async fn an_admin_who_invited_somebody_since_is_not_removed_unseen() {
    let world = World::new().await;
    let link = invite(&world.admin, &[("note", "Vera"), ("role", "admin")]).await;
    let vera = Admin::join(&world.jeton, &link, "Vera", "vera@example.com").await;
    let id = world.id_of("vera@example.com").await;
    let remove = format!("/dashboard/settings/admins/{id}/remove");
    let page = world.admin.page(&remove).await;
    let seen = hidden_field(&page, &remove, "seen");
    let seen = [("seen", seen.as_str())];
    assert_eq!(world.admin.post(&remove, &[]).await.status(), 422);
    let link = invite(&vera, &[("note", "Eve"), ("role", "admin")]).await;
    assert_eq!(world.admin.post(&remove, &seen).await.status(), 409);
    // Who joined by it would stay.
    Admin::join(&world.jeton, &link, "Eve", "eve@example.com").await;
    assert_eq!(world.admin.post(&remove, &seen).await.status(), 409);
    let page = world.admin.page("/dashboard/settings").await;
    assert!(page.contains("vera@example.com"), "{page}");
    let removed = world.admin.submit(&remove, &remove, &[]).await;
    assert_eq!(removed.status(), 303);
    let page = world.admin.page("/dashboard/settings").await;
    assert!(!page.contains("vera@example.com"), "{page}");
}

#[tokio::test]
async fn what_an_admin_leaves_behind_is_named_before_they_are_removed() {
    let world = World::new().await;
    let path = invite(&world.admin, &[("note", "Bob"), ("role", "admin")]).await;
    let bob = Admin::join(&world.jeton, &path, "Bob", "bob@example.com").await;
    let link = invite(&bob, &[("note", "Eve"), ("role", "viewer")]).await;
    Admin::join(&world.jeton, &link, "Eve", "eve@example.com").await;
    invite(&bob, &[("note", "Mallory"), ("role", "admin")]).await;
    let settings = bob.page("/dashboard/settings").await;
    let api = settings
        .split("/dashboard/mcp-servers/res_")
        .nth(1)
        .unwrap();
    let api = format!("res_{}", api.split('/').next().unwrap());
    let action = format!("/dashboard/mcp-servers/{api}/clients");
    let fields = [("name", "bobs-pipeline"), ("scope", "admin:write")];
    assert_eq!(bob.post(&action, &fields).await.status(), 303);
    let ends = "SELECT suffix FROM client_secret WHERE owner = \
                (SELECT id FROM client WHERE name = 'bobs-pipeline')";
    let end = world.jeton.database().sql(ends).await;
    let id = world.id_of("bob@example.com").await;
    let page = world
        .admin
        .page(&format!("/dashboard/settings/admins/{id}/remove"))
        .await;
    for left in [
        "1 session,",
        "for Mallory as admin",
        "eve@example.com",
        "bobs-pipeline",
        end.trim(),
    ] {
        assert!(page.contains(left), "{left}: {page}");
    }
    let ada = world.id_of("ada@example.com").await;
    let page = world
        .admin
        .page(&format!("/dashboard/settings/admins/{ada}/remove"))
        .await;
    assert!(!page.contains("bobs-pipeline"));
}

/// What the provider says of somebody with this address.
fn person(email: &str) -> serde_json::Value {
    json!({ "sub": email, "email": email, "email_verified": true })
}

#[tokio::test]
async fn an_account_made_by_a_link_is_handed_over_without_its_password() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    let link = invite(&ada, &[("note", "Eve"), ("role", "viewer")]).await;
    // Eve writes an address that is not hers.
    let eve = Admin::join(&jeton, &link, "Ceo", "ceo@example.com").await;
    let promised = invite(&ada, &[("note", "Eve"), ("role", "viewer")]).await;
    Admin::join(&jeton, &promised, "Cfo", "cfo@example.com").await;

    let answer = provider.sign_in(&jeton, &person("ceo@example.com")).await;
    assert_eq!(answer.status(), 303, "{:?}", answer.text().await);
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.contains("done=handed-over"), "the person is told");
    let session = set_cookie(&answer, "jeton_session").unwrap();
    assert_eq!(status(&jeton, &session).await, 200);
    assert_eq!(status(&jeton, &eve.session).await, 303, "Eve's session");
    let answer = sign_in(&jeton, "ceo@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 401, "Eve's password");
    let forgotten = "SELECT browsers_forgotten_at IS NOT NULL AND password_hash IS NULL FROM admin \
                     WHERE email = 'ceo@example.com' AND role = 'admin' AND role_source = 'provider'";
    let forgotten = jeton.database().sql(forgotten).await;
    assert!(["1", "t"].contains(&forgotten.trim()), "{forgotten}");
    let operator = jeton.operator().await;
    let bound = &operator.audit("kind=admin.updated").await[0]["detail"];
    assert_eq!(bound["password"], "removed");
    let roles = (&bound["role_before"], &bound["role"]);
    assert_eq!(roles, (&json!("viewer"), &json!("admin")));

    // Nobody named the address of the other: neither the lists nor whoever invited them.
    let answer = provider.sign_in(&jeton, &person("cfo@example.com")).await;
    assert_eq!(answer.status(), 403);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("invite cfo@example.com by name")
    );
    assert_eq!(
        sign_in(&jeton, "cfo@example.com", PASSWORD).await.status(),
        303
    );
    let refused = operator.audit("kind=admin.sign_in_refused").await;
    assert!(
        refused[0]["reason"]
            .as_str()
            .unwrap()
            .contains("nobody named it")
    );

    // An address that the inviter named is the only one that joins, and is bound with the role of the invitation.
    let fields = [
        ("note", "Vera"),
        ("role", "viewer"),
        ("email", "vera@example.com"),
    ];
    let link = invite(&ada, &fields).await;
    let form = JoinForm::open(&jeton, &link).await;
    let answer = form.send("Eve", "eve@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 422);
    let vera = Admin::join(&jeton, &link, "Vera", "vera@example.com").await;
    let answer = provider.sign_in(&jeton, &person("vera@example.com")).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        status(&jeton, &vera.session).await,
        303,
        "begun by password"
    );
    let settings = ada.page("/dashboard/settings").await;
    assert_eq!(
        settings.matches("address not confirmed").count(),
        2,
        "Ada and Cfo"
    );
}

#[tokio::test]
async fn the_providers_answer_is_taken_once_from_the_right_provider_with_the_agreed_algorithm() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ada@example.com\"]").await;
    let ada = person("ada@example.com");
    let begun = provider.begin(&jeton, "").await;
    let code = provider.code(&begun, 0, &ada);
    let back = async |query: &[(&str, &str)]| {
        Provider::back(&jeton, &begun.cookie, query)
            .await
            .status()
            .as_u16()
    };
    let (code, state) = (("code", code.as_str()), ("state", begun.state.as_str()));
    let iss = ("iss", provider.issuer.as_str());
    // RFC 9207 §2.4: this provider says that it always names itself.
    assert_eq!(back(&[code, state]).await, 400, "without iss");
    assert_eq!(
        back(&[code, state, ("iss", "https://evil.example")]).await,
        400
    );
    assert_eq!(back(&[code, state, iss]).await, 303);
    assert_eq!(back(&[code, state, iss]).await, 400, "again");

    // Another key of the provider's, with another algorithm than this client's.
    let begun = provider.begin(&jeton, "").await;
    let code = provider.code(&begun, 1, &ada);
    let query = [("code", code.as_str()), ("state", &begun.state), iss];
    let answer = Provider::back(&jeton, &begun.cookie, &query).await;
    assert_eq!(answer.status(), 502);
    let spent = answer.headers().get_all("set-cookie").iter();
    assert!(spent.into_iter().any(|value| {
        let value = value.to_str().unwrap();
        value.starts_with("jeton_oidc=;") && value.contains("Max-Age=0")
    }));
    assert!(jeton.log().contains("id_token_signing_alg"));

    // Core §3.1.3.7 numbers 3 to 5.
    for claims in [
        json!({ "azp": "another" }),
        json!({ "aud": ["jeton", "another"] }),
    ] {
        let mut claims = claims;
        claims
            .as_object_mut()
            .unwrap()
            .extend(ada.as_object().unwrap().clone());
        assert_eq!(
            provider.sign_in(&jeton, &claims).await.status(),
            502,
            "{claims}"
        );
    }
}

#[tokio::test]
async fn privileges_change_only_for_whoever_proved_a_moment_ago_who_they_are() {
    let world = World::new().await;
    let vera = world.viewer().await;
    let vera_id = world.id_of("vera@example.com").await;
    let database = world.jeton.database();
    let long_ago = "UPDATE admin_session SET confirmed_at = confirmed_at - 601000";
    database.sql(long_ago).await;
    let settings = world.admin.page("/dashboard/settings").await;
    let api = settings
        .split("/dashboard/mcp-servers/res_")
        .nth(1)
        .unwrap();
    let api = format!("res_{}", api.split('/').next().unwrap());
    let invitation = [("note", "Zoe"), ("role", "admin")];
    let role = format!("/dashboard/settings/admins/{vera_id}/role");
    let changes: [(String, &[(&str, &str)]); 4] = [
        ("/dashboard/settings/invitations".into(), &invitation),
        (role, &[("role", "admin"), ("was", "viewer")]),
        (format!("/dashboard/settings/admins/{vera_id}/reset"), &[]),
        (
            format!("/dashboard/mcp-servers/{api}/clients"),
            &[("name", "x"), ("scope", "admin:write")],
        ),
    ];
    let before = world.changed().await;
    for (path, fields) in &changes {
        let answer = world.admin.post(path, fields).await;
        assert_eq!(answer.status(), 403, "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("Confirm it") && page.contains("name=\"current_password\""));
        for (name, value) in *fields {
            assert!(
                page.contains(&format!("name=\"{name}\" value=\"{value}\"")),
                "{page}"
            );
        }
    }
    let mut wrong = invitation.to_vec();
    wrong.push(("current_password", "wrong"));
    let answer = world
        .admin
        .post("/dashboard/settings/invitations", &wrong)
        .await;
    assert_eq!(answer.status(), 403);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("his is not your password")
    );
    assert_eq!(world.changed().await, before, "nothing was changed");

    let mut right = invitation.to_vec();
    right.push(("current_password", PASSWORD));
    invite(&world.admin, &right).await;
    // And for some minutes it is not asked again.
    invite(&world.admin, &invitation).await;
    let answer = vera.post("/dashboard/settings/invitations", &right).await;
    assert_eq!(answer.status(), 403, "a viewer");
}

#[tokio::test]
async fn whoever_came_by_the_provider_proves_there_again_who_they_are() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ada@example.com\"]").await;
    let answer = provider.sign_in(&jeton, &person("ada@example.com")).await;
    let session = set_cookie(&answer, "jeton_session").unwrap();
    let long_ago = "UPDATE admin_session SET confirmed_at = 0";
    jeton.database().sql(long_ago).await;
    let page = http().get(format!("{}/dashboard/settings", jeton.url));
    let page = page.header("cookie", &session).send().await.unwrap();
    let csrf = csrf_in(&page.text().await.unwrap());
    let post = async |session: &str, csrf: &str| {
        let url = format!("{}/dashboard/settings/invitations", jeton.url);
        let form = [("csrf", csrf), ("note", "Zoe"), ("role", "viewer")];
        http()
            .post(url)
            .header("cookie", session)
            .form(&form)
            .send()
            .await
            .unwrap()
    };
    let answer = post(&session, &csrf).await;
    assert_eq!(answer.status(), 403);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("/dashboard/oidc/start?confirm=true")
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let again = async |auth_time: u64| {
        let begun = provider
            .begin(&jeton, "?confirm=true&next=/dashboard/settings")
            .await;
        assert!(begun.location.contains("prompt=login") && begun.location.contains("max_age=0"));
        let mut claims = person("ada@example.com");
        claims["auth_time"] = json!(auth_time);
        let code = provider.code(&begun, 0, &claims);
        let query = [
            ("code", code.as_str()),
            ("state", &begun.state),
            ("iss", &provider.issuer),
        ];
        Provider::back(&jeton, &format!("{}; {session}", begun.cookie), &query).await
    };
    assert_eq!(
        again(now - 3_600).await.status(),
        403,
        "the provider asked an hour ago"
    );
    let answer = again(now).await;
    assert_eq!(answer.status(), 303);
    let fresh = set_cookie(&answer, "jeton_session").unwrap();
    assert_eq!(
        status(&jeton, &session).await,
        303,
        "the new session replaces it"
    );
    let page = http().get(format!("{}/dashboard/settings", jeton.url));
    let page = page.header("cookie", &fresh).send().await.unwrap();
    let csrf = csrf_in(&page.text().await.unwrap());
    assert_eq!(post(&fresh, &csrf).await.status(), 303);
}

#[tokio::test]
async fn an_admin_gives_another_a_new_password_by_a_link_that_works_once() {
    let world = World::new().await;
    let vera = world.viewer().await;
    let id = world.id_of("vera@example.com").await;
    let action = format!("/dashboard/settings/admins/{id}/reset");
    let link = link_of(&world.admin, world.admin.post(&action, &[]).await).await;
    let form = JoinForm::open(&world.jeton, &link).await;
    let asks = (
        form.page.contains("Choose a new password"),
        form.page.contains("name=\"email\""),
    );
    assert_eq!(asks, (true, false), "{}", form.page);
    let new = "a password that is new";
    assert_eq!(form.send("", "", new).await.status(), 303);
    assert_eq!(world.jeton.get(&link).await.status(), 410, "used");
    assert_eq!(
        status(&world.jeton, &vera.session).await,
        303,
        "her old session"
    );
    let old = sign_in(&world.jeton, "vera@example.com", PASSWORD).await;
    assert_eq!(old.status(), 401);
    let now = sign_in(&world.jeton, "vera@example.com", new).await;
    assert_eq!(now.status(), 303);
    let operator = world.jeton.operator().await;
    let made = &operator.audit("kind=admin.invited").await[0];
    assert_eq!(made["detail"]["resets"], id.as_str());
    let ada = world.id_of("ada@example.com").await;
    let used = &operator.audit("kind=admin.updated").await[0]["detail"];
    assert_eq!(
        (&used["password"], &used["invited_by"]),
        (&json!("reset"), &json!(ada))
    );
}

/// The path of a link by which somebody gets a new password.
async fn reset(by: &Admin, id: &str) -> String {
    let action = format!("/dashboard/settings/admins/{id}/reset");
    link_of(by, by.post(&action, &[]).await).await
}

#[tokio::test]
async fn a_reset_leaves_no_other_link_and_no_browser_that_is_known() {
    let world = World::new().await;
    let jeton = &world.jeton;
    world.viewer().await;
    let email = "vera@example.com";
    let id = world.id_of(email).await;
    let before = sign_in(jeton, email, PASSWORD).await;
    let device = device_in(&before).unwrap();
    let (first, second) = (
        reset(&world.admin, &id).await,
        reset(&world.admin, &id).await,
    );
    // Somebody else's stays.
    let mine = world.invitation().await;
    let form = JoinForm::open(jeton, &first).await;
    let new = "a password that is new";
    assert_eq!(form.send("", "", new).await.status(), 303);
    assert_eq!(jeton.get(&second).await.status(), 410, "the other link");
    assert_eq!(jeton.get(&mine).await.status(), 200);
    guess_until_slowed_down(jeton, None, &[email]).await;
    let answer = sign_in_on(jeton, Some(&device), email, new).await;
    assert_eq!(answer.status(), 429, "a browser of before");
}

#[tokio::test]
async fn whoever_changes_their_password_leaves_no_link_for_another() {
    let world = World::new().await;
    let vera = world.viewer().await;
    let id = world.id_of("vera@example.com").await;
    let link = reset(&world.admin, &id).await;
    let other = sign_in(&world.jeton, "vera@example.com", PASSWORD).await;
    let other = set_cookie(&other, "jeton_session").unwrap();
    let fields = [
        ("old_password", PASSWORD),
        ("password", "a password that is new"),
    ];
    let answer = vera.post("/dashboard/settings/password", &fields).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(world.jeton.get(&link).await.status(), 410);
    assert_eq!(status(&world.jeton, &other).await, 303, "another session");
}

#[tokio::test]
async fn nobody_resets_their_own_password_or_that_of_an_account_of_the_provider() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("viewers = [\"vera@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    let link = invite(&ada, &[("note", "Vera"), ("role", "viewer")]).await;
    Admin::join(&jeton, &link, "Vera", "vera@example.com").await;
    let (own, vera) = (
        id_of(&jeton, "ada@example.com").await,
        id_of(&jeton, "vera@example.com").await,
    );
    let before = reset(&ada, &vera).await;
    let form = JoinForm::open(&jeton, &before).await;
    let answer = provider.sign_in(&jeton, &person("vera@example.com")).await;
    assert_eq!(answer.status(), 303);
    for id in [&own, &vera] {
        let action = format!("/dashboard/settings/admins/{id}/reset");
        assert_eq!(ada.post(&action, &[]).await.status(), 409, "{id}");
    }
    assert_eq!(jeton.get(&before).await.status(), 410, "a link of before");
    let answer = form.send("", "", PASSWORD).await;
    assert_eq!(answer.status(), 410, "open since before");
    // Nor by a link that is there still, of whoever is bound at this moment.
    let link = invite(&ada, &[("note", "Grace"), ("role", "viewer")]).await;
    let grace = Admin::join(&jeton, &link, "Grace", "grace@example.com").await;
    let id = id_of(&jeton, "grace@example.com").await;
    let form = JoinForm::open(&jeton, &reset(&ada, &id).await).await;
    let bind = format!(
        "UPDATE admin SET oidc_issuer = '{}', oidc_subject = 'grace' WHERE id = '{id}'",
        provider.issuer
    );
    jeton.database().sql(&bind).await;
    let answer = form.send("", "", "a password that is new").await;
    assert_eq!(answer.status(), 409);
    assert_eq!(status(&jeton, &grace.session).await, 200, "nothing changed");
}

#[tokio::test]
async fn whoever_is_bound_to_an_account_of_the_provider_leaves_no_invitation() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ceo@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    let fields = [("note", "Eve"), ("role", "admin")];
    // Eve writes an address that is not hers, and sees to it that she can come back.
    let link = invite(&ada, &fields).await;
    let eve = Admin::join(&jeton, &link, "Ceo", "ceo@example.com").await;
    let again = invite(&eve, &[("note", "Eve again"), ("role", "admin")]).await;
    let mine = invite(&ada, &fields).await;
    let answer = provider.sign_in(&jeton, &person("ceo@example.com")).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(jeton.get(&again).await.status(), 410);
    assert_eq!(jeton.get(&mine).await.status(), 200, "Ada's");
    let operator = jeton.operator().await;
    let cancelled = operator.audit("kind=admin.invitation_revoked").await;
    assert_eq!(cancelled.len(), 1, "{cancelled:?}");
    assert_eq!(cancelled[0]["detail"]["note"], "Eve again");
}

#[tokio::test]
async fn an_invitation_of_whoever_the_lists_made_a_viewer_does_not_come_back_with_the_role() {
    let provider = Provider::start().await;
    let as_admin = "admins = [\"bob@example.com\"]";
    let (mut jeton, folder) = provider.jeton(as_admin).await;
    let ada = Admin::first(&jeton).await;
    let answer = provider.sign_in(&jeton, &person("bob@example.com")).await;
    let session = set_cookie(&answer, "jeton_session").unwrap();
    let bob = Admin::of_session(&jeton.url, session, "/dashboard").await;
    let link = invite(&bob, &[("note", "Eve"), ("role", "admin")]).await;
    let mine = invite(&ada, &[("note", "Vera"), ("role", "viewer")]).await;
    let mut answers = Vec::new();
    for lists in [as_admin, "viewers = [\"bob@example.com\"]", as_admin] {
        let file = provider.configure(folder.path(), lists);
        let port = jeton.port();
        jeton.terminate().await;
        jeton = jeton
            .restart(JetonOptions {
                flags: vec!["--config", file.to_str().unwrap()],
                environment: vec![("JETON_OIDC_CLIENT_SECRET", "s")],
                port: Some(port),
                ..JetonOptions::default()
            })
            .await;
        answers.push(jeton.get(&link).await.status().as_u16());
    }
    assert_eq!(answers, [200, 410, 410]);
    assert_eq!(jeton.get(&mine).await.status(), 200, "Ada's");
    let operator = jeton.operator().await;
    let cancelled = operator.audit("kind=admin.invitation_revoked").await;
    assert_eq!(cancelled.len(), 1, "{cancelled:?}");
    assert_eq!(cancelled[0]["detail"]["note"], "Eve");
    assert_eq!(cancelled[0]["actor"], "system");
}

#[tokio::test]
async fn whoever_is_demoted_at_that_moment_neither_invites_nor_resets_nor_is_joined_by_a_link() {
    if postgres_cluster().is_none() {
        // SQLite has one writer at a time, and cannot say who waits.
        return;
    }
    let world = World::new().await;
    let (jeton, database) = (&world.jeton, world.jeton.database());
    world.viewer().await;
    let vera = world.id_of("vera@example.com").await;
    for act in ["invite", "reset", "remove", "link"] {
        let email = format!("bob-{act}@example.com");
        let path = invite(&world.admin, &[("note", "Bob"), ("role", "admin")]).await;
        let bob = Admin::join(jeton, &path, "Bob", &email).await;
        let id = world.id_of(&email).await;
        let link = invite(&bob, &[("note", "Eve"), ("role", "admin")]).await;
        let form = JoinForm::open(jeton, &link).await;
        let remove = format!("/dashboard/settings/admins/{vera}/remove");
        let seen = bob.form(&remove, &remove).await;
        // His demotion is under way, and nobody sees it yet.
        let held = HeldLog::hold(database).await;
        let role = format!("/dashboard/settings/admins/{id}/role");
        let demoting = async {
            let fields = [("role", "viewer"), ("was", "admin")];
            world.admin.post(&role, &fields).await.status().as_u16()
        };
        let acting = async {
            eventually("it waits", async || database.waiting().await >= 1).await;
            let answer = match act {
                "invite" => {
                    let fields = [("note", "Eve"), ("role", "admin")];
                    bob.post("/dashboard/settings/invitations", &fields).await
                }
                "reset" => {
                    let action = format!("/dashboard/settings/admins/{vera}/reset");
                    bob.post(&action, &[]).await
                }
                "remove" => bob.post(&remove, &seen.seen()).await,
                _ => form.send("Eve", "eve@example.com", PASSWORD).await,
            };
            answer.status().as_u16()
        };
        let releasing = async {
            eventually("both wait", async || database.waiting().await >= 2).await;
            held.release().await;
        };
        let (demoted, acted, ()) = tokio::join!(demoting, acting, releasing);
        assert_eq!((demoted, acted), (303, 409), "{act}");
        let settings = world.admin.page("/dashboard/settings").await;
        assert!(settings.contains("vera@example.com") && !settings.contains("eve@example.com"));
    }
    let open = "SELECT COUNT(*) FROM admin_invitation WHERE used_at IS NULL";
    assert_eq!(database.sql(open).await.trim(), "0");
}

/// Sends the form of the sign-in page, with a CSRF token of a cookie that the page would set.
async fn sign_in_without_page(jeton: &Jeton, email: &str) -> reqwest::Response {
    let page = jeton.get("/dashboard/sign-in").await;
    let early = set_cookie(&page, "jeton_form").unwrap();
    let text = format!("jeton dashboard csrf {}", early.split('=').nth(1).unwrap());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let csrf: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let form = [
        ("csrf", csrf.as_str()),
        ("email", email),
        ("password", PASSWORD),
    ];
    let url = format!("{}/dashboard/sign-in", jeton.url);
    let request = http().post(url).header("cookie", early).form(&form);
    request.send().await.unwrap()
}

#[tokio::test]
async fn passwords_can_be_switched_off_and_the_recovery_link_still_lets_in() {
    let provider = Provider::start().await;
    let lines = "admins = [\"ceo@example.com\"]\npasswords = false";
    let (jeton, _folder) = provider.jeton(lines).await;
    // The link of the first start is of the same kind as that of `jeton admin recover`.
    let ada = Admin::first(&jeton).await;
    let page = jeton.get("/dashboard/sign-in").await.text().await.unwrap();
    assert!(page.contains("Sign in with Example") && !page.contains("name=\"password\""));
    // A form that is sent all the same.
    let mut post = sign_in_without_page(&jeton, "ada@example.com").await;
    assert_eq!(post.status(), 403);
    post = ada
        .post(
            "/dashboard/settings/password",
            &[("old_password", PASSWORD), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(post.status(), 409);
    let answer = ada
        .post(
            "/dashboard/settings/invitations",
            &[("note", "Eve"), ("role", "admin")],
        )
        .await;
    assert_eq!(answer.status(), 409, "nobody joins by a link");
    let answer = provider.sign_in(&jeton, &person("ceo@example.com")).await;
    assert_eq!(answer.status(), 303);
    let id = id_of(&jeton, "ceo@example.com").await;
    assert!(id.starts_with("adm_"));
}

#[tokio::test]
async fn an_invitation_is_cancelled_by_somebody_who_was_told_what_that_means() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let link = world.invitation().await;
    let settings = world.admin.page("/dashboard/settings").await;
    let sheet = world.cancelling().await;
    assert!(
        !settings.contains(&format!("action=\"{sheet}\"")),
        "not on one click: {settings}"
    );
    let page = world.admin.page(&sheet).await;
    for part in [
        "Cancel the invitation for Vera?",
        "join as viewer",
        "works until",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(world.jeton.get(&link).await.status(), 200, "asked only");
    assert!(
        !viewer
            .page(&sheet)
            .await
            .contains("<form method=\"post\" action=\"/dashboard/settings/invitations")
    );
    let answer = world.admin.submit(&sheet, &sheet, &[]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(world.jeton.get(&link).await.status(), 410);
    // One that is gone, or never was, is not asked about.
    let gone = world.admin.get(&sheet).send().await.unwrap();
    assert_eq!(gone.status(), 404);
}

#[tokio::test]
async fn an_admin_becomes_a_viewer_by_somebody_who_was_told_what_that_means() {
    let world = World::new().await;
    let path = invite(&world.admin, &[("note", "Bob"), ("role", "admin")]).await;
    let bob = Admin::join(&world.jeton, &path, "Bob", "bob@example.com").await;
    invite(&bob, &[("note", "Mallory"), ("role", "viewer")]).await;
    let id = world.id_of("bob@example.com").await;
    let role = format!("/dashboard/settings/admins/{id}/role");
    let settings = world.admin.page("/dashboard/settings").await;
    assert!(settings.contains("Make viewer"), "{settings}");
    assert!(
        !settings.contains(&format!("action=\"{role}\"")),
        "not on one click: {settings}"
    );
    let page = world.admin.page(&role).await;
    for part in [
        "Make Bob a viewer?",
        "every open session (1 session)",
        "1 open invitation they made and nobody used: Mallory.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let of_bob = format!("SELECT role FROM admin WHERE id = '{id}'");
    let of_bob = async || world.jeton.database().sql(&of_bob).await.trim().to_owned();
    assert_eq!(of_bob().await, "admin", "asked only");
    let answer = world
        .admin
        .submit(&role, &role, &[("role", "viewer")])
        .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(of_bob().await, "viewer");
    // There is nothing to ask about a viewer, and a viewer asks nothing.
    assert_eq!(world.admin.get(&role).send().await.unwrap().status(), 404);
    let ada = world.id_of("ada@example.com").await;
    let role = format!("/dashboard/settings/admins/{ada}/role");
    assert_eq!(bob.get(&role).send().await.unwrap().status(), 403);
}
