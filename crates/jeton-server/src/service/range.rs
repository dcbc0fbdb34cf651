//! How far back the overview looks.

use std::time::Duration;

use jeton_core::Timestamp;

/// How far back the overview looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Hour,
    Day,
    Week,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

impl Range {
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The range of an address; a day where it names none.
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("") => Some(Self::Day),
            Some(text) => Self::ALL.into_iter().find(|range| range.as_str() == text),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hour => "Hour",
            Self::Day => "Day",
            Self::Week => "Week",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Hour => "last hour",
            Self::Day => "last 24 hours",
            Self::Week => "last 7 days",
        }
    }

    /// The time before it, for comparison.
    pub(crate) fn words_before(self) -> &'static str {
        match self {
            Self::Hour => "the hour before",
            Self::Day => "the day before",
            Self::Week => "the week before",
        }
    }

    pub(crate) fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
            Self::Week => 7 * 24 * 60 * 60,
        })
    }

    /// Minutes of one bar of the chart.
    pub(crate) fn minutes(self) -> i64 {
        match self {
            Self::Hour => 2,
            Self::Day => 30,
            Self::Week => 240,
        }
    }

    /// Where it begins: with a bar, and with an hour where it is longer than one, since clients are counted by the hour.
    pub(crate) fn begin(self, now: Timestamp) -> Timestamp {
        let (unit, units) = match self {
            Self::Hour => (2 * MINUTE, 30),
            Self::Day => (HOUR, 24),
            Self::Week => (4 * HOUR, 42),
        };
        let last = now.as_millis().div_euclid(unit) * unit;
        Timestamp::from_millis(last - (units - 1) * unit)
    }

    /// Where each begins, the longest first.
    pub(crate) fn begins(now: Timestamp) -> [Timestamp; 3] {
        [Self::Week, Self::Day, Self::Hour].map(|range| range.begin(now))
    }

    /// Its place in what is counted for [`Self::begins`].
    pub(crate) fn of(self, [week, day, hour]: [i64; 3]) -> i64 {
        match self {
            Self::Hour => hour,
            Self::Day => day,
            Self::Week => week,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_a_week_begin_with_an_hour_and_end_with_now() {
        let now: Timestamp = "2026-11-26T22:25:31Z".parse().unwrap();
        let begin = |range: Range| range.begin(now).to_string();
        assert_eq!(begin(Range::Hour), "2026-11-26T21:26:00.000Z");
        assert_eq!(begin(Range::Day), "2026-11-25T23:00:00.000Z");
        assert_eq!(begin(Range::Week), "2026-11-20T00:00:00.000Z");
        assert_eq!(Range::parse(None), Some(Range::Day));
        assert_eq!(Range::parse(Some("year")), None);
    }
}
