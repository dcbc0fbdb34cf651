//! Durations as people write them: `90d`, `24h`, `30m`, `45s`, or seconds.

use std::time::Duration;

/// Reads a duration.
///
/// # Errors
///
/// What was expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a duration like 90d, 24h, 30m or 45s, not {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let unit = match text.get(digits.len()..) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        Some("w") => 604_800,
        _ => return Err(expected()),
    };
    number
        .checked_mul(unit)
        .map(Duration::from_secs)
        .ok_or_else(expected)
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
            ("7", 7),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "d",
            "-1d",
            "1.5h",
            "3 days",
            "99999999999999999999d",
            "9999999999999999w",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
