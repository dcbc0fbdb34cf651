//! One-time codes and recovery codes, and servers that require a second step.

use jeton_core::{Clock as _, OneTimeSecret, SystemClock, Timestamp};
use jeton_tests::{
    Admin, Jeton, JetonOptions, PASSWORD, TestDatabase, csrf_in, eventually, hidden_field, http,
    set_cookie,
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::sessions::sign_in;
use crate::world::{World, id_of, link_of};

const PAGE: &str = "/dashboard/settings/second-factor";
const CODES: &str = "/dashboard/settings/second-factor/one-time-codes";
const EMAIL: &str = "ada@example.com";

/// Somebody's authenticator app.
struct App {
    secret: OneTimeSecret,
    /// As it was shown.
    text: String,
    /// The code that set it up.
    first_code: String,
    recovery_codes: Vec<String>,
}

impl App {
    /// Sets codes up on an admin's own page.
    async fn set_up(admin: &Admin) -> Self {
        let page = admin.page(CODES).await;
        let text = shown_secret(&page);
        let secret = OneTimeSecret::from_bytes(from_base32(&text).into());
        let sealed = hidden_field(&page, CODES, "secret");
        let code = secret.code_at(SystemClock.now());
        let fields = [("secret", sealed.as_str()), ("code", &code)];
        let answer = admin.post(CODES, &fields).await;
        let recovery_codes = recovery_codes(admin, answer).await;
        assert_eq!(recovery_codes.len(), 10);
        Self {
            secret,
            text,
            first_code: code,
            recovery_codes,
        }
    }

    /// The code of now, as if none had been taken yet.
    async fn code(&self, jeton: &Jeton) -> String {
        forget_steps(jeton).await;
        self.secret.code_at(SystemClock.now())
    }
}

/// The secret that a page shows.
fn shown_secret(page: &str) -> String {
    let shown = page.split("id=\"one-time-secret\">").nth(1).unwrap();
    shown.split('<').next().unwrap().to_owned()
}

async fn forget_steps(jeton: &Jeton) {
    let earlier = "UPDATE admin_one_time_code SET last_step = last_step - 100";
    jeton.database().sql(earlier).await;
}

/// The recovery codes that an answer makes the page show.
async fn recovery_codes(admin: &Admin, answer: Response) -> Vec<String> {
    assert_eq!(answer.status(), 303, "{:?}", answer.text().await);
    let reveal = set_cookie(&answer, "jeton_reveal").unwrap();
    let cookies = format!("{}; {reveal}", admin.session);
    let shown = admin.get(PAGE).header("cookie", cookies);
    let page = shown.send().await.unwrap().text().await.unwrap();
    let codes = page.split("aria-label=\"Recovery codes\">").nth(1).unwrap();
    let codes = codes.split("</pre>").next().unwrap();
    codes.split_whitespace().map(str::to_owned).collect()
}

fn from_base32(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for letter in text.bytes() {
        let value = digits.iter().position(|digit| *digit == letter).unwrap();
        bits = bits << 5 | u32::try_from(value).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 255).unwrap());
        }
    }
    bytes
}

/// A sign-in whose password was right.
struct Half {
    jeton: String,
    cookie: String,
    csrf: String,
    half: String,
}

impl Half {
    async fn of(jeton: &Jeton, email: &str) -> Self {
        Self::begin(jeton, email).await.unwrap()
    }

    /// Or the answer, where the password was not looked at.
    async fn begin(jeton: &Jeton, email: &str) -> Result<Self, Response> {
        let url = format!("{}/dashboard/sign-in", jeton.url);
        let page = http().get(&url).send().await.unwrap();
        let cookie = set_cookie(&page, "jeton_form").unwrap();
        let csrf = csrf_in(&page.text().await.unwrap());
        let form = [
            ("csrf", csrf.as_str()),
            ("email", email),
            ("password", PASSWORD),
        ];
        let request = http().post(&url).header("cookie", &cookie).form(&form);
        let answer = request.send().await.unwrap();
        if answer.status() != 200 {
            return Err(answer);
        }
        assert_eq!(set_cookie(&answer, "jeton_session"), None, "no session yet");
        assert_eq!(device(&answer), None, "the browser is not known yet");
        let page = answer.text().await.unwrap();
        Ok(Self {
            jeton: jeton.url.clone(),
            half: hidden_field(&page, "/dashboard/sign-in/code", "half"),
            cookie,
            csrf,
        })
    }

