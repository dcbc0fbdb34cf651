//! `--health-listen`: it answers while everything else is busy or stands still, and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jeton_tests::{Credentials, Jeton, JetonOptions, Process, binary, eventually, form, http};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Far more than an answer takes, and less than those take that wait for the flood to end.
const SOON: Duration = Duration::from_secs(10);

/// Questions about health in the flood.
const QUESTIONS: usize = 25;
/// Tokens that may be issued while one of them is answered, in the mean. On a thread of its own it takes none or a
/// few; in the queue of the thread that issues them, about fifty.
const QUEUE: usize = 16;

async fn with_health(environment: Vec<(&str, &str)>, log: Option<&str>) -> (Jeton, String) {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--health-listen", "127.0.0.1:0"],
        environment,
        log,
        ..JetonOptions::default()
    })
    .await;
    let health = jeton.health().await;
    (jeton, health)
}

/// Asks on a new connection; nothing where there is no answer in time.
async fn ask(url: &str) -> Option<(u16, Value)> {
    let answer = timeout(SOON, http().get(url).send()).await.ok()?.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.unwrap_or_default()))
}

async fn status(url: &str) -> Option<u16> {
    ask(url).await.map(|(status, _)| status)
}

/// Where the server listens for everything else.
fn address(jeton: &Jeton) -> String {
    jeton.listening().trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn health_answers_while_the_rest_stands_still_and_readiness_says_so() {
    // Each frame of HTTP/2 is a line, and there is one thread that writes it.
    let environment = vec![("TOKIO_WORKER_THREADS", "1")];
    let (jeton, health) = with_health(environment, Some("info,h2=trace")).await;
    let (alive, ready) = (format!("{health}/healthz"), format!("{health}/readyz"));
    eventually("it is ready", async || status(&ready).await == Some(200)).await;
    let unread = jeton.stop_reading_log().await;
    let mut stream = TcpStream::connect(address(&jeton)).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let ping = b"\0\0\x08\x06\0\0\0\0\0jetonjet";
    stream.write_all(preface).await.unwrap();
    // Until the pipe of the log is full, and whoever writes to it waits.
    let pings = ping.repeat(5_000);
    let (mut answers, mut requests) = stream.split();
    let asking = async {
        let _ = requests.write_all(&pings).await;
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut answers_read = [0; 4096];
        while timeout(Duration::from_secs(2), answers.read(&mut answers_read))
            .await
            .is_ok_and(|read| read.is_ok_and(|bytes| bytes > 0))
        {}
    };
    tokio::select! {
        () = asking => {}
        () = reading => {}
    }
    for _ in 0..3 {
        assert_eq!(status(&alive).await, Some(200));
        let (status, document) = ask(&ready).await.expect("it answers");
        assert_eq!((status, &document["status"]), (503, &"not ready".into()));
        assert_eq!(document["parts"]["server"]["status"], "failing");
        let reason = document["reason"].as_str().unwrap();
        assert!(reason.contains("overloaded or stuck"), "{reason}");
    }
    drop(unread);
    eventually("the rest goes on, and so it says", async || {
        status(&ready).await == Some(200)
    })
    .await;
}

#[tokio::test]
async fn health_answers_while_the_server_starts_and_readiness_says_what_it_waits_for() {
    // A database that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = format!("postgres://jeton@{}/jeton", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("jeton"));
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(["--health-listen", "127.0.0.1:0", "--database-url"])
        .arg(&database)
        .current_dir(folder.path());
    let mut starting = Process::start(&mut command);
    let said = "answering /healthz and /readyz listen=";
    starting.wait_for(said).await;
    let log = starting.output();
    let address = log.split(said).nth(1).unwrap();
    let health = format!("http://{}", address.split_whitespace().next().unwrap());
    let (_waiting, _) = silent.accept().await.unwrap();
    assert_eq!(status(&format!("{health}/healthz")).await, Some(200));
    let (code, document) = ask(&format!("{health}/readyz")).await.unwrap();
    assert_eq!((code, &document["status"]), (503, &"not ready".into()));
    assert_eq!(document["parts"]["server"]["status"], "failing");
    let reason = document["reason"].as_str().unwrap();
    assert!(reason.contains("waiting for the database"), "{reason}");
    assert_eq!(status(&format!("{health}/keys")).await, Some(404));
    assert_eq!(status_without_host(&health).await, 400);
    assert!(starting.is_running(), "it still waits");
}

/// The status of an answer to a request that has no `Host` (RFC 9112 §3.2).
async fn status_without_host(health: &str) -> u16 {
    let address = health.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_listener_for_health_answers_no_request_without_a_host() {
    let (jeton, health) = with_health(Vec::new(), None).await;
    let ready = format!("{health}/readyz");
    eventually("it is ready", async || status(&ready).await == Some(200)).await;
    assert_eq!(status_without_host(&health).await, 400);
    drop(jeton);
}

#[tokio::test]
async fn health_answers_throughout_a_flood_of_real_requests() {
    // One thread issues the tokens, and is never idle.
    let environment = vec![("TOKIO_WORKER_THREADS", "1")];
    let (jeton, health) = with_health(environment, None).await;
    let client = jeton.operator().await.todo_client().await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut flood = JoinSet::new();
    for _ in 0..400 {
        let (address, requests) = (address(&jeton), token_requests(&client, 50));
        let answered = Arc::clone(&answered);
        flood.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            let asking = async {
                let _ = writer.write_all(&requests).await;
                std::future::pending::<()>().await;
            };
            let reading = async {
                let mut answer = [0; 16 * 1024];
                while let Ok(bytes) = reader.read(&mut answer).await
                    && bytes > 0
                {
                    let tokens = answer[..bytes].windows(15);
                    let tokens = tokens.filter(|part| *part == b"HTTP/1.1 200 OK");
                    answered.fetch_add(tokens.count(), Ordering::Relaxed);
                }
            };
            tokio::select! {
                () = asking => {}
                () = reading => {}
            }
        });
    }
    eventually("tokens are issued", async || {
        answered.load(Ordering::Relaxed) > 0
    })
    .await;
    let mut overtaken = Vec::new();
    for _ in 0..QUESTIONS {
        let (asked_at, answered) = (health.clone(), Arc::clone(&answered));
        // By a thread of its own here, too.
        let asked = tokio::task::spawn_blocking(move || {
            let before = answered.load(Ordering::Relaxed);
            assert!(is_alive(&asked_at));
            answered.load(Ordering::Relaxed) - before
        });
        overtaken.push(asked.await.unwrap());
        // Whichever it is, it is said.
        let ready = status(&format!("{health}/readyz")).await;
        assert!(matches!(ready, Some(200 | 503)), "{ready:?}");
    }
    let overtook: usize = overtaken.iter().sum();
    assert!(overtook < QUESTIONS * QUEUE, "{overtaken:?}");
    assert!(flood.try_join_next().is_none(), "the flood goes on");
    flood.shutdown().await;
    eventually("it is ready", async || {
        status(&format!("{health}/readyz")).await == Some(200)
    })
    .await;
    assert_eq!(client.ask(&jeton.url, &[]).await.status, 200);
}

/// Asks whether the server is alive, on a connection that nothing of the test's runtime touches.
fn is_alive(health: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let address = health.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200 OK")
}

/// So many requests for a token, one behind the other.
fn token_requests(client: &Credentials, count: usize) -> Vec<u8> {
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &client.client_id),
        ("client_secret", &client.client_secret),
    ]);
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: jeton\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    request.repeat(count).into_bytes()
}

#[tokio::test]
async fn a_server_that_is_stopping_is_alive_and_not_ready() {
    let (mut jeton, health) = with_health(Vec::new(), None).await;
    // A request that is under way keeps it from ending.
    let mut stream = TcpStream::connect(address(&jeton)).await.unwrap();
    let head = b"POST /oauth/token HTTP/1.1\r\nHost: jeton\r\nContent-Length: 2\r\n\
        Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    jeton.signal("TERM").await;
    eventually("it is not ready", async || {
        let answer = ask(&format!("{health}/readyz")).await;
        answer.is_some_and(|(status, document)| {
            status == 503 && document["reason"] == "the server is stopping"
        })
    })
    .await;
    assert_eq!(status(&format!("{health}/healthz")).await, Some(200));
    stream.write_all(b"a=").await.unwrap();
    assert_eq!(jeton.wait().await, Some(0));
}
