//! How many connections the operating system's limit of open files leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What else is open: databases, outgoing connections, files, reserved places.
const OTHERS: u64 = 256;

/// Raises the soft limit as far as it goes, and gives how many of `wanted` connections there is room for.
pub(super) fn room_for(wanted: usize) -> usize {
    let needed = u64::try_from(wanted)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHERS);
    let limits = getrlimit(Resource::Nofile);
    let mut limit = limits.current.unwrap_or(u64::MAX);
    if limit < needed {
        let raised = limits.maximum.map_or(needed, |maximum| maximum.min(needed));
        let new = Rlimit {
            current: Some(raised),
            maximum: limits.maximum,
        };
        match setrlimit(Resource::Nofile, new) {
            Ok(()) => limit = raised,
            Err(error) => tracing::debug!(%error, "the limit of open files could not be raised"),
        }
    }
    let room = room(limit, wanted);
    if room < wanted {
        tracing::warn!(
            open_files = limit,
            connections = room,
            "the limit of open files (ulimit -n) leaves room for fewer connections than max_connections; raise it to {needed} (LimitNOFILE= in systemd), or lower --max-connections"
        );
    }
    room
}

/// Of a small limit, half is for connections.
fn room(limit: u64, wanted: usize) -> usize {
    let room = limit.saturating_sub(OTHERS).max(limit / 2);
    usize::try_from(room).unwrap_or(usize::MAX).clamp(1, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_leaves_less_room() {
        for (limit, room_for_it) in [(20_000, 10_000), (1_024, 768), (256, 128), (64, 32), (0, 1)] {
            assert_eq!(room(limit, 10_000), room_for_it, "{limit}");
        }
    }
}
