//! Sheets: a new secret that is neither lost nor shown twice, questions with numbers, what was done and how to
//! undo it.

use jeton_tests::{Admin, Credentials, Jeton, PASSWORD, csrf_in, hidden_field, http, set_cookie};
use reqwest::Response;
use serde_json::json;

use crate::sessions::sign_in;

struct Sheets {
    jeton: Jeton,
    admin: Admin,
    server: String,
}

/// What the sheet of a client just created shows, as a browser gets it.
struct Created {
    path: String,
    page: String,
}

impl Created {
    fn secret(&self) -> Option<String> {
        let shown = self.page.split("id=\"client-secret\">").nth(1)?;
        Some(shown.split('<').next().unwrap().to_owned())
    }

    fn field(&self, name: &str) -> String {
        hidden_field(&self.page, &self.path.replace("/created", "/scopes"), name)
    }

    fn client_id(&self) -> &str {
        self.path.split('/').nth(5).unwrap()
    }
}

fn location(answer: &Response) -> String {
    answer.headers()["location"].to_str().unwrap().to_owned()
}

impl Sheets {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let admin = Admin::first(&jeton).await;
        let operator = jeton.operator().await;
        let server = operator
            .mcp_server("http://localhost:1/mcp", &["todo:read", "todo:write"])
            .await;
        Self {
            jeton,
            admin,
            server,
        }
    }

    fn at(&self, end: &str) -> String {
        format!("/dashboard/mcp-servers/{}{end}", self.server)
    }

    /// Follows a redirect with the cookies that came with it.
    async fn follow(&self, answer: &Response) -> Created {
        let cookies: Vec<_> = ["jeton_reveal", "jeton_toast"]
            .into_iter()
            .filter_map(|name| set_cookie(answer, name))
            .collect();
        let path = location(answer);
        let request = self.admin.get(&path).header("cookie", cookies.join("; "));
        let page = request.send().await.unwrap().text().await.unwrap();
        let path = path.split('?').next().unwrap().to_owned();
        Created { path, page }
    }

    async fn create(&self, name: &str, scopes: &[&str]) -> Created {
        let mut fields = vec![("name", name)];
        fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let answer = self.admin.post(&self.at("/clients"), &fields).await;
        assert_eq!(answer.status(), 303);
        self.follow(&answer).await
    }

    async fn clients_named(&self, name: &str) -> usize {
        let operator = self.jeton.operator().await;
        let all = operator.get("/clients").await;
        let all = all["items"].as_array().unwrap();
        all.iter().filter(|client| client["name"] == name).count()
    }
}

