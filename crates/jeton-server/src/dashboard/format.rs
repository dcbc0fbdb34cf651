//! Times, lifetimes and numbers as people read them.

use std::time::Duration;

use jeton_core::{Timestamp, counted};

/// A time on a page: the machine's form, and how long ago or ahead it is.
#[derive(Debug, Clone)]
pub(crate) struct When {
    /// RFC 3339, for `datetime` and the hover text.
    pub(crate) exact: String,
    /// For reading.
    pub(crate) words: String,
}

/// How long ago, or in how long.
pub(crate) fn when(at: Timestamp, now: Timestamp) -> When {
    let words = if at > now {
        format!("in {}", span(at.since(now)))
    } else if now.since(at) < Duration::from_secs(10) {
        "just now".to_owned()
    } else {
        format!("{} ago", span(now.since(at)))
    };
    When {
        exact: at.to_string(),
        words,
    }
}

/// How long something has lasted, with its beginning: `3 days`.
pub(crate) fn lasting(since: Timestamp, now: Timestamp) -> When {
    When {
        exact: since.to_string(),
        words: span(now.since(since)),
    }
}

/// The largest unit that fits.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    for (size, name) in units {
        // "23 hours" rather than "1 day" until two days, and so on.
        if seconds >= size * 2 || (size <= 3_600 && seconds >= size) {
            return counted(seconds / size, name);
        }
    }
    counted(seconds, "second")
}

/// A lifetime: `1 hour`, `90 minutes`, `45 seconds`.
pub(crate) fn lifetime(seconds: u32) -> String {
    let (number, unit) = split_lifetime(seconds);
    counted(number, unit.trim_end_matches('s'))
}

/// A lifetime for a field with a unit picker.
pub(crate) fn split_lifetime(seconds: u32) -> (u32, &'static str) {
    if seconds.is_multiple_of(3_600) {
        (seconds / 3_600, "hours")
    } else if seconds.is_multiple_of(60) {
        (seconds / 60, "minutes")
    } else {
        (seconds, "seconds")
    }
}

/// Seconds of a number with a unit.
pub(crate) fn seconds(number: &str, unit: &str) -> Result<i64, String> {
    let number: i64 = number
        .trim()
        .parse()
        .map_err(|_| "expected a whole number".to_owned())?;
    let size = match unit {
        "seconds" => 1,
        "minutes" => 60,
        "hours" => 3_600,
        "days" => 86_400,
        _ => return Err("expected seconds, minutes, hours or days".to_owned()),
    };
    number
        .checked_mul(size)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "expected a number above zero".to_owned())
}

/// A number with thin groups of three.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 token`, `1,234 tokens`.
pub(crate) fn grouped_count(number: i64, noun: &str) -> String {
    counted(number, noun).replacen(&number.to_string(), &grouped(number), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lifetimes_read_as_people_say_them() {
        let now = Timestamp::from_seconds(1_000_000);
        let ago = |seconds: i64| when(Timestamp::from_seconds(1_000_000 - seconds), now).words;
        assert_eq!(ago(3), "just now");
        assert_eq!(ago(60), "1 minute ago");
        assert_eq!(ago(3 * 3_600), "3 hours ago");
        assert_eq!(ago(40 * 3_600), "40 hours ago");
        assert_eq!(ago(5 * 86_400), "5 days ago");
        assert_eq!(ago(-7_200), "in 2 hours");
        assert_eq!(lifetime(3_600), "1 hour");
        assert_eq!(lifetime(5_400), "90 minutes");
        assert_eq!(lifetime(61), "61 seconds");
        assert_eq!(seconds("2", "hours"), Ok(7_200));
        assert!(seconds("-2", "hours").is_err() && seconds("x", "hours").is_err());
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(grouped_count(1, "token"), "1 token");
        assert_eq!(grouped_count(1_234, "token"), "1,234 tokens");
    }
}
