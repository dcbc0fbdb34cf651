//! The house stays as ARCHITECTURE.md draws it: arrows point down.

use std::fs;
use std::path::{Path, PathBuf};

use jeton_tests::workspace;

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// The workspace's own crates that a crate depends on, tests aside.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = workspace().join("crates").join(name).join("Cargo.toml");
    let text = fs::read_to_string(manifest).unwrap();
    let section = text
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap()
        .to_owned();
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .map(str::to_owned)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn crates_depend_downwards_only() {
    for (name, allowed) in [
        ("jeton-core", &[][..]),
        ("jeton-jose", &["jeton-core"]),
        ("jeton-store", &["jeton-core"]),
        ("jeton-guard", &["jeton-core", "jeton-jose"]),
        ("jeton-agent", &["jeton-core", "jeton-jose"]),
        ("jeton-bridge", &["jeton-core", "jeton-jose", "jeton-agent"]),
        ("jeton-server", &["jeton-core", "jeton-jose", "jeton-store"]),
    ] {
        for dependency in dependencies(name)
            .iter()
            .filter(|name| name.starts_with("jeton"))
        {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn only_the_store_knows_sql_and_core_knows_no_framework() {
    for name in [
        "jeton-core",
        "jeton-jose",
        "jeton-guard",
        "jeton-agent",
        "jeton-bridge",
        "jeton-server",
        "jeton",
    ] {
        assert!(
            !dependencies(name).contains(&"sqlx".to_owned()),
            "{name} must not know sqlx"
        );
    }
    for forbidden in ["tokio", "axum", "reqwest", "sqlx", "tower", "hyper"] {
        assert!(
            !dependencies("jeton-core").contains(&forbidden.to_owned()),
            "core knows {forbidden}"
        );
    }
}

#[test]
fn the_servers_modules_use_one_another_downwards_only() {
    let server = workspace().join("crates/jeton-server/src");
    for (module, forbidden) in [
        (
            "oauth",
            &["crate::api", "crate::dashboard", "crate::first_start"][..],
        ),
        (
            "api",
            &["crate::oauth", "crate::dashboard", "crate::first_start"],
        ),
        (
            "dashboard",
            &["crate::oauth", "crate::api", "crate::first_start"],
        ),
        (
            "service",
            &[
                "crate::api",
                "crate::oauth",
                "crate::dashboard",
                "crate::http",
                "axum",
            ],
        ),
        (
            "audit",
            &[
                "crate::api",
                "crate::oauth",
                "crate::http",
                "crate::service",
                "crate::app",
                "axum",
            ],
        ),
        (
            "keys",
            &[
                "crate::api",
                "crate::oauth",
                "crate::http",
                "crate::service",
                "crate::app",
                "axum",
            ],
        ),
        ("config", &["crate::"]),
    ] {
        for (path, text) in sources(&server.join(module)) {
            for forbidden in forbidden {
                assert!(
                    !text.contains(forbidden),
                    "{} must not use {forbidden}",
                    path.display()
                );
            }
        }
    }
    let grant = fs::read_to_string(server.join("oauth/token/client_credentials.rs")).unwrap();
    assert!(
        !grant.contains("axum") && !grant.contains("http::"),
        "a grant knows no HTTP"
    );
}

#[test]
fn only_one_place_turns_protocol_errors_into_responses() {
    let server = workspace().join("crates/jeton-server/src/oauth");
    for (path, text) in sources(&server) {
        let picks_a_status = text.contains("BAD_REQUEST") && !path.ends_with("client_auth/mod.rs");
        assert!(!picks_a_status, "{} picks a status", path.display());
    }
}
