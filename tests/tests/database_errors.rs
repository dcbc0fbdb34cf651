//! What `jeton serve` says at night about a database that it cannot use: on PostgreSQL, and as a file.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use jeton_tests::{Cluster, TestDatabase, binary, jeton_alone};
use tempfile::TempDir;
use tokio::process::Command;

/// Words of libraries and numbers of systems, which nobody who reads them knows what to do with.
const FOREIGN: [&str; 7] = [
    "error returned from database",
    "error communicating with database",
    "encountered unexpected or invalid data",
    "error occurred while attempting to establish a TLS connection",
    "(os error",
    "(code: ",
    "migration 1 was previously applied",
];

const PASSWORD: &str = "pw-that-nobody-may-read";

/// Checks what was said: each of the words, and nothing that is no help.
fn check(what: &str, said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "{what}: {words:?} is missing: {said}");
    }
    for words in FOREIGN {
        assert!(!said.contains(words), "{what}: {said}");
    }
    assert!(!said.contains(PASSWORD), "{what}: {said}");
    let lines = said.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(lines.count(), 1, "{what}: {said}");
}

/// Why a server does not start on the database with this URL.
async fn refused(url: &str, words: &[&str]) {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log", "error"];
    let output = jeton_alone(&[("JETON_DATABASE_URL", url)], &serve).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{url}: {said}");
    check(url, &said, words);
}

/// The URL of a database of the cluster for a user.
fn url(cluster: &Cluster, user: &str, database: &str) -> String {
    format!("postgres://{user}@127.0.0.1:{}/{database}", cluster.port())
}

#[tokio::test]
async fn whoever_postgresql_does_not_admit_is_told_why() {
    let cluster = Cluster::create().await;
    let admin = TestDatabase::Postgres(cluster.url.clone());
    for statement in [
        format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"),
        "CREATE ROLE retired NOLOGIN".to_owned(),
        "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0".to_owned(),
        "CREATE ROLE reader LOGIN".to_owned(),
        "CREATE DATABASE private".to_owned(),
        "REVOKE CONNECT ON DATABASE private FROM PUBLIC".to_owned(),
        "CREATE DATABASE standby".to_owned(),
        "ALTER DATABASE standby SET default_transaction_read_only = on".to_owned(),
    ] {
        admin.sql(&statement).await;
    }
    cluster
        .admit(&[
            "host all app 127.0.0.1/32 scram-sha-256",
            "host all stranger 127.0.0.1/32 reject",
            "host all other 203.0.113.0/24 trust",
            "host all jeton,retired,crowded,reader,nobody 127.0.0.1/32 trust",
        ])
        .await;
    let of = |user: &str, database: &str| url(&cluster, user, database);
    let password = "refused the user or the password";
    let admitted = "pg_hba.conf";
    for (url, words) in [
        (of("app:wrong", "postgres"), &[password, "%40"][..]),
        (of("app", "postgres"), &[password]),
        (of("nobody", "postgres"), &[password, "nobody"]),
        (
            of("retired", "postgres"),
            &[password, "not permitted to log in"],
        ),
        (
            of("stranger", "postgres"),
            &[admitted, "stranger", "pg_reload_conf"],
        ),
        (of("other", "postgres"), &[admitted, "no pg_hba.conf entry"]),
        (
            of("crowded", "postgres"),
            &["has no free connection", "ALTER ROLE"],
        ),
        (
            of("jeton", "nowhere"),
            &["no such database", "nowhere", "CREATE DATABASE"],
        ),
        (
            of("reader", "private"),
            &["may not do what Jeton needs", "OWNER TO"],
        ),
        (of("reader", "postgres"), &["schema public", "GRANT CREATE"]),
        (of("jeton", "standby"), &["takes no writes", "primary"]),
    ] {
        refused(&url, words).await;
    }
    // Jeton's own tables, which this user may not even read.
    let database = TestDatabase::new_in(&cluster.url).await;
    prepared(&database).await;
    let allowed = "GRANT CREATE, USAGE ON SCHEMA public TO reader";
    database.sql(allowed).await;
    let reader = database.url().replace("jeton@", "reader@");
    refused(
        &reader,
        &["may not do what Jeton needs", "_sqlx_migrations"],
    )
    .await;
    // The password is right, and so is everything else.
    let url = url(&cluster, &format!("app:{PASSWORD}"), "postgres");
    refused(&url, &["schema public"]).await;
}

