//! A bar chart as SVG: tokens issued, and below them on a scale of their own the requests refused. It has no fixed width:
//! places across are in percent, so that letters stay as large as they are on a narrow screen.

use std::fmt::Write as _;

use jeton_core::Timestamp;
use jeton_store::TokenCount;

use super::format::grouped;
use super::zone::Zone;
use crate::service::range::Range;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// What a bar may stand for, in minutes.
const SIZES: [i64; 9] = [1, 2, 5, 10, 15, 30, 60, 120, 240];
/// The most bars where a chart begins with its data, and the fewest.
const MOST: i64 = 48;
const FEWEST: i64 = 15;

/// From when to when, in bars of how many minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: Timestamp,
    pub(super) minutes: i64,
    bars: i64,
}

impl Span {
    /// Of a range; where the data begins later, from there on, in finer bars.
    pub(super) fn of(range: Range, now: Timestamp, first: Option<Timestamp>, zone: &Zone) -> Self {
        let begin = range.begin(now);
        let first = first.unwrap_or(now);
        if first <= begin {
            return Self::ending(now, begin, range.minutes(), zone);
        }
        let age = now.as_millis() - first.as_millis();
        let minutes = SIZES
            .into_iter()
            .find(|minutes| age / (minutes * MINUTE) < MOST)
            .unwrap_or(range.minutes())
            .min(range.minutes());
        let earliest = now.as_millis() - (FEWEST - 1) * minutes * MINUTE;
        let from = Timestamp::from_millis(earliest.min(first.as_millis()));
        Self::ending(now, from.max(begin), minutes, zone)
    }

    /// Bars begin where the clock of the zone shows round times, as it is set now.
    fn ending(now: Timestamp, begin: Timestamp, minutes: i64, zone: &Zone) -> Self {
        let size = minutes * MINUTE;
        let ahead = zone.shown(now).as_millis() - now.as_millis();
        let first = (begin.as_millis() + ahead).div_euclid(size);
        let last = (now.as_millis() + ahead).div_euclid(size);
        Self {
            begin: Timestamp::from_millis(first * size - ahead),
            minutes,
            bars: last - first + 1,
        }
    }

    fn at(self, bar: i64) -> Timestamp {
        Timestamp::from_millis(self.begin.as_millis() + bar * self.minutes * MINUTE)
    }

    /// The whole length, in milliseconds.
    fn length(self) -> i64 {
        self.bars * self.minutes * MINUTE
    }
}

/// A bar in words and numbers, for those who cannot see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BarRow {
    pub(crate) href: String,
    pub(crate) time: String,
    pub(crate) issued: String,
    pub(crate) refused: String,
}

/// What a page shows of it.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    /// The scale beside the chart.
    pub(crate) scale: String,
    pub(crate) svg: String,
    /// The bars that are not empty, the newest first.
    pub(crate) rows: Vec<BarRow>,
}

const HEIGHT: i64 = 262;
/// Where the bars of issued tokens end, and how high they are at most.
const BASE: i64 = 168;
const PLOT: i64 = 150;
/// The same of the refusals.
const REFUSED_BASE: i64 = 236;
const REFUSED_PLOT: i64 = 40;

/// A scale whose ends are round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scale {
    top: i64,
    step: i64,
}

impl Scale {
    /// At most `ticks` round steps for numbers up to `highest`.
    fn of(highest: i64, ticks: i64) -> Self {
        let highest = highest.max(1);
        let mut size = 1_i64;
        loop {
            for step in [1, 2, 5].map(|step| size.saturating_mul(step)) {
                if step.saturating_mul(ticks) >= highest {
                    let top = (highest + step - 1) / step * step;
                    return Self { top, step };
                }
            }
            size = size.saturating_mul(10);
        }
    }

    /// How high a number stands in `plot` pixels; what happened at all can be seen.
    fn height(self, number: i64, plot: i64) -> i64 {
        if number == 0 {
            0
        } else {
            (number.saturating_mul(plot) / self.top).max(2)
        }
    }
}

