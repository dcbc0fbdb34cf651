//! Three servers behind a plain TCP balancer over one PostgreSQL, continuous load, and over a
//! hundred faults: what holds all the time, and what everybody finds afterwards.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jeton_core::{Clock as _, SystemClock};
use jeton_jose::{Jwk, TokenVerifier, UnverifiedToken, VerifyingKey};
use jeton_tests::{
    Cluster, Credentials, Jeton, JetonOptions, Operator, TestDatabase, claims, eventually, form,
    free_port, http,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Of each kind of fault so many; there are nine.
const ROUNDS: usize = 12;
/// Callers of each of the three clients.
const CALLERS: usize = 2;
/// A client is to be refused everywhere so long after it was disabled.
const PROMISE: i64 = 1_000;

/// Hands each connection to the next server that takes it.
async fn balance(servers: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let turn = Arc::new(AtomicUsize::new(0));
        while let Ok((mut inbound, _)) = listener.accept().await {
            let (servers, turn) = (servers.clone(), Arc::clone(&turn));
            tokio::spawn(async move {
                let first = turn.fetch_add(1, Ordering::Relaxed);
                for offset in 0..servers.len() {
                    let server = servers[(first + offset) % servers.len()];
                    if let Ok(mut outbound) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut inbound, &mut outbound).await;
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A way to the database that can fall silent without ending: connections made before then carry
/// nothing any more.
struct SilentWay {
    address: SocketAddr,
    silent_before: Arc<AtomicU64>,
    made: Arc<AtomicU64>,
}

impl SilentWay {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent_before, made) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (silence, numbers) = (Arc::clone(&silent_before), Arc::clone(&made));
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                let number = numbers.fetch_add(1, Ordering::SeqCst);
                let Ok(outbound) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let (mut in_read, mut in_write) = inbound.into_split();
                let (mut out_read, mut out_write) = outbound.into_split();
                let (one, other) = (Arc::clone(&silence), Arc::clone(&silence));
                tokio::spawn(async move { pipe(&mut in_read, &mut out_write, number, one).await });
                tokio::spawn(
                    async move { pipe(&mut out_read, &mut in_write, number, other).await },
                );
            }
        });
        Self {
            address,
            silent_before,
            made,
        }
    }

    fn fall_silent(&self) {
        let made = self.made.load(Ordering::SeqCst);
        self.silent_before.store(made, Ordering::SeqCst);
    }
}