    async fn send(&self, code: &str) -> Response {
        let url = format!("{}/dashboard/sign-in/code", self.jeton);
        let form = [
            ("csrf", self.csrf.as_str()),
            ("half", &self.half),
            ("next", "/dashboard/clients"),
            ("code", code),
        ];
        let request = http().post(url).header("cookie", &self.cookie);
        request.form(&form).send().await.unwrap()
    }
}

fn device(answer: &Response) -> Option<String> {
    set_cookie(answer, "jeton_device")
}

/// The details of the newest event of a kind.
async fn newest(jeton: &Jeton, kind: &str) -> Value {
    let operator = jeton.operator().await;
    let events = operator.audit(&format!("kind={kind}")).await;
    events.first().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_code_is_asked_for_after_the_password_and_taken_once() {
    let world = World::new().await;
    let jeton = &world.jeton;
    // Another session of hers, which was begun with the password alone.
    let answer = sign_in(jeton, EMAIL, PASSWORD).await;
    let other = set_cookie(&answer, "jeton_session").unwrap();
    assert_eq!(
        newest(jeton, "admin.signed_in").await["detail"]["method"],
        "password"
    );
    let app = App::set_up(&world.admin).await;
    let added = newest(jeton, "admin.factor_added").await;
    assert_eq!(added["detail"]["method"], "one-time code");
    assert_eq!(added["detail"]["other_sessions"], 1);
    let request = http().get(format!("{}/dashboard", jeton.url));
    let ended = request.header("cookie", &other).send().await.unwrap();
    assert_eq!(ended.status(), 303, "it ended");

    let half = Half::of(jeton, EMAIL).await;
    let now = SystemClock.now();
    let at = |seconds: i64| {
        app.secret
            .code_at(Timestamp::from_seconds(now.as_seconds() + seconds))
    };
    let (yesterdays, later) = (at(-86_400), at(3_600));
    // The code that set it up was taken by that.
    for wrong in ["", "000000x", &yesterdays, &later, &app.first_code] {
        assert_eq!(half.send(wrong).await.status(), 401, "{wrong:?}");
    }
    let used = newest(jeton, "admin.sign_in_refused").await;
    assert_eq!(used["detail"]["admin_id"], id_of(jeton, EMAIL).await);
    let operator = jeton.operator().await;
    eventually("that it was used is told apart", async || {
        let refused = operator.audit("kind=admin.sign_in_refused").await;
        let mut reasons = refused
            .iter()
            .map(|event| event["reason"].as_str().unwrap());
        reasons.any(|reason| reason.contains("used already"))
    })
    .await;
    // The throttle forgets with a restart; the code of the step after it works, once.
    let mut world = world;
    world.jeton.terminate().await;
    let jeton = world.jeton.restart(JetonOptions::default()).await;
    let half = Half::of(&jeton, EMAIL).await;
    let code = app.code(&jeton).await;
    let answer = half.send(&format!("{} {}", &code[..3], &code[3..])).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/dashboard/clients");
    assert!(set_cookie(&answer, "jeton_session").is_some());
    let event = newest(&jeton, "admin.signed_in").await;
    assert_eq!(event["detail"]["method"], "password and one-time code");
    let again = Half::of(&jeton, EMAIL).await;
    assert_eq!(again.send(&code).await.status(), 401, "the same code again");
    let page = jeton.get("/dashboard/sign-in/code").await;
    assert_eq!(page.headers()["location"], "/dashboard/sign-in");
}

#[tokio::test]
async fn a_half_sign_in_is_one_browsers_one_admins_and_one_passwords() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let vera = world.viewer().await;
    let (ada_app, vera_app) = (App::set_up(&world.admin).await, App::set_up(&vera).await);
    let (ada, other) = (
        Half::of(jeton, EMAIL).await,
        Half::of(jeton, "vera@example.com").await,
    );
    // Her own code does not help Vera to sign in as Ada.
    let code = vera_app.code(jeton).await;
    assert_eq!(ada.send(&code).await.status(), 401);
    let recovery = &vera_app.recovery_codes[0];
    assert_eq!(ada.send(recovery).await.status(), 401);
    // Nor what Ada's form carries, in Vera's browser.
    let stolen = Half {
        half: ada.half.clone(),
        jeton: other.jeton.clone(),
        cookie: other.cookie.clone(),
        csrf: other.csrf.clone(),
    };
    let code = ada_app.code(jeton).await;
    let answer = stolen.send(&code).await;
    assert_eq!(answer.status(), 401);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("enter your password again")
    );
    let altered = Half {
        half: "AAAA".into(),
        ..stolen
    };
    assert_eq!(altered.send(&code).await.status(), 401);
    // Without the form's own token nothing is looked at.
    let forged = Half {
        csrf: "x".into(),
        ..ada
    };
    assert_eq!(forged.send(&code).await.status(), 403);
    let ada = Half::of(jeton, EMAIL).await;
    let id = id_of(jeton, EMAIL).await;
    let hash = "SELECT password_hash FROM admin WHERE email = 'vera@example.com'";
    let hash = jeton.database().sql(hash).await;
    let change = format!(
        "UPDATE admin SET password_hash = '{}' WHERE id = '{id}'",
        hash.trim()
    );
    jeton.database().sql(&change).await;
    let answer = ada.send(&ada_app.code(jeton).await).await;
    assert_eq!(answer.status(), 401, "the password was changed meanwhile");
}

