//! Variables called `JETON_…` that no command reads, or that are empty: a typo there would otherwise be a setting
//! that is not in force, without a word.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use jeton_server::{Config, nearest_setting};

const PREFIX: &str = "JETON_";

/// A variable with its value.
type Variable = (String, String);

/// All variables of the environment that are called `JETON_…`, in whatever case.
pub(crate) fn variables() -> Vec<Variable> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| name.to_ascii_uppercase().starts_with(PREFIX))
        .collect()
}

/// Checks variables before a command runs with them. `declared` are the names that the configuration file gives
/// to secrets; `matches` says which command it is, where that is known.
///
/// # Errors
///
/// A sentence for each variable that cannot be what somebody meant.
pub(crate) fn check(
    command: &Command,
    matches: Option<&ArgMatches>,
    declared: &[String],
    variables: &[Variable],
) -> Result<(), String> {
    let mut known: BTreeSet<&str> = Config::environment_names().collect();
    let mut read = known.clone();
    known.extend(names(command));
    read.extend(names_read(command, matches));
    let mut wrong = String::new();
    for (name, value) in variables {
        if known.contains(name.as_str()) {
            if value.trim().is_empty() && read.contains(name.as_str()) {
                let _ = writeln!(
                    wrong,
                    "{name} is set, but empty. Give it a value, or unset it."
                );
            }
        } else if !declared.contains(name) && !is_made_for_a_service(name, value) {
            let _ = writeln!(wrong, "{}", unknown(name, &known));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.trim_end().to_owned())
}

fn unknown(name: &str, known: &BTreeSet<&str>) -> String {
    match nearest_setting(name, known.iter().copied()) {
        Some(nearest) => format!(
            "{name} is set, but there is no such setting. Did you mean {nearest}? Correct the name, or unset it."
        ),
        None => format!(
            "{name} is set, but there is no such setting. Unset it, or call it something that does not begin with JETON_ if it is another program's; jeton serve --help names the settings."
        ),
    }
}

/// Kubernetes sets variables for a Service called `jeton` or `jeton-…` in every pod beside it, Docker for a
/// linked container of that name. They are no settings, `JETON_PORT=tcp://10.0.0.7:8420` neither.
fn is_made_for_a_service(name: &str, value: &str) -> bool {
    let transports = ["tcp", "udp", "sctp"];
    let is_address = transports
        .iter()
        .any(|transport| value.starts_with(&format!("{transport}://")));
    let mark = "_PORT_";
    let of_a_port = name
        .match_indices(mark)
        .filter_map(|(at, _)| name.get(at + mark.len()..))
        .any(is_port);
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
        || of_a_port
        || name.starts_with("JETON_ENV_")
        || (name == "JETON_NAME" && value.starts_with('/'))
}

/// `8420_TCP`, and what may follow it.
fn is_port(rest: &str) -> bool {
    let mut parts = rest.split('_');
    let number = parts
        .next()
        .is_some_and(|number| number.parse::<u16>().is_ok());
    let transport = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
    number && transport && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
}

/// The variables of a command and all commands below it.
fn names(command: &Command) -> Vec<&str> {
    let own = own_names(command);
    let below = command.get_subcommands().flat_map(names);
    own.chain(below).collect()
}

/// The variables of the commands on the way to the one that runs.
fn names_read<'a>(command: &'a Command, matches: Option<&ArgMatches>) -> Vec<&'a str> {
    let mut read: Vec<_> = own_names(command).collect();
    let mut here = (command, matches);
    while let (command, Some(matches)) = here
        && let Some((name, below)) = matches.subcommand()
        && let Some(next) = command.find_subcommand(name)
    {
        read.extend(own_names(next));
        here = (next, Some(below));
    }
    read
}

