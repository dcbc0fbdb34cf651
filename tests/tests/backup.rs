//! Backups, restoring elsewhere, and moving to another kind of database.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use jeton_tests::{
    Credentials, Jeton, JetonOptions, TestDatabase, TodoServer, binary, call_tool, eventually,
    free_port, postgres_cluster,
};
use serde_json::{Value, json};
use tokio::process::Command;

async fn jeton_command(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("jeton"));
    command.args(arguments).current_dir(folder);
    command.env_remove("JETON_DATA_DIR").output().await.unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn some_client(jeton: &Jeton, url: &str) -> Credentials {
    let operator = jeton.operator().await;
    let todo = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
    operator.client(&todo, &["todo:read", "todo:write"]).await
}

#[tokio::test]
async fn a_backup_of_a_busy_server_restored_elsewhere_is_accepted_by_its_mcp_servers() {
    if postgres_cluster().is_some() {
        // PostgreSQL has its own tools for this; the next test uses them.
        return;
    }
    let port = free_port();
    let options = || JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    let todo = TodoServer::start(&jeton.url).await;
    let client = some_client(&jeton, &todo.url).await;
    client.token(&jeton.url, &[]).await;
    let file = jeton.folder().join("it's a backup.db");
    let path = file.to_str().unwrap().to_owned();
    // While tokens are issued.
    let (url, busy) = (jeton.url.clone(), client.clone());
    let load = tokio::spawn(async move {
        let mut tokens = Vec::new();
        for _ in 0..60 {
            tokens.push(busy.token(&url, &[]).await);
        }
        tokens
    });
    let made = jeton.json(&["backup", &path]).await;
    assert_eq!(made["clients"], 2);
    assert!(made["audit_events"].as_u64().unwrap() > 4);
    load.await.unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = jeton.command(&["backup", &path]).await;
    assert!(words(&again).contains("--overwrite"), "{}", words(&again));
    jeton.json(&["backup", &path, "--overwrite"]).await;
    // Not over a server that runs.
    let running = jeton.command(&["restore", &path, "--overwrite"]).await;
    assert!(words(&running).contains("in use"), "{}", words(&running));
    let key = std::fs::read_to_string(jeton.data_dir().join("master.key")).unwrap();
    jeton.terminate().await;

    // Another machine: another folder, the master key, the same issuer.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("elsewhere");
    let data = data.to_str().unwrap();
    let restored = jeton_command(folder.path(), &["restore", &path, "--data-dir", data]).await;
    assert!(restored.status.success(), "{}", words(&restored));
    let twice = jeton_command(folder.path(), &["restore", &path, "--data-dir", data]).await;
    assert!(words(&twice).contains("--overwrite"), "{}", words(&twice));
    let database = TestDatabase::Sqlite(Path::new(data).join("jeton.db"));
    let url = database.url();
    let elsewhere = Jeton::start_with(JetonOptions {
        port: Some(port),
        database: Some(database),
        environment: vec![
            ("JETON_MASTER_KEY", key.trim()),
            ("JETON_DATABASE_URL", &url),
        ],
        ..JetonOptions::default()
    })
    .await;
    let token = client.token(&elsewhere.url, &[]).await;
    let called = call_tool(
        &todo.url,
        &token,
        "create_todo",
        json!({ "title": "restored" }),
    )
    .await;
    assert_eq!(called.status(), 200);
}

#[tokio::test]
async fn what_cannot_be_trusted_is_not_restored() {
    if postgres_cluster().is_some() {
        return;
    }
    let jeton = Jeton::start().await;
    let file = jeton.folder().join("backup.db");
    jeton.json(&["backup", file.to_str().unwrap()]).await;
    let good = std::fs::read(&file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let restore = async |contents: &[u8]| {
        std::fs::write(folder.path().join("b.db"), contents).unwrap();
        let output = jeton_command(folder.path(), &["restore", "b.db", "--data-dir", "d"]).await;
        (output.status.success(), words(&output))
    };
    let (done, said) = restore(b"not a database at all").await;
    assert!(!done && said.contains("cannot be restored"), "{said}");
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0x55);
    let (done, said) = restore(&damaged).await;
    assert!(!done, "{said}");
    let (done, said) = restore(&good[..good.len() / 2]).await;
    assert!(!done, "{said}");
    // Somebody changed the audit log in it.
    std::fs::write(folder.path().join("t.db"), &good).unwrap();
    let tampered = TestDatabase::Sqlite(folder.path().join("t.db"));
    tampered
        .sql("UPDATE audit_event SET actor = 'nobody' WHERE seq = 2")
        .await;
    let (done, said) = restore(&std::fs::read(folder.path().join("t.db")).unwrap()).await;
    assert!(!done && said.contains("audit log"), "{said}");
    assert!(
        !folder.path().join("d/jeton.db").exists(),
        "nothing was put there"
    );
    let (done, said) = restore(&good).await;
    assert!(done, "{said}");
}