#[tokio::test]
async fn a_new_secret_stays_on_its_sheet_until_somebody_leaves_it_and_is_gone_then() {
    let world = Sheets::new().await;
    let created = world.create("Agent", &[]).await;
    let secret = created.secret().unwrap();
    assert!(created.page.contains("Agent was created"));
    assert!(!created.page.contains("is ready"), "it gets no token yet");
    // Save: the sheet, the secret, the words and the code.
    let (version, kept) = (created.field("version"), created.field("kept"));
    assert!(!kept.contains(&secret), "what the form keeps is sealed");
    let fields = [
        ("version", version.as_str()),
        ("kept", kept.as_str()),
        ("scope", "todo:read"),
    ];
    let save = created.path.replace("/created", "/scopes");
    let answer = world.admin.post(&save, &fields).await;
    assert_eq!(answer.status(), 303);
    let saved = world.follow(&answer).await;
    assert_eq!(saved.path, created.path);
    assert_eq!(saved.secret().as_ref(), Some(&secret));
    assert!(saved.page.contains("Scopes saved") && saved.page.contains("Agent is ready"));
    assert!(saved.page.contains("scope=todo:read"), "the code has them");
    // Somebody else was faster: what was ticked and the secret are still there.
    let stale = [
        ("version", version.as_str()),
        ("kept", kept.as_str()),
        ("scope", "todo:write"),
    ];
    let answer = world.admin.post(&save, &stale).await;
    let overtaken = world.follow(&answer).await.page;
    assert!(overtaken.contains(&secret) && overtaken.contains("Save anyway"));
    assert!(overtaken.contains("Ada changed this"), "{overtaken}");
    assert!(
        overtaken.contains("value=\"todo:write\" checked"),
        "{overtaken}"
    );
    // Leaving asks, and keeps the secret meanwhile; whoever has copied it is not asked.
    let kept = saved.field("kept");
    let leave = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("kept", kept.clone()), ("scope", "todo:read".to_owned())];
        fields.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        fields
    };
    for (more, to) in [
        (leave(&[("to", "list")]), "/clients"),
        (leave(&[("to", "client")]), created.client_id()),
    ] {
        let fields: Vec<_> = more
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = world.admin.post(&created.path, &fields).await;
        // No form that the browser could send again shows it.
        assert_eq!(answer.status(), 303);
        let page = world.follow(&answer).await.page;
        assert!(page.contains("Have you copied the secret?") && page.contains(&secret));
        for enough in [("copied", "yes"), ("anyway", "yes")] {
            let mut fields = fields.clone();
            fields.push(enough);
            let answer = world.admin.post(&created.path, &fields).await;
            assert_eq!(answer.status(), 303);
            assert!(location(&answer).ends_with(to), "{}", location(&answer));
        }
    }
    // It is not shown again: not by its address, not to another session or person.
    assert!(!world.admin.page(&created.path).await.contains(&secret));
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let session = set_cookie(&again, "jeton_session").unwrap();
    let request = http().get(format!("{}/dashboard", world.jeton.url));
    let page = request.header("cookie", &session).send().await.unwrap();
    let csrf = csrf_in(&page.text().await.unwrap());
    let elsewhere = http()
        .post(format!("{}{}", world.jeton.url, created.path))
        .header("cookie", &session)
        .form(&[("csrf", csrf.as_str()), ("kept", kept.as_str())]);
    let page = elsewhere.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(&secret));
    assert!(!world.jeton.log().contains(&secret));
}

