//! The setting that somebody meant who wrote another name.

/// What people call a setting that has another name here.
const OTHER_NAMES: [(&str, &str); 10] = [
    ("port", "listen"),
    ("host", "listen"),
    ("bind", "listen"),
    ("address", "listen"),
    ("base_url", "issuer"),
    ("server", "url"),
    ("config_file", "config"),
    ("log_level", "log"),
    ("database", "database_url"),
    ("proxies", "trusted_proxies"),
];

/// The nearest of `known` to `name`, as they are written: `JETON_DATA_DIR` or `data_dir`.
pub fn nearest_setting<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = plain(name);
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name);
    let meant = other.map(|(_, meant)| *meant);
    let distance = |known: &'a str| {
        let known_as = plain(known);
        if meant == Some(known_as.as_str()) {
            return Some((0, known));
        }
        let distance = strsim::damerau_levenshtein(&name, &known_as);
        (distance <= known_as.len().max(name.len()) / 3).then_some((distance, known))
    };
    known.filter_map(distance).min().map(|(_, known)| known)
}

/// Without what differs between a variable and a key of a file.
pub(super) fn plain(name: &str) -> String {
    let name = name.to_lowercase().replace(['-', '.'], "_");
    match name.strip_prefix("jeton_") {
        Some(name) => name.to_owned(),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_without_what_only_looks_different() {
        let known = ["data_dir", "listen", "trusted_proxies", "JETON_ISSUER"];
        for (name, meant) in [
            ("lisen", Some("listen")),
            ("data-dir", Some("data_dir")),
            ("JETON_LISTEN", Some("listen")),
            ("Port", Some("listen")),
            ("trusted_proxy", Some("trusted_proxies")),
            ("isuer", Some("JETON_ISSUER")),
            ("flux_capacitor", None),
            ("", None),
        ] {
            assert_eq!(nearest_setting(name, known.into_iter()), meant, "{name}");
        }
    }
}
