//! Which proxy the environment names for a URL: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
//! `NO_PROXY` as curl reads them, and never one for this machine.

use std::fmt;
use std::sync::LazyLock;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::place::Place;

/// What the environment says about proxies.
pub(crate) struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
}

/// One variable that names a proxy. It has no `Debug`: the value may hold a password.
struct Setting {
    variable: &'static str,
    value: String,
    matcher: Matcher,
}

/// A proxy's address without its credentials, and the variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProxyName {
    address: String,
    variable: &'static str,
}

impl fmt::Display for ProxyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.address, self.variable)
    }
}

impl Proxies {
    /// The environment of this process, as it was when first asked for.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the proxy variables"
    )]
    pub(crate) fn of_environment() -> &'static Self {
        static ENVIRONMENT: LazyLock<Proxies> =
            LazyLock::new(|| Proxies::read(|name| std::env::var(name).ok()));
        &ENVIRONMENT
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        // A CGI program is told its client's `Proxy` header as HTTP_PROXY.
        if variable("REQUEST_METHOD").is_some() {
            return Self {
                http: None,
                https: None,
            };
        }
        let no_proxy = variable("NO_PROXY")
            .or_else(|| variable("no_proxy"))
            .unwrap_or_default();
        let find = |names: [&'static str; 2]| {
            let (name, value) = names
                .into_iter()
                .find_map(|name| Some((name, variable(name)?)))?;
            Some(Setting {
                variable: name,
                matcher: Matcher::builder()
                    .all(value.clone())
                    .no(no_proxy.clone())
                    .build(),
                value,
            })
            .filter(|setting| !setting.value.is_empty())
        };
        let all = || find(["ALL_PROXY", "all_proxy"]);
        Self {
            http: find(["HTTP_PROXY", "http_proxy"]).or_else(all),
            https: find(["HTTPS_PROXY", "https_proxy"]).or_else(all),
        }
    }

    fn find(&self, url: &Url) -> Option<(&Setting, String)> {
        if Place::of(url) == Place::Loopback {
            return None;
        }
        let setting = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        let found = setting.matcher.intercept(&url.as_str().parse().ok()?)?;
        let address = found.uri().to_string();
        Some((setting, address.trim_end_matches('/').to_owned()))
    }

    /// The proxy for `url`, with its credentials.
    pub(crate) fn url_for(&self, url: &Url) -> Option<String> {
        self.find(url).map(|(setting, _)| setting.value.clone())
    }

    /// The proxy for `url`, to be shown.
    pub(crate) fn name_for(&self, url: &Url) -> Option<ProxyName> {
        self.find(url).map(|(setting, address)| ProxyName {
            address,
            variable: setting.variable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn named(proxies: &Proxies, url: &str) -> Option<String> {
        let name = proxies.name_for(&url.parse().unwrap());
        name.map(|name| name.to_string())
    }

    #[test]
    fn this_machine_is_never_behind_a_proxy() {
        let all = proxies(&[
            ("HTTP_PROXY", "http://proxy:3128"),
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("ALL_PROXY", "http://proxy:3128"),
        ]);
        for url in [
            "http://127.0.0.1:8420",
            "http://127.9.9.9/",
            "http://localhost:3002/mcp",
            "https://localhost",
            "http://LOCALHOST./",
            "http://todo.localhost/mcp",
            "http://[::1]:8420/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0:8420/",
            "http://2130706433/",
        ] {
            assert_eq!(all.url_for(&url.parse().unwrap()), None, "{url}");
        }
        for url in ["http://a.example", "https://a.example", "http://10.0.0.1"] {
            assert!(all.url_for(&url.parse().unwrap()).is_some(), "{url}");
        }
    }

    #[test]
    fn the_proxy_is_named_without_its_credentials_and_used_with_them() {
        let found = proxies(&[("https_proxy", "http://user:hunter2@proxy:3128/")]);
        let url: Url = "https://a.example/x?secret".parse().unwrap();
        let name = named(&found, url.as_str()).unwrap();
        assert_eq!(name, "the proxy http://proxy:3128 (https_proxy)");
        assert!(found.url_for(&url).unwrap().contains("user:hunter2@"));
        assert_eq!(named(&found, "http://a.example"), None);
    }

    #[test]
    fn the_variables_are_read_as_curl_reads_them() {
        let found = proxies(&[
            ("HTTP_PROXY", ""),
            ("ALL_PROXY", "proxy.example:1"),
            ("NO_PROXY", "internal.example, 10.0.0.0/8"),
        ]);
        let name = named(&found, "http://a.example").unwrap();
        assert_eq!(name, "the proxy http://proxy.example:1 (ALL_PROXY)");
        assert_eq!(named(&found, "https://mcp.internal.example"), None);
        assert_eq!(named(&found, "http://10.1.2.3"), None);
        let cgi = proxies(&[
            ("REQUEST_METHOD", "GET"),
            ("HTTP_PROXY", "http://evil.test"),
        ]);
        assert_eq!(named(&cgi, "http://a.example"), None);
    }
}
