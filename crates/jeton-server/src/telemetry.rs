//! Logs: words for people on stderr, or one JSON object a line.

use std::error::Error;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::Instant;
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
        .with_ansi(std::io::stderr().is_terminal());
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
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Something that may fail many times a second: what is worth a line in the log is the first time, then
/// every ten seconds, and that it works again.
#[derive(Debug, Default)]
pub(crate) struct Recurring {
    told: Option<Instant>,
}

impl Recurring {
    /// It failed; whether to say so.
    pub(crate) fn failed(&mut self) -> bool {
        let worth_it = self.told.is_none_or(|told| told.elapsed() >= AGAIN);
        if worth_it {
            self.told = Some(Instant::now());
        }
        worth_it
    }

    /// It worked; whether it had failed.
    pub(crate) fn worked(&mut self) -> bool {
        self.told.take().is_some()
    }
}