#[tokio::test]
async fn where_no_postgresql_answers_the_place_is_named_with_what_to_look_at() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = taken.local_addr().unwrap();
    let closed = jeton_tests::free_port();
    let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web_port = web.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = web.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    let port = format!("127.0.0.1:{closed}");
    let silent = silent.to_string();
    for (place, words) in [
        (
            port.as_str(),
            &["nothing answers at", "listen_addresses"][..],
        ),
        (
            "no-such-host.invalid",
            &["no-such-host.invalid", "check its spelling"],
        ),
        ("127.0.0.1:99999", &["the database URL cannot be read"]),
        (&format!("127.0.0.1:{web_port}"), &["is not PostgreSQL"]),
        (&silent, &["did not answer within ten seconds"]),
    ] {
        let url = format!("postgres://jeton:{PASSWORD}@{place}/jeton");
        refused(&url, words).await;
    }
    serving.abort();
}

#[tokio::test]
async fn tls_that_is_wanted_and_not_there_is_named_with_the_parameter() {
    let cluster = Cluster::create().await;
    let plain = url(&cluster, "jeton", "postgres");
    let words = ["no TLS connection", "sslmode"];
    refused(&format!("{plain}?sslmode=require"), &words).await;
    cluster.require_tls().await;
    refused(
        &format!("{plain}?sslmode=disable"),
        &["pg_hba.conf", "no encryption", "sslmode=verify-full"],
    )
    .await;
    // Its CA is none that this machine knows.
    let words = ["no TLS connection", "certificate", "sslrootcert"];
    refused(&format!("{plain}?sslmode=verify-full"), &words).await;
}

/// Brings a database up to date as a server does.
async fn prepared(database: &TestDatabase) {
    let options = jeton_tests::JetonOptions {
        database: Some(database.clone()),
        ..jeton_tests::JetonOptions::default()
    };
    let mut jeton = jeton_tests::Jeton::start_with(options).await;
    assert_eq!(jeton.terminate().await, Some(0));
}

/// Both databases keep the same table of migrations.
#[tokio::test]
async fn a_database_that_another_build_or_program_prepared_is_left_alone_and_named() {
    let cluster = Cluster::create().await;
    let folder = TempDir::new().unwrap();
    let newest = "SELECT max(version) FROM _sqlx_migrations";
    for (number, database) in [
        TestDatabase::new_in(&cluster.url).await,
        TestDatabase::Sqlite(folder.path().join("jeton.db")),
    ]
    .into_iter()
    .enumerate()
    {
        match &database {
            TestDatabase::Postgres(_) => prepared(&database).await,
            TestDatabase::Sqlite(file) => prepared_file(file).await,
        }
        let newest = database.sql(newest).await.trim().to_owned();
        let keep = "CREATE TABLE kept AS SELECT * FROM _sqlx_migrations";
        database.sql(keep).await;
        let checksum = match number {
            0 => "decode('00', 'hex')",
            _ => "x'00'",
        };
        for (statement, words) in [
            (
                format!("UPDATE _sqlx_migrations SET checksum = {checksum} WHERE version = 3"),
                &["its migration 3 differs", "do not change"][..],
            ),
            (
                format!("UPDATE _sqlx_migrations SET success = false WHERE version = {newest}"),
                &["begun and not finished", "restore the backup"],
            ),
            (
                format!("UPDATE _sqlx_migrations SET version = 9000 WHERE version = {newest}"),
                &["migration 9000", "a newer version"],
            ),
            (
                format!(
                    "UPDATE _sqlx_migrations SET version = 20240101000000 WHERE version = {newest}"
                ),
                &["belongs to another program", "a database of its own"],
            ),
        ] {
            database.sql(&statement).await;
            refused(&database.url(), words).await;
            database.sql("DELETE FROM _sqlx_migrations").await;
            let back = "INSERT INTO _sqlx_migrations SELECT * FROM kept";
            database.sql(back).await;
        }
        // Tables of others, which have no migrations at all.
        database.sql("DELETE FROM _sqlx_migrations").await;
        let words = [
            "holds tables that are not this server's",
            "a database of its own",
        ];
        refused(&database.url(), &words).await;
    }
}

