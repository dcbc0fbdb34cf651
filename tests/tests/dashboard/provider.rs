//! An `OpenID` Connect provider that says whatever a test wants.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::{Clock as _, KeyId, SigningAlgorithm, SystemClock};
use jeton_jose::{OsEntropy, SigningKey};
use jeton_tests::{Jeton, JetonOptions, http, set_cookie};
use serde_json::{Value, json};

/// See the module.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    signing: Arc<Signing>,
}

struct Signing {
    issuer: String,
    /// The keys that it publishes; the first signs unless a test says otherwise.
    keys: Vec<SigningKey>,
    /// What each code stands for: which key signs which claims.
    codes: Mutex<HashMap<String, (usize, Value)>>,
}

/// Somebody who begins to sign in.
pub(crate) struct Begun {
    pub(crate) state: String,
    pub(crate) nonce: String,
    /// The cookie, `name=value`.
    pub(crate) cookie: String,
    /// The whole address that the browser is sent to.
    pub(crate) location: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let make = |algorithm| {
            let id = KeyId::generate(SystemClock.now(), &OsEntropy).unwrap();
            let pkcs8 = SigningKey::generate_pkcs8(algorithm).unwrap();
            SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap()
        };
        let keys = vec![make(SigningAlgorithm::Rs256), make(SigningAlgorithm::Es256)];
        let signing = Arc::new(Signing {
            issuer: issuer.clone(),
            keys,
            codes: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(Arc::clone(&signing));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, signing }
    }

    /// Writes an `[oidc]` section with more lines; gives the file.
    pub(crate) fn configure(&self, folder: &std::path::Path, lines: &str) -> PathBuf {
        let file = folder.join("oidc.toml");
        let issuer = &self.issuer;
        let section = format!(
            "[oidc]\nissuer = \"{issuer}\"\nclient_id = \"jeton\"\nname = \"Example\"\n{lines}\n"
        );
        std::fs::write(&file, section).unwrap();
        file
    }

    /// Starts a server that signs people in through this provider.
    pub(crate) async fn jeton(&self, lines: &str) -> (Jeton, tempfile::TempDir) {
        let folder = tempfile::TempDir::new().unwrap();
        let file = self.configure(folder.path(), lines);
        let jeton = Jeton::start_with(JetonOptions {
            flags: vec!["--config", file.to_str().unwrap()],
            environment: vec![("JETON_OIDC_CLIENT_SECRET", "s")],
            ..JetonOptions::default()
        })
        .await;
        (jeton, folder)
    }

    pub(crate) async fn begin(&self, jeton: &Jeton, query: &str) -> Begun {
        let answer = jeton.get(&format!("/dashboard/oidc/start{query}")).await;
        assert_eq!(answer.status(), 303);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let url = url::Url::parse(&location).unwrap();
        let sent = |name: &str| {
            let pair = url.query_pairs().find(|(found, _)| found == name);
            pair.unwrap().1.into_owned()
        };
        Begun {
            state: sent("state"),
            nonce: sent("nonce"),
            cookie: set_cookie(&answer, "jeton_oidc").unwrap(),
            location,
        }
    }

    /// A code for an ID token with these claims, signed with the key of this number.
    pub(crate) fn code(&self, begun: &Begun, key: usize, more: &Value) -> String {
        let mut claims = json!({
            "iss": self.issuer, "aud": "jeton", "nonce": begun.nonce,
            "exp": SystemClock.now().as_seconds() + 300, "iat": SystemClock.now().as_seconds(),
        });
        let more = more.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        let mut codes = self.signing.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (key, claims));
        code
    }

    /// The browser comes back with this query.
    pub(crate) async fn back(
        jeton: &Jeton,
        cookies: &str,
        query: &[(&str, &str)],
    ) -> reqwest::Response {
        let url = format!("{}/dashboard/oidc/callback", jeton.url);
        let url = url::Url::parse_with_params(&url, query).unwrap();
        http()
            .get(url)
            .header("cookie", cookies)
            .send()
            .await
            .unwrap()
    }

    /// Signs in as whoever has these claims.
    pub(crate) async fn sign_in(&self, jeton: &Jeton, claims: &Value) -> reqwest::Response {
        let begun = self.begin(jeton, "").await;
        let code = self.code(&begun, 0, claims);
        let query = [
            ("code", code.as_str()),
            ("state", &begun.state),
            ("iss", &self.issuer),
        ];
        Self::back(jeton, &begun.cookie, &query).await
    }
}

async fn metadata(State(signing): State<Arc<Signing>>) -> Json<Value> {
    let issuer = &signing.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(State(signing): State<Arc<Signing>>) -> Json<Value> {
    let keys: Vec<_> = signing.keys.iter().map(SigningKey::public_jwk).collect();
    Json(json!({ "keys": keys }))
}

async fn token(
    State(signing): State<Arc<Signing>>,
    form: String,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let mut form = url::form_urlencoded::parse(form.as_bytes());
    let code = form.find(|(name, _)| name == "code").unwrap().1;
    // The code works as often as it comes: whoever takes it twice is not protected by the provider.
    let found = signing.codes.lock().unwrap().get(code.as_ref()).cloned();
    let Some((key, claims)) = found else {
        let error = json!({ "error": "invalid_grant" });
        return Err((StatusCode::BAD_REQUEST, Json(error)));
    };
    let key = &signing.keys[key];
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id().to_string() });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = key.sign(text.as_bytes()).unwrap();
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
    let answer = json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" });
    Ok(Json(answer))
}
