//! A span of time in which refusals are counted, and the event that says how many there were.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jeton_core::{Actor, AuditEvent, EventId, Timestamp};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::refusals::network_of;

/// The first window of a source; each further one is twice as long while the source goes on.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// A source that was quiet for so long begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Reasons that are counted apart; the rest is counted together.
const MAX_REASONS: usize = 16;
/// Sources that are told apart where everything that is left is counted.
const MAX_SOURCES: usize = 10_000;
/// The same where all are of one network: it matters only whether there is more than one.
const FEW_SOURCES: usize = 2;

/// What was counted.
#[derive(Debug)]
pub(crate) struct Tally {
    max_sources: usize,
    count: u64,
    times: Option<(Timestamp, Timestamp)>,
    reasons: BTreeMap<String, u64>,
    sources: HashSet<Option<String>>,
}

impl Tally {
    fn new(max_sources: usize) -> Self {
        Self {
            max_sources,
            count: 0,
            times: None,
            reasons: BTreeMap::new(),
            sources: HashSet::new(),
        }
    }

    fn add(&mut self, event: &AuditEvent) {
        self.count += 1;
        self.at(event.at, event.at);
        self.reason(event.reason.as_deref().unwrap_or_default(), 1);
        self.source(event.source.clone());
    }

    fn at(&mut self, first: Timestamp, last: Timestamp) {
        self.times = Some(match self.times {
            None => (first, last),
            Some(times) => (times.0.min(first), times.1.max(last)),
        });
    }

    fn reason(&mut self, reason: &str, count: u64) {
        let known = self.reasons.contains_key(reason) || self.reasons.len() < MAX_REASONS;
        let reason = if known { reason } else { "other" };
        *self.reasons.entry(reason.to_owned()).or_default() += count;
    }

    fn source(&mut self, source: Option<String>) {
        if self.sources.len() < self.max_sources {
            self.sources.insert(source);
        }
    }
}

/// Refusals to record as one event.
#[derive(Debug)]
pub(crate) struct Summary {
    /// What they have in common.
    pub(crate) template: AuditEvent,
    /// How many.
    pub(crate) tally: Tally,
}

impl Summary {
    /// The event, with an ID and time of its own.
    pub(crate) fn event(&self, id: EventId, at: Timestamp) -> AuditEvent {
        let tally = &self.tally;
        let mut event = AuditEvent {
            id,
            at,
            ..self.template.clone()
        };
        let mut reasons = tally.reasons.keys();
        event.reason = match (reasons.next(), reasons.next()) {
            (Some(only), None) => Some(only.clone()).filter(|reason| !reason.is_empty()),
            _ => Some("several reasons".into()),
        };
        let mut sources = tally.sources.iter();
        event.source = match (sources.next(), sources.next()) {
            (Some(only), None) => only.clone(),
            _ => network_of(&self.template).map(|network| network.to_string()),
        };
        let detail = &mut event.detail;
        detail.insert("count".into(), tally.count.into());
        if let Some((first, last)) = tally.times {
            detail.insert("first_at".into(), first.to_string().into());
            detail.insert("last_at".into(), last.to_string().into());
        }
        if tally.max_sources > FEW_SOURCES {
            detail.insert("sources".into(), tally.sources.len().into());
        }
        if tally.reasons.len() > 1 {
            let reasons: Map<String, Value> = tally
                .reasons
                .iter()
                .map(|(reason, count)| (reason.clone(), (*count).into()))
                .collect();
            detail.insert("reasons".into(), reasons.into());
        }
        event
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    template: AuditEvent,
    began: Instant,
    length: Duration,
    tally: Tally,
}

impl Window {
    /// After a refusal that is recorded by itself.
    pub(crate) fn begin(event: &AuditEvent, now: Instant) -> Self {
        Self {
            template: AuditEvent {
                request_id: None,
                ..event.clone()
            },
            began: now,
            length: FIRST,
            tally: Tally::new(FEW_SOURCES),
        }
    }

    /// For what has nothing in common but its kind.
    pub(crate) fn rest(event: &AuditEvent, now: Instant) -> Self {
        let mut template = AuditEvent::new(event.id, event.at, event.kind, Actor::Anonymous);
        template.outcome = event.outcome;
        Self {
            length: LONGEST,
            tally: Tally::new(MAX_SOURCES),
            ..Self::begin(&template, now)
        }
    }

    /// Counts a refusal; what it does not have in common with the others is forgotten.
    pub(crate) fn count(&mut self, event: &AuditEvent) {
        let common = &mut self.template;
        for (common, other) in [
            (&mut common.resource, &event.resource),
            (&mut common.jti, &event.jti),
        ] {
            if common != other {
                *common = None;
            }
        }
        if common.scope != event.scope {
            common.scope = None;
        }
        if common.client_id != event.client_id {
            common.client_id = None;
        }
        if common.mcp_server_id != event.mcp_server_id {
            common.mcp_server_id = None;
        }
        if common.secret_id != event.secret_id {
            common.secret_id = None;
        }
        if common.actor != event.actor {
            common.actor = Actor::Anonymous;
        }
        common
            .detail
            .retain(|name, value| event.detail.get(name) == Some(value));
        self.tally.add(event);
    }

    /// Adds what another window counted.
    pub(crate) fn absorb(&mut self, other: Tally) {
        self.tally.count += other.count;
        if let Some((first, last)) = other.times {
            self.tally.at(first, last);
        }
        for (reason, count) in other.reasons {
            self.tally.reason(&reason, count);
        }
        for source in other.sources {
            self.tally.source(source);
        }
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.began + self.length
    }

    /// What was counted, if its time is over; the next window begins then.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Summary> {
        if !self.is_over(now) || self.tally.count == 0 {
            return None;
        }
        self.lengthen(now);
        Some(Summary {
            template: self.template.clone(),
            tally: std::mem::replace(&mut self.tally, Tally::new(FEW_SOURCES)),
        })
    }

    /// A new window, after a refusal that is recorded by itself. Nothing is counted in the old one,
    /// or it is recorded with the new one.
    pub(crate) fn begin_again(&mut self, event: &AuditEvent, now: Instant) {
        if self.tally.count == 0 {
            self.template = Self::begin(event, now).template;
        }
        self.lengthen(now);
    }

    fn lengthen(&mut self, now: Instant) {
        self.began = now;
        self.length = (self.length * 2).min(LONGEST);
    }

    /// Whether nothing is counted, and was not for a while.
    pub(crate) fn is_forgotten(&self, now: Instant) -> bool {
        self.tally.count == 0 && now >= self.began + self.length + FORGET_AFTER
    }

    /// What was counted, at the end.
    pub(crate) fn end(self) -> Option<Summary> {
        (self.tally.count > 0).then_some(Summary {
            template: self.template,
            tally: self.tally,
        })
    }
}
