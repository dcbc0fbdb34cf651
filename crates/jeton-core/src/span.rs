//! Durations and points in time as people write them: `90d`, `24h`; `2026-01-31`, `7d` ago.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::{Timestamp, excerpt};

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number that could be seconds or days.
    #[error("{0} of what? Write {0}s, {0}m, {0}h or {0}d")]
    NoUnit(u64),
    /// Anything else.
    #[error(
        "expected a whole number and a unit, like 45s, 30m, 24h, 90d or 12w, found {}",
        excerpt(.0)
    )]
    Malformed(String),
}

/// Reads a duration: a whole number and `s`, `m`, `h`, `d` or `w`. A number needs its unit; `0` is the
/// same in each.
///
/// # Errors
///
/// [`DurationError`], which says what to write.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| malformed())?;
    let unit = match text.get(digits.len()..) {
        Some("") if number == 0 => 1,
        Some("") => return Err(DurationError::NoUnit(number)),
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        Some("w") => 604_800,
        _ => return Err(malformed()),
    };
    let seconds = number.checked_mul(unit);
    seconds.map(Duration::from_secs).ok_or_else(malformed)
}

/// Why a text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a time like 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00Z (UTC, unless it has an offset), or how long ago, like 90m, 24h or 7d; found {}",
    excerpt(.0)
)]
pub struct TimeError(String);

/// Reads a point in time: RFC 3339; a date or a date with a time, in UTC, where a date is its
/// beginning; or a duration, which is so long before `now`.
///
/// # Errors
///
/// [`TimeError`], which says what to write.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    let wrong = || TimeError(text.to_owned());
    let text = text.trim();
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    if let Ok(ago) = parse_duration(text.strip_suffix(" ago").unwrap_or(text)) {
        return Ok(now.minus(ago));
    }
    // Without separators, a date would be a number.
    if !text.contains('-') {
        return Err(wrong());
    }
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    let instant = TimeZone::UTC.to_timestamp(civil).map_err(|_| wrong())?;
    Ok(Timestamp::from_millis(instant.as_millisecond()))
}

/// `1 change`, `2 changes`.
pub fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    match count.try_into() {
        Ok(1) => format!("1 {noun}"),
        Ok(count) => format!("{count} {noun}s"),
        Err(_) => format!("{noun}s"),
    }
}

/// `1 second`, `30 seconds`, `0.5 seconds`.
pub fn in_seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        counted(duration.as_secs(), "second")
    } else {
        format!("{} seconds", duration.as_secs_f32())
    }
}

/// For how long to wait before the next try, in whole seconds, as `Retry-After` says it (RFC 9110 §10.2.3): rounded up,
/// for whoever comes earlier is refused again, and 1 at least.
pub fn whole_seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

/// The same in words: `1 second` at least.
pub fn in_whole_seconds(wait: Duration) -> String {
    counted(whole_seconds(wait), "second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [
            ("90d", 7_776_000),
            ("24h", 86_400),
            ("30m", 1800),
            ("45s", 45),
            ("2w", 1_209_600),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        let error = parse_duration("90").unwrap_err();
        assert_eq!(error.to_string(), "90 of what? Write 90s, 90m, 90h or 90d");
        for bad in [
            "",
            "d",
            "-1d",
            "1.5h",
            "3 days",
            "99999999999999999999d",
            "9999999999999999w",
        ] {
            assert!(
                matches!(parse_duration(bad), Err(DurationError::Malformed(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_time_is_a_date_an_instant_or_how_long_ago() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for (text, instant) in [
            ("2026-11-26", "2026-11-26T00:00:00.000Z"),
            ("2026-11-26T08:30", "2026-11-26T08:30:00.000Z"),
            ("2026-11-26 08:30:15", "2026-11-26T08:30:15.000Z"),
            ("2026-11-26T08:30:15+02:00", "2026-11-26T06:30:15.000Z"),
            (" 2026-11-26T08:30:15.123Z ", "2026-11-26T08:30:15.123Z"),
            ("1h", "2026-11-26T11:00:00.000Z"),
            ("7d ago", "2026-11-19T12:00:00.000Z"),
        ] {
            let parsed = parse_time(text, now).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), instant, "{text}");
        }
        for bad in [
            "",
            "yesterday",
            "90",
            "26.11.2026",
            "2026-13-01",
            "1764115200",
            "20261126",
        ] {
            let error = parse_time(bad, now).unwrap_err().to_string();
            assert!(
                error.contains("2026-01-31T12:00") && error.contains("24h"),
                "{error}"
            );
        }
    }

    #[test]
    fn one_thing_is_not_several() {
        assert_eq!(counted(1_u64, "change"), "1 change");
        assert_eq!(counted(0_i64, "change"), "0 changes");
        assert_eq!(counted(2_usize, "audit event"), "2 audit events");
        for (millis, exact, whole) in [
            (0, "0 seconds", "1 second"),
            (500, "0.5 seconds", "1 second"),
            (1000, "1 second", "1 second"),
            (1001, "1.001 seconds", "2 seconds"),
            (1500, "1.5 seconds", "2 seconds"),
            (30_000, "30 seconds", "30 seconds"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(in_seconds(duration), exact);
            assert_eq!(in_whole_seconds(duration), whole);
        }
    }
}
