//! A PostgreSQL cluster of a test's own, which can be stopped and started.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::workspace;

/// Removed when the test ends.
pub struct Cluster {
    folder: PathBuf,
    /// Its URL, which ends in a database that always exists.
    pub url: String,
}

impl Cluster {
    pub async fn create() -> Self {
        let folder = tempfile::Builder::new().prefix("jeton-cluster-").tempdir();
        let folder = folder.unwrap().keep();
        let url = script(&["create", folder.to_str().unwrap()]).await;
        Self {
            folder,
            url: url.trim().to_owned(),
        }
    }

    pub fn port(&self) -> u16 {
        let port = std::fs::read_to_string(self.folder.join("port")).unwrap();
        port.trim().parse().unwrap()
    }

    /// `fast`, as an operator stops it, or `immediate`, as if it crashed.
    pub async fn stop(&self, how: &str) {
        script(&["stop", self.folder.to_str().unwrap(), how]).await;
    }

    /// Over TLS only from here on, as `localhost`; gives the file with the CA that vouches for it.
    pub async fn require_tls(&self) -> PathBuf {
        let file = script(&["tls", self.folder.to_str().unwrap()]).await;
        file.trim().into()
    }

    /// Whom it admits from here on, in lines of `pg_hba.conf`.
    pub async fn admit(&self, lines: &[&str]) {
        let folder = self.folder.to_str().unwrap();
        script(&[&["admit", folder], lines].concat()).await;
    }

    pub async fn start(&self) {
        script(&["start", self.folder.to_str().unwrap()]).await;
    }
}

async fn script(arguments: &[&str]) -> String {
    let mut command = Command::new(workspace().join("tests/postgres"));
    let output = command.args(arguments).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "tests/postgres {arguments:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(workspace().join("tests/postgres"));
        let _ = command
            .arg("remove")
            .arg(&self.folder)
            .stderr(Stdio::null())
            .status();
    }
}