#[tokio::test]
async fn whoever_knows_the_password_cannot_guess_codes_without_end() {
    let world = World::new().await;
    let jeton = &world.jeton;
    App::set_up(&world.admin).await;
    // Each with the right password before it, which takes no failure back.
    let mut codes = 0;
    let throttled = loop {
        let half = match Half::begin(jeton, EMAIL).await {
            Ok(half) => half,
            Err(answer) => break answer,
        };
        let answer = half.send("000000").await;
        if answer.status() != 401 {
            break answer;
        }
        codes += 1;
        // Five, and one more after each wait that was over before the next was sent.
        assert!(codes <= 8, "{codes} codes were looked at");
    };
    assert!(codes >= 5, "{codes}");
    assert_eq!(throttled.status(), 429);
    assert!(throttled.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_recovery_code_works_once_and_new_ones_replace_the_old() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let app = App::set_up(&world.admin).await;
    let page = world.admin.page(PAGE).await;
    assert!(page.contains("10 of 10 left"));
    assert!(!page.contains(&app.recovery_codes[0]), "shown once");
    let typed = app.recovery_codes[0].to_uppercase().replace('-', " ");
    let answer = Half::of(jeton, EMAIL).await.send(&typed).await;
    assert_eq!(answer.status(), 303);
    let used = newest(jeton, "admin.recovery_code_used").await;
    assert_eq!(used["actor"], id_of(jeton, EMAIL).await);
    let event = newest(jeton, "admin.signed_in").await;
    assert_eq!(event["detail"]["method"], "password and recovery code");
    let again = Half::of(jeton, EMAIL).await.send(&typed).await;
    assert_eq!(again.status(), 401, "used");
    assert!(world.admin.page(PAGE).await.contains("9 of 10 left"));
    let renew = format!("{PAGE}/recovery-codes");
    let answer = world.admin.post(&renew, &[]).await;
    let new = recovery_codes(&world.admin, answer).await;
    let old = Half::of(jeton, EMAIL)
        .await
        .send(&app.recovery_codes[1])
        .await;
    assert_eq!(old.status(), 401, "replaced");
    let answer = Half::of(jeton, EMAIL).await.send(&new[0]).await;
    assert_eq!(answer.status(), 303);
    // Neither they nor the secret are anywhere in the database.
    let database = jeton.database().everything().await;
    let holds = |needle: &[u8]| database.windows(needle.len()).any(|at| at == needle);
    assert!(holds(EMAIL.as_bytes()));
    for code in app.recovery_codes.iter().chain(&new) {
        assert!(!holds(code.as_bytes()) && !holds(code.replace('-', "").as_bytes()));
    }
    assert!(!holds(app.text.as_bytes()) && !holds(app.secret.expose()));
}

#[tokio::test]
async fn the_code_goes_with_the_password_where_that_is_asked_again() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let app = App::set_up(&world.admin).await;
    let long_ago = "UPDATE admin_session SET confirmed_at = confirmed_at - 3600000";
    let invite = "/dashboard/settings/invitations";
    let post = async |more: &[(&str, &str)]| {
        let fields = [&[("note", "Eve"), ("role", "admin")][..], more].concat();
        world.admin.post(invite, &fields).await
    };
    jeton.database().sql(long_ago).await;
    let asked = post(&[]).await;
    assert_eq!(asked.status(), 403);
    assert!(
        asked
            .text()
            .await
            .unwrap()
            .contains("name=\"current_code\"")
    );
    let password = ("current_password", PASSWORD);
    assert_eq!(post(&[password]).await.status(), 403, "the password alone");
    let code = app.code(jeton).await;
    let wrong = [
        ("current_password", "wrong"),
        ("current_code", code.as_str()),
    ];
    assert_eq!(post(&wrong).await.status(), 403, "the code alone");
    let both = [password, ("current_code", &code)];
    assert_eq!(post(&both).await.status(), 303);
    jeton.database().sql(long_ago).await;
    assert_eq!(post(&both).await.status(), 403, "a code that was used");
    // Nor is the secret of new codes shown, or the old ones removed, without.
    let remove = format!("{CODES}/remove");
    assert_eq!(world.admin.post(&remove, &[]).await.status(), 403);
    let answer = world.admin.post(&remove, &[password]).await;
    assert_eq!(answer.status(), 403);
    let recovery = [password, ("current_code", &app.recovery_codes[0])];
    assert_eq!(world.admin.post(&remove, &recovery).await.status(), 303);
    let removed = newest(jeton, "admin.factor_removed").await;
    assert_eq!(removed["detail"]["method"], "one-time code");
    let answer = sign_in(jeton, EMAIL, PASSWORD).await;
    assert_eq!(answer.status(), 303, "the password is enough again");
    let left = "SELECT COUNT(*) FROM admin_recovery_code";
    assert_eq!(jeton.database().sql(left).await.trim(), "0");
    jeton.database().sql(long_ago).await;
    let asked = world.admin.get(CODES).send().await.unwrap();
    assert_eq!(asked.status(), 303);
    let ask = asked.headers()["location"].to_str().unwrap().to_owned();
    let page = world.admin.page(&ask).await;
    assert!(page.contains("name=\"current_password\""), "{page}");
    let confirm = format!("{PAGE}/confirm");
    let answer = world
        .admin
        .post(&confirm, &[password, ("next", CODES)])
        .await;
    assert_eq!(answer.headers()["location"], CODES);
    world.admin.page(CODES).await;
}

