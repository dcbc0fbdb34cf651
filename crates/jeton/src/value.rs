//! Values of arguments that need more than their type's own parser.

use jeton_core::{Clock as _, Scope, SystemClock, Timestamp, excerpt, parse_time, split_scope};
use serde_json::{Map, Value};
use url::Url;

/// A point in time, or how long ago.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text, SystemClock.now()).map_err(|error| error.to_string())
}

/// The URL of a server, without a slash at its end.
pub(crate) fn server_url(text: &str) -> Result<String, String> {
    const EXAMPLE: &str = "like https://auth.example.com or http://127.0.0.1:8420";
    let text = text.trim();
    if text.is_empty() {
        return Err(format!(
            "it is empty; expected the URL of a Jeton server, {EXAMPLE}"
        ));
    }
    let no_url = || format!("expected an http or https URL, {EXAMPLE}");
    let url = Url::parse(text).map_err(|_| no_url())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(no_url());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a server's URL holds no user name and no password; give the client's credentials with JETON_CLIENT_ID and JETON_CLIENT_SECRET".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a server's URL has no ? and no #; leave out what begins there".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A level, or `target=level` with commas.
pub(crate) fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |level: &str| LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known));
    // An empty variable is refused as every other.
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !is_level(level) {
            return Err(format!(
                "expected a level ({}), or a list like warn,jeton_server=debug; found {}",
                LEVELS.join(", "),
                excerpt(part)
            ));
        }
    }
    Ok(text.to_owned())
}

/// `NAME=TEXT`.
pub(crate) fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=TEXT, like team=search".to_owned())?;
    Ok((name.to_owned(), Value::from(value)))
}

/// `NAME=JSON`.
pub(crate) fn json_claim(text: &str) -> Result<(String, Value), String> {
    let (name, json) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=JSON, like level=3 or roles='[\"reader\"]'".to_owned())?;
    let value = serde_json::from_str(json).map_err(|error| {
        format!(
            "{} is not JSON ({}); for a text, use --claim",
            excerpt(json),
            json_words(&error)
        )
    })?;
    Ok((name.to_owned(), value))
}

/// A JSON object.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, String> {
    let example = "expected a JSON object like {\"title\": \"Buy milk\"}";
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Array(_)) => Err(format!("{example}, found a list")),
        Ok(other) => Err(format!("{example}, found {}", excerpt(&other.to_string()))),
        Err(error) => Err(format!("{example} ({})", json_words(&error))),
    }
}

/// What is wrong with JSON that somebody typed, and where.
fn json_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    if error.is_eof() {
        return "it ends too early; is a quotation mark or a bracket missing, or did the shell take them?".to_owned();
    }
    format!("{what} at character {}", error.column())
}

/// `OLD=NEW`, where a `=` of a name's own is written `\=`.
pub(crate) fn rename(text: &str) -> Result<(Scope, Scope), String> {
    let (from, to) = split_scope(text);
    let to = to.ok_or_else(|| "expected OLD=NEW, like todo:read=todos:read".to_owned())?;
    let scope = |name: &str| {
        name.parse::<Scope>()
            .map_err(|error| format!("the scope {}: {error}", excerpt(name)))
    };
    Ok((scope(&from)?, scope(&to.replace("\\=", "="))?))
}