#[tokio::test]
async fn a_form_that_creates_a_client_creates_one_however_often_it_is_sent() {
    let world = Sheets::new().await;
    let sheet = world.admin.page(&world.at("/clients/new")).await;
    let key = hidden_field(&sheet, &world.at("/clients"), "form_key");
    let fields = [("name", "Agent"), ("form_key", key.as_str())];
    let first = world.admin.post(&world.at("/clients"), &fields).await;
    assert_eq!(first.status(), 303);
    let again = world.admin.post(&world.at("/clients"), &fields).await;
    assert_eq!(again.status(), 303);
    assert_eq!(location(&first), location(&again), "the same client");
    assert_eq!(set_cookie(&again, "jeton_reveal"), None, "no second secret");
    assert_eq!(world.clients_named("Agent").await, 1);
    // Another form with the name of one that is there asks first.
    let fields = [("name", "Agent")];
    let asked = world.admin.post(&world.at("/clients"), &fields).await;
    assert_eq!(asked.status(), 409);
    let page = asked.text().await.unwrap();
    assert!(
        page.contains("There is a client named Agent already"),
        "{page}"
    );
    assert_eq!(world.clients_named("Agent").await, 1);
    let fields = [("name", "Agent"), ("confirmed", "yes")];
    let made = world.admin.post(&world.at("/clients"), &fields).await;
    assert_eq!(made.status(), 303);
    assert_eq!(world.clients_named("Agent").await, 2);
    // What is no key of this session is none.
    let fields = [("name", "Other"), ("form_key", "oops")];
    let made = world.admin.post(&world.at("/clients"), &fields).await;
    assert_eq!(made.status(), 303);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_form_is_told_at_once_and_marked_where_it_is() {
    let world = Sheets::new().await;
    let fields = [
        ("name", ""),
        ("url", "oops"),
        ("token_ttl", "soon"),
        ("token_ttl_unit", "hours"),
        ("signing_alg", "RS256"),
        ("scope_name", "good"),
        ("scope_description", ""),
        ("scope_name", "two words"),
        ("scope_description", ""),
        ("scope_name", "quo\"te"),
        ("scope_description", ""),
    ];
    let answer = world.admin.post("/dashboard/mcp-servers", &fields).await;
    assert_eq!(answer.status(), 422);
    let page = answer.text().await.unwrap();
    for field in ["name", "url", "token_ttl", "scope-row-2", "scope-row-3"] {
        assert!(
            page.contains(&format!("href=\"#{field}\"")),
            "{field}: {page}"
        );
        assert!(page.contains(&format!("id=\"{field}-problem\"")), "{field}");
        let input = page.split(&format!("id=\"{field}\"")).nth(1).unwrap();
        let input = input.split('>').next().unwrap();
        assert!(input.contains("aria-invalid=\"true\""), "{field}: {input}");
        assert!(
            input.contains(&format!("{field}-problem")),
            "{field}: {input}"
        );
    }
    assert!(!page.contains("href=\"#scope-row-1\""));
    assert!(
        page.contains("<details class=\"more\" open"),
        "a fold with a mistake is open"
    );
    // One rule, in the hint and in both errors.
    assert_eq!(
        page.matches("without spaces, double quotes and backslashes")
            .count(),
        5
    );
}

#[tokio::test]
async fn more_rows_of_scopes_come_without_the_script_and_lose_nothing() {
    let world = Sheets::new().await;
    let scopes = world.at("/scopes");
    for (page, path) in [
        ("/dashboard/mcp-servers/new", "/dashboard/mcp-servers"),
        (&scopes, &scopes),
    ] {
        let fields = [
            ("name", "Half typed"),
            ("scope_name", "fourth"),
            ("scope_description", "The fourth"),
            ("more_rows", "yes"),
        ];
        let answer = world.admin.submit(page, path, &fields).await;
        assert_eq!(answer.status(), 200, "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("value=\"fourth\"") && page.contains("value=\"The fourth\""));
        assert_eq!(
            page.matches("placeholder=\"todo:read\"").count(),
            4,
            "{path}"
        );
    }
    let operator = world.jeton.operator().await;
    let server = operator
        .get(&format!("/mcp-servers/{}", world.server))
        .await;
    assert_eq!(
        server["scopes"].as_array().unwrap().len(),
        2,
        "nothing was saved"
    );
}

