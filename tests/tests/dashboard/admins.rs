//! Who is an admin: what the configuration and other admins give and take.

use jeton_tests::{Admin, HeldLog, Jeton, JetonOptions, eventually, http, postgres_cluster};

use crate::world::World;

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
