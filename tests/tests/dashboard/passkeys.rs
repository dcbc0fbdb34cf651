//! Passkeys, by an authenticator that does wrong what a test says, and by a real browser with a virtual one.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_tests::{
    Admin, HeldLog, Jeton, JetonOptions, JoinForm, PASSWORD, TestDatabase, csrf_in, eventually,
    first_admin_path, free_port, hidden_field, http, set_cookie,
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::browser::node;
use crate::sessions::sign_in;
use crate::world::{id_of, invite, link_of};

const PAGE: &str = "/dashboard/settings/second-factor";
const PASSKEYS: &str = "/dashboard/settings/second-factor/passkeys";
const NEW: &str = "/dashboard/settings/second-factor/passkeys/new";
const SIGN_IN: &str = "/dashboard/sign-in/passkey";
const EMAIL: &str = "ada@example.com";
const INVITATIONS: &str = "/dashboard/settings/invitations";
const INVITATION: [(&str, &str); 2] = [("note", "Eve"), ("role", "viewer")];
const REQUIRED: &[&str] = &["--admin-second-factor", "required"];

/// A server at a name, where browsers have passkeys.
async fn start(more: &[&str]) -> Jeton {
    let port = free_port();
    let issuer = format!("http://localhost:{port}");
    let flags = [&["--issuer", issuer.as_str()][..], more].concat();
    let options = JetonOptions {
        flags,
        port: Some(port),
        ..JetonOptions::default()
    };
    Jeton::start_with(options).await
}

/// An authenticator and its browser. Each field is right unless a test changes it.
struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    origin: String,
    rp_id: &'static str,
    flags: u8,
    count: u32,
    user_handle: String,
}

impl Authenticator {
    fn new(jeton: &Jeton, id: &str) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id: id.as_bytes().to_vec(),
            origin: jeton.url.clone(),
            rp_id: "localhost",
            flags: 0b101,
            count: 1,
            user_handle: String::new(),
        }
    }

    fn client_data(&self, r#type: &str, challenge: &str) -> Vec<u8> {
        json!({ "type": r#type, "challenge": challenge, "origin": self.origin })
            .to_string()
            .into_bytes()
    }

    fn data(&self, more: &[u8]) -> Vec<u8> {
        let hash = digest(&SHA256, self.rp_id.as_bytes());
        let flags = self.flags | if more.is_empty() { 0 } else { 0x40 };
        [hash.as_ref(), &[flags], &self.count.to_be_bytes(), more].concat()
    }

    fn registration(&self, challenge: &str) -> String {
        let point = self.key.public_key().as_ref();
        // A COSE key in CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
        let key = [
            &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..],
            &point[1..33],
            &[0x22, 0x58, 32],
            &point[33..],
        ]
        .concat();
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let data = self.data(&[&[0; 16][..], &length, &self.id, &key].concat());
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let object = [
            &b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"[..],
            &length,
            &data,
        ]
        .concat();
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(self.client_data("webauthn.create", challenge)),
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
            },
        })
        .to_string()
    }

    fn assertion(&self, challenge: &str) -> String {
        let client_data = self.client_data("webauthn.get", challenge);
        let data = self.data(&[]);
        let hash = digest(&SHA256, &client_data);
        let signed = [&data, hash.as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": URL_SAFE_NO_PAD.encode(&self.user_handle),
            },
        })
        .to_string()
    }

    /// Registers on the admin's own page.
    async fn register(&mut self, admin: &Admin) {
        let (challenge, options) = options(&admin.page(NEW).await, PASSKEYS);
        let id = options["user"]["id"].as_str().unwrap();
        self.user_handle = String::from_utf8(URL_SAFE_NO_PAD.decode(id).unwrap()).unwrap();
        let answer = send_registration(self, admin, (&challenge, &options)).await;
        assert_eq!(answer.status(), 303, "{:?}", answer.text().await);
    }

    /// Signs in with a new page's challenge.
    async fn sign_in(&self, jeton: &Jeton) -> Response {
        SignInForm::open(jeton).await.send(self).await
    }
}

async fn send_registration(
    authenticator: &Authenticator,
    admin: &Admin,
    (challenge, options): (&str, &Value),
) -> Response {
    let credential = authenticator.registration(options["challenge"].as_str().unwrap());
    let fields = [
        ("name", "My key"),
        ("challenge", challenge),
        ("credential", &credential),
    ];
    admin.post(PASSKEYS, &fields).await
}

