//! Where plain http may go: to this machine only, unless somebody says otherwise.

use jeton_core::presentable_url;

use crate::fetch::{FetchError, is_trustworthy_url};

/// To which hosts plain http is allowed, for what travels there: secrets, tokens, keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// To this machine (loopback).
    #[default]
    Loopback,
    /// To every host, where nobody can listen in: for example a network of containers on one machine.
    Anywhere,
}

impl PlainHttp {
    /// By the switch `insecure_http`.
    pub fn of_switch(insecure_http: bool) -> Self {
        if insecure_http {
            Self::Anywhere
        } else {
            Self::Loopback
        }
    }

    /// Whether credentials and keys may travel to `url`: `https`, or `http` where it is allowed.
    pub fn allows(self, url: &str) -> bool {
        is_trustworthy_url(url)
            || (self == Self::Anywhere
                && url::Url::parse(url).is_ok_and(|url| url.scheme() == "http"))
    }

    /// Refuses a URL that is not allowed.
    ///
    /// # Errors
    ///
    /// [`FetchError::Insecure`].
    pub fn check(self, url: &str) -> Result<(), FetchError> {
        if self.allows(url) {
            Ok(())
        } else {
            Err(FetchError::Insecure(presentable_url(url)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_allows_plain_http_and_nothing_else() {
        let (off, on) = (PlainHttp::of_switch(false), PlainHttp::of_switch(true));
        for good in [
            "https://a.example",
            "http://127.0.0.1:8420",
            "http://localhost",
        ] {
            assert!(off.allows(good) && on.allows(good), "{good}");
        }
        for plain in ["http://jeton:8420", "http://10.0.0.1/auth"] {
            assert!(!off.allows(plain) && on.allows(plain), "{plain}");
        }
        for bad in ["ftp://localhost", "file:///etc/passwd", "jeton:8420", ""] {
            assert!(!off.allows(bad) && !on.allows(bad), "{bad}");
        }
        let error = off.check("http://jeton:8420").unwrap_err().to_string();
        assert!(error.contains("insecure_http"), "{error}");
    }
}
