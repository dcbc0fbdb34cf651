//! Logs: words for people on stderr, or one JSON object a line.

use std::error::Error;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;

/// How often something that keeps failing is worth a line.
const AGAIN: Duration = Duration::from_secs(10);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Starts logging to stderr. `filter` is a level or a `target=level` list, `info` if empty. Does
/// nothing where logging was started already.
pub fn init_telemetry(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(if filter.is_empty() { "info" } else { filter })
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Where stderr is gone (a closed terminal or pipe), complaining about it there would panic.
        .log_internal_errors(false);
    // On a terminal, NO_COLOR decides.
    let builder = if std::io::stderr().is_terminal() {
        builder
    } else {
        builder.with_ansi(false)
    };
    // Only fails where a subscriber is set already.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// An error with everything that led to it: a line of JSON would have the first words alone.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some tell their cause themselves.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Something that may fail many times a second: what is worth a line in the log is the first time, then
/// every ten seconds, and that it works again.
#[derive(Debug, Default)]
pub(crate) struct Recurring {
    told: Option<Instant>,
    told_last: bool,
}

impl Recurring {
    /// It failed; whether to say so.
    pub(crate) fn failed(&mut self) -> bool {
        self.failed_at(Instant::now())
    }

    fn failed_at(&mut self, now: Instant) -> bool {
        let worth_it = self.told.is_none_or(|told| now - told >= AGAIN);
        if worth_it {
            (self.told, self.told_last) = (Some(now), true);
        }
        worth_it
    }

    /// It worked; whether the last that was said is that it failed.
    pub(crate) fn worked(&mut self) -> bool {
        std::mem::take(&mut self.told_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_now_and_then_is_told_every_ten_seconds() {
        let mut trouble = Recurring::default();
        let now = Instant::now();
        assert!(!trouble.worked());
        assert!(trouble.failed_at(now) && !trouble.failed_at(now));
        assert!(trouble.worked() && !trouble.worked());
        assert!(!trouble.failed_at(now) && !trouble.worked());
        assert!(trouble.failed_at(now + AGAIN) && trouble.worked());
    }

    #[test]
    fn causes_are_told_once_each() {
        let bottom = std::io::Error::other("no room");
        let top = Top(Middle(bottom));
        assert_eq!(with_causes(&top), "failed: the store failed: no room");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("failed")]
    struct Top(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("the store failed: {0}")]
    struct Middle(#[source] std::io::Error);
}