/// The sealed challenge and the options of a page's form that is sent to `action`.
fn options(page: &str, action: &str) -> (String, Value) {
    let form = page.split(&format!("action=\"{action}\"")).nth(1).unwrap();
    let options = form.split("data-passkey=\"").nth(1).unwrap();
    let options = options.split('"').next().unwrap().replace("&#34;", "\"");
    let name = match form.split('>').next().unwrap().contains("current") {
        true => "passkey_challenge",
        false => "challenge",
    };
    let sealed = hidden_field(page, action, name);
    (sealed, serde_json::from_str(&options).unwrap())
}

/// A sign-in page that is open in a browser.
#[derive(Clone)]
struct SignInForm {
    url: String,
    cookie: String,
    csrf: String,
    sealed: String,
    challenge: String,
}

impl SignInForm {
    async fn open(jeton: &Jeton) -> Self {
        let answer = jeton.get("/dashboard/sign-in").await;
        let cookie = set_cookie(&answer, "jeton_form").unwrap();
        let page = answer.text().await.unwrap();
        let (sealed, options) = options(&page, SIGN_IN);
        assert_eq!(options["rpId"], "localhost");
        assert_eq!(options["userVerification"], "required");
        Self {
            url: format!("{}{SIGN_IN}", jeton.url),
            cookie,
            csrf: csrf_in(&page),
            sealed,
            challenge: options["challenge"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, authenticator: &Authenticator) -> Response {
        self.send_credential(&authenticator.assertion(&self.challenge))
            .await
    }

    async fn send_credential(&self, credential: &str) -> Response {
        let form = [
            ("csrf", self.csrf.as_str()),
            ("challenge", &self.sealed),
            ("credential", credential),
            ("next", "/dashboard/clients"),
        ];
        let request = http().post(&self.url).header("cookie", &self.cookie);
        request.form(&form).send().await.unwrap()
    }
}

/// The first admin, who may see no other page yet.
async fn first_where_required(jeton: &Jeton) -> Admin {
    let path = first_admin_path(jeton).await;
    let form = JoinForm::open(jeton, &path).await;
    let joined = form.send("Ada", EMAIL, PASSWORD).await;
    let session = set_cookie(&joined, "jeton_session").unwrap();
    Admin::of_session(&jeton.url, session, PAGE).await
}

/// The sealed challenge and the options of the page that asks who is there before somebody is invited.
async fn asked_to_confirm(admin: &Admin) -> (String, Value) {
    let asked = admin.post(INVITATIONS, &INVITATION).await;
    assert_eq!(asked.status(), 403);
    let page = asked.text().await.unwrap();
    let form = page.split("data-passkey=\"").nth(1).unwrap();
    let options = form.split('"').next().unwrap().replace("&#34;", "\"");
    let sealed = hidden_field(&page, INVITATIONS, "passkey_challenge");
    (sealed, serde_json::from_str(&options).unwrap())
}

/// Invites somebody, with a passkey's answer to that page.
async fn confirm(admin: &Admin, sealed: &str, credential: &str) -> u16 {
    let more = [("passkey_challenge", sealed), ("passkey", credential)];
    let fields = [&INVITATION[..], &more].concat();
    admin.post(INVITATIONS, &fields).await.status().as_u16()
}

async fn newest(jeton: &Jeton, kind: &str) -> Value {
    let operator = jeton.operator().await;
    let events = operator.audit(&format!("kind={kind}")).await;
    events.first().cloned().unwrap_or_default()
}

/// Waits until a refusal with this reason is recorded.
pub(crate) async fn refused_for(jeton: &Jeton, reason: &str) {
    let operator = jeton.operator().await;
    eventually(reason, async || {
        let refused = operator.audit("kind=admin.sign_in_refused").await;
        let mut reasons = refused.iter().filter_map(|event| event["reason"].as_str());
        reasons.any(|found| found.contains(reason))
    })
    .await;
}

#[tokio::test]
async fn a_passkey_signs_in_by_itself_and_is_on_record() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let mut key = Authenticator::new(&jeton, "one");
    key.register(&ada).await;
    let added = newest(&jeton, "admin.factor_added").await;
    assert_eq!(added["detail"]["method"], "passkey");
    assert_eq!(added["detail"]["passkey"], "My key");
    assert!(
        ada.page(PAGE).await.contains("10 of 10 left"),
        "recovery codes come with it"
    );
    key.count = 2;
    let answer = key.sign_in(&jeton).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/dashboard/clients");
    assert!(set_cookie(&answer, "jeton_session").is_some());
    let event = newest(&jeton, "admin.signed_in").await;
    assert_eq!(event["detail"]["method"], "passkey");
    assert_eq!(event["actor"], id_of(&jeton, EMAIL).await);
    // The password alone is no longer enough.
    let answer = sign_in(&jeton, EMAIL, PASSWORD).await;
    assert_eq!(set_cookie(&answer, "jeton_session"), None);
    // Removed, it is unknown.
    let remove = format!("{PASSKEYS}/{}/remove", URL_SAFE_NO_PAD.encode("one"));
    assert_eq!(ada.post(&remove, &[]).await.status(), 303);
    let removed = newest(&jeton, "admin.factor_removed").await;
    assert_eq!(removed["detail"]["passkey"], "My key");
    key.count = 3;
    assert_eq!(key.sign_in(&jeton).await.status(), 401);
    refused_for(&jeton, "unknown passkey").await;
    let answer = sign_in(&jeton, EMAIL, PASSWORD).await;
    assert!(set_cookie(&answer, "jeton_session").is_some());
}

#[tokio::test]
async fn a_challenge_is_one_browsers_and_taken_once() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let mut key = Authenticator::new(&jeton, "one");
    key.register(&ada).await;
    key.count = 2;
    let form = SignInForm::open(&jeton).await;
    let credential = key.assertion(&form.challenge);
    // In a browser that was given another.
    let other = SignInForm::open(&jeton).await;
    assert_eq!(other.send_credential(&credential).await.status(), 401);
    refused_for(&jeton, "wrong challenge").await;
    let other = SignInForm {
        sealed: form.sealed.clone(),
        ..SignInForm::open(&jeton).await
    };
    assert_eq!(other.send_credential(&credential).await.status(), 401);
    assert_eq!(form.send_credential(&credential).await.status(), 303);
    assert_eq!(
        form.send_credential(&credential).await.status(),
        401,
        "again"
    );
    // Also with a counter that rose.
    key.count = 9;
    assert_eq!(form.send(&key).await.status(), 401, "the same challenge");
    // One for registering is none for signing in.
    let (sealed, options) = options(&ada.page(NEW).await, PASSKEYS);
    let form = SignInForm {
        sealed,
        challenge: options["challenge"].as_str().unwrap().to_owned(),
        ..SignInForm::open(&jeton).await
    };
    assert_eq!(form.send(&key).await.status(), 401);
    assert_eq!(key.sign_in(&jeton).await.status(), 303);
}