fn required() -> JetonOptions<'static> {
    JetonOptions {
        flags: vec!["--admin-second-factor", "required"],
        ..JetonOptions::default()
    }
}

#[tokio::test]
async fn where_a_second_step_is_required_nothing_is_open_before_it_is_set_up() {
    let world = World::new().await;
    let forms = world.forms().await;
    let World {
        mut jeton,
        admin,
        changes,
        ..
    } = world;
    jeton.terminate().await;
    let port = jeton.port();
    let jeton = jeton
        .restart(JetonOptions {
            port: Some(port),
            ..required()
        })
        .await;
    let answer = sign_in(&jeton, EMAIL, PASSWORD).await;
    assert_eq!(answer.status(), 303);
    let fresh = set_cookie(&answer, "jeton_session").unwrap();
    let operator = jeton.operator().await;
    let before = operator.audit("").await.len();
    // A session from before, and one begun just now.
    for session in [&admin.session, &fresh] {
        for path in [
            "/dashboard",
            "/dashboard/mcp-servers",
            "/dashboard/mcp-servers/new",
            "/dashboard/clients",
            "/dashboard/audit",
            "/dashboard/audit/1",
            "/dashboard/audit/export.jsonl",
            "/dashboard/audit/export.csv",
            "/dashboard/find?q=a",
            "/dashboard/signing-keys",
            "/dashboard/settings",
            "/dashboard/settings/second-factor-",
        ] {
            let request = http().get(format!("{}{path}", jeton.url));
            let answer = request.header("cookie", session).send().await.unwrap();
            let location = answer.headers().get("location");
            if path.ends_with('-') {
                assert_eq!(answer.status(), 404, "{path}");
            } else {
                assert_eq!(location.unwrap(), PAGE, "{path}");
            }
        }
        for path in ["/api/v1/clients", "/api/v1/audit-events"] {
            let request = http().get(format!("{}{path}", jeton.url));
            let answer = request.header("cookie", session).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
        }
    }
    for (path, _) in &changes {
        let answer = admin.post(path, &[]).await;
        assert_eq!(answer.headers()["location"], PAGE, "{path}");
    }
    for form in &forms {
        if form.action != "/dashboard/sign-out" && form.action != "/dashboard/sign-out-everywhere" {
            let answer = admin.post(&form.action, &[]).await;
            assert_eq!(answer.headers()["location"], PAGE, "{}", form.action);
        }
    }
    assert_eq!(
        operator.audit("").await.len(),
        before,
        "nothing was changed"
    );
    assert!(
        admin
            .page(PAGE)
            .await
            .contains("Set up a second step to continue")
    );
    App::set_up(&admin).await;
    admin.page("/dashboard").await;
    let remove = admin.post(&format!("{CODES}/remove"), &[]).await;
    assert_eq!(remove.status(), 409, "the last one stays");
    admin.page("/dashboard/settings").await;
}

