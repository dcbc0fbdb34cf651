//! Signing in, sessions, and who may what.

use jeton_tests::{
    Admin, HeldLog, Jeton, JetonOptions, PASSWORD, TestDatabase, csrf_in, eventually,
    first_admin_path, http, set_cookie,
};

use crate::world::World;

#[tokio::test]
async fn sessions_end_by_time_and_cannot_be_used_when_stolen_later() {
    let world = World::new().await;
    let database = world.jeton.database();
    let age = async |column: &str, hours: u32| {
        let by = format!("UPDATE admin_session SET {column} = {column} - {hours} * 3600000");
        database.sql(&by).await;
    };
    let status = async || world.admin.get("/dashboard").send().await.unwrap().status();
    age("seen_at", 7).await;
    // A page that refreshes itself does not count as use, a person does.
    let refresh = world
        .admin
        .get("/dashboard")
        .header("sec-fetch-dest", "empty");
    assert_eq!(refresh.send().await.unwrap().status(), 200);
    age("seen_at", 1).await;
    assert_eq!(status().await, 303, "eight hours idle, in an open tab");
    age("seen_at", 0).await;
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let session = set_cookie(&again, "jeton_session").unwrap();
    let status = async || {
        let request = http().get(format!("{}/dashboard", world.jeton.url));
        request
            .header("cookie", &session)
            .send()
            .await
            .unwrap()
            .status()
    };
    age("seen_at", 7).await;
    assert_eq!(status().await, 200, "seven hours idle");
    age("seen_at", 8).await;
    assert_eq!(status().await, 303, "eight hours idle");

    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(again.status(), 303);
    let session = set_cookie(&again, "jeton_session").unwrap();
    let with_session = async || {
        let request = http().get(format!("{}/dashboard", world.jeton.url));
        request.header("cookie", &session).send().await.unwrap()
    };
    assert_eq!(with_session().await.status(), 200);
    // Begun by a clock that was ahead, it would go on for longer than any other.
    let begun = async |by: &str| {
        let begun = format!("UPDATE admin_session SET created_at = created_at {by} * 3600000");
        database.sql(&begun).await;
    };
    begun("+ 1").await;
    assert_eq!(with_session().await.status(), 303, "begun in an hour");
    begun("- 1").await;
    assert_eq!(with_session().await.status(), 200);
    age("created_at", 24).await;
    assert_eq!(with_session().await.status(), 303, "a day old");
}

pub(crate) async fn sign_in(jeton: &Jeton, email: &str, password: &str) -> reqwest::Response {
    sign_in_on(jeton, None, email, password).await
}

/// In a browser that holds a device cookie.
pub(crate) async fn sign_in_on(
    jeton: &Jeton,
    device: Option<&str>,
    email: &str,
    password: &str,
) -> reqwest::Response {
    let url = format!("{}/dashboard/sign-in", jeton.url);
    let page = http().get(&url).send().await.unwrap();
    let early = set_cookie(&page, "jeton_form").unwrap();
    let csrf = csrf_in(&page.text().await.unwrap());
    http()
        .post(&url)
        .header("cookie", format!("{early}; {}", device.unwrap_or("a=b")))
        .form(&[
            ("csrf", csrf.as_str()),
            ("email", email),
            ("password", password),
        ])
        .send()
        .await
        .unwrap()
}