/// The same for a file, whatever database the other servers of this run use.
async fn prepared_file(file: &Path) {
    let url = format!("sqlite:{}", file.display());
    let mut command = Command::new(binary("jeton"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--database-url", &url]);
    command.arg("--data-dir").arg(file.parent().unwrap());
    let mut server = jeton_tests::Process::start(&mut command);
    server.wait_for("ready").await;
    assert_eq!(server.terminate().await, Some(0));
}

/// A folder with a database, as a user has it who is no superuser: whoever runs the tests, or `nobody`.
struct Private {
    folder: TempDir,
    through: Vec<&'static str>,
}

impl Private {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("jeton-data")).unwrap();
        prepared_file(&folder.path().join("jeton-data/jeton.db")).await;
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let through = if is_root {
            own(folder.path());
            vec![
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ]
        } else {
            Vec::new()
        };
        Self { folder, through }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("jeton-data").join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), permissions).unwrap();
    }

    /// Why the server does not start.
    async fn refused(&self, flags: &[&str], words: &[&str]) {
        let jeton = binary("jeton");
        let mut whole = self.through.clone();
        whole.push(jeton.to_str().unwrap());
        whole.extend(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
        whole.extend(flags);
        let mut command = Command::new(whole[0]);
        command.args(&whole[1..]).current_dir(self.folder.path());
        let output = command.output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        check(&format!("{words:?}"), &said, words);
    }
}

/// Gives everything in a folder to `nobody`.
fn own(path: &Path) {
    chown(path, Some(65534), Some(65534)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}

#[tokio::test]
async fn a_file_that_this_user_may_not_use_is_named_with_what_to_change() {
    let private = Private::new().await;
    let owner = "change its owner or mode";
    private.mode("jeton.db", 0o400);
    private.refused(&[], &["jeton.db", owner]).await;
    private.mode("jeton.db", 0o000);
    private.refused(&[], &["jeton.db", owner]).await;
    private.mode("jeton.db", 0o600);
    // SQLite keeps files beside the database.
    private.mode("", 0o500);
    let words = ["jeton-data", "SQLite keeps files beside the database"];
    private.refused(&[], &words).await;
    private.mode("", 0o000);
    let words = ["the data directory jeton-data cannot be used", "may not"];
    private.refused(&[], &words).await;
    private.mode("", 0o700);
}

#[tokio::test]
async fn what_is_no_database_is_called_what_it_is() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::create_dir(place("folder.db")).unwrap();
    std::fs::write(
        place("text.db"),
        "a file of text, which is no database at all\n",
    )
    .unwrap();
    std::fs::write(place("file"), "no directory").unwrap();
    prepared_file(&place("damaged.db")).await;
    let whole = std::fs::read(place("damaged.db")).unwrap();
    let mut damaged = whole.clone();
    damaged[200..6_000].fill(0xA5);
    std::fs::write(place("damaged.db"), damaged).unwrap();
    for (name, words) in [
        ("folder.db", &["is a folder", "name a file in it"][..]),
        (
            "text.db",
            &["is not a SQLite database", "jeton restore --overwrite"],
        ),
        ("damaged.db", &["is damaged", "jeton restore --overwrite"]),
        ("nowhere/jeton.db", &["there is no folder", "create it"]),
        ("file/jeton.db", &["there is no folder"]),
    ] {
        refused(&format!("sqlite:{}", place(name).display()), words).await;
    }
    let data_dir = place("file");
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "error",
        "--data-dir",
    ];
    let serve = [&serve[..], &[data_dir.to_str().unwrap()]].concat();
    let output = jeton_alone(&[], &serve).await;
    let said = String::from_utf8(output.stderr).unwrap();
    check("a file", &said, &["it is a file", "name a directory"]);
}

#[tokio::test]
async fn a_start_without_room_says_so() {
    let folder = TempDir::new().unwrap();
    // What a full disk is like, a limit of the system's is too.
    for limit in ["0", "20000"] {
        let data_dir = folder.path().join(limit);
        std::fs::create_dir(&data_dir).unwrap();
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={limit}")).arg(binary("jeton"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--data-dir",
        ]);
        let output = command.arg(&data_dir).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{limit}: {said}");
        check(limit, &said, &["full", "limit"]);
    }
}