/// The chart of `counts`, each given by the beginning of its bar.
pub(super) fn chart(span: Span, counts: &[(Timestamp, TokenCount)], zone: &Zone) -> Chart {
    let highest = |of: fn(&TokenCount) -> i64| counts.iter().map(|(_, count)| of(count)).max();
    let issued = Scale::of(highest(|count| count.issued).unwrap_or(0), 4);
    let refused = Scale::of(highest(|count| count.refused).unwrap_or(0), 2);
    let mut chart = Chart {
        scale: scale(issued, refused),
        svg: head(issued, counts),
        rows: Vec::new(),
    };
    labels(&mut chart.svg, span, zone);
    let last_filled = counts.iter().map(|(at, _)| *at).max();
    for index in 0..span.bars {
        let at = span.at(index);
        let found = counts.iter().find(|(found, _)| *found == at);
        let count = found.map_or(TokenCount::default(), |(_, count)| *count);
        let bar = Bar {
            span,
            zone,
            index,
            count,
            is_entry: Some(at) == last_filled,
        };
        bar.draw(&mut chart.svg, issued, refused);
        if found.is_some() {
            chart.rows.push(bar.row());
        }
    }
    chart.svg.push_str("</svg>");
    chart.rows.reverse();
    chart
}

fn scale(issued: Scale, refused: Scale) -> String {
    let mut svg = format!("<svg class=\"chart-scale\" aria-hidden=\"true\" height=\"{HEIGHT}\">");
    let mut tick = |number: i64, y: i64| {
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<text x=\"100%\" y=\"{}\" text-anchor=\"end\">{}</text>",
            y + 4,
            grouped(number)
        );
    };
    for number in (0..=issued.top / issued.step).map(|step| step * issued.step) {
        tick(number, BASE - number * PLOT / issued.top);
    }
    tick(0, REFUSED_BASE);
    tick(refused.top, REFUSED_BASE - REFUSED_PLOT);
    svg.push_str("</svg>");
    svg
}

/// The beginning, with what a screen reader says, and the lines.
fn head(issued: Scale, counts: &[(Timestamp, TokenCount)]) -> String {
    let total: i64 = counts.iter().map(|(_, count)| count.issued).sum();
    let refused: i64 = counts.iter().map(|(_, count)| count.refused).sum();
    let mut svg = format!(
        "<svg class=\"chart\" height=\"{HEIGHT}\" role=\"group\" aria-label=\"Tokens over time: {} issued, {} \
         refused. The arrow keys go from bar to bar.\">",
        grouped(total),
        grouped(refused),
    );
    let mut line = |class: &str, y: i64| {
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>"
        );
    };
    for number in (1..=issued.top / issued.step).map(|step| step * issued.step) {
        line("grid", BASE - number * PLOT / issued.top);
    }
    line("base", BASE);
    line("grid", REFUSED_BASE - REFUSED_PLOT);
    line("base", REFUSED_BASE);
    svg
}

/// The times below by the clock of the zone: days at midnight, and round hours or minutes.
fn labels(svg: &mut String, span: Span, zone: &Zone) {
    let steps = [5, 10, 15, 30, 60, 120, 240, 360, 720, 1_440].map(|minutes| minutes * MINUTE);
    let step = steps.into_iter().find(|step| span.length() / step <= 7);
    let step = step.unwrap_or(DAY);
    let begin = span.begin.as_millis();
    let mut next = (zone.shown(span.begin).as_millis() + step - 1).div_euclid(step) * step;
    loop {
        let shown = Timestamp::from_millis(next);
        let at = zone.instant(shown).as_millis();
        if at >= begin + span.length() {
            break;
        }
        next += step;
        let part = (at - begin).max(0) * 10_000 / span.length();
        let is_midnight = shown.as_millis().rem_euclid(DAY) == 0;
        let text = if is_midnight {
            narrow_day(shown)
        } else {
            clock(shown)
        };
        let anchor = match part {
            0..400 => "start",
            400..9_400 => "middle",
            _ => "end",
        };
        let x = percent(part);
        if is_midnight {
            let _ = write!(
                svg,
                "<line class=\"midnight\" x1=\"{x}\" x2=\"{x}\" y1=\"8\" y2=\"{REFUSED_BASE}\"/>"
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>",
            HEIGHT - 6
        );
    }
}

/// One bar with all that belongs to it.
struct Bar<'a> {
    span: Span,
    zone: &'a Zone,
    index: i64,
    count: TokenCount,
    /// Whether the keyboard comes here first.
    is_entry: bool,
}

