//! Starting and stopping: files, restarts, what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jeton_tests::{Jeton, JetonOptions, Process, TestDatabase, binary, eventually, http};
use tokio::process::Command;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_start_makes_everything_private() {
    let jeton = Jeton::start().await;
    assert_eq!(mode(&jeton.data_dir()), 0o700);
    for entry in fs::read_dir(jeton.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for file in ["admin.json", "master.key"] {
        assert!(jeton.data_dir().join(file).is_file(), "{file}");
    }
    if let TestDatabase::Sqlite(file) = jeton.database() {
        assert!(file.is_file());
    }
}

#[tokio::test]
async fn a_restart_keeps_keys_clients_and_credentials() {
    let mut jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let client = operator.client(&todo, &["a"]).await;
    let keys = jeton.get("/keys").await.text().await.unwrap();
    assert_eq!(jeton.terminate().await, Some(0));
    assert!(jeton.log().contains("stopped"));

    // At another address: the issuer moves, and admin.json and the admin API with it.
    let jeton = jeton.restart(JetonOptions::default()).await;
    assert_eq!(jeton.get("/keys").await.text().await.unwrap(), keys);
    assert_eq!(client.ask(&jeton.url, &[]).await.status, 200);
    assert_eq!(
        jeton
            .operator()
            .await
            .get(&format!("/mcp-servers/{todo}"))
            .await["id"],
        todo.as_str()
    );
}

#[tokio::test]
async fn requests_under_way_finish_when_it_is_told_to_stop() {
    let mut jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let client = operator.client(&todo, &["a"]).await;
    let url = jeton.url.clone();
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let request = http()
                    .post(format!("{url}/oauth/token"))
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(jeton_tests::form(&[
                        ("grant_type", "client_credentials"),
                        ("client_id", &client.client_id),
                        ("client_secret", &client.client_secret),
                    ]));
                match request.send().await {
                    // Either a whole answer or, once it stopped listening, none at all.
                    Ok(answer) => {
                        assert_eq!(answer.status(), 200);
                        let body: serde_json::Value = answer.json().await.expect("a whole answer");
                        Some(body["access_token"].as_str().unwrap().to_owned())
                    }
                    Err(error) => {
                        assert!(error.is_connect() || error.is_request(), "{error:?}");
                        None
                    }
                }
            })
        })
        .collect();
    jeton_tests::eventually("some are answered", || async {
        asking.iter().any(tokio::task::JoinHandle::is_finished)
    })
    .await;
    assert_eq!(jeton.terminate().await, Some(0));
    let mut tokens = Vec::new();
    for request in asking {
        tokens.extend(request.await.unwrap());
    }
    assert!(!tokens.is_empty());
    let jeton = jeton.restart(JetonOptions::default()).await;
    let recorded = jeton
        .operator()
        .await
        .audit(&format!("kind=token.issued&client_id={}", client.client_id))
        .await;
    assert!(recorded.len() >= tokens.len());
}

/// `jeton serve` with something wrong, which has to end with a message.
async fn refused(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(binary("jeton"));
    command
        .arg("serve")
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().copied());
    let mut process = Process::start(&mut command);
    assert_eq!(process.wait().await, Some(1), "{}", process.output());
    process.output()
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_what_to_do() {
    let jeton = Jeton::start().await;
    let data = jeton.data_dir().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let fresh = ["--listen", "127.0.0.1:0", "--data-dir", "d"];
    let with = |more: &[&'static str]| [&fresh[..], more].concat();

    let in_use = refused(
        folder.path(),
        &["--listen", "127.0.0.1:0", "--data-dir", &data],
        &[],
    )
    .await;
    assert!(in_use.contains("in use by another jeton serve"), "{in_use}");
    let address = jeton.url.strip_prefix("http://").unwrap();
    let taken = refused(
        folder.path(),
        &["--listen", address, "--data-dir", "d"],
        &[],
    )
    .await;
    assert!(taken.contains("--listen"), "{taken}");
    let plain = refused(
        folder.path(),
        &with(&["--issuer", "http://auth.example.com"]),
        &[],
    )
    .await;
    assert!(plain.contains("--insecure-http"), "{plain}");
    let slash = refused(
        folder.path(),
        &with(&["--issuer", "https://auth.example.com/"]),
        &[],
    )
    .await;
    assert!(slash.contains("\"https://auth.example.com\""), "{slash}");
    let database = [("JETON_DATABASE_URL", "mysql://jeton:hunter2@db/jeton")];
    let mysql = refused(folder.path(), &fresh, &database).await;
    assert!(
        mysql.contains("mysql") && !mysql.contains("hunter2"),
        "{mysql}"
    );
    let database = "postgres://jeton:hunter2@127.0.0.1:1/jeton";
    let away = refused(folder.path(), &fresh, &[("JETON_DATABASE_URL", database)]).await;
    assert!(
        away.contains("postgres://127.0.0.1:1/jeton") && away.contains("nothing answers"),
        "{away}"
    );
    assert!(!away.contains("hunter2"), "{away}");
    let key = refused(folder.path(), &fresh, &[("JETON_MASTER_KEY", "hunter2")]).await;
    assert!(
        key.contains("JETON_MASTER_KEY") && !key.contains("hunter2"),
        "{key}"
    );
    fs::write(
        folder.path().join("jeton.toml"),
        "listne = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let typo = refused(folder.path(), &fresh, &[]).await;
    assert!(
        typo.contains("listne") && typo.contains("jeton.toml"),
        "{typo}"
    );
}

#[tokio::test]
async fn another_or_a_missing_master_key_is_refused_and_nothing_is_changed() {
    let mut jeton = Jeton::start().await;
    let keys = jeton.get("/keys").await.text().await.unwrap();
    assert_eq!(jeton.terminate().await, Some(0));
    let data = jeton.data_dir();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let kept = fs::read(data.join("master.key")).unwrap();
    let database = jeton.database().url();
    let database = ("JETON_DATABASE_URL", database.as_str());

    let other = (
        "JETON_MASTER_KEY",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    );
    let message = refused(jeton.folder(), &arguments, &[database, other]).await;
    assert!(message.contains("another master key"), "{message}");
    fs::remove_file(data.join("master.key")).unwrap();
    let message = refused(jeton.folder(), &arguments, &[database]).await;
    assert!(message.contains("Restore it"), "{message}");
    assert!(!data.join("master.key").exists());

    fs::write(data.join("master.key"), kept).unwrap();
    let jeton = jeton.restart(JetonOptions::default()).await;
    assert_eq!(jeton.get("/keys").await.text().await.unwrap(), keys);
}

#[tokio::test]
async fn settings_come_from_flags_then_the_environment_then_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let start = |file: &str, environment: Option<&str>, flag: Option<&str>| {
        fs::write(folder.path().join("jeton.toml"), file).unwrap();
        let mut command = Command::new(binary("jeton"));
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(folder.path());
        if let Some(issuer) = environment {
            command.env("JETON_ISSUER", issuer);
        }
        command.args(flag.into_iter().flat_map(|issuer| ["--issuer", issuer]));
        Process::start(&mut command)
    };
    let file = "issuer = \"https://file.example\"\n[audit]\ndurability = \"async\"\n";
    for (environment, flag, expected) in [
        (None, None, "https://file.example"),
        (Some("https://env.example"), None, "https://env.example"),
        (
            Some("https://env.example"),
            Some("https://flag.example"),
            "https://flag.example",
        ),
    ] {
        let mut process = start(file, environment, flag);
        process.wait_for(&format!("issuer=\"{expected}\"")).await;
        assert!(process.output().contains("audit.durability is async"));
        process.kill().await;
    }
}

#[tokio::test]
async fn a_plain_http_issuer_is_served_where_the_operator_insists() {
    for truth in ["1", "true"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary("jeton"));
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("JETON_INSECURE_HTTP", truth)
            .env("JETON_ISSUER", "http://auth.example.com")
            .current_dir(folder.path());
        let mut process = Process::start(&mut command);
        process.wait_for("issuer=\"http://auth.example.com\"").await;
    }
}

