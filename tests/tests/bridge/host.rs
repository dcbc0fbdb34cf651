//! A host that starts `jeton bridge` and speaks JSON-RPC with it, line by line.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jeton_tests::binary;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Host {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    stderr: Arc<Mutex<String>>,
    is_reading: watch::Sender<bool>,
    _folder: TempDir,
}

/// How it ended, the messages that came last, and what it wrote to stderr.
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) last: Vec<Value>,
    pub(crate) stderr: String,
}

impl Host {
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_command("bridge", arguments, environment)
    }

    /// Another command in the bridge's place.
    pub(crate) fn start_command(
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(binary("jeton"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JETON_")) {
            command.env_remove(name);
        }
        let mut child = command
            .arg(name)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::unbounded_channel();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let (is_reading, mut may_read) = watch::channel(true);
        tokio::spawn(async move {
            while may_read.wait_for(|may| *may).await.is_ok()
                && let Ok(Some(line)) = stdout.next_line().await
            {
                let _ = sender.send(line);
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (written, mut from) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut piece).await {
                let text = String::from_utf8_lossy(&piece[..count]).into_owned();
                written.lock().unwrap().push_str(&text);
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            stderr,
            is_reading,
            _folder: folder,
        }
    }

    /// Reads nothing more, and sends lines that are no messages until the bridge reads nothing either.
    pub(crate) async fn congest(&mut self) {
        self.is_reading.send_replace(false);
        let lines = "bad\n".repeat(4096);
        let stdin = self.stdin.as_mut().unwrap();
        while timeout(Duration::from_secs(1), stdin.write_all(lines.as_bytes()))
            .await
            .is_ok()
        {}
    }

    /// Sends a line as it is.
    pub(crate) async fn write(&mut self, line: &str) {
        self.write_bytes(line.as_bytes()).await;
    }

    /// Sends a line that need not be text.
    pub(crate) async fn write_bytes(&mut self, line: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(&[line, b"\n"].concat()).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.write(&message.to_string()).await;
    }

    /// The next message. Whatever stands on stdout has to be one.
    pub(crate) async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.recv()).await;
        let line = line
            .unwrap_or_else(|_| panic!("nothing came; stderr:\n{}", self.stderr()))
            .unwrap_or_else(|| panic!("it ended; stderr:\n{}", self.stderr()));
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    /// The next message, if one is there within a moment.
    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Value> {
        let line = timeout(limit, self.lines.recv()).await.ok()??;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// Sends a request and gives the message that comes next.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        let id = request["id"].clone();
        self.send(request).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The handshake of a revision before 2026-07-28.
    pub(crate) async fn initialize(&mut self) -> Value {
        let answer = self.ask(initialize()).await;
        self.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        answer
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .await;
        assert!(sent.unwrap().success());
    }

    /// Closes stdin, as a host does that is done.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end, whatever it wrote last.
    pub(crate) async fn exited(mut self) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
    }

    /// Waits for its end; nothing else may stand on stdout.
    pub(crate) async fn ended(mut self) -> Exit {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        let mut last = Vec::new();
        while let Some(line) = self.lines.recv().await {
            last.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}")));
        }
        Exit {
            code: status.code(),
            last,
            stderr: self.stderr(),
        }
    }
}

pub(crate) fn initialize() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": { "sampling": {} },
            "clientInfo": { "name": "host", "version": "1" },
        },
    })
}

/// A request of MCP 2026-07-28.
pub(crate) fn stateless(id: Value, method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "sampling": {} },
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}