impl Bar<'_> {
    fn draw(&self, svg: &mut String, issued: Scale, refused: Scale) {
        let part = |index: i64| index * 10_000 / self.span.bars;
        let (left, right) = (part(self.index), part(self.index + 1));
        let gap = (right - left) / 6;
        let (x, width) = (percent(left + gap), percent(right - left - 2 * gap));
        let row = self.row();
        let _ = write!(
            svg,
            "<a href=\"{}\" tabindex=\"{}\" aria-label=\"{}\">",
            row.href.replace('&', "&amp;"),
            if self.is_entry { "0" } else { "-1" },
            row.words()
        );
        let mut rect = |class: &str, base: i64, height: i64| {
            if height > 0 {
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x}\" width=\"{width}\" y=\"{}\" height=\"{height}\"/>",
                    base - height
                );
            }
        };
        rect("issued", BASE, issued.height(self.count.issued, PLOT));
        let height = refused.height(self.count.refused, REFUSED_PLOT);
        rect("refused", REFUSED_BASE, height);
        let _ = write!(
            svg,
            "<rect class=\"hover\" x=\"{}\" width=\"{}\" y=\"8\" height=\"{}\"><title>{}</title></rect></a>",
            percent(left),
            percent(right - left),
            REFUSED_BASE - 8,
            row.words()
        );
    }

    fn row(&self) -> BarRow {
        let (begin, end) = (self.span.at(self.index), self.span.at(self.index + 1));
        BarRow {
            href: format!(
                "/dashboard/audit?since={}&until={}",
                minute(begin),
                minute(end)
            ),
            time: format!(
                "{}, {}–{}",
                day(self.zone.shown(begin)),
                self.zone.minute(begin),
                self.zone.minute(end)
            ),
            issued: grouped(self.count.issued),
            refused: grouped(self.count.refused),
        }
    }
}

impl BarRow {
    fn words(&self) -> String {
        format!(
            "{}: {} issued, {} refused",
            self.time, self.issued, self.refused
        )
    }
}

/// Hundredths of a percent, as SVG has them.
fn percent(part: i64) -> String {
    format!("{}.{:02}%", part / 100, part % 100)
}

/// `2026-01-31T12:30:00Z`, as the audit log's filter takes it from a link, whoever follows it.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}:00Z", text.get(..16).unwrap_or_default())
}

/// `12:30`
fn clock(shown: Timestamp) -> String {
    shown.to_string().get(11..16).unwrap_or_default().to_owned()
}

/// `Sat 31 Jan`
fn day(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = at.to_string();
    let number = |from: usize| {
        text.get(from..from + 2)
            .and_then(|two| two.parse::<usize>().ok())
    };
    let weekday = usize::try_from(at.as_millis().div_euclid(DAY).rem_euclid(7)).unwrap_or(0);
    let month = number(5).and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    format!(
        "{} {} {}",
        DAYS.get(weekday).unwrap_or(&""),
        number(8).unwrap_or(0),
        month.unwrap_or(&"")
    )
}

