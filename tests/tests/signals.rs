//! Signals: some stop a command that serves, after what is under way; none kills it.

use std::process::Stdio;

use jeton_tests::{
    Credentials, Jeton, Process, TodoServer, binary, eventually, form, free_port, http,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

/// Those whose default is to kill, and which stop nothing here.
const HARMLESS: [&str; 10] = [
    "HUP", "USR1", "USR2", "ALRM", "PIPE", "VTALRM", "PROF", "IO", "STKFLT", "XFSZ",
];

async fn client(jeton: &Jeton) -> Credentials {
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    operator.client(&todo, &["a"]).await
}

#[tokio::test]
async fn signals_that_stop_nothing_kill_nothing() {
    let mut jeton = Jeton::start().await;
    let client = client(&jeton).await;
    for signal in HARMLESS {
        jeton.signal(signal).await;
        assert_eq!(client.ask(&jeton.url, &[]).await.status, 200, "{signal}");
    }
    for signal in ["SIGUSR1", "SIGUSR2", "SIGALRM"] {
        eventually("it is in the log", async || jeton.log().contains(signal)).await;
    }
    assert!(jeton.is_running());
    assert_eq!(jeton.terminate().await, Some(0));
}

#[tokio::test]
async fn each_signal_that_stops_lets_a_request_under_way_finish() {
    for signal in ["TERM", "INT", "QUIT", "XCPU", "PWR"] {
        let mut jeton = Jeton::start().await;
        let client = client(&jeton).await;
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &client.client_id),
            ("client_secret", &client.client_secret),
        ]);
        let (first, second) = body.split_at(body.len() / 2);
        let address = jeton.url.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /oauth/token HTTP/1.1\r\nHost: jeton\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It reads the body, so the request is under way.
        let mut answer = vec![0; 25];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(first.as_bytes()).await.unwrap();

        jeton.signal(signal).await;
        eventually("it stops", async || jeton.log().contains("stopping:")).await;
        stream.write_all(second.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{signal}: {answer}");
        assert_eq!(jeton.wait().await, Some(0), "{signal}");
        assert!(jeton.log().contains("stopped"));
    }
}

#[tokio::test]
async fn a_closed_terminal_neither_kills_nor_breaks_it() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut child = Command::new(binary("jeton"))
        .args(["serve", "--data-dir", "data", "--listen", &address])
        .current_dir(folder.path())
        .env_remove("JETON_DATABASE_URL")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().unwrap().contains("ready") {}
    drop(lines);
    let pid = child.id().unwrap().to_string();
    let kill = async |signal: &str| {
        let mut kill = Command::new("kill");
        assert!(
            kill.args([signal, pid.as_str()])
                .status()
                .await
                .unwrap()
                .success()
        );
    };
    for _ in 0..3 {
        // Each is a line of the log that cannot be written.
        kill("-HUP").await;
        kill("-USR1").await;
        let answer = http().get(format!("http://{address}/readyz")).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    kill("-TERM").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_demo_ends_in_order_and_takes_its_folder_along() {
    for signal in ["TERM", "HUP"] {
        let mut demo = Process::start(Command::new(binary("jeton")).arg("demo"));
        demo.wait_for("Ctrl-C").await;
        demo.signal("USR1").await;
        demo.signal("USR2").await;
        let output = demo.output();
        let line = output.lines().find(|line| line.contains("Data directory"));
        let folder = line.unwrap().split_whitespace().last().unwrap().to_owned();
        assert!(std::path::Path::new(&folder).is_dir());
        demo.signal(signal).await;
        assert_eq!(demo.wait().await, Some(0), "{}", demo.output());
        assert!(!std::path::Path::new(&folder).exists());
    }
}

#[tokio::test]
async fn the_todo_server_is_stopped_and_not_killed() {
    let mut todo = TodoServer::start("http://127.0.0.1:1").await;
    for signal in ["HUP", "USR1", "USR2", "ALRM"] {
        todo.process.signal(signal).await;
        let answer = http().post(&todo.url).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{signal}");
    }
    assert_eq!(todo.process.terminate().await, Some(0));
}