#[tokio::test]
async fn a_form_whose_session_ended_comes_back_after_signing_in_and_saves_nothing_unseen() {
    let world = Sheets::new().await;
    let operator = world.jeton.operator().await;
    let client = operator
        .client(&world.server, &["todo:read"])
        .await
        .client_id;
    let path = format!("/dashboard/clients/{client}/settings");
    let url = |path: &str| format!("{}{path}", world.jeton.url);
    let fields = [
        ("name", "My long work"),
        ("description", "that nobody types twice"),
        ("token_ttl_unit", "minutes"),
        ("version", "1"),
        ("password", "a secret that was typed"),
    ];
    // Another site's form is not kept, and neither is a button.
    let request = || http().post(url(&path)).form(&fields);
    let foreign = request()
        .header("sec-fetch-site", "none")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), 303);
    let button = http()
        .post(url(&path.replace("settings", "disable")))
        .form(&fields);
    let button = button
        .header("sec-fetch-site", "same-origin")
        .header("referer", url(&path));
    let button = button.send().await.unwrap();
    assert_eq!(button.status(), 303);
    assert!(location(&button).contains("settings"), "back to its page");
    let own = request().header("sec-fetch-site", "same-origin").send();
    let answer = own.await.unwrap();
    assert_eq!(answer.status(), 401);
    let early = set_cookie(&answer, "jeton_form").unwrap();
    let page = answer.text().await.unwrap();
    let kept = hidden_field(&page, "/dashboard/sign-in", "kept_form");
    assert!(!kept.contains("nobody types twice"));
    let sign_in = |cookie: String, password: &'static str| {
        http()
            .post(url("/dashboard/sign-in"))
            .header("cookie", cookie)
            .form(&[
                ("csrf", csrf_in(&page).as_str()),
                ("kept_form", &kept),
                ("email", "ada@example.com"),
                ("password", password),
            ])
            .send()
    };
    let wrong = sign_in(early.clone(), "not the password").await.unwrap();
    assert!(wrong.text().await.unwrap().contains(&kept), "it is kept on");
    let answer = sign_in(early, PASSWORD).await.unwrap();
    assert_eq!(answer.status(), 200);
    let session = set_cookie(&answer, "jeton_session").unwrap();
    let page = answer.text().await.unwrap();
    assert!(page.contains("nobody types twice") && !page.contains("a secret that was typed"));
    let csrf = csrf_in(&page);
    let send = async |more: &[(&str, &str)]| {
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        all.extend(more);
        let request = http().post(url(&path)).header("cookie", &session);
        request.form(&all).send().await.unwrap()
    };
    // Meanwhile somebody else saved: nothing is overwritten unseen.
    operator
        .patch(
            &format!("/clients/{client}"),
            json!({ "description": "Ask Grace" }),
        )
        .await;
    let shown = send(&[("given_back", "yes")]).await;
    assert_eq!(shown.status(), 200);
    let shown = shown.text().await.unwrap();
    assert!(
        shown.contains("value=\"that nobody types twice\""),
        "{shown}"
    );
    let client_path = format!("/clients/{client}");
    assert_eq!(operator.get(&client_path).await["description"], "Ask Grace");
    let version = hidden_field(&shown, &path, "version");
    assert_eq!(version, "1", "the version that the form was made from");
    assert_eq!(send(&[]).await.status(), 409);
}

#[tokio::test]
async fn rotating_asks_how_long_the_secrets_of_now_work_and_takes_no_answer_for_none() {
    let world = Sheets::new().await;
    let created = world.create("Agent", &["todo:read"]).await;
    let old = Credentials::of(&json!({
        "client_id": created.client_id(), "client_secret": created.secret().unwrap(),
    }));
    let rotate = format!("/dashboard/clients/{}/secrets/rotate", created.client_id());
    for grace in [None, Some(""), Some("soon")] {
        let sheet = world.admin.page(&rotate).await;
        let seen = hidden_field(&sheet, &rotate, "seen");
        let mut fields = vec![("seen", seen.as_str())];
        fields.extend(grace.map(|grace| ("grace", grace)));
        let answer = world.admin.post(&rotate, &fields).await;
        assert_eq!(answer.status(), 422, "{grace:?}");
    }
    old.token(&world.jeton.url, &[]).await;
    for (grace, expires, works) in [
        ("manual", false, 200),
        ("7d", true, 200),
        ("now", true, 401),
    ] {
        let sheet = world.admin.page(&rotate).await;
        let seen: Vec<_> = sheet.split("name=\"seen\" value=\"").skip(1).collect();
        let seen: Vec<_> = seen
            .iter()
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        let mut fields: Vec<_> = seen.into_iter().map(|id| ("seen", id)).collect();
        fields.push(("grace", grace));
        let answer = world.admin.post(&rotate, &fields).await;
        assert_eq!(answer.status(), 303, "{grace}");
        let operator = world.jeton.operator().await;
        let list = operator
            .get(&format!("/clients/{}/secrets", created.client_id()))
            .await;
        let list = list["items"].as_array().unwrap();
        let oldest = list
            .iter()
            .min_by_key(|one| one["created_at"].as_str().unwrap().to_owned());
        assert_eq!(!oldest.unwrap()["expires_at"].is_null(), expires, "{grace}");
        let answer = old.ask(&world.jeton.url, &[]).await;
        assert_eq!(answer.status, works, "{grace}");
    }
}

