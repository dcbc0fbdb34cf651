//! TLS of Jeton's own: certificates are replaced while it runs; browsers are told to stay with https.

use std::fs;
use std::path::Path;

use jeton_tests::{Jeton, JetonOptions, eventually, http};
use tempfile::TempDir;
use tokio::process::Command;

/// A folder with the files that a server uses, and pairs to put there.
struct Certificates(TempDir);

impl Certificates {
    async fn new() -> Self {
        let certificates = Self(tempfile::tempdir().unwrap());
        for name in ["old", "new"] {
            certificates.make(name).await;
        }
        certificates.put("cert", "old");
        certificates.put("key", "old");
        certificates
    }

    /// A key, and a certificate for it that vouches for itself.
    async fn make(&self, name: &str) {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "1"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &format!("{name}-key.pem")])
            .args(["-out", &format!("{name}-cert.pem")])
            .current_dir(self.0.path())
            .output()
            .await
            .unwrap();
        assert!(made.status.success());
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Replaces the file in use, as certbot does: a new file in its place.
    fn put(&self, what: &str, name: &str) {
        let new = self.file(&format!("{what}.new"));
        fs::copy(self.file(&format!("{name}-{what}.pem")), &new).unwrap();
        fs::rename(&new, self.file(&format!("{what}.pem"))).unwrap();
    }

    async fn serve(&self, flags: &[&str]) -> Jeton {
        let (cert, key) = (self.file("cert.pem"), self.file("key.pem"));
        let own = ["--tls-cert", &cert, "--tls-key", &key];
        Jeton::start_with(JetonOptions {
            flags: [&own, flags].concat(),
            ..JetonOptions::default()
        })
        .await
    }

    /// Somebody who trusts this certificate alone.
    fn trusting(&self, name: &str) -> reqwest::Client {
        let pem = fs::read(Path::new(&self.file(&format!("{name}-cert.pem")))).unwrap();
        let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([certificate])
            .build()
            .unwrap()
    }

    /// Whether a new connection shows this certificate.
    async fn is_served(&self, name: &str, jeton: &Jeton) -> bool {
        let request = self.trusting(name).get(format!("{}/healthz", jeton.url));
        request.send().await.is_ok()
    }
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart() {
    let certificates = Certificates::new().await;
    let jeton = certificates.serve(&[]).await;
    let old_client = certificates.trusting("old");
    let ask = async || {
        let answer = old_client.get(format!("{}/healthz", jeton.url)).send();
        assert_eq!(answer.await.unwrap().status(), 200);
    };
    ask().await;
    certificates.put("cert", "new");
    certificates.put("key", "new");
    eventually("the new one is served", async || {
        certificates.is_served("new", &jeton).await
    })
    .await;
    assert!(!certificates.is_served("old", &jeton).await);
    // A connection that is open stays so.
    ask().await;
}

#[tokio::test]
async fn a_pair_that_cannot_be_used_leaves_the_one_before() {
    let certificates = Certificates::new().await;
    let jeton = certificates.serve(&[]).await;
    let told = |text: &str| jeton.log().matches(text).count();
    certificates.put("cert", "new");
    eventually("the log says so", async || told("cannot be used") > 0).await;
    assert!(jeton.log().contains("cannot be used together"));
    assert!(certificates.is_served("old", &jeton).await);

    fs::write(certificates.file("key.pem"), "no key").unwrap();
    eventually("the log names the file", async || told("key.pem") > 0).await;
    fs::remove_file(certificates.file("key.pem")).unwrap();
    eventually("the log says why", async || told("cannot be read") > 0).await;
    assert!(certificates.is_served("old", &jeton).await);

    certificates.put("key", "new");
    eventually("the pair is whole again", async || {
        certificates.is_served("new", &jeton).await
    })
    .await;
    // Once for each state of the files, however often they are looked at.
    assert!(told("cannot be used;") <= 4, "{}", jeton.log());
}

#[tokio::test]
async fn sighup_reads_the_certificate_at_once() {
    let certificates = Certificates::new().await;
    let mut jeton = certificates.serve(&[]).await;
    assert!(!jeton.log().contains("read again"));
    jeton.signal("HUP").await;
    eventually("it is read again", async || {
        jeton.log().contains("read again")
    })
    .await;
    certificates.put("cert", "new");
    certificates.put("key", "new");
    jeton.signal("HUP").await;
    eventually("the new one is served", async || {
        certificates.is_served("new", &jeton).await
    })
    .await;
    assert_eq!(jeton.terminate().await, Some(0));
}

#[tokio::test]
async fn browsers_are_told_to_stay_with_https_where_jeton_serves_it_under_a_name() {
    let certificates = Certificates::new().await;
    let hsts = async |client: reqwest::Client, url: String| {
        let answer = client.get(format!("{url}/healthz")).send().await.unwrap();
        let header = answer.headers().get("strict-transport-security");
        header.map(|value| value.to_str().unwrap().to_owned())
    };
    let named = certificates
        .serve(&["--issuer", "https://auth.example.com"])
        .await;
    let url = named.listening().replace("http:", "https:");
    let header = hsts(certificates.trusting("old"), url).await;
    assert_eq!(header.as_deref(), Some("max-age=31536000"));
    // Every port of this machine would be bound by it.
    let local = certificates.serve(&[]).await;
    assert_eq!(
        hsts(certificates.trusting("old"), local.url.clone()).await,
        None
    );
    // What a proxy serves is the proxy's to say.
    let proxied = Jeton::start_with(JetonOptions {
        flags: vec!["--issuer", "https://auth.example.com"],
        ..JetonOptions::default()
    })
    .await;
    assert_eq!(hsts(http(), proxied.listening()).await, None);
}

#[tokio::test]
async fn a_request_with_two_hosts_is_refused_over_tls() {
    let certificates = Certificates::new().await;
    let jeton = certificates.serve(&[]).await;
    let ask = async |hosts: &[&str]| {
        let mut request = certificates
            .trusting("old")
            .get(format!("{}/keys", jeton.url));
        for host in hosts {
            request = request.header("host", *host);
        }
        request.send().await.unwrap().status()
    };
    assert_eq!(ask(&["jeton"]).await, 200);
    assert_eq!(ask(&["jeton", "other"]).await, 400);
    assert_eq!(ask(&["user@jeton"]).await, 400);
}
