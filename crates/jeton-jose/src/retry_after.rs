//! How long a server asks to wait.

use std::time::Duration;

use jeton_core::{Clock as _, SystemClock, Timestamp};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// RFC 9110 §10.2.3: how long the server asks to wait before another request, as seconds or as a date, at most `longest`.
/// A date is counted from the response's own `Date`, so that it does not matter whose clock is wrong.
pub fn retry_after(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let pause = if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        asked.parse().map_or(longest, Duration::from_secs)
    } else {
        let until = Timestamp::from_http_date(asked)?;
        let date = text(DATE).and_then(Timestamp::from_http_date);
        until.since(date.unwrap_or_else(|| SystemClock.now()))
    };
    Some(pause.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(asked: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, asked.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers, Duration::from_secs(60)).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_and_bounded() {
        let sent = Some("Fri, 31 Dec 1999 23:59:30 GMT");
        for (asked, date, expected) in [
            ("0", None, Some(0)),
            ("7", None, Some(7)),
            ("3600", None, Some(60)),
            ("99999999999999999999", None, Some(60)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", sent, Some(29)),
            ("Sat, 01 Jan 2000 23:59:59 GMT", sent, Some(60)),
            ("Fri, 31 Dec 1999 23:59:00 GMT", sent, Some(0)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None, Some(0)),
            ("Thu, 31 Dec 9998 23:59:59 GMT", None, Some(60)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some("today"), Some(60)),
            ("", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("1.5", None, None),
            ("soon", sent, None),
        ] {
            assert_eq!(pause(asked, date), expected, "{asked}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Duration::MAX), None);
    }
}
