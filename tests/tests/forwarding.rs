//! Audit events sent on: as signed webhooks that the official library verifies, and to syslog.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jeton_tests::{Jeton, JetonOptions, eventually, workspace};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::Command;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver of webhooks that is out of order at first.
#[derive(Clone, Default)]
struct Receiver {
    attempts: Arc<AtomicUsize>,
    /// Whether it is out of order again.
    is_away: Arc<AtomicBool>,
    received: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Receiver {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/hook", post(receive))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }

    fn kinds(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let kind = |body: &String| serde_json::from_str::<Value>(body).unwrap()["type"].clone();
        let kinds = received.iter().map(|(_, body)| kind(body));
        kinds
            .map(|kind| kind.as_str().unwrap().to_owned())
            .collect()
    }

    /// Whether something with this text arrived.
    fn has(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        received.iter().any(|(_, body)| body.contains(text))
    }

    /// The numbers of the checkpoints that arrived.
    fn numbers(&self) -> Vec<i64> {
        let received = self.received.lock().unwrap();
        let bodies = received.iter().map(|(_, body)| body);
        bodies
            .filter_map(|body| {
                let event: Value = serde_json::from_str(body).unwrap();
                event["data"]["detail"]["number"].as_i64()
            })
            .collect()
    }
}

/// A destination that gets checkpoints and what is issued.
fn destination(url: &str) -> String {
    format!(
        "[[audit.forward]]\nname = \"siem\"\nurl = \"{url}\"\nsecret_env = \"SIEM_SECRET\"\n\
         kinds = [\"audit.checkpoint\", \"token.issued\"]\n"
    )
}

/// A note about another log than the one that was signed, in the place of a signed one or after it.
async fn forge(jeton: &Jeton, number: i64, by: &str) {
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    let forged = newest["note"].as_str().unwrap().replacen(
        newest["batch_hash"].as_str().unwrap(),
        &"f0".repeat(32),
        1,
    );
    let statement = by
        .replace("NOTE", &forged)
        .replace("NUMBER", &number.to_string());
    jeton.database().sql(&statement).await;
}

const INSERT: &str = "INSERT INTO audit_note \
    (number, seq, batch_hash, pruned_seq, pruned_hash, leaf, note, keep) \
    SELECT NUMBER, seq, batch_hash, pruned_seq, pruned_hash, leaf, 'NOTE', keep FROM audit_note \
    ORDER BY number DESC LIMIT 1";
const REPLACE: &str = "UPDATE audit_note SET note = 'NOTE' WHERE number = NUMBER";

#[tokio::test]
async fn no_checkpoint_leaves_that_jeton_did_not_sign() {
    for (by, after) in [(INSERT, 1), (REPLACE, 0), (REPLACE, -1)] {
        let receiver = Receiver::default();
        receiver.attempts.store(2, Ordering::SeqCst);
        receiver.is_away.store(true, Ordering::SeqCst);
        let address = receiver.start().await;
        let (jeton, _folder) =
            with_destination(&destination(&format!("http://{address}/hook")), &[]).await;
        let client = jeton.operator().await.todo_client().await;
        let number = async || {
            let newest = jeton.json(&["audit", "checkpoint"]).await;
            newest["number"].as_i64().unwrap()
        };
        let first = number().await;
        let position = "SELECT COUNT(*) FROM audit_note_forward";
        if by == INSERT {
            // It arrives, and the next is forged before it is signed.
            receiver.is_away.store(false, Ordering::SeqCst);
            eventually("a checkpoint arrives", async || {
                jeton.database().sql(position).await.trim() == "1"
            })
            .await;
        } else {
            // More are signed while the destination is away.
            for _ in 0..3 {
                jeton.json(&["audit", "rotate-key"]).await;
            }
        }
        let newest = number().await;
        if by == REPLACE {
            // The newest alone is to be sent, or all since the first.
            let done = if after == 0 { newest - 1 } else { first };
            let begin = format!(
                "INSERT INTO audit_note_forward (destination, number) VALUES ('siem', {done}) \
                 ON CONFLICT (destination) DO UPDATE SET number = {done}"
            );
            jeton.database().sql(&begin).await;
        }
        forge(&jeton, newest + after, by).await;
        let token = client.token(&jeton.url, &[]).await;
        let jti = jeton_tests::claims(&token)["jti"]
            .as_str()
            .unwrap()
            .to_owned();
        receiver.is_away.store(false, Ordering::SeqCst);
        // Checkpoints go before it.
        eventually("the token arrives", async || receiver.has(&jti)).await;
        assert!(
            !receiver.has(&"f0".repeat(32)),
            "{by}: a forged one arrived"
        );
        let said = jeton.log().contains("none are sent on");
        assert_eq!(said, by == REPLACE, "{}", jeton.log());
    }
}

#[tokio::test]
async fn checkpoints_that_were_signed_while_a_destination_was_away_arrive_in_order() {
    let receiver = Receiver::default();
    receiver.attempts.store(2, Ordering::SeqCst);
    let address = receiver.start().await;
    let (jeton, _folder) =
        with_destination(&destination(&format!("http://{address}/hook")), &[]).await;
    eventually("the first arrives", async || !receiver.kinds().is_empty()).await;
    receiver.is_away.store(true, Ordering::SeqCst);
    for emergency in [false, true, false] {
        let emergency = emergency.then_some("--emergency");
        let rotate: Vec<_> = ["audit", "rotate-key"]
            .into_iter()
            .chain(emergency)
            .collect();
        jeton.json(&rotate).await;
    }
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    receiver.is_away.store(false, Ordering::SeqCst);
    eventually("the newest arrives", async || {
        receiver.numbers().last() == newest["number"].as_i64().as_ref()
    })
    .await;
    let mut numbers = receiver.numbers();
    // One that arrived and was not confirmed comes again.
    numbers.dedup();
    let (first, last) = (numbers[0], *numbers.last().unwrap());
    assert_eq!(numbers, (first..=last).collect::<Vec<_>>());
    assert!(numbers.len() >= 4, "{numbers:?}");
    assert!(!jeton.log().contains("none are sent on"), "{}", jeton.log());
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let attempt = receiver.attempts.fetch_add(1, Ordering::SeqCst);
    if attempt < 2 || receiver.is_away.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    receiver.received.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}

/// What the official library says of a webhook.
async fn verifies(headers: &HeaderMap, body: &str) -> bool {
    let script = "
import sys
from standardwebhooks import Webhook
secret, id, timestamp, signature, body = sys.argv[1:]
Webhook(secret).verify(body, {'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature})
";
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let output = Command::new(workspace().join(".venv/bin/python"))
        .args(["-c", script, SECRET])
        .args([header("webhook-id"), header("webhook-timestamp")])
        .args([header("webhook-signature"), body.to_owned()])
        .output()
        .await
        .unwrap();
    output.status.success()
}

#[tokio::test]
async fn events_arrive_signed_once_the_receiver_is_there_and_go_on_after_a_restart() {
    let receiver = Receiver::default();
    let address = receiver.start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jeton.toml");
    let text = format!(
        "[[audit.forward]]\nname = \"siem\"\nurl = \"http://{address}/hook\"\n\
         secret_env = \"SIEM_SECRET\"\nkinds = [\"client.*\", \"secret.*\", \"token.refused\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    let options = || JetonOptions {
        flags: vec!["--config", file.to_str().unwrap()],
        environment: vec![("SIEM_SECRET", SECRET)],
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    // A new destination begins with what happens from now on.
    eventually("the destination is known", async || {
        let known = jeton
            .database()
            .sql("SELECT COUNT(*) FROM audit_forward")
            .await;
        known.trim() == "1"
    })
    .await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let refused = client.ask(&jeton.url, &[("scope", "b")]).await;
    assert_eq!(refused.status, 400);
    eventually("both events arrive", async || receiver.kinds().len() >= 2).await;
    assert_eq!(receiver.kinds(), ["client.created", "token.refused"]);
    assert_eq!(
        receiver.attempts.load(Ordering::SeqCst),
        4,
        "two were in vain"
    );
    let received = receiver.received.lock().unwrap().clone();
    for (headers, body) in &received {
        assert!(verifies(headers, body).await, "{body}");
        assert!(!verifies(headers, &body.replace("client", "tneilc")).await);
        assert!(!body.contains(&client.client_secret));
    }
    let event: Value = serde_json::from_str(&received[0].1).unwrap();
    assert_eq!(event["data"]["client_id"], client.client_id.as_str());
    assert_eq!(
        received[0].0["webhook-id"],
        event["data"]["id"].as_str().unwrap()
    );
    // It goes on where it was.
    let path = format!("/clients/{}/secrets/rotate", client.client_id);
    jeton.kill().await;
    let jeton = jeton.restart(options()).await;
    let operator = jeton.operator().await;
    operator.post(&path, serde_json::json!({})).await;
    eventually("the third event arrives", async || {
        receiver.kinds().iter().any(|kind| kind == "secret.rotated")
    })
    .await;
    // At least once: after a kill, one may come twice; its ID says so.
    let ids: std::collections::BTreeSet<_> = receiver
        .received
        .lock()
        .unwrap()
        .iter()
        .map(|(headers, _)| headers["webhook-id"].clone().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(!jeton.log().contains(SECRET));
}

#[tokio::test]
async fn syslog_gets_every_kind_over_udp_and_tcp() {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jeton.toml");
    let text = format!(
        "[[audit.forward]]\nname = \"u\"\nurl = \"syslog+udp://{}\"\n\
         [[audit.forward]]\nname = \"t\"\nurl = \"syslog+tcp://{}\"\nkinds = [\"token.issued\"]\n",
        udp.local_addr().unwrap(),
        tcp.local_addr().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--config", file.to_str().unwrap()],
        ..JetonOptions::default()
    })
    .await;
    eventually("the destinations are known", async || {
        let known = jeton
            .database()
            .sql("SELECT COUNT(*) FROM audit_forward")
            .await;
        known.trim() == "2"
    })
    .await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let limit = std::time::Duration::from_secs(20);
    let kinds = async {
        let mut kinds = Vec::new();
        let wanted = ["client.created", "audit.checkpoint"].map(str::to_owned);
        while !wanted.iter().all(|kind| kinds.contains(kind)) {
            let mut datagram = [0; 4096];
            let (read, _) = udp.recv_from(&mut datagram).await.unwrap();
            let message = std::str::from_utf8(&datagram[..read]).unwrap();
            let fields: Vec<_> = message.splitn(8, ' ').collect();
            assert_eq!(
                (fields[0], fields[2], fields[3]),
                ("<110>1", "127.0.0.1", "jeton")
            );
            let event: Value = serde_json::from_str(fields[7]).unwrap();
            assert_eq!(event["kind"], fields[5]);
            kinds.push(fields[5].to_owned());
        }
        kinds
    };
    let kinds = tokio::time::timeout(limit, kinds).await.unwrap();
    assert!(
        kinds.contains(&"mcp_server.created".to_owned()),
        "{kinds:?}"
    );
    let framed = async {
        let (stream, _) = tcp.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        loop {
            let mut length = Vec::new();
            stream.read_until(b' ', &mut length).await.unwrap();
            let length = String::from_utf8(length).unwrap();
            let mut message = vec![0; length.trim().parse().unwrap()];
            stream.read_exact(&mut message).await.unwrap();
            let message = String::from_utf8(message).unwrap();
            assert!(message.contains(" token.issued "), "{message}");
            if message.contains(&client.client_id) {
                return;
            }
        }
    };
    tokio::time::timeout(limit, framed).await.unwrap();
}

async fn with_destination(text: &str, flags: &[&str]) -> (Jeton, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jeton.toml");
    std::fs::write(&file, text).unwrap();
    let flags = [&["--config", file.to_str().unwrap()], flags].concat();
    let jeton = Jeton::start_with(JetonOptions {
        flags,
        environment: vec![("SIEM_SECRET", SECRET)],
        ..JetonOptions::default()
    })
    .await;
    eventually("the destination is known", async || {
        let known = "SELECT COUNT(*) FROM audit_forward";
        jeton.database().sql(known).await.trim() == "1"
    })
    .await;
    (jeton, folder)
}

#[tokio::test]
async fn many_events_arrive_in_few_requests_each_once_and_in_order() {
    let receiver = Receiver::default();
    let address = receiver.start().await;
    let text = format!(
        "[[audit.forward]]\nname = \"siem\"\nurl = \"http://{address}/hook\"\n\
         secret_env = \"SIEM_SECRET\"\nkinds = [\"token.issued\"]\nbatch = 100\n"
    );
    let (jeton, _folder) = with_destination(&text, &[]).await;
    let client = jeton.operator().await.todo_client().await;
    let mut issued = Vec::new();
    for _ in 0..60 {
        let token = client.token(&jeton.url, &[]).await;
        issued.push(jeton_tests::claims(&token)["jti"].clone());
    }
    let arrived = || {
        let received = receiver.received.lock().unwrap();
        let bodies = received.iter().map(|(_, body)| body);
        let batches: Vec<Value> = bodies
            .map(|body| serde_json::from_str(body).unwrap())
            .collect();
        assert!(batches.iter().all(|batch| batch["type"] == "audit.batch"));
        let events = batches
            .iter()
            .flat_map(|batch| batch["data"]["events"].as_array().unwrap());
        let ours = events.map(|event| event["data"]["jti"].clone());
        ours.filter(|jti| issued.contains(jti)).collect::<Vec<_>>()
    };
    eventually("all arrive", async || arrived().len() >= issued.len()).await;
    assert_eq!(arrived(), issued);
    let received = receiver.received.lock().unwrap().clone();
    assert!(received.len() < issued.len() / 2, "{}", received.len());
    for (headers, body) in &received {
        assert!(verifies(headers, body).await, "{body}");
    }
}

#[tokio::test]
async fn a_destination_that_is_gone_does_not_stop_retention_for_long() {
    // Nobody listens there.
    let text = format!(
        "[[audit.forward]]\nname = \"gone\"\nurl = \"http://127.0.0.1:{}/hook\"\n\
         secret_env = \"SIEM_SECRET\"\n",
        jeton_tests::free_port()
    );
    let (mut jeton, folder) = with_destination(&text, &[]).await;
    let client = jeton.operator().await.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let file = folder.path().join("jeton.toml");
    let restart = async |jeton: Jeton, wait: &str| {
        let flags = [
            "--config",
            file.to_str().unwrap(),
            "--audit-retention-days",
            "7",
        ];
        let flags = [&flags[..], &["--audit-forward-wait-days", wait]].concat();
        let environment = vec![("SIEM_SECRET", SECRET)];
        let options = JetonOptions {
            flags,
            environment,
            ..JetonOptions::default()
        };
        jeton.restart(options).await
    };
    jeton.terminate().await;
    jeton.age_audit_log(10 * 86_400_000).await;
    let count = async |jeton: &Jeton, kind: &str| {
        let sql = format!("SELECT COUNT(*) FROM audit_event WHERE kind = '{kind}'");
        jeton.database().sql(&sql).await.trim().to_owned()
    };
    // Ten days old, they are waited for until they are fourteen; those before the destination go.
    let mut jeton = restart(jeton, "7").await;
    eventually("retention had its round", async || {
        count(&jeton, "audit.pruned").await == "1"
    })
    .await;
    assert_eq!(count(&jeton, "audit.forward_skipped").await, "0");
    assert_ne!(count(&jeton, "token.issued").await, "0");
    jeton.terminate().await;
    let jeton = restart(jeton, "1").await;
    eventually("retention wins, and says so", async || {
        count(&jeton, "audit.forward_skipped").await == "1"
            && count(&jeton, "audit.pruned").await == "2"
    })
    .await;
    assert!(jeton.log().contains("has not received"), "{}", jeton.log());
}
