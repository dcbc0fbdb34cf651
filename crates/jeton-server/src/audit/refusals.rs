//! Refusals that repeat: the first is recorded at once, those that follow are counted and recorded as
//! one event with their number.
//!
//! Whoever is refused costs the log a bounded number of events, however fast they ask and however many
//! names and addresses they use: each [`Lane`] has an [`Allowance`], and what exceeds it is counted
//! together, once a minute. The file says how refusals are sorted; `window.rs` how each is counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jeton_core::{AuditEvent, AuditKind, ClientId, McpServerId, SecretId, redact};
use tokio::time::Instant;

use super::allowance::Allowance;
use super::window::{Summary, Window};
use crate::source_network::SourceNetwork;

/// Whoever was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    /// Somebody who did not prove to be anybody.
    Stranger,
    /// A client or MCP server that presented a secret of its own, be it one that has expired or was
    /// revoked.
    Known,
}

/// Kinds of counted refusals that are recorded at the same time, by network, client and reason.
const MAX_WINDOWS: usize = 2_048;
/// The same for one network; what exceeds them is counted together for the network.
const MAX_PER_SOURCE: usize = 32;
/// The most characters of a reason or resource that a refusal records.
const MAX_TEXT: usize = 256;

/// Counts refusals. See the module.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    lanes: Mutex<HashMap<(AuditKind, Refused), Lane>>,
    /// Whether the room that is left is kept for tokens.
    only_counting: AtomicBool,
}

/// What to do with a refusal.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Record it.
    Record(Box<AuditEvent>),
    /// It is counted, and will be recorded with others.
    Counted,
}

/// What is counted together: the same thing from the same network, everything else from one network,
/// and everything else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Same(Option<SourceNetwork>, What),
    Source(Option<SourceNetwork>),
}

/// What was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct What {
    reason: Option<String>,
    client_id: Option<ClientId>,
    mcp_server_id: Option<McpServerId>,
    secret_id: Option<SecretId>,
    /// The endpoint, or the admin whose address was used.
    about: Option<String>,
}

impl What {
    fn of(event: &AuditEvent) -> Self {
        let about = ["endpoint", "admin_id"]
            .iter()
            .find_map(|name| event.detail.get(*name)?.as_str());
        Self {
            reason: event.reason.clone(),
            client_id: event.client_id,
            mcp_server_id: event.mcp_server_id,
            secret_id: event.secret_id,
            about: about.map(str::to_owned),
        }
    }
}

/// Refusals of one kind, of strangers or of others. One does not use up what is allowed to another.
#[derive(Debug)]
struct Lane {
    allowance: Allowance,
    windows: HashMap<Key, Window>,
    by_source: HashMap<Option<SourceNetwork>, usize>,
    rest: Option<Window>,
}

impl Refusals {
    /// Counts a refusal, or says to record it.
    pub(crate) fn count(&self, mut event: AuditEvent, who: Refused, now: Instant) -> Verdict {
        shorten(&mut event);
        let only_counting = self.only_counting.load(Ordering::Relaxed);
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes
            .entry((event.kind, who))
            .or_insert_with(|| Lane::new(who, now))
            .count(event, only_counting, now)
    }

    /// Counts a refusal that could not be recorded.
    pub(crate) fn count_later(&self, event: &AuditEvent, who: Refused, now: Instant) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .entry((event.kind, who))
            .or_insert_with(|| Lane::new(who, now));
        lane.rest(event, now).count(event);
    }

    /// Counts what a summary stands for once more: it could not be recorded.
    pub(crate) fn give_back(&self, summary: Summary, who: Refused, now: Instant) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .entry((summary.template.kind, who))
            .or_insert_with(|| Lane::new(who, now));
        lane.rest(&summary.template, now).absorb(summary.tally);
    }

    /// What is to be recorded now; where the server stops, everything.
    pub(crate) fn due(&self, now: Instant, is_end: bool) -> Vec<(Refused, Summary)> {
        let only_counting = self.only_counting.load(Ordering::Relaxed);
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for ((_, who), lane) in lanes.iter_mut() {
            let summaries = match (is_end, only_counting) {
                (true, _) => lane.end(now),
                (false, true) => Vec::new(),
                (false, false) => lane.due(now),
            };
            due.extend(summaries.into_iter().map(|summary| (*who, summary)));
        }
        due
    }

    /// Whether refusals are counted only, because the room that is left is kept for tokens. Gives
    /// whether that is new.
    pub(crate) fn set_only_counting(&self, only_counting: bool) -> bool {
        self.only_counting.swap(only_counting, Ordering::Relaxed) != only_counting
    }
}