fn own_names(command: &Command) -> impl Iterator<Item = &str> {
    command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::arguments::Arguments;

    fn checked(arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let command = Arguments::command();
        let matches = command.clone().try_get_matches_from(arguments).ok();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let declared = ["JETON_SIEM_SECRET".to_owned()];
        check(&command, matches.as_ref(), &declared, &variables)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn a_misspelt_variable_is_refused_with_the_nearest_name() {
        for (name, meant) in [
            ("JETON_ISUER", "JETON_ISSUER"),
            ("JETON_LISTN", "JETON_LISTEN"),
            ("JETON_MASTERKEY", "JETON_MASTER_KEY"),
            ("JETON_MASTER_KEY_PATH", "JETON_MASTER_KEY_FILE"),
            ("JETON_TRUSTED_PROXIES", "JETON_TRUSTED_PROXY"),
            ("JETON_DATABSE_URL", "JETON_DATABASE_URL"),
            ("JETON_CLIENT_SECERT", "JETON_CLIENT_SECRET"),
            ("JETON_PORT", "JETON_LISTEN"),
            ("JETON_SERVER", "JETON_URL"),
            ("jeton_issuer", "JETON_ISSUER"),
        ] {
            for command in [["jeton", "serve"], ["jeton", "token"]] {
                let error = checked(&command, &[(name, "8420")]);
                assert!(error.contains(&format!("Did you mean {meant}?")), "{error}");
            }
        }
        let strange = checked(&["jeton", "serve"], &[("JETON_FLUX_CAPACITOR", "1")]);
        assert!(strange.contains("jeton serve --help"), "{strange}");
        let two = checked(
            &["jeton", "serve"],
            &[("JETON_ISUER", "x"), ("JETON_LSTEN", "y")],
        );
        assert_eq!(two.lines().count(), 2, "{two}");
    }

    #[test]
    fn variables_of_other_commands_and_those_that_the_file_names_are_fine() {
        for command in [["jeton", "serve"], ["jeton", "token"], ["jeton", "apply"]] {
            let fine = [
                ("JETON_URL", "x"),
                ("JETON_RESOURCE", "x"),
                ("JETON_CLIENT_SECRET_FILE", "x"),
                ("JETON_CLIENT_SECRET_COMMAND", "x"),
                ("JETON_WAIT", "1"),
                ("JETON_AUDIT_RESERVE_MIB", "1"),
                ("JETON_OIDC_CLIENT_SECRET", "x"),
                ("JETON_SIEM_SECRET", "x"),
            ];
            assert_eq!(checked(&command, &fine), "");
        }
    }

    #[test]
    fn what_is_read_must_not_be_empty() {
        let empty = |command: &str, name: &str| checked(&["jeton", command], &[(name, " ")]);
        for (command, name) in [
            ("serve", "JETON_MASTER_KEY"),
            ("serve", "JETON_ISSUER"),
            ("serve", "JETON_LOG"),
            ("token", "JETON_CLIENT_SECRET"),
            ("token", "JETON_URL"),
        ] {
            let error = empty(command, name);
            assert!(
                error.contains(&format!("{name} is set, but empty")),
                "{error}"
            );
        }
        assert_eq!(
            empty("serve", "JETON_CLIENT_SECRET"),
            "",
            "serve does not read it"
        );
    }

    #[test]
    fn what_kubernetes_and_docker_set_for_a_service_is_no_setting() {
        let set = [
            ("JETON_SERVICE_HOST", "10.0.0.7"),
            ("JETON_SERVICE_PORT", "8420"),
            ("JETON_SERVICE_PORT_HTTP", "8420"),
            ("JETON_PORT", "tcp://10.0.0.7:8420"),
            ("JETON_PORT_8420_TCP", "tcp://10.0.0.7:8420"),
            ("JETON_PORT_8420_TCP_PROTO", "tcp"),
            ("JETON_PORT_8420_TCP_PORT", "8420"),
            ("JETON_PORT_8420_TCP_ADDR", "10.0.0.7"),
            ("JETON_PORT_53_UDP_ADDR", "10.0.0.7"),
            ("JETON_POSTGRES_SERVICE_HOST", "10.0.0.8"),
            ("JETON_POSTGRES_PORT", "tcp://10.0.0.8:5432"),
            ("JETON_POSTGRES_PORT_5432_TCP_PORT", "5432"),
            ("JETON_NAME", "/web/jeton"),
            ("JETON_ENV_PATH", "/usr/bin"),
        ];
        assert_eq!(checked(&["jeton", "serve"], &set), "");
        for (name, value) in [
            ("JETON_PORT", "8420"),
            ("JETON_NAME", "x"),
            ("JETON_PORT_X_TCP", "1"),
        ] {
            assert_ne!(checked(&["jeton", "serve"], &[(name, value)]), "", "{name}");
        }
    }
}