#[tokio::test]
async fn what_is_wrong_with_a_passkey_is_refused_and_recorded() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let path = invite(&ada, &[("note", "Vera"), ("role", "viewer")]).await;
    let vera = Admin::join(&jeton, &path, "Vera", "vera@example.com").await;
    let (mut key, mut hers) = (
        Authenticator::new(&jeton, "one"),
        Authenticator::new(&jeton, "two"),
    );
    key.register(&ada).await;
    hers.register(&vera).await;
    key.count = 5;
    assert_eq!(key.sign_in(&jeton).await.status(), 303);
    let right = key.user_handle.clone();
    type Change = fn(&mut Authenticator);
    let wrong: [(&str, Change); 6] = [
        ("wrong origin", |key| {
            key.origin = "https://evil.example".into()
        }),
        ("wrong RP ID", |key| key.rp_id = "evil.example"),
        ("no user verification", |key| key.flags = 0b001),
        ("no user presence", |key| key.flags = 0b100),
        ("counter did not rise", |key| key.count = 5),
        ("wrong signature", |key| {
            key.key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        }),
    ];
    for (reason, change) in wrong {
        let mut bad = Authenticator {
            key: EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                key.key.to_pkcs8v1().unwrap().as_ref(),
            )
            .unwrap(),
            id: key.id.clone(),
            origin: key.origin.clone(),
            user_handle: right.clone(),
            count: 6,
            ..key
        };
        change(&mut bad);
        assert_eq!(bad.sign_in(&jeton).await.status(), 401, "{reason}");
        refused_for(&jeton, reason).await;
    }
    // Vera's confirms no change of Ada's.
    let ago = "UPDATE admin_session SET confirmed_at = confirmed_at - 3600000";
    jeton.database().sql(ago).await;
    let (sealed, options) = asked_to_confirm(&ada).await;
    hers.count = 4;
    let credential = hers.assertion(options["challenge"].as_str().unwrap());
    assert_eq!(confirm(&ada, &sealed, &credential).await, 403);
    refused_for(&jeton, "another admin's").await;
    // Vera's credential that says it is Ada's, and Ada's ID with Vera's key.
    hers.count = 5;
    hers.user_handle.clone_from(&right);
    assert_eq!(hers.sign_in(&jeton).await.status(), 401);
    refused_for(&jeton, "wrong user handle").await;
    hers.id.clone_from(&key.id);
    assert_eq!(hers.sign_in(&jeton).await.status(), 401);
    key.count = 6;
    assert_eq!(key.sign_in(&jeton).await.status(), 303);
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let path = invite(&ada, &[("note", "Vera"), ("role", "viewer")]).await;
    let vera = Admin::join(&jeton, &path, "Vera", "vera@example.com").await;
    let mut key = Authenticator::new(&jeton, "one");
    let form = options(&ada.page(NEW).await, PASSKEYS);
    let send = async |key: &Authenticator, form: &(String, Value)| {
        send_registration(key, &ada, (&form.0, &form.1))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(send(&key, &form).await, 303);
    assert_eq!(
        send(&Authenticator::new(&jeton, "two"), &form).await,
        422,
        "the same challenge"
    );
    let fresh = async || options(&ada.page(NEW).await, PASSKEYS);
    assert_eq!(send(&key, &fresh().await).await, 422, "registered already");
    // By somebody else, too.
    let of_vera = options(&vera.page(NEW).await, PASSKEYS);
    let answer = send_registration(&key, &vera, (&of_vera.0, &of_vera.1)).await;
    assert_eq!(answer.status(), 422);
    let of_vera = options(&vera.page(NEW).await, PASSKEYS);
    key.id = b"three".to_vec();
    assert_eq!(
        send(&key, &of_vera).await,
        422,
        "another session's challenge"
    );
    key.flags = 0b001;
    assert_eq!(send(&key, &fresh().await).await, 422, "not verified");
    key.flags = 0b101;
    key.origin = "http://localhost:1".into();
    assert_eq!(send(&key, &fresh().await).await, 422, "another origin");
    assert_eq!(ada.page(PAGE).await.matches("/remove\"").count(), 1);
    // Nobody removes another's.
    let remove = format!("{PASSKEYS}/{}/remove", URL_SAFE_NO_PAD.encode("one"));
    vera.post(&remove, &[]).await;
    assert_eq!(ada.page(PAGE).await.matches("/remove\"").count(), 1);
}