#[tokio::test]
async fn what_takes_access_away_says_so_in_numbers_first_and_can_be_undone() {
    let world = Sheets::new().await;
    let created = world.create("Agent", &["todo:read"]).await;
    let id = created.client_id();
    let credentials = Credentials::of(&json!({
        "client_id": id, "client_secret": created.secret().unwrap(),
    }));
    for _ in 0..35 {
        credentials.token(&world.jeton.url, &[]).await;
    }
    let operator = world.jeton.operator().await;
    let list = operator.get(&format!("/clients/{id}/secrets")).await;
    let secret = list["items"][0]["id"].as_str().unwrap().to_owned();
    let client = format!("/dashboard/clients/{id}");
    let before = operator.audit("").await.len();
    for path in [
        format!("/dashboard/secrets/{secret}/revoke"),
        format!("{client}/disable"),
        format!("{client}/delete"),
        format!("{client}/revoke-tokens"),
        format!("{client}/grants/{}/delete", world.server),
    ] {
        let page = world.admin.page(&path).await;
        assert!(
            page.contains("35 tokens in the last 24 hours"),
            "{path}: {page}"
        );
        assert!(page.contains("<div class=\"frame\" inert>"), "{path}");
        assert!(page.contains(&format!("action=\"{path}\"")), "{path}");
    }
    let question = format!("/dashboard/secrets/{secret}/revoke");
    let page = world.admin.page(&question).await;
    assert!(
        page.contains("It is the only working secret of Agent") && page.contains("Rotate instead")
    );
    let asked = operator.audit("").await.len();
    assert_eq!(asked, before, "asking changes nothing");

    // Removed, told once, and given back.
    let remove = format!("{client}/grants/{}/delete", world.server);
    let page = world.admin.page(&remove).await;
    let version = hidden_field(&page, &remove, "version");
    let answer = world.admin.post(&remove, &[("version", &version)]).await;
    assert_eq!(answer.status(), 303);
    assert!(!location(&answer).contains("done"), "no address repeats it");
    let told = world.follow(&answer).await.page;
    assert!(told.contains("Agent can no longer use"), "{told}");
    assert!(
        !world
            .admin
            .page(&client)
            .await
            .contains("Agent can no longer use")
    );
    let undo = format!("{client}/grants");
    let fields = [
        ("mcp_server_id", hidden_field(&told, &undo, "mcp_server_id")),
        ("version", hidden_field(&told, &undo, "version")),
        ("scope", hidden_field(&told, &undo, "scope")),
    ];
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(world.admin.post(&undo, &fields).await.status(), 303);
    let answer = credentials.ask(&world.jeton.url, &[]).await;
    assert_eq!(answer.status, 200);
    // The words are for one session only.
    let viewer = format!("{}/settings", client);
    let answer = world.admin.post(&format!("{client}/disable"), &[]).await;
    let toast = set_cookie(&answer, "jeton_toast").unwrap();
    let again = sign_in(&world.jeton, "ada@example.com", PASSWORD).await;
    let session = set_cookie(&again, "jeton_session").unwrap();
    let request = http().get(format!("{}{viewer}", world.jeton.url));
    let request = request.header("cookie", format!("{session}; {toast}"));
    let page = request.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("Agent is disabled and"));
}