impl Lane {
    fn new(who: Refused, now: Instant) -> Self {
        Self {
            allowance: Allowance::of(who, now),
            windows: HashMap::new(),
            by_source: HashMap::new(),
            rest: None,
        }
    }

    fn count(&mut self, event: AuditEvent, only_counting: bool, now: Instant) -> Verdict {
        let network = network_of(&event);
        let same = Key::Same(network, What::of(&event));
        for key in [same, Key::Source(network)] {
            if let Some(window) = self.windows.get_mut(&key) {
                if !window.is_over(now) {
                    window.count(&event);
                    return Verdict::Counted;
                }
                if !only_counting && self.allowance.take(now) {
                    window.begin_again(&event, now);
                    return Verdict::Record(Box::new(event));
                }
            } else if !only_counting && self.has_room(&key) && self.allowance.take(now) {
                *self.by_source.entry(network).or_default() += 1;
                self.windows.insert(key, Window::begin(&event, now));
                return Verdict::Record(Box::new(event));
            }
        }
        self.rest(&event, now).count(&event);
        Verdict::Counted
    }

    fn has_room(&self, key: &Key) -> bool {
        let room_of_source = match key {
            Key::Same(network, _) => {
                self.by_source.get(network).copied().unwrap_or(0) < MAX_PER_SOURCE
            }
            Key::Source(_) => true,
        };
        room_of_source && self.windows.len() < MAX_WINDOWS
    }

    fn rest(&mut self, event: &AuditEvent, now: Instant) -> &mut Window {
        self.rest.get_or_insert_with(|| Window::rest(event, now))
    }

    /// What is to be recorded now. What exceeds the allowance goes to the rest, which is recorded
    /// once a minute.
    fn due(&mut self, now: Instant) -> Vec<Summary> {
        let mut due = Vec::new();
        let mut beyond = Vec::new();
        for window in self.windows.values_mut() {
            if let Some(summary) = window.due(now) {
                if self.allowance.take(now) {
                    due.push(summary);
                } else {
                    beyond.push(summary);
                }
            }
        }
        for summary in beyond {
            self.rest(&summary.template, now).absorb(summary.tally);
        }
        self.forget(now);
        if self.rest.as_ref().is_some_and(|rest| rest.is_over(now)) {
            due.extend(self.rest.take().and_then(Window::end));
        }
        due
    }

    /// Everything that was counted, in one event.
    fn end(&mut self, now: Instant) -> Vec<Summary> {
        let windows = std::mem::take(&mut self.windows);
        self.by_source.clear();
        let mut counted: Vec<_> = windows.into_values().filter_map(Window::end).collect();
        if self.rest.is_none() && counted.len() <= MAX_PER_SOURCE {
            return counted;
        }
        for summary in counted.drain(..) {
            self.rest(&summary.template, now).absorb(summary.tally);
        }
        self.rest.take().and_then(Window::end).into_iter().collect()
    }

    /// Forgets who has stopped.
    fn forget(&mut self, now: Instant) {
        let by_source = &mut self.by_source;
        self.windows.retain(|key, window| {
            let keep = !window.is_forgotten(now);
            let (Key::Same(network, _) | Key::Source(network)) = key;
            if !keep && let Some(open) = by_source.get_mut(network) {
                *open -= 1;
            }
            keep
        });
        by_source.retain(|_, open| *open > 0);
    }
}

/// The network that an event came from.
pub(super) fn network_of(event: &AuditEvent) -> Option<SourceNetwork> {
    let source = event.source.as_deref()?;
    source.parse::<IpAddr>().ok().map(SourceNetwork::from)
}

/// Strangers do not choose how long an event is.
fn shorten(event: &mut AuditEvent) {
    for text in [&mut event.reason, &mut event.resource]
        .into_iter()
        .flatten()
    {
        if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(end);
            text.push('…');
        }
        *text = redact(text).into_owned();
    }
}