#[tokio::test]
async fn resetting_access_clears_the_second_factor() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let vera = world.viewer().await;
    App::set_up(&vera).await;
    let id = id_of(jeton, "vera@example.com").await;
    let reset = format!("/dashboard/settings/admins/{id}/reset");
    let link = link_of(&world.admin, world.admin.post(&reset, &[]).await).await;
    let vera = Admin::join(jeton, &link, "Vera", "vera@example.com").await;
    let updated = newest(jeton, "admin.updated").await;
    assert_eq!(updated["detail"]["second_factor"], "removed");
    assert_eq!(
        newest(jeton, "admin.signed_in").await["detail"]["method"],
        "link"
    );
    let answer = sign_in(jeton, "vera@example.com", PASSWORD).await;
    assert_eq!(answer.status(), 303);
    assert!(vera.page(PAGE).await.contains("Set up one-time codes"));
    let left = jeton
        .database()
        .sql("SELECT COUNT(*) FROM admin_recovery_code");
    assert_eq!(left.await.trim(), "0");
}

#[tokio::test]
async fn who_holds_the_machine_resets_an_admins_access() {
    let world = World::new().await;
    App::set_up(&world.admin).await;
    let mut jeton = world.jeton;
    let port = jeton.port();
    jeton.terminate().await;
    let url = jeton.database().url();
    let recover = async |email: &str| {
        let mut arguments = vec!["admin", "recover", "--json", "--email", email];
        if matches!(jeton.database(), TestDatabase::Postgres(_)) {
            arguments.extend(["--database-url", &url]);
        }
        jeton.command(&arguments).await
    };
    let refused = recover("nobody@example.com").await;
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("nobody@example.com"), "{words}");
    let recovered = recover("ADA@example.com").await;
    let words = String::from_utf8_lossy(&recovered.stderr).into_owned();
    assert!(recovered.status.success(), "{words}");
    let document: Value = serde_json::from_slice(&recovered.stdout).unwrap();
    let options = JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let jeton = jeton.restart(options).await;
    let link = document["link"].as_str().unwrap();
    let path = link.strip_prefix(&jeton.url).unwrap();
    let ada = Admin::join(&jeton, path, "", "").await;
    assert!(ada.page(PAGE).await.contains("Set up one-time codes"));
    let event = newest(&jeton, "admin.recovered").await;
    assert_eq!(event["detail"]["admin_email"], EMAIL);
}

