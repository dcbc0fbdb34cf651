//! What was typed: the server names members of its API, and whoever reads that typed flags.

/// The flags that set a member or parameter of the admin API, where they have another name or are several.
const FLAGS: [(&str, &[&str]); 13] = [
    ("aliases", &["--url", "--add-url"]),
    ("add_aliases", &["--add-url"]),
    ("remove_aliases", &["--remove-url"]),
    (
        "scopes",
        &[
            "--scope",
            "--add-scope",
            "--remove-scope",
            "--implies",
            "--remove-implies",
        ],
    ),
    (
        "add_scopes",
        &["--add-scope", "--implies", "--remove-implies"],
    ),
    ("remove_scopes", &["--remove-scope"]),
    ("rename_scopes", &["--rename-scope"]),
    ("custom_claims", &["--claim", "--claim-json"]),
    ("default_mcp_server_id", &["--default-mcp-server"]),
    ("mcp_server_id", &["--mcp-server"]),
    ("client_id", &["--client"]),
    ("old", &["--witness"]),
    ("note", &["--note", "--checkpoint"]),
];

/// Whether a flag was typed, as `--flag` or `--flag=value`.
pub(crate) fn is_typed(flag: &str) -> bool {
    is_among(flag, std::env::args())
}

fn is_among(flag: &str, mut arguments: impl Iterator<Item = String>) -> bool {
    arguments.any(|typed| {
        let value = typed.strip_prefix(flag);
        value.is_some_and(|value| value.is_empty() || value.starts_with('='))
    })
}

/// A member of the admin API by the flags that set it; by its own name where none of them was typed.
pub(crate) fn as_typed(parameter: &str) -> String {
    named(parameter, is_typed)
}

fn named(parameter: &str, is_typed: impl Fn(&str) -> bool) -> String {
    // `scopes[3].name` is about one of them.
    let member = parameter.split(['.', '[']).next().unwrap_or_default();
    let known = FLAGS.iter().find(|(name, _)| *name == member);
    let own = format!("--{}", member.replace('_', "-"));
    let flags = match known {
        Some((_, flags)) => flags.to_vec(),
        None => vec![own.as_str()],
    };
    let typed: Vec<_> = flags.into_iter().filter(|flag| is_typed(flag)).collect();
    if typed.is_empty() {
        parameter.to_owned()
    } else {
        typed.join(" or ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_the_api_is_the_flag_that_was_typed() {
        let typed = |line: &str, parameter: &str| {
            let typed = |flag: &str| is_among(flag, line.split(' ').map(str::to_owned));
            named(parameter, typed)
        };
        for (line, parameter, flag) in [
            ("create --scope a", "scopes", "--scope"),
            ("update x --add-scope=a", "scopes[0].name", "--add-scope"),
            ("create --token-ttl 90", "token_ttl", "--token-ttl"),
            (
                "--claim a=b --claim-json c=1",
                "custom_claims",
                "--claim or --claim-json",
            ),
            ("apply -f x.yaml", "scopes", "scopes"),
            ("apply -f x.yaml", "token_ttl", "token_ttl"),
            ("create --scopes-of x", "scopes", "scopes"),
            ("create --url a --url b", "aliases", "--url"),
        ] {
            assert_eq!(typed(line, parameter), flag, "{line}: {parameter}");
        }
    }
}