#[tokio::test]
async fn a_key_that_has_not_signed_can_be_withdrawn_and_one_that_leaked_replaced_at_once() {
    let world = Sheets::new().await;
    let operator = world.jeton.operator().await;
    let keys = "/dashboard/signing-keys";
    let fields = [("algorithm", "RS256")];
    let rotate = format!("{keys}/rotate");
    assert_eq!(world.admin.post(&rotate, &fields).await.status(), 303);
    let page = world.admin.page(keys).await;
    let withdraw = page.split("/withdraw\"").next().unwrap();
    let withdraw = format!("{}/withdraw", withdraw.rsplit('"').next().unwrap());
    let question = world.admin.page(&withdraw).await;
    assert!(question.contains("has not signed anything"), "{question}");
    let published = async || {
        let keys: serde_json::Value = world.jeton.get("/keys").await.json().await.unwrap();
        keys["keys"].to_string()
    };
    let waiting = withdraw.split('/').nth(3).unwrap().to_owned();
    assert!(published().await.contains(&waiting));
    assert_eq!(world.admin.post(&withdraw, &[]).await.status(), 303);
    assert!(!published().await.contains(&waiting));
    assert_eq!(
        world.admin.post(&withdraw, &[]).await.status(),
        409,
        "withdrawn already"
    );
    let retired = operator.audit("kind=key.retired").await;
    assert_eq!(retired[0]["detail"]["withdrawn"], true);
    let active = operator.get("/signing-keys").await;
    let active = active["items"].as_array().unwrap().iter();
    let active = active
        .filter(|key| key["state"] == "active" && key["algorithm"] == "RS256")
        .map(|key| key["id"].as_str().unwrap().to_owned())
        .next()
        .unwrap();
    let path = format!("{keys}/{active}/withdraw");
    assert_eq!(world.admin.post(&path, &[]).await.status(), 409, "it signs");
    assert!(published().await.contains(&active));

    let replace = format!("{keys}/replace");
    let question = world
        .admin
        .page(&format!("{replace}?algorithm=RS256"))
        .await;
    assert!(
        question.contains("1 MCP server uses RS256") || question.contains("MCP servers use RS256")
    );
    let seen = hidden_field(&question, &replace, "seen");
    let fields = |typed| {
        [
            ("algorithm", "RS256"),
            ("confirm", typed),
            ("seen", seen.as_str()),
        ]
    };
    let wrong = fields("ES256");
    assert_eq!(world.admin.post(&replace, &wrong).await.status(), 422);
    assert!(published().await.contains(&active));
    let right = fields("RS256");
    assert_eq!(world.admin.post(&replace, &right).await.status(), 303);
    let after = published().await;
    assert!(!after.contains(&active));
    // A second admin who confirms the same replaces nothing.
    let second = world.admin.post(&replace, &right).await;
    assert_eq!(second.status(), 409);
    let page = second.text().await.unwrap();
    assert!(page.contains("no longer signs"), "{page}");
    assert_ne!(hidden_field(&page, &replace, "seen"), seen);
    assert_eq!(published().await, after);
}