#[tokio::test]
async fn codes_go_on_working_under_another_master_key() {
    let world = World::new().await;
    let app = App::set_up(&world.admin).await;
    let mut jeton = world.jeton;
    jeton.terminate().await;
    let file = jeton.data_dir().join("master.key");
    let old = jeton.folder().join("old.key");
    std::fs::rename(&file, &old).unwrap();
    std::fs::write(&file, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    let mut jeton = jeton
        .restart(JetonOptions {
            flags: vec!["--previous-master-key-file", old.to_str().unwrap()],
            ..JetonOptions::default()
        })
        .await;
    let done = jeton.json(&["key", "rewrap"]).await;
    assert_eq!(done["rewrapped"], 6, "five keys, and her secret");
    jeton.terminate().await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    let half = Half::of(&jeton, EMAIL).await;
    let code = app.code(&jeton).await;
    assert_eq!(half.send(&code).await.status(), 303);
}

#[tokio::test]
async fn an_account_that_is_handed_over_to_a_provider_keeps_no_second_factor() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ada@example.com\"]").await;
    let ada = Admin::first(&jeton).await;
    App::set_up(&ada).await;
    let claims = json!({ "sub": "ada", "email": EMAIL, "email_verified": true });
    let answer = provider.sign_in(&jeton, &claims).await;
    assert_eq!(answer.status(), 303);
    let updated = newest(&jeton, "admin.updated").await;
    assert_eq!(updated["detail"]["second_factor"], "removed");
    assert_eq!(
        newest(&jeton, "admin.signed_in").await["detail"]["method"],
        "provider"
    );
    let left = jeton
        .database()
        .sql("SELECT COUNT(*) FROM admin_one_time_code");
    assert_eq!(left.await.trim(), "0");
}

#[tokio::test]
async fn whom_the_lists_no_longer_have_no_code_lets_in() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let app = App::set_up(&world.admin).await;
    let half = Half::of(jeton, EMAIL).await;
    let code = app.code(jeton).await;
    // As if they had come by the lists, of which there are none any more.
    let by_lists = "UPDATE admin SET role_source = 'provider'";
    jeton.database().sql(by_lists).await;
    let answer = half.send(&code).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(set_cookie(&answer, "jeton_session"), None);
    let manual = "UPDATE admin SET role_source = 'manual'";
    jeton.database().sql(manual).await;
    assert_eq!(half.send(&code).await.status(), 303);
}

#[tokio::test]
async fn whoever_signs_in_through_the_provider_sets_up_no_second_factor_here() {
    let provider = Provider::start().await;
    let (jeton, _folder) = provider.jeton("admins = [\"ada@example.com\"]").await;
    let claims = json!({ "sub": "ada", "email": EMAIL, "email_verified": true });
    let answer = provider.sign_in(&jeton, &claims).await;
    let session = set_cookie(&answer, "jeton_session").unwrap();
    let ada = Admin::of_session(&jeton.url, session, "/dashboard").await;
    let page = ada.page(CODES).await;
    let secret = shown_secret(&page);
    let sealed = hidden_field(&page, CODES, "secret");
    let code = OneTimeSecret::from_bytes(from_base32(&secret).into()).code_at(SystemClock.now());
    let fields = [("secret", sealed.as_str()), ("code", &code)];
    assert_eq!(ada.post(CODES, &fields).await.status(), 409);
    // Nor recovery codes of nothing.
    let renew = format!("{PAGE}/recovery-codes");
    assert_eq!(ada.post(&renew, &[]).await.status(), 409);
    let left = "SELECT COUNT(*) FROM admin_one_time_code";
    assert_eq!(jeton.database().sql(left).await.trim(), "0");
}

