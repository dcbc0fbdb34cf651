//! Which connections there are: a place for each, deadlines, and who has to go when all places are taken.
//!
//! A newcomer takes the place of the connection that has kept the server waiting longest. Only while
//! the server works on every one of them there is none; then a few reserved places answer for health.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::deadlines::{Deadlines, Verdict};
use super::limits::RESERVED_CONNECTIONS;
use crate::source_network::SourceNetwork;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) all: usize,
    pub(super) of_one_source: usize,
}

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct Connections {
    places: Places,
    table: Mutex<Table>,
    stop: CancellationToken,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    all: HashMap<u64, Entry>,
    waiting: WaitingLongest,
    sources: HashMap<SourceNetwork, Members>,
}

#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    source: Option<SourceNetwork>,
    deadlines: Deadlines,
}

#[derive(Debug, Default)]
struct Members {
    ids: HashSet<u64>,
    waiting: WaitingLongest,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) activity: Arc<Activity>,
    /// It should end once nothing is under way.
    pub(super) ending: CancellationToken,
    task: OnceLock<AbortHandle>,
}

impl Connection {
    /// Names the task that serves it, once.
    pub(super) fn served_by(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    fn cut_off(&self) {
        self.ending.cancel();
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    pub(super) connection: Arc<Connection>,
    id: u64,
    /// One of the reserved places.
    pub(super) is_reserved: bool,
}

impl Connections {
    pub(super) fn new(places: Places) -> Arc<Self> {
        Arc::new(Self {
            places,
            table: Mutex::default(),
            stop: CancellationToken::new(),
            emptied: Notify::new(),
        })
    }

    /// A place for a newcomer; nothing where there is none. `source` is absent for a trusted proxy, which
    /// speaks for many.
    pub(super) fn admit(self: &Arc<Self>, source: Option<IpAddr>) -> Option<Place> {
        let mut table = self.table();
        let source = source.map(SourceNetwork::from);
        if let Some(source) = source
            && !table.make_room_of(source, self.places.of_one_source)
        {
            return None;
        }
        if table.all.len() >= self.places.all {
            table.evict();
        }
        // More than all, where one on a reserved place had to go.
        let taken = table.all.len();
        let is_reserved = taken >= self.places.all;
        if taken >= self.places.all + RESERVED_CONNECTIONS {
            return None;
        }
        let connection = Arc::new(Connection {
            activity: Arc::new(Activity::new(Instant::now())),
            ending: self.stop.child_token(),
            task: OnceLock::new(),
        });
        let id = table.insert(Arc::clone(&connection), source);
        drop(table);
        Some(Place {
            connections: Arc::clone(self),
            connection,
            id,
            is_reserved,
        })
    }

    /// Asks those over their deadline to end, and cuts off those that do not.
    pub(super) fn enforce_deadlines(&self, now: Instant) {
        let mut table = self.table();
        let mut over = Vec::new();
        for (id, entry) in &mut table.all {
            match entry.deadlines.verdict(&entry.connection.activity, now) {
                Verdict::GoOn => {}
                Verdict::End => entry.connection.ending.cancel(),
                Verdict::CutOff => over.push(*id),
            }
        }
        for id in over {
            if let Some(connection) = table.remove(id) {
                connection.cut_off();
            }
        }
        drop(table);
        self.wake_if_empty();
    }

    /// Makes room where the system ran out of something.
    pub(super) fn make_room(&self) {
        let mut table = self.table();
        let some = table.all.len() / 100;
        for _ in 0..=some {
            table.evict();
        }
    }

    /// Asks all to end, and waits until they have.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        loop {
            let emptied = self.emptied.notified();
            if self.table().all.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn wake_if_empty(&self) {
        if self.table().all.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A proxy named the real source. Whether that one may have another connection.
    pub(super) fn move_to(&self, source: IpAddr) -> bool {
        let mut table = self.connections.table();
        let source = SourceNetwork::from(source);
        if !table.make_room_of(source, self.connections.places.of_one_source) {
            return false;
        }
        if let Some(entry) = table.all.get_mut(&self.id) {
            entry.source = Some(source);
            table.sources.entry(source).or_default().ids.insert(self.id);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
        self.connections.wake_if_empty();
    }
}

impl Table {
    fn insert(&mut self, connection: Arc<Connection>, source: Option<SourceNetwork>) -> u64 {
        let id = self.next;
        self.next += 1;
        if let Some(source) = source {
            self.sources.entry(source).or_default().ids.insert(id);
        }
        let entry = Entry {
            connection,
            source,
            deadlines: Deadlines::default(),
        };
        self.all.insert(id, entry);
        id
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let entry = self.all.remove(&id)?;
        if let Some(source) = entry.source
            && let Some(members) = self.sources.get_mut(&source)
        {
            members.ids.remove(&id);
            if members.ids.is_empty() {
                self.sources.remove(&source);
            }
        }
        Some(entry.connection)
    }

    /// Cuts off the connection that waits longest for its peer, if one does.
    fn evict(&mut self) -> bool {
        let all = &self.all;
        let longest = self.waiting.next(all, || all.keys().copied());
        self.cut_off(longest)
    }

    /// The same among those of one source, where it has as many as it may.
    fn make_room_of(&mut self, source: SourceNetwork, most: usize) -> bool {
        let all = &self.all;
        let Some(members) = self.sources.get_mut(&source) else {
            return true;
        };
        if members.ids.len() < most {
            return true;
        }
        let ids = &members.ids;
        let longest = members.waiting.next(all, || ids.iter().copied());
        self.cut_off(longest)
    }

    fn cut_off(&mut self, id: Option<u64>) -> bool {
        let Some(connection) = id.and_then(|id| self.remove(id)) else {
            return false;
        };
        connection.cut_off();
        true
    }
}

/// Finds those that wait longest without sorting all of them for each: the order is kept as long as it
/// holds, because a connection that does something only moves to the end.
#[derive(Debug, Default)]
struct WaitingLongest(VecDeque<(u64, Instant)>);

impl WaitingLongest {
    fn next<I>(&mut self, all: &HashMap<u64, Entry>, ids: impl Fn() -> I) -> Option<u64>
    where
        I: Iterator<Item = u64>,
    {
        self.first(all).or_else(|| {
            let mut waiting: Vec<_> = ids()
                .filter_map(|id| Some((id, waiting_since(all, id)?)))
                .collect();
            waiting.sort_unstable_by_key(|(id, since)| (*since, *id));
            self.0 = waiting.into();
            self.first(all)
        })
    }

    fn first(&mut self, all: &HashMap<u64, Entry>) -> Option<u64> {
        while let Some((id, since)) = self.0.pop_front() {
            if waiting_since(all, id) == Some(since) {
                return Some(id);
            }
        }
        None
    }
}

fn waiting_since(all: &HashMap<u64, Entry>, id: u64) -> Option<Instant> {
    all.get(&id)?.connection.activity.waiting_since()
}

#[cfg(test)]
mod tests {
    use super::super::activity::Exchange;
    use super::*;

    fn connections(all: usize, of_one_source: usize) -> Arc<Connections> {
        Connections::new(Places { all, of_one_source })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_cut_off(place: &Place) -> bool {
        place.connection.ending.is_cancelled()
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_one_that_waits_longest() {
        let connections = connections(3, 3);
        let admit = |last: u8| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            connections.admit(Some([192, 0, 2, last].into())).unwrap()
        };
        let (first, second, third) = (admit(1), admit(2), admit(3));
        std::thread::sleep(std::time::Duration::from_millis(2));
        drop(Exchange::begin(&first.connection.activity));
        let working = Exchange::begin(&second.connection.activity);
        let fourth = admit(4);
        assert!(is_cut_off(&third) && !is_cut_off(&first) && !is_cut_off(&second));
        let fifth = admit(5);
        assert!(is_cut_off(&first) && !is_cut_off(&second) && !fifth.is_reserved);
        let busy = [&fourth, &fifth].map(|place| Exchange::begin(&place.connection.activity));
        let idle = connections.admit(None).unwrap();
        let reserved: Vec<_> = (0..RESERVED_CONNECTIONS)
            .map(|_| {
                let place = connections.admit(None).unwrap();
                assert!(place.is_reserved);
                (Exchange::begin(&place.connection.activity), place)
            })
            .collect();
        assert!(is_cut_off(&idle), "a reserved place is given up as well");
        assert!(connections.admit(None).is_none());
        drop((working, busy));
        let newcomers = [(), ()].map(|()| connections.admit(None).unwrap());
        assert!(
            newcomers.iter().all(|place| place.is_reserved),
            "too many are left"
        );
        drop(reserved);
        assert!(!connections.admit(None).unwrap().is_reserved);
    }

    #[test]
    fn one_source_may_have_only_its_part_and_a_proxy_is_none() {
        let connections = connections(100, 2);
        let admit = |text| connections.admit(Some(address(text)));
        let first = admit("2001:db8:0:1::1").unwrap();
        let second = admit("2001:db8:0:1:ffff::2").unwrap();
        let other = admit("2001:db8:0:2::1").unwrap();
        let third = admit("2001:db8:0:1::3").unwrap();
        assert!(is_cut_off(&first) && !is_cut_off(&second) && !is_cut_off(&other));
        let working = [&second, &third].map(|place| Exchange::begin(&place.connection.activity));
        assert!(
            admit("2001:db8:0:1::4").is_none(),
            "both are being worked on"
        );
        let proxied: Vec<_> = (0..10).map(|_| connections.admit(None).unwrap()).collect();
        assert!(!proxied.iter().any(is_cut_off));
        assert!(proxied[0].move_to(address("192.0.2.1")));
        assert!(proxied[1].move_to(address("192.0.2.1")));
        assert!(proxied[2].move_to(address("::ffff:192.0.2.1")));
        assert!(is_cut_off(&proxied[0]) && !is_cut_off(&proxied[1]));
        drop(working);
    }

    #[test]
    fn a_place_that_is_given_up_leaves_nothing_behind() {
        let connections = connections(10, 10);
        let places: Vec<_> = (0..5)
            .map(|_| connections.admit(Some(address("192.0.2.1"))))
            .collect();
        drop(places);
        let table = connections.table();
        assert!(table.all.is_empty() && table.sources.is_empty());
    }
}