/// The same, for a stylesheet that leaves the date out where there is little room.
fn narrow_day(at: Timestamp) -> String {
    match day(at).split_once(' ') {
        Some((weekday, date)) => format!("{weekday}<tspan class=\"date\"> {date}</tspan>"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn scales_end_with_round_numbers() {
        for (highest, ticks, top, step) in [
            (0, 4, 1, 1),
            (3, 4, 3, 1),
            (5, 4, 6, 2),
            (1_527, 4, 2_000, 500),
            (1_203, 2, 2_000, 1_000),
            (5, 2, 5, 5),
        ] {
            assert_eq!(Scale::of(highest, ticks), Scale { top, step }, "{highest}");
        }
    }

    #[test]
    fn a_young_installation_begins_where_its_data_begins() {
        let now = at("2026-11-26T22:25:31Z");
        let bars = |range, first: &str| {
            let span = Span::of(range, now, Some(at(first)), &Zone::utc());
            (span.begin.to_string(), span.minutes, span.bars)
        };
        let begin = |text: &str| format!("2026-11-{text}:00.000Z");
        assert_eq!(
            bars(Range::Day, "2026-10-01T00:00:00Z"),
            (begin("25T23:00"), 30, 47)
        );
        assert_eq!(
            bars(Range::Week, "2026-10-01T00:00:00Z"),
            (begin("20T00:00"), 240, 42)
        );
        // 25 minutes of data are 26 bars of a minute, not one of half an hour.
        assert_eq!(
            bars(Range::Day, "2026-11-26T22:00:00Z"),
            (begin("26T22:00"), 1, 26)
        );
        assert_eq!(
            bars(Range::Week, "2026-11-25T10:00:00Z"),
            (begin("25T10:00"), 60, 37)
        );
        assert_eq!(
            bars(Range::Day, "2026-11-26T22:24:00Z"),
            (begin("26T22:11"), 1, 15)
        );
        assert_eq!(
            bars(Range::Hour, "2026-11-26T21:50:00Z"),
            (begin("26T21:50"), 1, 36)
        );
    }

    #[test]
    fn days_are_labelled_at_midnight_and_bars_lead_to_their_time_in_the_log() {
        let now = at("2026-11-26T22:25:31Z");
        let utc = Zone::utc();
        let span = Span::of(Range::Week, now, Some(at("2026-10-01T00:00:00Z")), &utc);
        let count = TokenCount {
            issued: 1_204,
            refused: 12,
        };
        let chart = chart(span, &[(at("2026-11-24T08:00:00Z"), count)], &utc);
        for (day, date) in [("Fri", 20), ("Sat", 21), ("Sun", 22), ("Thu", 26)] {
            let label = format!(">{day}<tspan class=\"date\"> {date} Nov</tspan></text>");
            assert!(chart.svg.contains(&label), "{label}: {}", chart.svg);
        }
        assert!(
            chart
                .svg
                .contains("since=2026-11-24T08:00:00Z&amp;until=2026-11-24T12:00:00Z")
        );
        assert!(
            chart
                .svg
                .contains("Tue 24 Nov, 08:00–12:00: 1,204 issued, 12 refused")
        );
        assert_eq!(chart.rows.len(), 1);
        // The last bar ends where the axis ends.
        let last = chart.svg.rsplit("class=\"hover\" x=\"").next().unwrap();
        let (x, rest) = last.split_once("%\" width=\"").unwrap();
        let width = rest.split('%').next().unwrap();
        let sum = x.parse::<f64>().unwrap() + width.parse::<f64>().unwrap();
        assert!((sum - 100.0).abs() < 0.01, "{sum}");
        assert!(chart.scale.contains(">1,500</text>") && chart.scale.contains(">20</text>"));
    }

    #[test]
    fn days_begin_at_the_viewers_midnight() {
        // Five and a half hours ahead: midnight there is 18:30.
        let kolkata = Zone::parse("Asia~Kolkata_330").unwrap();
        let now = at("2026-11-26T22:25:31Z");
        let span = Span::of(Range::Week, now, Some(at("2026-10-01T00:00:00Z")), &kolkata);
        assert_eq!(span.begin, at("2026-11-19T22:30:00Z"));
        let count = TokenCount {
            issued: 3,
            refused: 0,
        };
        let chart = chart(span, &[(at("2026-11-24T18:30:00Z"), count)], &kolkata);
        let midnight = at("2026-11-24T18:30:00Z").as_millis() - span.begin.as_millis();
        let x = percent(midnight * 10_000 / span.length());
        let line = format!("<line class=\"midnight\" x1=\"{x}\"");
        assert!(chart.svg.contains(&line), "{line}: {}", chart.svg);
        assert!(
            chart
                .svg
                .contains(">Wed<tspan class=\"date\"> 25 Nov</tspan>")
        );
        let row = chart.rows.first().unwrap();
        assert_eq!(row.time, "Wed 25 Nov, 00:00–04:00");
        assert!(
            row.href
                .contains("since=2026-11-24T18:30:00Z&until=2026-11-24T22:30:00Z")
        );
    }

    #[test]
    fn midnight_is_where_it_was_before_the_clock_was_set_back() {
        // An hour ahead since Sunday 25 October 2026, 1:00 UTC; two hours before.
        let paris = Zone::parse("Europe~Paris_60_1792890000_120").unwrap();
        let now = at("2026-10-27T12:00:00Z");
        let span = Span::of(Range::Week, now, Some(at("2026-01-01T00:00:00Z")), &paris);
        let chart = chart(span, &[(span.begin, TokenCount::default())], &paris);
        for (day, midnight) in [
            ("Sat", "2026-10-23T22:00:00Z"),
            ("Mon", "2026-10-25T23:00:00Z"),
        ] {
            let part = (at(midnight).as_millis() - span.begin.as_millis()) * 10_000 / span.length();
            let x = percent(part);
            let label = chart.svg.split(&format!("<text x=\"{x}\"")).nth(1);
            assert!(
                label.is_some_and(|label| label.contains(&format!(">{day}<"))),
                "{day}: {}",
                chart.svg
            );
        }
    }
}
