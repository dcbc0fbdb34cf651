//! What a connection is doing: how many requests are under way, whether the server or the peer has to act
//! next, and since when. Deadlines and evictions go by this, never by pings or single bytes.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose answer is not over.
    under_way: AtomicI64,
    /// Those of them for which the server has to act next.
    working: AtomicI64,
    /// Requests so far.
    requests: AtomicU64,
    /// When the peer's turn began or it made progress: milliseconds after `opened`.
    turned: AtomicU64,
    /// Bytes that the peer took.
    written: AtomicU64,
    /// It takes no more for now.
    is_blocked: AtomicBool,
    /// When each part of an answer was made that the peer has yet to take: milliseconds after `opened`, in
    /// order.
    unread: Mutex<Vec<u64>>,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            under_way: AtomicI64::new(0),
            working: AtomicI64::new(0),
            requests: AtomicU64::new(0),
            turned: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            unread: Mutex::default(),
        }
    }

    /// Since when the server waits for its peer; nothing while the peer waits for the server.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let turned = Duration::from_millis(self.turned.load(Ordering::Relaxed));
        (self.working.load(Ordering::Relaxed) <= 0).then(|| self.opened + turned)
    }

    fn is_request_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    pub(super) fn had_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether the peer has yet to take something: an answer, or the rest of one that is made already.
    pub(super) fn is_answer_under_way(&self) -> bool {
        self.is_request_under_way()
            || self.is_blocked.load(Ordering::Relaxed)
            || !self.unread().is_empty()
    }

    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The peer made progress, and it is its turn again. Gives the time, in milliseconds after `opened`.
    pub(super) fn progressed(&self) -> u64 {
        let after = self.opened.elapsed().as_millis();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        self.turned.store(after, Ordering::Relaxed);
        after
    }

    /// Since when the oldest part of an answer waits that the peer has yet to take.
    pub(super) fn unread_since(&self) -> Option<Instant> {
        let since = self.unread().first().copied()?;
        Some(self.opened + Duration::from_millis(since))
    }

    fn begin_unread(&self) -> u64 {
        let since = self.progressed();
        let mut unread = self.unread();
        let place = unread.partition_point(|other| *other <= since);
        unread.insert(place, since);
        since
    }

    fn end_unread(&self, since: u64) {
        let mut unread = self.unread();
        // Parts of the same moment are alike.
        let place = unread.partition_point(|other| *other < since);
        if unread.get(place) == Some(&since) {
            unread.remove(place);
        }
    }

    fn unread(&self) -> MutexGuard<'_, Vec<u64>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is within one request, counted on its connection.
#[derive(Debug)]
struct Turn {
    activity: Arc<Activity>,
    is_servers: bool,
}

impl Turn {
    fn of_server(activity: Arc<Activity>) -> Self {
        activity.working.fetch_add(1, Ordering::Relaxed);
        Self {
            activity,
            is_servers: true,
        }
    }