#[tokio::test]
async fn codes_are_slowed_down_where_no_password_is_asked_between_them() {
    let world = World::new().await;
    let jeton = &world.jeton;
    App::set_up(&world.admin).await;
    // Opened before, by somebody who knows the password.
    let mut halves = Vec::new();
    for _ in 0..9 {
        halves.push(Half::of(jeton, EMAIL).await);
    }
    let mut statuses = Vec::new();
    for half in &halves {
        statuses.push(half.send("000000").await.status().as_u16());
    }
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert!((5..=8).contains(&looked_at), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn where_passwords_were_switched_off_no_link_gives_one_and_no_half_sign_in_ends() {
    let provider = Provider::start().await;
    let (mut jeton, folder) = provider.jeton("").await;
    let ada = Admin::first(&jeton).await;
    let path = crate::world::invite(&ada, &[("note", "Vera"), ("role", "viewer")]).await;
    Admin::join(&jeton, &path, "Vera", "vera@example.com").await;
    let app = App::set_up(&ada).await;
    let id = id_of(&jeton, "vera@example.com").await;
    let reset = format!("/dashboard/settings/admins/{id}/reset");
    let reset = link_of(&ada, ada.post(&reset, &[]).await).await;
    let invitation = crate::world::invite(&ada, &[("note", "Eve"), ("role", "viewer")]).await;
    let half = Half::of(&jeton, EMAIL).await;
    let port = jeton.port();
    jeton.terminate().await;
    let file = provider.configure(
        folder.path(),
        "admins = [\"ceo@example.com\"]\npasswords = false",
    );
    let jeton = jeton
        .restart(JetonOptions {
            flags: vec!["--config", file.to_str().unwrap()],
            environment: vec![("JETON_OIDC_CLIENT_SECRET", "s")],
            port: Some(port),
            ..JetonOptions::default()
        })
        .await;
    for link in [&reset, &invitation] {
        assert_eq!(jeton.get(link).await.status(), 410);
    }
    let code = app.code(&jeton).await;
    assert_eq!(half.send(&code).await.status(), 403);
}

#[tokio::test]
async fn taking_ones_own_codes_away_says_what_is_left_to_sign_in_with() {
    let world = World::new().await;
    let remove = format!("{CODES}/remove");
    let renew = format!("{PAGE}/recovery-codes");
    let none = world.admin.get(&remove).send().await.unwrap();
    assert_eq!(none.status(), 404, "there are none");
    App::set_up(&world.admin).await;
    let page = world.admin.page(PAGE).await;
    for action in [&remove, &renew] {
        assert!(page.contains(&format!("href=\"{action}\"")), "{page}");
        assert!(
            !page.contains(&format!("action=\"{action}\"")),
            "not on one click: {page}"
        );
    }
    let page = world.admin.page(&renew).await;
    assert!(page.contains("10 codes you still have stop working"));
    let page = world.admin.page(&remove).await;
    assert!(
        page.contains("afterwards your password alone is enough"),
        "{page}"
    );
    assert!(world.admin.page(PAGE).await.contains("10 of 10 left"));
    let answer = world.admin.submit(&remove, &remove, &[]).await;
    assert_eq!(answer.status(), 303);
    let half = sign_in(&world.jeton, EMAIL, PASSWORD).await;
    assert!(set_cookie(&half, "jeton_session").is_some());
}
