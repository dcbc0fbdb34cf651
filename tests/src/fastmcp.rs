//! The FastMCP todo server, running.

use std::path::PathBuf;

use tokio::process::Command;

use crate::{Process, free_port, workspace};

/// Python with what `tests/python/requirements.txt` lists.
pub fn python() -> PathBuf {
    let python = workspace().join(".venv/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: ./test makes it",
        python.display()
    );
    python
}

/// A running FastMCP server.
pub struct FastMcp {
    process: Process,
    issuer: String,
    port: u16,
    pub url: String,
}

impl FastMcp {
    pub async fn start(issuer: &str) -> Self {
        let port = free_port();
        Self {
            process: start(issuer, port).await,
            issuer: issuer.to_owned(),
            port,
            url: format!("http://localhost:{port}/mcp"),
        }
    }

    /// Kills it and starts it at the same address.
    pub async fn restart(&mut self) {
        self.process.kill().await;
        self.process = start(&self.issuer, self.port).await;
    }
}

async fn start(issuer: &str, port: u16) -> Process {
    let mut process = Process::start(
        Command::new(python())
            .arg(workspace().join("examples/fastmcp-todo/server.py"))
            .args(["--issuer", issuer, "--port", &port.to_string()]),
    );
    process.wait_for("Uvicorn running").await;
    process
}
