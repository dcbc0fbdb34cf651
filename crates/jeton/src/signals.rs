//! The signals that a command which serves lives with: some stop it, one reloads, none kills it.

use jeton_server::Reload;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const XFSZ: i32 = 25;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGINT, SIGTERM, SIGQUIT, SIGXCPU: stop, and let what is under way finish.
    Stop,
    /// SIGHUP: read again what can be read again.
    Reload,
    /// Others, whose default is to kill.
    Nothing,
}

/// Everything that would end the process at once, but SIGKILL and what its own faults raise.
fn kinds() -> Vec<(SignalKind, &'static str, Asked)> {
    use Asked::{Nothing, Reload, Stop};
    let mut kinds = vec![
        (SignalKind::interrupt(), "SIGINT", Stop),
        (SignalKind::terminate(), "SIGTERM", Stop),
        (SignalKind::quit(), "SIGQUIT", Stop),
        (SignalKind::hangup(), "SIGHUP", Reload),
        (SignalKind::user_defined1(), "SIGUSR1", Nothing),
        (SignalKind::user_defined2(), "SIGUSR2", Nothing),
        (SignalKind::alarm(), "SIGALRM", Nothing),
        (SignalKind::pipe(), "SIGPIPE", Nothing),
    ];
    // The same numbers on Linux and macOS.
    for (number, name, asked) in [
        (24, "SIGXCPU", Stop),
        (XFSZ, "SIGXFSZ", Nothing),
        (26, "SIGVTALRM", Nothing),
        (27, "SIGPROF", Nothing),
    ] {
        kinds.push((SignalKind::from_raw(number), name, asked));
    }
    if cfg!(target_os = "linux") {
        kinds.push((SignalKind::from_raw(16), "SIGSTKFLT", Nothing));
        kinds.push((SignalKind::from_raw(29), "SIGIO", Nothing));
        kinds.push((SignalKind::from_raw(30), "SIGPWR", Stop));
    }
    kinds
}

/// Makes a file that may grow no more (`ulimit -f`) an error where it is written, as a full disk is, instead of
/// the end of the process. It lasts as long as the process.
pub(crate) fn survive_file_limits() -> anyhow::Result<()> {
    // The handler stays when the stream of signals is gone.
    drop(signal(SignalKind::from_raw(XFSZ))?);
    Ok(())
}

/// The signals to come.
pub(crate) struct Signals {
    arriving: mpsc::UnboundedReceiver<(&'static str, Asked)>,
    _listening: JoinSet<()>,
}

impl Signals {
    /// Takes them over.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (arrived, arriving) = mpsc::unbounded_channel();
        let mut listening = JoinSet::new();
        for (kind, name, asked) in kinds() {
            let arrived = arrived.clone();
            let mut signals: Signal = signal(kind)?;
            listening.spawn(async move {
                while signals.recv().await.is_some() && arrived.send((name, asked)).is_ok() {}
            });
        }
        Ok(Self {
            arriving,
            _listening: listening,
        })
    }

    /// Waits for one that stops; the others are noted in the log. SIGHUP reloads, or stops where there is
    /// nothing to reload and the terminal is all there is.
    pub(crate) async fn stop(&mut self, reload: Option<&Reload>) {
        while let Some((name, asked)) = self.arriving.recv().await {
            match (asked, reload) {
                (Asked::Stop, _) | (Asked::Reload, None) => return,
                (Asked::Reload, Some(reload)) => reload.reload(),
                // It comes with every pipe that a reader closed, and every one over the limit is told.
                (Asked::Nothing, _) if matches!(name, "SIGPIPE" | "SIGXFSZ") => {}
                (Asked::Nothing, _) => tracing::info!(signal = name, "this signal does nothing"),
            }
        }
    }
}
