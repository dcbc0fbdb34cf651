//! `jeton serve`, as somebody would run it.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{Operator, Process, TestDatabase, binary, eventually};

/// How it is started.
#[derive(Default)]
pub struct JetonOptions<'a> {
    /// Further flags of `jeton serve`.
    pub flags: Vec<&'a str>,
    /// The address, where it has to stay the same.
    pub port: Option<u16>,
    /// What is logged.
    pub log: Option<&'a str>,
    /// Variables of its environment.
    pub environment: Vec<(&'a str, &'a str)>,
    /// A command that starts it, with its arguments.
    pub through: Vec<&'a str>,
    /// A database of others.
    pub database: Option<TestDatabase>,
}

/// A running server in a folder of its own.
pub struct Jeton {
    process: Process,
    folder: TempDir,
    database: TestDatabase,
    pub url: String,
}

impl Jeton {
    pub async fn start() -> Self {
        Self::start_with(JetonOptions::default()).await
    }

    pub async fn start_with(options: JetonOptions<'_>) -> Self {
        let folder = TempDir::new().unwrap();
        let database = match &options.database {
            Some(database) => database.clone(),
            None => TestDatabase::new(&folder.path().join("data")).await,
        };
        Self::start_in(folder, database, options).await
    }

    async fn start_in(folder: TempDir, database: TestDatabase, options: JetonOptions<'_>) -> Self {
        let listen = format!("127.0.0.1:{}", options.port.unwrap_or(0));
        let jeton = binary("jeton");
        let mut command = match options.through.split_first() {
            None => Command::new(jeton),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(jeton);
                command
            }
        };
        clean(&mut command)
            .args(["serve", "--listen", &listen, "--data-dir"])
            .arg(folder.path().join("data"))
            .args(["--log", options.log.unwrap_or("info")])
            .args(&options.flags)
            .envs(options.environment)
            .current_dir(folder.path());
        if let TestDatabase::Postgres(url) = &database {
            command.env("JETON_DATABASE_URL", url);
        }
        let mut process = Process::start(&mut command);
        process.wait_for("issuer=").await;
        let output = process.output();
        let url = output
            .split("issuer=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        Self {
            process,
            folder,
            database,
            url,
        }
    }

    /// `kill -9`, then a new start in the same folder.
    pub async fn crash_and_restart(mut self, options: JetonOptions<'_>) -> Self {
        self.process.kill().await;
        Self::start_in(self.folder, self.database, options).await
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// A new start after [`Self::kill`] or [`Self::terminate`].
    pub async fn restart(self, options: JetonOptions<'_>) -> Self {
        Self::start_in(self.folder, self.database, options).await
    }

    /// The port of its URL.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Another server over the same database, with the same issuer and master key (PostgreSQL).
    pub async fn replica(&self) -> Self {
        let key = std::fs::read_to_string(self.data_dir().join("master.key")).unwrap();
        Self::start_with(JetonOptions {
            database: Some(self.database.clone()),
            environment: vec![
                ("JETON_MASTER_KEY", key.trim()),
                ("JETON_ISSUER", &self.url),
            ],
            ..JetonOptions::default()
        })
        .await
    }

    /// What `jeton audit verify` says, and whether the log is as it was written.
    pub async fn verify_audit(&self) -> (bool, String) {
        let output = self.command(&["audit", "verify"]).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{words}");
        (output.status.success(), words)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// SIGTERM, and the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.terminate().await
    }

    /// Sends a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        self.process.signal(name).await;
    }

    /// Its exit code, once it ended.
    pub async fn wait(&mut self) -> Option<i32> {
        self.process.wait().await
    }

    /// How large a file may become that it writes, as `prlimit --fsize` takes it.
    pub async fn limit_files(&self, limit: &str) {
        self.process.limit_files(limit).await;
    }

    /// Reads nothing of its log, until the guard is dropped: once the pipe is full, whoever logs stands still.
    pub async fn stop_reading_log(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.process.stop_reading().await
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where it listens, which is not its URL where the issuer is another.
    pub fn listening(&self) -> String {
        let output = self.process.output();
        // After it said that it is ready: it listens for its health before.
        let ready = output.split("issuer=").nth(1).unwrap();
        let address = ready.split("listen=").nth(1).unwrap();
        format!("http://{}", address.split(' ').next().unwrap())
    }

    /// Where it answers for its health alone, with `--health-listen`.
    pub async fn health(&self) -> String {
        let said = "answering /healthz and /readyz listen=";
        eventually("it names its address for health", async || {
            self.log().contains(said)
        })
        .await;
        let log = self.log();
        let address = log.split(said).nth(1).unwrap();
        format!("http://{}", address.split_whitespace().next().unwrap())
    }

    /// Where it keeps its data.
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Somebody with the admin credentials.
    pub async fn operator(&self) -> Operator {
        Operator::new(self, &self.url).await
    }

    /// The same where the server is reached at another URL than its issuer.
    pub async fn operator_at(&self, url: &str) -> Operator {
        Operator::new(self, url).await
    }

    /// The `jeton` command with this data directory.
    pub async fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(&[], arguments).await
    }

    /// The same, with variables in its environment.
    pub async fn command_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("jeton"));
        clean(&mut command)
            .args(arguments)
            .env("JETON_DATA_DIR", self.data_dir())
            .envs(environment.iter().copied())
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap()
    }

    /// The same, which has to succeed, with its JSON document.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat()).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "jeton {arguments:?} failed: {errors}"
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        crate::http()
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
    }
}

/// The `jeton` command where no server is: in an empty folder.
pub async fn jeton_alone(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(binary("jeton"));
    clean(&mut command)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap()
}

/// Without the settings of whoever runs the tests.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JETON_")) {
        command.env_remove(name);
    }
    command
}
