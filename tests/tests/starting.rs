//! What people get wrong before the server runs: addresses, names of variables, files that are none.

use std::path::Path;
use std::process::Output;

use jeton_tests::{Jeton, JetonOptions, Process, binary, free_port, http, jeton_alone};
use tempfile::TempDir;
use tokio::process::Command;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `jeton serve` says that does not start, in an empty folder.
async fn refused(environment: &[(&str, &str)], flags: &[&str]) -> String {
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let output = jeton_alone(environment, &[&serve, flags].concat()).await;
    assert!(!output.status.success(), "{output:?}");
    said(&output)
}

/// A server with other flags than those of [`Jeton`], until it says `words`.
async fn started(flags: &[&str], words: &str) -> (Process, String, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(binary("jeton"));
    command.arg("serve").args(flags).current_dir(folder.path());
    let mut process = Process::start(&mut command);
    process.wait_for(words).await;
    process.wait_for("Open this link").await;
    let output = process.output();
    (process, output, folder)
}

async fn is_healthy(address: &str) -> bool {
    let answer = http().get(format!("http://{address}/healthz")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn a_host_name_is_listened_on_and_becomes_the_issuer() {
    let port = free_port();
    let (_server, log, _folder) =
        started(&["--listen", &format!("localhost:{port}")], "ready").await;
    assert!(
        log.contains(&format!("issuer=\"http://localhost:{port}\"")),
        "{log}"
    );
    assert!(is_healthy(&format!("127.0.0.1:{port}")).await);
    assert!(!log.contains("other machines"), "{log}");
}

#[tokio::test]
async fn an_ipv6_address_is_listened_on_by_flag_and_variable() {
    // Without IPv6 on this machine, the address is still understood.
    let here = std::net::TcpListener::bind("[::1]:0").is_ok();
    let (flag, none) = (["serve", "--listen", "[::1]:0"], ["serve"]);
    for (environment, arguments) in [
        (&[][..], &flag[..]),
        (&[("JETON_LISTEN", "[::1]:0")], &none[..]),
    ] {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(binary("jeton"));
        command
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder.path());
        let mut server = Process::start(&mut command);
        if here {
            server.wait_for("issuer=\"http://[::1]:").await;
        } else {
            server.wait().await;
            assert!(server.output().contains("cannot listen on [::1]:0"));
        }
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_called_what_somebody_wrote() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("jeton.toml");
    let path = config.to_str().unwrap();
    for (text, words) in [
        ("max_connections = \"many\"", "max_connections in"),
        ("max_connections = \"many\"", "expected a whole number"),
        ("[audit]\nretention_days = -1", "audit.retention_days in"),
        ("[audit]\nretention_days = -1", "expected a whole number"),
        ("data_dir = 5", "expected a text in quotation marks"),
        ("listen = ", "jeton.toml"),
    ] {
        std::fs::write(&config, text).unwrap();
        let error = jeton_alone(&[], &["serve", "--config", path]).await;
        let error = said(&error);
        assert!(error.contains(words) && error.contains(path), "{error}");
    }
    for (name, value) in [
        ("JETON_MAX_CONNECTIONS", "many"),
        ("JETON_AUDIT_RETENTION_DAYS", "-1"),
        ("JETON_AUDIT_DURABILITY", "sometimes"),
        ("JETON_TRUSTED_PROXY", "true"),
    ] {
        let error = refused(&[(name, value)], &[]).await;
        assert!(error.contains(&format!("{name} cannot be used")), "{error}");
    }
}

#[tokio::test]
async fn a_misspelt_key_of_the_file_is_refused_with_the_nearest_one() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("jeton.toml");
    let path = config.to_str().unwrap();
    let forward = "[[audit.forward]]\nname = \"siem\"\n";
    for (text, name, words) in [
        ("lisen = \"127.0.0.1:0\"", "lisen", "Did you mean listen?"),
        ("port = 8420", "port", "Did you mean listen?"),
        ("tls-cert = \"a\"", "tls-cert", "Did you mean tls_cert?"),
        (
            "JETON_ISSUER = \"a\"",
            "JETON_ISSUER",
            "Did you mean issuer?",
        ),
        (
            "trusted_proxy = []",
            "trusted_proxy",
            "Did you mean trusted_proxies?",
        ),
        ("[adit]", "adit", "Did you mean audit?"),
        (
            "[audit]\nretentoin_days = 1",
            "retentoin_days in the section audit",
            "Did you mean retention_days?",
        ),
        (
            "[oidc]\nclientid = \"a\"",
            "clientid in the section oidc",
            "Did you mean client_id?",
        ),
        (
            &format!("{forward}ulr = \"http://127.0.0.1:1/\""),
            "ulr in the section audit.forward",
            "Did you mean url?",
        ),
        // In another section, or as a variable or flag has it.
        (
            "retention_days = 1",
            "retention_days",
            "retention_days, which belongs in the section audit?",
        ),
        (
            "audit_retention_days = 1",
            "audit_retention_days",
            "retention_days, which belongs in the section audit?",
        ),
        (
            "[audit]\nlisten = \":1\"",
            "listen in the section audit",
            "listen, which belongs above the first section?",
        ),
        (
            "flux_capacitor = 1",
            "flux_capacitor",
            "The settings there are data_dir, listen, issuer",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let output = jeton_alone(&[], &["serve", "--config", path]).await;
        let error = said(&output);
        let what = format!("{path} sets {name}, but there is no such setting.");
        assert!(error.contains(&what), "{text}: {error}");
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_port_alone_is_every_address_and_the_server_says_what_issuer_to_give() {
    let port = free_port();
    let (_server, log, _folder) = started(
        &["--listen", &format!(":{port}")],
        "other machines can connect",
    )
    .await;
    assert!(is_healthy(&format!("127.0.0.1:{port}")).await);
    for words in [
        format!("told http://127.0.0.1:{port}"),
        "--issuer https://HOST ".to_owned(),
        format!("--issuer http://HOST:{port} --insecure-http"),
    ] {
        assert!(log.contains(&words), "{log}");
    }
}

#[tokio::test]
async fn with_an_issuer_there_is_nothing_to_say() {
    let flags = [
        "--listen",
        "0.0.0.0:0",
        "--issuer",
        "https://auth.example.com",
    ];
    let (_server, log, _folder) = started(&flags, "ready").await;
    assert!(!log.contains("other machines"), "{log}");
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (address, words) in [
        (taken.as_str(), "another program listens there already"),
        ("192.0.2.1:8420", "this machine has no such address"),
        ("no-such-host.invalid:8420", "the name has no address"),
    ] {
        for flag in ["--listen", "--health-listen"] {
            let error = if flag == "--listen" {
                let output = jeton_alone(&[], &["serve", flag, address]).await;
                said(&output)
            } else {
                refused(&[], &[flag, address]).await
            };
            assert!(error.contains(words), "{error}");
            assert!(error.contains(address) && error.contains(flag), "{error}");
        }
    }
    for variable in ["8420", "localhost", "[::1]", "http://localhost:8420"] {
        let output = jeton_alone(&[("JETON_LISTEN", variable)], &["serve"]).await;
        let error = said(&output);
        assert!(error.contains("is not an address to listen on"), "{error}");
        assert!(error.contains("JETON_LISTEN cannot be used"), "{error}");
    }
}

#[tokio::test]
async fn a_misspelt_variable_stops_every_command_and_the_nearest_name_is_given() {
    for arguments in [
        &["serve"][..],
        &["client", "list"],
        &["token"],
        &["backup", "x"],
        &["audit", "verify"],
    ] {
        let output = jeton_alone(&[("JETON_ISUER", "https://a.example")], arguments).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = said(&output);
        assert!(error.contains("JETON_ISUER is set"), "{error}");
        assert!(error.contains("Did you mean JETON_ISSUER?"), "{error}");
    }
    let help = jeton_alone(&[("JETON_ISUER", "x")], &["serve", "--help"]).await;
    assert!(help.status.success(), "{help:?}");
}

#[tokio::test]
async fn what_is_set_for_a_kubernetes_service_called_jeton_is_not_taken_for_a_setting() {
    let jeton = Jeton::start_with(JetonOptions {
        environment: vec![
            ("JETON_SERVICE_HOST", "10.0.0.7"),
            ("JETON_SERVICE_PORT", "8420"),
            ("JETON_PORT", "tcp://10.0.0.7:8420"),
            ("JETON_PORT_8420_TCP", "tcp://10.0.0.7:8420"),
            ("JETON_PORT_8420_TCP_ADDR", "10.0.0.7"),
            ("JETON_PORT_8420_TCP_PORT", "8420"),
            ("JETON_PORT_8420_TCP_PROTO", "tcp"),
        ],
        ..JetonOptions::default()
    })
    .await;
    assert_eq!(jeton.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn a_variable_that_the_file_names_for_a_secret_is_known() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("jeton.toml");
    let forward = "[[audit.forward]]\nname = \"siem\"\nurl = \"http://127.0.0.1:1/\"\nsecret_env = \"JETON_SIEM\"\n";
    std::fs::write(&config, forward).unwrap();
    let config = config.to_str().unwrap();
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let options = JetonOptions {
        flags: vec!["--config", config],
        environment: vec![("JETON_SIEM", secret)],
        ..JetonOptions::default()
    };
    drop(Jeton::start_with(options).await);
    let empty = refused(&[("JETON_SIEM", "")], &["--config", config]).await;
    assert!(empty.contains("JETON_SIEM is set, but empty"), "{empty}");
    let unknown = refused(&[("JETON_SIEM", secret)], &[]).await;
    assert!(
        unknown.contains("JETON_SIEM is set, but there is no such"),
        "{unknown}"
    );
}

#[tokio::test]
async fn an_empty_variable_is_no_silent_default() {
    for name in [
        "JETON_MASTER_KEY",
        "JETON_PREVIOUS_MASTER_KEY",
        "JETON_SIGNING_KEYS",
        "JETON_OIDC_CLIENT_SECRET",
        "JETON_ISSUER",
        "JETON_LISTEN",
        "JETON_DATA_DIR",
        "JETON_CONFIG",
        "JETON_INSECURE_HTTP",
        "JETON_LOG",
    ] {
        let error = refused(&[(name, "")], &[]).await;
        let words = format!("{name} is set, but empty. Give it a value, or unset it.");
        assert!(error.contains(&words), "{error}");
    }
    let token = jeton_alone(
        &[("JETON_CLIENT_ID", "m2m_1"), ("JETON_CLIENT_SECRET", "")],
        &["token"],
    )
    .await;
    assert!(said(&token).contains("JETON_CLIENT_SECRET is set, but empty"));
}

#[tokio::test]
async fn every_file_that_a_setting_names_is_refused_with_what_is_wrong_with_it() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (missing, directory, empty) = (place("missing"), place("directory"), place("empty"));
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(&empty, "\n").unwrap();
    let with = |name: &str, text: String| {
        std::fs::write(place(name), text).unwrap();
        place(name)
    };
    let tls = some_file();
    for (path, words) in [
        (&missing, "there is no such file"),
        (&directory, "it is a directory, and a file is expected"),
        (&empty, "the file is empty"),
    ] {
        let forward = with(
            "forward.toml",
            format!(
                "[[audit.forward]]\nname = \"siem\"\nurl = \"http://127.0.0.1:1/\"\nsecret_file = \"{path}\"\n"
            ),
        );
        let database = format!("postgres://127.0.0.1:1/x?sslmode=verify-full&sslrootcert={path}");
        for flags in [
            vec!["--master-key-file", path],
            vec!["--previous-master-key-file", path],
            vec!["--signing-keys-file", path],
            vec![
                "--tls-cert",
                path,
                "--tls-key",
                path,
                "--issuer",
                "https://localhost",
            ],
            vec![
                "--tls-cert",
                &tls,
                "--tls-key",
                path,
                "--issuer",
                "https://localhost",
            ],
            vec!["--config", &forward],
            vec!["--database-url", &database],
        ] {
            let error = refused(&[], &flags).await;
            assert!(error.contains(words), "{flags:?}: {error}");
            assert!(error.contains(path.as_str()), "{flags:?}: {error}");
        }
        for arguments in [
            vec!["apply", "--file", path],
            vec!["audit", "verify", "--checkpoint", path],
            vec![
                "token",
                "--client-id",
                "m2m_x",
                "--client-secret-file",
                path,
            ],
        ] {
            let jeton = Jeton::start().await;
            let output = jeton.command(&arguments).await;
            assert!(!output.status.success());
            let error = said(&output);
            assert!(error.contains(words), "{arguments:?}: {error}");
            assert!(error.contains(path.as_str()), "{arguments:?}: {error}");
        }
    }
    for (path, words) in [
        (&missing, "there is no such file"),
        (&directory, "it is a directory, and a file is expected"),
    ] {
        let error = refused(&[], &["--config", path]).await;
        assert!(error.contains(words) && error.contains(path), "{error}");
        let listed = jeton_alone(&[("JETON_CONFIG", path)], &["client", "list"]).await;
        assert!(said(&listed).contains(words), "{listed:?}");
    }
}

/// A file with something in it, which is read before the key that goes with it.
fn some_file() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("Cargo.toml")
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_directory_called_jeton_toml_or_admin_json_is_not_passed_over() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("jeton.toml")).unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(binary("jeton"));
        let command = command.args(arguments).current_dir(folder.path());
        said(&command.output().await.unwrap())
    };
    let error = run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(
        error.contains("jeton.toml cannot be read: it is a directory"),
        "{error}"
    );
    std::fs::remove_dir(folder.path().join("jeton.toml")).unwrap();
    std::fs::create_dir_all(folder.path().join("jeton-data/admin.json")).unwrap();
    let error = run(&["client", "list"]).await;
    assert!(error.contains("admin.json"), "{error}");
    assert!(error.contains("it is a directory"), "{error}");
}