async fn pipe(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    number: u64,
    silent_before: Arc<AtomicU64>,
) {
    let mut buffer = [0; 4096];
    while let Ok(read) = from.read(&mut buffer).await {
        while number < silent_before.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Keys as a verifier has them: fetched once, and again for a key that it does not know.
#[derive(Default)]
struct Keys(Mutex<HashMap<String, Arc<VerifyingKey>>>);

impl Keys {
    async fn find(&self, url: &str, kid: &str) -> Option<Arc<VerifyingKey>> {
        if let Some(key) = self.0.lock().unwrap().get(kid) {
            return Some(Arc::clone(key));
        }
        let document: Value = loop {
            match http().get(format!("{url}/keys")).send().await {
                Ok(answer) => match answer.json().await {
                    Ok(document) => break document,
                    Err(_) => continue,
                },
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let mut known = self.0.lock().unwrap();
        for key in document["keys"].as_array().unwrap() {
            let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
            let key_id = key["kid"].as_str().unwrap().to_owned();
            known.insert(key_id, Arc::new(VerifyingKey::from_jwk(&jwk).unwrap()));
        }
        known.get(kid).cloned()
    }
}

#[derive(Default)]
struct Seen {
    /// The `jti` of each token that arrived, and with which secret.
    tokens: Mutex<Vec<String>>,
    kids: Mutex<HashSet<String>>,
    unavailable: AtomicUsize,
    refused: AtomicUsize,
    broken: AtomicUsize,
    violations: Mutex<Vec<String>>,
}

struct World {
    url: String,
    stop: AtomicBool,
    seen: Seen,
    keys: Keys,
}

impl World {
    fn violation(&self, what: String) {
        self.seen.violations.lock().unwrap().push(what);
    }

    /// Asks for tokens until told to stop, and verifies each that arrives.
    async fn ask_on(&self, who: &Mutex<Credentials>, may_be_refused: bool) {
        let client = http();
        while !self.stop.load(Ordering::SeqCst) {
            let credentials = who.lock().unwrap().clone();
            let request = client
                .post(format!("{}/oauth/token", self.url))
                .timeout(Duration::from_secs(30))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", &credentials.client_id),
                    ("client_secret", &credentials.client_secret),
                ]));
            let answer = match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let retry = answer.headers().contains_key("retry-after");
                    let body = answer.json::<Value>().await;
                    body.map(|body| (status, retry, body))
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok((200, _, body)) => self.arrived(body["access_token"].as_str().unwrap()).await,
                Ok((503, true, body)) if body["error"] == "temporarily_unavailable" => {
                    self.seen.unavailable.fetch_add(1, Ordering::SeqCst);
                }
                Ok((401, _, body)) if may_be_refused && body["error"] == "invalid_client" => {
                    self.seen.refused.fetch_add(1, Ordering::SeqCst);
                }
                Ok((status, _, body)) => self.violation(format!("an answer {status}: {body}")),
                // The server died with the request; a caller comes back.
                Err(error) if error.is_timeout() => self.violation(format!("a hang: {error}")),
                Err(_) => {
                    self.seen.broken.fetch_add(1, Ordering::SeqCst);
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn arrived(&self, text: &str) {
        let jti = claims(text)["jti"].as_str().unwrap().to_owned();
        self.seen.tokens.lock().unwrap().push(jti.clone());
        let token = UnverifiedToken::parse(text).unwrap();
        let kid = token.kid().unwrap().to_owned();
        let Some(key) = self.keys.find(&self.url, &kid).await else {
            return self.violation(format!("the key {kid} of {jti} is not published"));
        };
        self.seen.kids.lock().unwrap().insert(kid);
        let verifier = TokenVerifier::new(Vec::new(), Vec::new());
        if let Err(error) = verifier.verify_signed(&token, &key, SystemClock.now()) {
            self.violation(format!("{jti} does not verify: {error}"));
        }
    }
}

/// Until it is done: servers and the database come and go.
async fn insist(operator: &Operator, method: Method, path: &str, body: Value) -> Value {
    let begin = Instant::now();
    loop {
        // Nobody else changes the same; whatever came of the attempt before is overwritten.
        let request = operator.request(method.clone(), path).json(&body);
        if let Ok(answer) = request.send().await {
            let status = answer.status().as_u16();
            if status < 300 || status == 409 {
                return answer.json().await.unwrap_or(Value::Null);
            }
            let unavailable = status >= 500;
            assert!(unavailable, "{path}: {status} {:?}", answer.text().await);
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{path} never done"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn now() -> i64 {
    SystemClock.now().as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_faults_lose_nothing_and_let_nobody_in() {
    let cluster = Cluster::create().await;
    let database = TestDatabase::new_in(&cluster.url).await;
    let way = SilentWay::to(cluster.port()).await;
    let direct = database.url();
    let silent = format!(
        "postgres://jeton@{}/{}",
        way.address,
        direct.rsplit_once('/').unwrap().1
    );
    let ports = [free_port(), free_port(), free_port()];
    let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let url = format!("http://{}", balance(addresses.to_vec()).await);
    let master_key = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode([7; 32])
    };
    let options = |number: usize| JetonOptions {
        port: Some(ports[number]),
        database: Some(database.clone()),
        environment: {
            let mut environment = vec![
                ("JETON_ISSUER", url.as_str()),
                ("JETON_MASTER_KEY", master_key.as_str()),
                ("JETON_DATABASE_CONNECTIONS", "8"),
            ];
            // The last one hears of changes on a way of its own.
            if number == 2 {
                environment.push(("JETON_DATABASE_NOTIFICATION_URL", silent.as_str()));
            }
            environment
        },
        ..JetonOptions::default()
    };
    // All at once, on an empty database.
    let (one, two, three) = tokio::join!(
        Jeton::start_with(options(0)),
        Jeton::start_with(options(1)),
        Jeton::start_with(options(2))
    );
    let mut servers = [Some(one), Some(two), Some(three)];
    let first = servers
        .iter()
        .flatten()
        .find(|jeton| jeton.data_dir().join("admin.json").is_file())
        .expect("one of them made the admin client");
    let operator = first.operator().await;
    let operators: Vec<_> = addresses
        .iter()
        .map(|address| operator.at(&format!("http://{address}")))
        .collect();
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let (steady, disabled, rotated) = (
        operator.client(&todo, &["a"]).await,
        operator.client(&todo, &["a"]).await,
        operator.client(&todo, &["a"]).await,
    );
    let world = Arc::new(World {
        url: url.clone(),
        stop: AtomicBool::new(false),
        seen: Seen::default(),
        keys: Keys::default(),
    });
    let rotating = Arc::new(Mutex::new(rotated.clone()));
    let mut callers = Vec::new();
    for (who, may_be_refused) in [
        (Arc::new(Mutex::new(steady)), false),
        (Arc::new(Mutex::new(disabled.clone())), true),
        (Arc::clone(&rotating), true),
    ] {
        for _ in 0..CALLERS {
            let (world, who) = (Arc::clone(&world), Arc::clone(&who));
            callers.push(tokio::spawn(async move {
                world.ask_on(&who, may_be_refused).await;
            }));
        }
    }

    // From when to when, in milliseconds, which client or secret has to be refused.
    let mut refused_between: Vec<(&str, String, i64, i64)> = Vec::new();
    let mut secrets: Vec<String> = vec![];
    let (mut faults, mut died) = (0, 0);
    let pace = || tokio::time::sleep(Duration::from_millis(150));
    for round in 0..ROUNDS {
        let at = |offset: usize| &operators[(round + offset) % 3];
        // A server dies, and another one takes its place.
        for victim in [round % 3, (round + 1) % 3] {
            let mut jeton = servers[victim].take().unwrap();
            assert!(jeton.is_running(), "server {victim} went away by itself");
            jeton.kill().await;
            died += 1;
            pace().await;
            servers[victim] = Some(jeton.restart(options(victim)).await);
            faults += 1;
            pace().await;
        }
        // A client is disabled at one server, and enabled again at another.
        let path = format!("/clients/{}", disabled.client_id);
        let disable = async |operator: &Operator, again: &Operator| {
            insist(
                operator,
                Method::PATCH,
                &path,
                json!({ "status": "disabled" }),
            )
            .await;
            let from = now() + PROMISE;
            tokio::time::sleep(Duration::from_millis(1_600)).await;
            let until = now();
            insist(again, Method::PATCH, &path, json!({ "status": "enabled" })).await;
            ("client_id", disabled.client_id.clone(), from, until)
        };
        refused_between.push(disable(at(0), at(1)).await);
        faults += 1;
        // The connections on which changes are heard end.
        let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name = 'jeton notifications'";
        database.sql(cut).await;
        faults += 1;
        // And a client is disabled before they are back.
        refused_between.push(disable(at(1), at(2)).await);
        faults += 1;
        // One falls silent without ending.
        way.fall_silent();
        faults += 1;
        refused_between.push(disable(at(0), at(0)).await);
        faults += 1;
        // A secret is revoked once its client has another.
        let path = format!("/clients/{}/secrets", rotated.client_id);
        let made = insist(at(2), Method::POST, &path, json!({})).await;
        let mut fresh = rotated.clone();
        fresh.client_secret = made["client_secret"].as_str().unwrap().to_owned();
        *rotating.lock().unwrap() = fresh;
        let listed = insist(at(0), Method::GET, &path, Value::Null).await;
        for secret in listed["items"].as_array().unwrap() {
            let id = secret["id"].as_str().unwrap();
            if secret["state"] == "active" && id != made["id"].as_str().unwrap() {
                let path = format!("/secrets/{id}");
                insist(at(1), Method::DELETE, &path, Value::Null).await;
                refused_between.push(("secret_id", id.to_owned(), now() + PROMISE, i64::MAX));
                secrets.push(id.to_owned());
            }
        }
        faults += 1;
        // Keys are rotated; a day passes after all have heard of the next one.
        insist(
            at(1),
            Method::POST,
            "/signing-keys/rotate",
            json!({ "algorithm": "RS256" }),
        )
        .await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let day = "UPDATE signing_key SET activated_at = activated_at - 86400001 \
                   WHERE state = 'pending'";
        database.sql(day).await;
        faults += 1;
        // The database stops and starts.
        let how = if round % 2 == 0 { "fast" } else { "immediate" };
        cluster.stop(how).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.start().await;
        faults += 1;
        pace().await;
    }

    // Everything comes back by itself.
    for (number, operator) in operators.iter().enumerate() {
        eventually("the server is ready", async || operator.is_ready().await).await;
        assert!(servers[number].as_mut().unwrap().is_running());
    }
    let before = world.seen.tokens.lock().unwrap().len();
    eventually("tokens are issued", async || {
        world.seen.tokens.lock().unwrap().len() > before + 20
    })
    .await;
    world.stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }

    let recorded = database
        .sql("SELECT jti FROM audit_event WHERE kind = 'token.issued'")
        .await;
    let recorded: HashSet<&str> = recorded.lines().collect();
    let received = world.seen.tokens.lock().unwrap().clone();
    let missing: Vec<_> = received
        .iter()
        .filter(|jti| !recorded.contains(jti.as_str()))
        .collect();
    assert!(missing.is_empty(), "tokens without a record: {missing:?}");
    for (column, id, from, until) in &refused_between {
        let late = format!(
            "SELECT jti, at - {from} FROM audit_event WHERE kind = 'token.issued' \
             AND {column} = '{id}' AND at > {from} AND at < {until}"
        );
        let late = database.sql(&late).await;
        assert_eq!(late, "", "{column} {id} got tokens over a second too late");
    }
    let violations = world.seen.violations.lock().unwrap().clone();
    assert!(
        violations.is_empty(),
        "{} violations: {violations:#?}",
        violations.len()
    );
    let admin = servers
        .iter()
        .flatten()
        .find(|jeton| jeton.data_dir().join("admin.json").is_file())
        .unwrap();
    let verified = admin.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
    let kids = world.seen.kids.lock().unwrap().len();
    assert!(kids > 2, "keys were rotated under load");
    assert!(faults >= 100, "{faults}");
    println!(
        "{faults} faults ({died} kills, {ROUNDS} stops of the database), {} tokens received and recorded, \
         {} answers 503, {} refusals, {} broken connections, {kids} signing keys, {} events proven",
        received.len(),
        world.seen.unavailable.load(Ordering::SeqCst),
        world.seen.refused.load(Ordering::SeqCst),
        world.seen.broken.load(Ordering::SeqCst),
        verified["events"]
    );
}