#[tokio::test]
async fn many_scopes_come_in_groups_with_how_many_are_chosen() {
    let world = Sheets::new().await;
    let operator = world.jeton.operator().await;
    let names: Vec<String> = ["read", "write"]
        .iter()
        .flat_map(|verb| {
            (0..100).map(move |number| format!("part{:02}:{verb}", number % 10 * 10 + number / 10))
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = operator.mcp_server("http://localhost:2/mcp", &names).await;
    let page = format!("/dashboard/mcp-servers/{server}/clients/new");
    let page = world.admin.page(&page).await;
    assert!(page.contains("0 of 200 selected"), "{page}");
    assert_eq!(page.matches("class=\"scope-group\"").count(), 100);
    let few = world.admin.page(&world.at("/clients/new")).await;
    assert!(!few.contains("selected</p>") && !few.contains("scope-group"));
}

#[tokio::test]
async fn whatever_is_shown_once_stays_until_it_was_copied_or_let_go() {
    let world = Sheets::new().await;
    let created = world.create("Agent", &["todo:read"]).await;
    let client = format!("/dashboard/clients/{}", created.client_id());
    let settings = world.at("/settings");
    let invitations = "/dashboard/settings/invitations".to_owned();
    for (make, shown, over) in [
        (
            format!("{client}/secrets"),
            format!("{client}/secrets/shown"),
            &client,
        ),
        (world.at("/secrets"), world.at("/secrets/shown"), &settings),
        (
            invitations.clone(),
            format!("{invitations}/shown"),
            &"/dashboard/settings".to_owned(),
        ),
    ] {
        let fields = [("note", "Eve"), ("role", "viewer")];
        let answer = world.admin.post(&make, &fields).await;
        assert_eq!(answer.status(), 303, "{make}");
        let sheet = world.follow(&answer).await;
        assert_eq!(&sheet.path, over);
        let id = ["id=\"client-secret\">", "id=\"invitation-link\">"];
        let secret = id.iter().find_map(|id| sheet.page.split(id).nth(1));
        let secret = secret.unwrap().split('<').next().unwrap().to_owned();
        assert!(sheet.page.contains("class=\"frame\" inert"), "{make}");
        let kept = hidden_field(&sheet.page, &shown, "kept");
        assert!(!secret.contains(&kept) && !kept.contains(&secret));
        // Whoever has not said that it was copied is asked, and still has it.
        let answer = world.admin.post(&shown, &[("kept", &kept)]).await;
        assert_eq!(answer.status(), 303);
        let asked = world.follow(&answer).await;
        assert!(asked.page.contains("Have you copied it?"), "{make}");
        assert!(asked.page.contains(&secret), "{make}");
        for enough in ["copied", "anyway"] {
            let fields = [("kept", kept.as_str()), (enough, "yes")];
            let answer = world.admin.post(&shown, &fields).await;
            assert_eq!(set_cookie(&answer, "jeton_reveal"), None);
            let left = world.follow(&answer).await;
            assert_eq!(&left.path, over);
            assert!(!left.page.contains(&secret), "{make}: {enough}");
        }
        // What another page kept is none of this one's.
        let elsewhere = world.at("/secrets/shown");
        if elsewhere != shown {
            let answer = world.admin.post(&elsewhere, &[("kept", &kept)]).await;
            assert_eq!(set_cookie(&answer, "jeton_reveal"), None);
        }
    }
}

#[tokio::test]
async fn a_scope_is_taken_from_an_agent_at_work_by_somebody_who_was_told_how_much_it_works() {
    let world = Sheets::new().await;
    let created = world.create("Agent", &["todo:read", "todo:write"]).await;
    let client = format!("/dashboard/clients/{}", created.client_id());
    let grants = format!("{client}/grants");
    let narrow = [
        ("mcp_server_id", world.server.as_str()),
        ("scope", "todo:read"),
    ];
    let scopes = async || {
        let operator = world.jeton.operator().await;
        let all = operator
            .get(&format!("/clients/{}/grants", created.client_id()))
            .await;
        all["items"][0]["scopes"].as_array().unwrap().len()
    };
    let agent = Credentials::of(&json!({
        "client_id": created.client_id(), "client_secret": created.secret().unwrap(),
    }));
    for _ in 0..3 {
        agent.token(&world.jeton.url, &[]).await;
    }
    let page = world.admin.page(&client).await;
    let version = hidden_field(&page, &grants, "version");
    let fields = [&narrow[..], &[("version", version.as_str())]].concat();
    let asked = world.admin.post(&grants, &fields).await;
    assert_eq!(asked.status(), 409);
    let page = asked.text().await.unwrap();
    for part in [
        "3 tokens in the last 24 hours",
        "It loses todo:write on",
        "Do it anyway",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(scopes().await, 2, "asked only");
    let confirmed = [&fields[..], &[("confirmed", "yes")]].concat();
    let answer = world.admin.post(&grants, &confirmed).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(scopes().await, 1);
}
