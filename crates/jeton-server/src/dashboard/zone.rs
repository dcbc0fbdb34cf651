//! The viewer's time zone, as the browser tells it in a cookie; UTC where it tells none.
//!
//! The cookie names the zone and says by how much it was off UTC, and since when: `Europe~Paris_60_1761440400_120`
//! is an hour ahead, and before the second 1761440400 it was two. So no table of time zones is needed here.

use http::HeaderMap;
use jeton_core::Timestamp;

use super::session::cookie;

/// Set by `assets/times.js`.
pub(crate) const ZONE_COOKIE: &str = "jeton_zone";
/// The most changes of the offset that are read.
const CHANGES: usize = 8;
/// The largest offset, in minutes.
const LARGEST: i64 = 18 * 60;
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    name: String,
    /// Minutes ahead of UTC since the last change.
    minutes: i64,
    /// Earlier changes, the latest first: before this time it was so many minutes ahead.
    before: Vec<(Timestamp, i64)>,
}

impl Zone {
    pub(crate) fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            minutes: 0,
            before: Vec::new(),
        }
    }

    /// The zone that a request's cookie tells.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let told = cookie(headers, ZONE_COOKIE);
        told.and_then(|text| Self::parse(&text))
            .unwrap_or_else(Self::utc)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        // A zone's own name may have an underscore (America/New_York), so the numbers are taken from the end.
        let mut numbers = Vec::new();
        let mut rest = text;
        while let Some((head, last)) = rest.rsplit_once('_') {
            let Ok(number) = last.parse::<i64>() else {
                break;
            };
            numbers.insert(0, number);
            rest = head;
        }
        let name = rest.replace('~', "/");
        let is_name = !name.is_empty()
            && name.len() <= 40
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
        let (minutes, changes) = numbers.split_first()?;
        let before: Vec<_> = changes
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [at, minutes] => Some((Timestamp::from_seconds(*at), *minutes)),
                _ => None,
            })
            .collect();
        let offsets = before.iter().map(|(_, minutes)| *minutes);
        let is_zone = is_name
            && changes.len() % 2 == 0
            && before.len() <= CHANGES
            && offsets
                .chain([*minutes])
                .all(|minutes| (-LARGEST..=LARGEST).contains(&minutes));
        is_zone.then_some(Self {
            name,
            minutes: *minutes,
            before,
        })
    }

    /// Its name: `Europe/Paris`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn offset(&self, at: Timestamp) -> i64 {
        let earlier = self.before.iter().rev().find(|(until, _)| at < *until);
        earlier.map_or(self.minutes, |(_, minutes)| *minutes) * MINUTE
    }

    /// The time that reads in UTC as the clock here shows this one.
    pub(crate) fn shown(&self, at: Timestamp) -> Timestamp {
        local(at, self.offset(at))
    }

    /// The text of this time's clock here, as RFC 3339 but for the zone.
    fn text(&self, at: Timestamp) -> String {
        local(at, self.offset(at)).to_string()
    }

    /// `2026-11-26 23:13:05`
    pub(crate) fn date_time(&self, at: Timestamp) -> String {
        let text = self.text(at);
        text.get(..19).unwrap_or(&text).replace('T', " ")
    }

    /// `23:13:05`
    pub(crate) fn time(&self, at: Timestamp) -> String {
        let text = self.text(at);
        text.get(11..19).unwrap_or_default().to_owned()
    }

    /// `23:13`
    pub(crate) fn minute(&self, at: Timestamp) -> String {
        let text = self.text(at);
        text.get(11..16).unwrap_or_default().to_owned()
    }

    /// `2026-11-26T23:13`, as a browser's field for a time has it.
    pub(crate) fn field(&self, at: Timestamp) -> String {
        let text = self.text(at);
        text.get(..16).unwrap_or_default().to_owned()
    }

    /// `Thursday, 26 November 2026`
    pub(crate) fn day(&self, at: Timestamp) -> String {
        const DAYS: [&str; 7] = [
            "Thursday",
            "Friday",
            "Saturday",
            "Sunday",
            "Monday",
            "Tuesday",
            "Wednesday",
        ];
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let here = local(at, self.offset(at));
        let text = here.to_string();
        let number = |range| text.get::<std::ops::Range<usize>>(range)?.parse().ok();
        let weekday = usize::try_from(here.as_millis().div_euclid(DAY).rem_euclid(7)).unwrap_or(0);
        let month = number(5..7).unwrap_or(1_usize).saturating_sub(1);
        format!(
            "{}, {} {} {}",
            DAYS.get(weekday).copied().unwrap_or_default(),
            number(8..10).unwrap_or(1),
            MONTHS.get(month).copied().unwrap_or_default(),
            text.get(..4).unwrap_or_default()
        )
    }

    /// The beginning of the day of a time here.
    pub(crate) fn midnight(&self, at: Timestamp) -> Timestamp {
        let here = local(at, self.offset(at)).as_millis();
        self.instant(Timestamp::from_millis(here.div_euclid(DAY) * DAY))
    }

    /// The time at which the clock here shows what `shown` reads in UTC.
    pub(crate) fn instant(&self, shown: Timestamp) -> Timestamp {
        // The offset there, found from one that is off by an offset at most.
        let guess = local(shown, -self.offset(shown));
        local(shown, -self.offset(guess))
    }
}

fn local(at: Timestamp, offset: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_told_by_the_clock_of_the_zone() {
        // An hour ahead since 25 October 2026, 1:00 UTC; two hours before.
        let paris = Zone::parse("Europe~Paris_60_1792890000_120_1774746000_60").unwrap();
        assert_eq!(paris.name(), "Europe/Paris");
        let late = at("2026-11-26T23:30:05Z");
        assert_eq!(paris.date_time(late), "2026-11-27 00:30:05");
        assert_eq!(paris.time(late), "00:30:05");
        assert_eq!(paris.minute(late), "00:30");
        assert_eq!(paris.field(late), "2026-11-27T00:30");
        assert_eq!(paris.day(late), "Friday, 27 November 2026");
        assert_eq!(paris.midnight(late), at("2026-11-26T23:00:00Z"));
        let summer = at("2026-08-01T22:30:00Z");
        assert_eq!(paris.date_time(summer), "2026-08-02 00:30:00");
        assert_eq!(paris.midnight(summer), at("2026-08-01T22:00:00Z"));
        let winter = at("2026-02-01T22:30:00Z");
        assert_eq!(paris.time(winter), "23:30:00");
        for when in [late, summer, winter] {
            let shown = at(&format!("{}Z", paris.text(when).trim_end_matches('Z')));
            assert_eq!(paris.instant(shown), when);
        }
        assert_eq!(Zone::utc().day(late), "Thursday, 26 November 2026");
    }

    #[test]
    fn what_is_no_zone_is_utc() {
        let york = Zone::parse("America~New_York_-300").unwrap();
        assert_eq!(york.name(), "America/New_York");
        assert_eq!(york.time(at("2026-11-26T03:00:00Z")), "22:00:00");
        for text in [
            "",
            "UTC",
            "_60",
            "<b>_60",
            "Mars_99999",
            "Europe~Paris_60_1",
            "A_1_2_3_4_5_6_7_8_9_10_11_12_13_14_15_16_17_18_19",
        ] {
            assert_eq!(Zone::parse(text), None, "{text}");
        }
    }
}