#[tokio::test]
async fn a_passkey_confirms_a_change_for_its_own_session() {
    let jeton = start(REQUIRED).await;
    let ada = first_where_required(&jeton).await;
    let mut key = Authenticator::new(&jeton, "one");
    key.register(&ada).await;
    let remove = format!("{PASSKEYS}/{}/remove", URL_SAFE_NO_PAD.encode("one"));
    assert_eq!(
        ada.post(&remove, &[]).await.status(),
        409,
        "the last one stays"
    );
    let ago = "UPDATE admin_session SET confirmed_at = confirmed_at - 3600000";
    jeton.database().sql(ago).await;
    let send = async |sealed: &str, credential: &str| confirm(&ada, sealed, credential).await;
    let ask = async || {
        let (sealed, options) = asked_to_confirm(&ada).await;
        let own = json!([URL_SAFE_NO_PAD.encode("one")]);
        assert_eq!(options["allowCredentials"], own);
        (sealed, options["challenge"].as_str().unwrap().to_owned())
    };
    key.count = 2;
    let (sealed, challenge) = ask().await;
    key.flags = 0b001;
    assert_eq!(
        send(&sealed, &key.assertion(&challenge)).await,
        403,
        "not verified"
    );
    key.flags = 0b101;
    assert_eq!(
        send(&sealed, &key.assertion(&challenge)).await,
        403,
        "taken"
    );
    // A challenge of the sign-in page confirms nothing.
    let form = SignInForm::open(&jeton).await;
    assert_eq!(
        send(&form.sealed, &key.assertion(&form.challenge)).await,
        403
    );
    let (sealed, challenge) = ask().await;
    assert_eq!(send(&sealed, &key.assertion(&challenge)).await, 303);
    let with_password = [&INVITATION[..], &[("current_password", PASSWORD)]].concat();
    jeton.database().sql(ago).await;
    let answer = ada.post(INVITATIONS, &with_password).await;
    assert_eq!(answer.status(), 403, "the password alone");
}

