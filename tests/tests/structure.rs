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

/// Whether `text` has a value in braces with a noun in the plural behind it: `in 1 seconds` is what people would read.
fn counts_by_hand(text: &str) -> Option<&str> {
    const NOUNS: [&str; 12] = [
        "seconds",
        "minutes",
        "hours",
        "days",
        "changes",
        "events",
        "clients",
        "rows",
        "tokens",
        "steps",
        "MCP servers",
        "requests",
    ];
    let after_values = text
        .match_indices("} ")
        .map(|(at, _)| (at, &text[at + 2..]));
    // Constants are in capitals, and more than one.
    let is_value = |at: &usize| {
        let value = text[..*at].rsplit('{').next().unwrap_or_default();
        !value.starts_with(char::is_uppercase) && !value.ends_with('%')
    };
    let mut found = after_values.filter(|(at, rest)| {
        if !is_value(at) {
            return false;
        }
        let mut nouns = NOUNS.iter();
        nouns.any(|noun| {
            let behind = rest.strip_prefix(noun).map(|rest| rest.chars().next());
            behind.is_some_and(|next| next.is_none_or(|next| !next.is_alphanumeric()))
        })
    });
    let (at, rest) = found.next()?;
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = at + 2 + rest.find('\n').unwrap_or(rest.len());
    Some(text[line..end].trim())
}

#[test]
fn nouns_are_counted_in_one_place() {
    assert!(counts_by_hand("in {wait} seconds").is_some());
    assert!(counts_by_hand("in {{ wait }} days.").is_some());
    assert!(counts_by_hand("in {}").is_none());
    for (path, text) in sources(&workspace().join("crates")) {
        if path.ends_with("jeton-core/src/span.rs") || path.iter().any(|part| part == "tests") {
            continue;
        }
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        // `{issuer} tokens` and its kind name something that is not a number.
        let code = code.replace("{algorithm} tokens", "");
        let by_hand = counts_by_hand(&code).unwrap_or_default();
        assert_eq!(by_hand, "", "{}: use jeton_core::counted", path.display());
    }
    let templates = workspace().join("crates/jeton-server/templates");
    for entry in fs::read_dir(templates).unwrap() {
        let path = entry.unwrap().path();
        // Some are shown, and these are all of them.
        let text = fs::read_to_string(&path)
            .unwrap()
            .replace("clients in all", "");
        let by_hand = counts_by_hand(&text).unwrap_or_default();
        assert_eq!(by_hand, "", "{}", path.display());
    }
}