#[tokio::test]
async fn an_installation_moves_from_sqlite_to_postgresql() {
    let Some(cluster) = postgres_cluster() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut jeton = Jeton::start_with(JetonOptions {
        port: Some(port),
        // The default: in its data directory.
        database: Some(TestDatabase::Sqlite("jeton.db".into())),
        ..JetonOptions::default()
    })
    .await;
    let data = jeton.data_dir();
    let source = TestDatabase::Sqlite(data.join("jeton.db"));
    let from = source.url();
    let todo = TodoServer::start(&jeton.url).await;
    let operator = jeton.operator().await;
    let server = operator.register(&todo).await;
    let client = operator.client(&server, &["todo:read", "todo:write"]).await;
    for _ in 0..20 {
        client.token(&jeton.url, &[]).await;
    }
    let target = TestDatabase::new_in(&cluster).await;
    let to = target.url();
    let arguments = ["migrate", "--from", &from, "--to", &to, "--json"];
    let running = jeton_command(folder.path(), &arguments).await;
    assert!(words(&running).contains("in use"), "{}", words(&running));
    jeton.terminate().await;

    // As if it had been interrupted: everything is there but the last events.
    let first = jeton_command(folder.path(), &arguments).await;
    assert!(first.status.success(), "{}", words(&first));
    target.sql("DELETE FROM audit_event WHERE seq > 6").await;
    target.sql("DELETE FROM client_secret").await;
    let moved = jeton_command(folder.path(), &arguments).await;
    assert!(moved.status.success(), "{}", words(&moved));
    let document: Value = serde_json::from_slice(&moved.stdout).unwrap();
    let events = source.sql("SELECT COUNT(*) FROM audit_event").await;
    assert_eq!(document["audit_events"].to_string(), events.trim());
    assert_eq!(document["tables"]["client"], 2);

    let key = std::fs::read_to_string(data.join("master.key")).unwrap();
    let moved = Jeton::start_with(JetonOptions {
        port: Some(port),
        database: Some(target),
        environment: vec![("JETON_MASTER_KEY", key.trim())],
        ..JetonOptions::default()
    })
    .await;
    let token = client.token(&jeton.url, &[]).await;
    let called = call_tool(
        &todo.url,
        &token,
        "create_todo",
        json!({ "title": "moved" }),
    )
    .await;
    assert_eq!(called.status(), 200);
    std::fs::copy(data.join("admin.json"), moved.data_dir().join("admin.json")).unwrap();
    let verified = moved.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);

    // Not into somebody else's.
    let other = Jeton::start().await;
    let to = other.database().url();
    let refused = jeton_command(folder.path(), &["migrate", "--from", &from, "--to", &to]).await;
    assert!(
        words(&refused).contains("another installation"),
        "{}",
        words(&refused)
    );
}

#[tokio::test]
async fn pg_dump_and_pg_restore_do_what_the_documentation_says() {
    if postgres_cluster().is_none() {
        return;
    }
    let mut jeton = Jeton::start().await;
    let client = some_client(&jeton, "http://localhost:3002/mcp").await;
    let file = jeton.folder().join("jeton.dump");
    let dumped = Command::new("pg_dump")
        .args(["--format=custom", "--file"])
        .arg(&file)
        .arg(jeton.database().url())
        .status()
        .await
        .unwrap();
    assert!(dumped.success());
    let told = jeton
        .command(&["backup", "x.db", "--config", "none.toml"])
        .await;
    assert_ne!(told.status.code(), Some(0));
    jeton.terminate().await;
    let key = std::fs::read_to_string(jeton.data_dir().join("master.key")).unwrap();
    let target = TestDatabase::new_in(&postgres_cluster().unwrap()).await;
    let restored = Command::new("pg_restore")
        .args(["--exit-on-error", "--dbname", &target.url()])
        .arg(&file)
        .status()
        .await
        .unwrap();
    assert!(restored.success());
    let elsewhere = Jeton::start_with(JetonOptions {
        database: Some(target),
        environment: vec![("JETON_MASTER_KEY", key.trim())],
        ..JetonOptions::default()
    })
    .await;
    eventually("tokens are issued", async || {
        client.ask(&elsewhere.url, &[]).await.status == 200
    })
    .await;
    // Its address is another here, and with it the issuer: the operator says so in admin.json, or
    // else the credentials do not go there.
    let admin = std::fs::read_to_string(jeton.data_dir().join("admin.json")).unwrap();
    let file = elsewhere.data_dir().join("admin.json");
    std::fs::write(&file, &admin).unwrap();
    let verify = ["audit", "verify", "--server", &elsewhere.url];
    let refused = elsewhere.command(&verify).await;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        words.contains(&jeton.url) && words.contains("not sent"),
        "{words}"
    );
    std::fs::write(&file, admin.replace(&jeton.url, &elsewhere.url)).unwrap();
    assert_eq!(elsewhere.json(&verify).await["verified"], true);
}

/// Runs a command and prints the most memory that it held at once, in KiB, to standard error.
const PEAK: &str = "import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)";

#[tokio::test]
async fn a_large_backup_is_restored_in_little_memory() {
    if postgres_cluster().is_some() {
        return;
    }
    const SIZE: u64 = 150 << 20;
    let jeton = Jeton::start().await;
    let file = jeton.folder().join("backup.db");
    jeton.json(&["backup", file.to_str().unwrap()]).await;
    let rows = "INSERT INTO revoked_token (jti, expires_at, revoked_at) \
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) \
                SELECT printf('%04000d', i), 1, 1 FROM n";
    TestDatabase::Sqlite(file.clone()).sql(rows).await;
    assert!(std::fs::metadata(&file).unwrap().len() > SIZE);
    let folder = tempfile::tempdir().unwrap();
    let restored = Command::new("python3")
        .args(["-c", PEAK])
        .arg(binary("jeton"))
        .arg("restore")
        .arg(&file)
        .args(["--data-dir", "there"])
        .current_dir(folder.path())
        .env_remove("JETON_DATA_DIR")
        .output()
        .await
        .unwrap();
    let said = words(&restored);
    assert!(restored.status.success(), "{said}");
    let peak: u64 = said.rsplit("peak ").next().unwrap().trim().parse().unwrap();
    assert!(peak << 10 < SIZE / 2, "{peak} KiB");
    let (from, to) = (
        std::fs::read(&file),
        std::fs::read(folder.path().join("there/jeton.db")),
    );
    assert!(from.unwrap() == to.unwrap(), "it is the backup");
}