/// Guesses until there is a wait that is longer than what follows takes: a wait may be over before a busy machine has
/// sent the next guess. Gives how many were looked at. The addresses take turns.
pub(crate) async fn guess_until_slowed_down(
    jeton: &Jeton,
    device: Option<&str>,
    emails: &[&str],
) -> u64 {
    let mut looked_at = 0;
    for email in emails.iter().cycle().take(400) {
        let answer = sign_in_on(jeton, device, email, "wrong").await;
        let Some(wait) = answer.headers().get("retry-after") else {
            assert_eq!(answer.status(), 401);
            looked_at += 1;
            continue;
        };
        assert_eq!(answer.status(), 429);
        if wait.to_str().unwrap().parse::<u32>().unwrap() >= 4 {
            return looked_at;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("guessing is not slowed down: {emails:?}, {looked_at} looked at");
}

#[tokio::test]
async fn failed_sign_ins_are_slowed_down_recorded_and_tell_nothing() {
    let world = World::new().await;
    let unknown = sign_in(&world.jeton, "eve@example.com", "wrong").await;
    assert_eq!(unknown.status(), 401);
    let unknown = unknown.text().await.unwrap();
    let wrong = sign_in(&world.jeton, "ada@example.com", "wrong").await;
    let wrong = wrong.text().await.unwrap();
    let sentence = "The e-mail address or the password is wrong.";
    assert!(unknown.contains(sentence) && wrong.contains(sentence));
    let guesses = guess_until_slowed_down(&world.jeton, None, &["ada@example.com"]).await;
    let slowed = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(slowed.status(), 429, "even the right password has to wait");
    assert!(slowed.headers().contains_key("retry-after"));
    let operator = world.jeton.operator().await;
    let refused = async || operator.audit("kind=admin.sign_in_refused").await;
    let count = |event: &serde_json::Value| event["detail"]["count"].as_u64().unwrap_or(1);
    eventually("all are recorded", async || {
        refused().await.iter().map(count).sum::<u64>() == guesses + 2
    })
    .await;
    let refused = refused().await;
    assert!(refused.iter().all(|event| event["actor"] == "anonymous"));
    // A sign-in without the page's own cookie is not even looked at.
    let url = format!("{}/dashboard/sign-in", world.jeton.url);
    let form = [("email", "ada@example.com"), ("password", PASSWORD)];
    assert_eq!(
        http().post(url).form(&form).send().await.unwrap().status(),
        403
    );
}

#[tokio::test]
async fn whoever_attacks_an_account_does_not_lock_its_admin_out() {
    let world = World::new().await;
    let first = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let device = device_in(&first).unwrap();
    let jeton = &world.jeton;
    let guess = async |device: Option<&str>, email: &str| {
        guess_until_slowed_down(jeton, device, &[email]).await;
    };
    guess(None, "ada@example.com").await;
    // From the very same address, which whoever shares a proxy with the attacker has.
    let known = sign_in_on(jeton, Some(&device), "ada@example.com", PASSWORD).await;
    assert_eq!(known.status(), 303, "a browser in which she signed in");
    guess(None, "ada@example.com").await;
    let elsewhere = sign_in(jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(elsewhere.status(), 429, "a browser that is not known");
    // The cookie is hers alone, cannot be altered, and does not help to guess.
    guess(Some(&device), "eve@example.com").await;
    let forged = device.replace("=adm_", "=adm_0");
    guess(Some(&forged), "ada@example.com").await;
    let answer = sign_in_on(jeton, Some(&forged), "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 429, "a cookie that was altered");
    guess(Some(&device), "ada@example.com").await;
    let answer = sign_in_on(jeton, Some(&device), "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 429, "a cookie that was stolen");
}

/// `name=value` of a device cookie that is set.
pub(crate) fn device_in(answer: &reqwest::Response) -> Option<String> {
    let set = answer.headers().get_all("set-cookie").iter();
    set.filter_map(|value| value.to_str().unwrap().split(';').next())
        .find(|pair| pair.starts_with("jeton_device_adm_"))
        .map(str::to_owned)
}

#[tokio::test]
async fn a_session_makes_its_browser_known_beside_those_of_other_admins() {
    let world = World::new().await;
    let vera = world.viewer().await;
    // As a browser comes whose session is older than these cookies.
    let visit = async |cookies: String| {
        let request = http().get(format!("{}/dashboard/settings", world.jeton.url));
        let answer = request.header("cookie", cookies).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        device_in(&answer)
    };
    let ada = world.admin.session.clone();
    let device = visit(ada.clone()).await.unwrap();
    let held = format!("{ada}; {device}");
    assert_eq!(visit(held).await, None, "it has one");
    // However often one asks, a session is one device.
    let again = visit(ada).await.unwrap();
    let number = |device: &str| device.split('.').nth(2).unwrap().to_owned();
    assert_eq!(number(&again), number(&device));
    // Vera uses the same browser.
    let both = format!("{}; {device}", vera.session);
    let hers = visit(both).await.unwrap();
    let jeton = &world.jeton;
    guess_until_slowed_down(jeton, None, &["ada@example.com"]).await;
    let answer = sign_in(jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 429, "a browser that is not known");
    let both = format!("{hers}; {device}");
    let answer = sign_in_on(jeton, Some(&both), "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 303);
}

#[tokio::test]
async fn the_first_link_works_once_and_a_restart_makes_a_new_one() {
    let mut jeton = Jeton::start().await;
    let first = first_admin_path(&jeton).await;
    jeton.terminate().await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    let second = first_admin_path(&jeton).await;
    assert_ne!(first, second);
    assert_eq!(jeton.get(&first).await.status(), 410, "of an earlier start");
    Admin::join(&jeton, &second, "Ada", "ada@example.com").await;
    assert_eq!(jeton.get(&second).await.status(), 410, "used");
    let database = jeton.database().everything().await;
    let link = second.rsplit('/').next().unwrap();
    let holds = |needle: &str| {
        database
            .windows(needle.len())
            .any(|at| at == needle.as_bytes())
    };
    assert!(!holds(link) && !holds(PASSWORD));
}

#[tokio::test]
async fn somebody_is_always_left_who_may_change_things() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let page = world.admin.page("/dashboard/settings").await;
    let role = "/dashboard/settings/admins/";
    let vera = page
        .split(role)
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    // One cannot remove oneself, and a viewer cannot become an admin by their own doing.
    let own = world
        .jeton
        .operator()
        .await
        .audit("kind=admin.created")
        .await;
    let ada = own.last().unwrap()["actor"].as_str().unwrap().to_owned();
    let status = async |admin: &Admin, path: String, fields: &[(&str, &str)]| {
        admin.post(&path, fields).await.status().as_u16()
    };
    let remove = format!("{role}{ada}/remove");
    let own = world.admin.submit(&remove, &remove, &[]).await;
    assert_eq!(own.status(), 409);
    assert_eq!(
        status(
            &world.admin,
            format!("{role}{ada}/role"),
            &[("role", "viewer"), ("was", "admin")]
        )
        .await,
        409
    );
    assert_eq!(
        status(&viewer, format!("{role}{vera}/role"), &[("role", "admin")]).await,
        403
    );
    // A role that is taken away is gone with the next request.
    assert_eq!(
        status(
            &world.admin,
            format!("{role}{vera}/role"),
            &[("role", "admin"), ("was", "viewer")]
        )
        .await,
        303
    );
    let demoted = [("role", "viewer"), ("was", "admin")];
    assert_eq!(
        status(&viewer, format!("{role}{ada}/role"), &demoted).await,
        303
    );
    assert_eq!(
        status(&world.admin, "/dashboard/mcp-servers".into(), &[]).await,
        403
    );
    // Removed, one is signed out at once.
    assert_eq!(viewer.submit(&remove, &remove, &[]).await.status(), 303);
    let answer = world.admin.get("/dashboard").send().await.unwrap();
    assert_eq!(answer.status(), 303);
}

#[tokio::test]
async fn pages_and_cookies_are_protected_by_their_headers() {
    let options = JetonOptions {
        flags: vec!["--issuer", "https://auth.example.com"],
        ..JetonOptions::default()
    };
    let jeton = Jeton::start_with(options).await;
    // The server listens on plain http behind a proxy.
    let log = jeton.log();
    let address = log
        .split("listen=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let answer = http()
        .get(format!("http://{address}/dashboard/sign-in"))
        .send()
        .await
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-jeton_form="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}");
    }
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn two_admins_who_demote_each_other_at_once_do_not_leave_nobody() {
    let world = World::new().await;
    if !matches!(world.jeton.database(), TestDatabase::Postgres(_)) {
        // SQLite has one writer at a time.
        return;
    }
    let viewer = world.viewer().await;
    let role = "/dashboard/settings/admins/";
    let own = world
        .jeton
        .operator()
        .await
        .audit("kind=admin.created")
        .await;
    let id = |event: &serde_json::Value| event["detail"]["admin_id"].as_str().unwrap().to_owned();
    let (vera, ada) = (id(&own[0]), id(own.last().unwrap()));
    let of = |id: &str| format!("{role}{id}/role");
    let promoted = [("role", "admin"), ("was", "viewer")];
    let made = world.admin.post(&of(&vera), &promoted).await;
    assert_eq!(made.status(), 303);
    // Both are held up at the same place: the end of the audit log.
    let database = world.jeton.database();
    let held = HeldLog::hold(database).await;
    let demote = async |who: &Admin, id: &str| {
        who.post(&of(id), &[("role", "viewer"), ("was", "admin")])
            .await
            .status()
            .as_u16()
    };
    let releasing = async {
        eventually("both wait", async || database.waiting().await >= 2).await;
        held.release().await;
    };
    let (first, second, ()) = tokio::join!(
        demote(&world.admin, &vera),
        demote(&viewer, &ada),
        releasing
    );
    let mut outcomes = [first, second];
    outcomes.sort_unstable();
    assert_eq!(outcomes, [303, 409]);
    let admins = "SELECT COUNT(*) FROM admin WHERE role = 'admin'";
    assert_eq!(database.sql(admins).await.trim(), "1");
}

#[tokio::test]
async fn a_stolen_session_does_not_help_to_guess_the_password() {
    let world = World::new().await;
    let guess = async || {
        let fields = [
            ("old_password", "wrong"),
            ("password", "another good password"),
        ];
        let answer = world
            .admin
            .post("/dashboard/settings/password", &fields)
            .await;
        answer.status().as_u16()
    };
    let mut answers = Vec::new();
    for _ in 0..25 {
        answers.push(guess().await);
    }
    let told = answers.iter().filter(|status| **status == 422).count();
    assert_eq!(told, 5, "then the session has ended: {answers:?}");
    assert!(
        answers[5..]
            .iter()
            .all(|status| [303, 401].contains(status)),
        "{answers:?}"
    );
    let operator = world.jeton.operator().await;
    let refused = operator.audit("kind=admin.sign_in_refused").await;
    assert_eq!(refused.len(), 5);
    assert!(
        refused
            .iter()
            .all(|event| event["reason"] == "wrong current password")
    );
    let ended = operator.audit("kind=admin.signed_out").await;
    assert_eq!(ended[0]["detail"]["admin_email"], "ada@example.com");
    // The count is the session's own: a right password begins it anew.
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    assert_eq!(again.status(), 303);
}

#[tokio::test]
async fn guesses_in_a_session_and_with_its_device_count_together() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let answer = sign_in(jeton, "ada@example.com", PASSWORD).await;
    let device = device_in(&answer).unwrap();
    let session = set_cookie(&answer, "jeton_session").unwrap();
    let ada = Admin::of_session(&jeton.url, session, "/dashboard").await;
    guess_until_slowed_down(jeton, Some(&device), &["ada@example.com"]).await;
    let fields = [
        ("old_password", PASSWORD),
        ("password", "another good password"),
    ];
    let change = "/dashboard/settings/password";
    let answer = ada.post(change, &fields).await;
    assert_eq!(answer.status(), 422, "even the right one has to wait");
    let page = answer.text().await.unwrap();
    assert!(page.contains("oo many failed attempts"), "{page}");
    // In another session of hers, which is another device, it does not.
    let answer = world.admin.post(change, &fields).await;
    assert_eq!(answer.status(), 303);
}

#[tokio::test]
async fn an_address_that_no_admin_has_is_slowed_down_like_one_that_an_admin_has() {
    let world = World::new().await;
    for emails in [
        ["ada@example.com", "ADA@example.com"],
        ["eve@example.com", "EVE@Example.com"],
    ] {
        let looked_at = guess_until_slowed_down(&world.jeton, None, &emails).await;
        // Five, and one more after each wait that was over before the next guess. Each spelling by itself would
        // have five.
        assert!((5..=8).contains(&looked_at), "{emails:?}: {looked_at}");
    }
}

#[tokio::test]
async fn ones_sessions_are_listed_with_their_devices_and_ended_one_by_one() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let mut others = Vec::new();
    for _ in 0..3 {
        let answer = sign_in_on(jeton, None, "ada@example.com", PASSWORD).await;
        others.push(set_cookie(&answer, "jeton_session").unwrap());
    }
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    let newest = format!(
        "UPDATE admin_session SET user_agent = '{firefox}', source = '192.0.2.7' WHERE digest = \
         (SELECT digest FROM admin_session ORDER BY created_at DESC LIMIT 1)"
    );
    jeton.database().sql(&newest).await;
    let is_open = async |session: &str| {
        let request = http().get(format!("{}/dashboard", jeton.url));
        let answer = request.header("cookie", session).send().await.unwrap();
        answer.status() == 200
    };
    let page = world.admin.page("/dashboard/settings").await;
    let row = page.split("Firefox on Linux").nth(1).unwrap();
    assert!(page.contains("(this one)") && row.starts_with("</td><td class=\"mono\">192.0.2.7<"));
    let handle = row.split("name=\"session\" value=\"").nth(1).unwrap();
    let handle = handle.split('"').next().unwrap();
    // Somebody else's is not hers to end.
    let vera = world.viewer().await;
    let end = "/dashboard/settings/sessions/end";
    vera.post(end, &[("session", handle)]).await;
    assert!(is_open(&others[2]).await);
    assert_eq!(
        world.admin.post(end, &[("session", handle)]).await.status(),
        303
    );
    assert!(!is_open(&others[2]).await, "the one that was named");
    assert!(is_open(&others[0]).await && is_open(&others[1]).await);
    let all = world
        .admin
        .post("/dashboard/settings/sessions/end-others", &[])
        .await;
    assert_eq!(all.status(), 303);
    assert!(!is_open(&others[0]).await && !is_open(&others[1]).await);
    assert!(is_open(&world.admin.session).await && is_open(&vera.session).await);
    let operator = jeton.operator().await;
    let ended = operator.audit("kind=admin.signed_out").await;
    assert_eq!(ended[0]["detail"]["other_sessions"], 2);
}