#[tokio::test]
async fn https_is_served_with_the_operators_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    assert!(made.status.success());
    let cert = folder.path().join("cert.pem").display().to_string();
    let key = folder.path().join("key.pem").display().to_string();
    let flags = vec!["--tls-cert", &cert, "--tls-key", &key];
    let jeton = Jeton::start_with(JetonOptions {
        flags,
        ..JetonOptions::default()
    })
    .await;
    assert!(jeton.url.starts_with("https://"), "{}", jeton.url);
    let certificate = reqwest::Certificate::from_pem(&fs::read(&cert).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let ready = client
        .get(format!("{}/readyz", jeton.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        ready.json::<serde_json::Value>().await.unwrap()["status"],
        "ready"
    );
}

/// Everything that is in a data directory, moved elsewhere.
fn move_database(data: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["jeton.db", "jeton.db-wal", "jeton.db-shm"] {
        std::fs::rename(data.join(name), to.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_database_whose_files_are_removed_or_replaced_issues_no_tokens() {
    let jeton = Jeton::start().await;
    if !matches!(jeton.database(), TestDatabase::Sqlite(_)) {
        return;
    }
    let client = jeton.operator().await.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let (data, aside) = (jeton.data_dir(), jeton.folder().join("aside"));
    let refuses = async |what: &str| {
        eventually(what, async || {
            client.ask(&jeton.url, &[]).await.status == 503
        })
        .await;
        let ready = jeton.get("/readyz").await;
        assert_eq!(ready.status(), 503, "{what}");
        let document: serde_json::Value = ready.json().await.unwrap();
        assert_eq!(document["parts"]["database"]["status"], "failing", "{what}");
    };
    let recovers = async || {
        eventually("the same files are back", async || {
            client.ask(&jeton.url, &[]).await.status == 200
        })
        .await;
    };

    move_database(&data, &aside);
    refuses("removed").await;
    assert_eq!(jeton.get("/keys").await.status(), 200, "the rest goes on");
    assert!(!data.join("jeton.db").exists(), "nobody makes an empty one");
    assert!(
        jeton.log().contains("removed or replaced"),
        "{}",
        jeton.log()
    );
    move_database(&aside, &data);
    recovers().await;

    // A snapshot in its place.
    move_database(&data, &aside);
    for name in ["jeton.db", "jeton.db-wal", "jeton.db-shm"] {
        std::fs::copy(aside.join(name), data.join(name)).unwrap();
    }
    refuses("replaced").await;
    std::fs::remove_file(data.join("jeton.db")).unwrap();
    move_database(&aside, &data);
    recovers().await;

    // The log alone.
    std::fs::rename(data.join("jeton.db-wal"), aside.join("jeton.db-wal")).unwrap();
    refuses("without its log").await;
}

#[tokio::test]
async fn a_database_that_others_could_read_is_made_private() {
    let mut jeton = Jeton::start().await;
    let TestDatabase::Sqlite(file) = jeton.database().clone() else {
        return;
    };
    jeton.terminate().await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _jeton = jeton.restart(JetonOptions::default()).await;
    for name in ["jeton.db", "jeton.db-wal", "jeton.db-shm"] {
        let mode = std::fs::metadata(file.with_file_name(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
}
