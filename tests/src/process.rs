//! Child processes: their output kept, killed when the test ends.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A binary of the workspace, built by `cargo build --workspace`.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test
        .ancestors()
        .find(|folder| folder.ends_with("deps"))
        .unwrap()
        .parent()
        .unwrap();
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run cargo build --workspace first",
        path.display()
    );
    path
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A child process.
pub struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    reading: Arc<tokio::sync::Mutex<()>>,
    collecting: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command; its stdout and stderr are collected.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let reading = Arc::default();
        let collecting = vec![
            collect(child.stdout.take().unwrap(), &output, &reading),
            collect(child.stderr.take().unwrap(), &output, &reading),
        ];
        Self {
            child,
            output,
            reading,
            collecting,
        }
    }

    /// Everything it printed so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Reads nothing that it prints, until the guard is dropped: once the pipes are full, whoever prints stands
    /// still.
    pub async fn stop_reading(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.reading).lock_owned().await
    }

    /// Waits until it printed `text`; panics if it ends before.
    pub async fn wait_for(&mut self, text: &str) {
        for _ in 0..2000 {
            if self.output().contains(text) {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                panic!(
                    "ended with {status} before it printed {text:?}:\n{}",
                    self.output()
                );
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("never printed {text:?}:\n{}", self.output());
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.run_on("kill", &["-TERM"]).await;
        self.wait().await
    }

    /// Sends a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        self.run_on("kill", &[&format!("-{name}")]).await;
    }

    /// How large a file may become that it writes, as `prlimit --fsize` takes it.
    pub async fn limit_files(&self, limit: &str) {
        let limit = format!("--fsize={limit}");
        self.run_on("prlimit", &[&limit, "--pid"]).await;
    }

    /// Runs a command whose last argument is its process ID.
    async fn run_on(&self, program: &str, arguments: &[&str]) {
        let pid = self.child.id().expect("it is running").to_string();
        let mut command = Command::new(program);
        let status = command.args(arguments).arg(pid).status().await;
        assert!(status.unwrap().success());
    }

    /// Its exit code, once it ended and all it printed was collected.
    pub async fn wait(&mut self) -> Option<i32> {
        let code = self.child.wait().await.unwrap().code();
        for collecting in self.collecting.drain(..) {
            collecting.await.unwrap();
        }
        code
    }
}

fn collect(
    stream: impl AsyncRead + Unpin + Send + 'static,
    output: &Arc<Mutex<String>>,
    reading: &Arc<tokio::sync::Mutex<()>>,
) -> JoinHandle<()> {
    let (output, reading) = (Arc::clone(output), Arc::clone(reading));
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _reading = reading.lock().await;
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    })
}
