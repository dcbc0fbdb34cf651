//! A bar chart as SVG: tokens issued and refused over time.

use std::fmt::Write as _;

use jeton_core::Timestamp;
use jeton_store::TokenCount;

use super::format::grouped;

/// How far back a chart looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Hour,
    Day,
    Week,
}

impl Range {
    pub(super) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The range of an address; a day where it names none.
    pub(super) fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("") => Some(Self::Day),
            Some(text) => Self::ALL.into_iter().find(|range| range.as_str() == text),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "Hour",
            Self::Day => "Day",
            Self::Week => "Week",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Hour => "last hour",
            Self::Day => "last 24 hours",
            Self::Week => "last 7 days",
        }
    }

    /// Minutes of one bar.
    pub(super) fn minutes(self) -> i64 {
        match self {
            Self::Hour => 2,
            Self::Day => 30,
            Self::Week => 240,
        }
    }

    /// How many bars.
    fn bars(self) -> i64 {
        match self {
            Self::Hour => 30,
            Self::Day => 48,
            Self::Week => 42,
        }
    }

    fn bar_millis(self) -> i64 {
        self.minutes() * 60_000
    }

    /// The beginning of the first bar.
    pub(super) fn begin(self, now: Timestamp) -> Timestamp {
        let size = self.bar_millis();
        let last = now.as_millis() / size * size;
        Timestamp::from_millis(last - (self.bars() - 1) * size)
    }
}

const WIDTH: i64 = 960;
const HEIGHT: i64 = 180;
const LEFT: i64 = 56;
const BOTTOM: i64 = 26;
const TOP: i64 = 12;

/// The chart of `counts`, each given by the beginning of its span.
pub(super) fn svg(range: Range, now: Timestamp, counts: &[(Timestamp, TokenCount)]) -> String {
    let begin = range.begin(now);
    let highest = counts
        .iter()
        .map(|(_, count)| count.issued + count.refused)
        .max()
        .unwrap_or(0)
        .max(1);
    let plot = HEIGHT - TOP - BOTTOM;
    let base = HEIGHT - BOTTOM;
    let step = (WIDTH - LEFT) / range.bars();
    let mut svg = head(range, base, highest, counts);
    for index in 0..range.bars() {
        let at = Timestamp::from_millis(begin.as_millis() + index * range.bar_millis());
        let count = counts
            .iter()
            .find(|(found, _)| *found == at)
            .map_or(TokenCount::default(), |(_, count)| *count);
        let height = |n: i64| {
            // What happened at all is at least one pixel high.
            if n == 0 {
                0
            } else {
                (n * plot / highest).max(2)
            }
        };
        bar(
            &mut svg,
            Bar {
                x: LEFT + index * step,
                step,
                base,
            },
            height,
            (at, count),
        );
        if index % (range.bars() / 6) == 0 {
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\">{}</text>",
                LEFT + index * step,
                HEIGHT - 6,
                label(range, at)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// The beginning, with what a screen reader says, and the axis.
fn head(range: Range, base: i64, highest: i64, counts: &[(Timestamp, TokenCount)]) -> String {
    let total: i64 = counts.iter().map(|(_, count)| count.issued).sum();
    let refused: i64 = counts.iter().map(|(_, count)| count.refused).sum();
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Tokens in the {}: {} issued, {} refused\">\
         <line class=\"base\" x1=\"{LEFT}\" y1=\"{base}\" x2=\"{WIDTH}\" y2=\"{base}\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
         <text x=\"{}\" y=\"{base}\" text-anchor=\"end\">0</text>",
        range.words(),
        grouped(total),
        grouped(refused),
        LEFT - 8,
        TOP + 10,
        grouped(highest),
        LEFT - 8
    )
}

/// Where a bar stands.
struct Bar {
    x: i64,
    step: i64,
    base: i64,
}

fn bar(
    svg: &mut String,
    Bar { x, step, base }: Bar,
    height: impl Fn(i64) -> i64,
    (at, count): (Timestamp, TokenCount),
) {
    let (issued, refused) = (height(count.issued), height(count.refused));
    let width = step - 3;
    if issued > 0 {
        let _ = write!(
            svg,
            "<rect class=\"issued\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{issued}\"/>",
            base - issued
        );
    }
    if refused > 0 {
        let _ = write!(
            svg,
            "<rect class=\"refused\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{refused}\"/>",
            base - issued - refused
        );
    }
    let _ = write!(
        svg,
        "<rect class=\"hover\" x=\"{x}\" y=\"{TOP}\" width=\"{width}\" height=\"{}\"><title>{} UTC: {} issued, {} refused</title></rect>",
        base - TOP,
        minute(at),
        grouped(count.issued),
        grouped(count.refused)
    );
}

/// `2026-01-31 12:30`
fn minute(at: Timestamp) -> String {
    at.to_string()
        .get(..16)
        .unwrap_or_default()
        .replace('T', " ")
}

fn label(range: Range, at: Timestamp) -> String {
    let text = minute(at);
    match range {
        Range::Hour | Range::Day => text.get(11..).unwrap_or_default().to_owned(),
        Range::Week => text.get(5..10).unwrap_or_default().to_owned(),
    }
}