#[tokio::test]
async fn of_two_passkeys_removed_at_once_the_last_stays_where_one_is_required() {
    let jeton = start(REQUIRED).await;
    let database = jeton.database();
    if !matches!(database, TestDatabase::Postgres(_)) {
        // SQLite has one writer at a time.
        return;
    }
    let ada = first_where_required(&jeton).await;
    for id in ["one", "two"] {
        Authenticator::new(&jeton, id).register(&ada).await;
    }
    // Both are held up at the same place: the end of the audit log.
    let held = HeldLog::hold(database).await;
    let remove = async |id: &str| {
        let path = format!("{PASSKEYS}/{}/remove", URL_SAFE_NO_PAD.encode(id));
        ada.post(&path, &[]).await.status().as_u16()
    };
    let releasing = async {
        eventually("both wait", async || database.waiting().await >= 2).await;
        held.release().await;
    };
    let (first, second, ()) = tokio::join!(remove("one"), remove("two"), releasing);
    let mut outcomes = [first, second];
    outcomes.sort_unstable();
    assert_eq!(outcomes, [303, 409]);
    assert_eq!(ada.page(PAGE).await.matches("/remove\"").count(), 1);
}

#[tokio::test]
async fn a_challenge_that_one_server_took_is_taken_at_the_other() {
    let jeton = start(&[]).await;
    if !matches!(jeton.database(), TestDatabase::Postgres(_)) {
        return;
    }
    let ada = Admin::first(&jeton).await;
    let other = jeton.replica().await;
    // Without a counter, as passkeys that are copied between devices: nothing else would refuse it.
    let mut key = Authenticator::new(&jeton, "one");
    key.count = 0;
    key.register(&ada).await;
    let form = SignInForm::open(&jeton).await;
    let there = SignInForm {
        url: format!("{}{SIGN_IN}", other.listening()),
        ..form.clone()
    };
    assert_eq!(form.send(&key).await.status(), 303);
    assert_eq!(there.send(&key).await.status(), 401);
    let form = SignInForm::open(&jeton).await;
    let there = SignInForm {
        url: there.url,
        ..form
    };
    assert_eq!(there.send(&key).await.status(), 303, "one of the other's");
}

#[tokio::test]
async fn a_reset_of_access_takes_its_passkeys_along() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let path = invite(&ada, &[("note", "Vera"), ("role", "viewer")]).await;
    let vera = Admin::join(&jeton, &path, "Vera", "vera@example.com").await;
    let mut key = Authenticator::new(&jeton, "one");
    key.register(&vera).await;
    let id = id_of(&jeton, "vera@example.com").await;
    let reset = format!("/dashboard/settings/admins/{id}/reset");
    let link = link_of(&ada, ada.post(&reset, &[]).await).await;
    Admin::join(&jeton, &link, "Vera", "vera@example.com").await;
    let updated = newest(&jeton, "admin.updated").await;
    assert_eq!(updated["detail"]["second_factor"], "removed");
    key.count = 2;
    assert_eq!(key.sign_in(&jeton).await.status(), 401);
    refused_for(&jeton, "unknown passkey").await;
}

#[tokio::test]
async fn a_passkey_lets_in_as_long_as_its_admin_may_sign_in_by_password() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let mut key = Authenticator::new(&jeton, "one");
    key.count = 0;
    key.register(&ada).await;
    let hash = jeton
        .database()
        .sql("SELECT password_hash FROM admin")
        .await;
    let hash = format!("password_hash = '{}'", hash.trim());
    let (listed, manual) = ("role_source = 'provider'", "role_source = 'manual'");
    for (columns, back, reason) in [
        (listed, manual, "not on the lists"),
        ("password_hash = NULL", &hash, "unknown passkey"),
    ] {
        let change = async |columns: &str| {
            let change = format!("UPDATE admin SET {columns}");
            jeton.database().sql(&change).await;
        };
        change(columns).await;
        assert_eq!(key.sign_in(&jeton).await.status(), 401, "{reason}");
        refused_for(&jeton, reason).await;
        change(back).await;
        assert_eq!(key.sign_in(&jeton).await.status(), 303, "{reason}");
    }
}