    fn pass_to_server(&mut self) {
        if !self.is_servers {
            self.is_servers = true;
            self.activity.working.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pass_to_peer(&mut self) {
        if self.is_servers {
            self.is_servers = false;
            self.activity.progressed();
            self.activity.working.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pass_to_peer();
    }
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    turn: Turn,
}

impl Exchange {
    /// A request has arrived.
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.under_way.fetch_add(1, Ordering::Relaxed);
        activity.requests.fetch_add(1, Ordering::Relaxed);
        Self {
            turn: Turn::of_server(Arc::clone(activity)),
        }
    }

    /// The body of an answer, which goes on with this exchange.
    pub(super) fn answer(mut self, body: Body) -> AnswerBody {
        self.turn.pass_to_peer();
        AnswerBody {
            body,
            exchange: self,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.turn.pass_to_peer();
        let activity = &self.turn.activity;
        activity.progressed();
        activity.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a request: while its reader waits, it is the peer's turn.
#[derive(Debug)]
pub(super) struct RequestBody<B> {
    body: B,
    activity: Arc<Activity>,
    is_awaited: bool,
}

impl<B> RequestBody<B> {
    pub(super) fn new(body: B, activity: &Arc<Activity>) -> Self {
        Self {
            body,
            activity: Arc::clone(activity),
            is_awaited: false,
        }
    }

    fn set_awaited(&mut self, is_awaited: bool) {
        if self.is_awaited == is_awaited {
            return;
        }
        self.is_awaited = is_awaited;
        if is_awaited {
            self.activity.progressed();
            self.activity.working.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.activity.working.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<B> Drop for RequestBody<B> {
    fn drop(&mut self) {
        self.set_awaited(false);
    }
}

impl<B: HttpBody + Unpin> HttpBody for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.set_awaited(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: once a frame is made, it is the peer's turn to take it.
#[derive(Debug)]
pub(super) struct AnswerBody {
    body: Body,
    exchange: Exchange,
}

impl HttpBody for AnswerBody {
    type Data = AnswerPart;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<AnswerPart>, axum::Error>>> {
        self.exchange.turn.pass_to_server();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.exchange.turn.pass_to_peer();
        }
        let activity = &self.exchange.turn.activity;
        polled.map(|frame| {
            frame.map(|frame| {
                frame.map(|frame| frame.map_data(|bytes| AnswerPart::new(bytes, activity)))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Part of an answer, which is unread until it is dropped. Whoever writes it keeps it until the last of its bytes
/// is on its way: over HTTP/2 that may be long after the body is gone, when the peer's window is closed.
#[derive(Debug)]
pub(super) struct AnswerPart {
    bytes: Bytes,
    activity: Arc<Activity>,
    since: u64,
}

impl AnswerPart {
    fn new(bytes: Bytes, activity: &Arc<Activity>) -> Self {
        Self {
            bytes,
            since: activity.begin_unread(),
            activity: Arc::clone(activity),
        }
    }
}

impl Drop for AnswerPart {
    fn drop(&mut self) {
        self.activity.end_unread(self.since);
    }
}

impl Buf for AnswerPart {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_peers_turn_is_between_requests_and_while_something_is_expected_of_it() {
        let activity = Arc::new(Activity::new(Instant::now()));
        let waits = || activity.waiting_since().is_some();
        assert!(waits() && !activity.had_requests());
        let exchange = Exchange::begin(&activity);
        assert!(!waits() && activity.is_request_under_way());

        let (sender, body) = tokio::sync::oneshot::channel::<Bytes>();
        let body = Body::from_stream(futures_util::stream::once(body));
        let mut body = RequestBody::new(body, &activity);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        assert!(waits(), "the body is awaited");
        sender.send(Bytes::from_static(b"x")).unwrap();
        assert!(body.frame().await.is_some() && !waits());
        drop(body);

        let mut answer = exchange.answer(Body::from("answer"));
        assert!(waits() && activity.is_request_under_way());
        let part = answer.frame().await;
        assert!(part.is_some() && waits());
        drop(answer);
        assert!(waits() && !activity.is_request_under_way());
        assert!(activity.is_answer_under_way(), "it is still to be written");
        drop(part);
        assert!(!activity.is_answer_under_way());
    }

    #[test]
    fn whatever_is_dropped_in_the_middle_leaves_nothing_counted() {
        let activity = Arc::new(Activity::new(Instant::now()));
        let exchange = Exchange::begin(&activity);
        let mut body = RequestBody::new(Body::empty(), &activity);
        body.set_awaited(true);
        drop(exchange);
        drop(body);
        assert!(activity.waiting_since().is_some() && !activity.is_request_under_way());
        drop(Exchange::begin(&activity).answer(Body::empty()));
        assert!(activity.unread_since().is_none());
        assert!(activity.waiting_since().is_some() && !activity.is_request_under_way());
    }
}