#[tokio::test]
async fn nobody_has_more_than_fifty_passkeys() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    Authenticator::new(&jeton, "one").register(&ada).await;
    let columns = "admin_id, name, public_key, sign_count, backup_eligible, created_at";
    let copies: Vec<_> = (2..=50)
        .map(|number| format!("SELECT 'c{number}' AS copy"))
        .collect();
    let copy = format!(
        "INSERT INTO admin_passkey (id, {columns}) SELECT copy, {columns} FROM admin_passkey, ({}) AS copies",
        copies.join(" UNION ")
    );
    jeton.database().sql(&copy).await;
    let form = options(&ada.page(NEW).await, PASSKEYS);
    let last = Authenticator::new(&jeton, "last");
    let answer = send_registration(&last, &ada, (&form.0, &form.1)).await;
    assert_eq!(answer.status(), 422);
    jeton
        .database()
        .sql("DELETE FROM admin_passkey WHERE id = 'c2'")
        .await;
    let form = options(&ada.page(NEW).await, PASSKEYS);
    let answer = send_registration(&last, &ada, (&form.0, &form.1)).await;
    assert_eq!(answer.status(), 303);
}

#[tokio::test]
async fn whoever_sends_wrong_passkeys_is_slowed_down() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let mut key = Authenticator::new(&jeton, "one");
    key.register(&ada).await;
    key.flags = 0b001;
    let mut statuses = Vec::new();
    for _ in 0..60 {
        let status = key.sign_in(&jeton).await.status().as_u16();
        statuses.push(status);
        if status == 429 {
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let refused = statuses.iter().filter(|status| **status == 401).count();
    assert!(refused >= 50, "{statuses:?}");
}

#[tokio::test]
async fn a_session_alone_adds_no_passkey() {
    let jeton = start(&[]).await;
    let ada = Admin::first(&jeton).await;
    let form = options(&ada.page(NEW).await, PASSKEYS);
    let ago = "UPDATE admin_session SET confirmed_at = confirmed_at - 3600000";
    jeton.database().sql(ago).await;
    let key = Authenticator::new(&jeton, "one");
    let answer = send_registration(&key, &ada, (&form.0, &form.1)).await;
    assert_eq!(answer.status(), 403, "asked who they are");
    let answer = ada.get(NEW).send().await.unwrap();
    assert_eq!(answer.status(), 303, "before the form is shown, too");
    assert_eq!(ada.page(PAGE).await.matches("/remove\"").count(), 0);
}

#[tokio::test]
async fn where_the_issuer_is_an_address_the_page_says_what_to_do() {
    let jeton = Jeton::start().await;
    let ada = Admin::first(&jeton).await;
    let page = ada.page(PAGE).await;
    let advice = format!("--issuer http://localhost:{}", jeton.port());
    assert!(page.contains(&advice) && !page.contains(NEW), "{page}");
    let answer = ada.get(NEW).send().await.unwrap();
    assert_eq!(answer.headers()["location"], PAGE);
    let page = jeton.get("/dashboard/sign-in").await.text().await.unwrap();
    assert!(!page.contains("passkey"), "{page}");
}

#[tokio::test]
async fn a_browser_registers_signs_in_and_removes() {
    let jeton = start(&[]).await;
    let link = format!("{}{}", jeton.url, first_admin_path(&jeton).await);
    node("dashboard_passkeys.mjs", &[&jeton.url, &link]).await;
    let event = newest(&jeton, "admin.signed_in").await;
    assert_eq!(event["detail"]["method"], "password");
    let operator = jeton.operator().await;
    let signed_in = operator.audit("kind=admin.signed_in").await;
    let by_passkey = signed_in
        .iter()
        .filter(|event| event["detail"]["method"] == "passkey");
    assert!(by_passkey.count() >= 2);
}
