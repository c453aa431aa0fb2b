//! One connection as everybody else sees it: what waits to be written, who waits for answers, and how it is to end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use clawmesh_wire::calls::{Calls, disconnected, timed_out};
use clawmesh_wire::frame::{Outcome, RemoteRefusal, encode_request};
use clawmesh_wire::{Code, Refusal};
use futures_util::task::AtomicWaker;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::host::Why;
use crate::outbox::Outbox;
use crate::requests::random_bytes;

/// Why a call of ours has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// It did not get through, or no answer came: `NOT_CONNECTED`, `SEND_FAILED`, `TIMEOUT`, `PEER_DISCONNECTED`, `BUSY`.
    #[error("{0}")]
    Ours(Refusal),
    /// The other node has refused.
    #[error("the node has refused: {}: {}", .0.code, .0.message)]
    Theirs(RemoteRefusal),
}

/// What came back; a payload that is missing is `null`.
pub(crate) type Replied = Result<Box<RawValue>, CallFault>;

/// How good a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkQuality {
    /// How long a ping takes there and back, milliseconds; nothing before the first pong.
    pub round_trip_ms: Option<u64>,
    /// Calls of ours that wait for an answer.
    pub waiting_calls: usize,
    /// Whether calls of ours are answered; nothing while nobody knows. An existing node takes none on a link it has dialled.
    pub takes_calls: Option<bool>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub id: u64,
    pub address: SocketAddr,
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    calls: Mutex<Calls<Asked>>,
    next_call: AtomicU64,
    heard_ms: AtomicU64,
    heard_count: AtomicU64,
    wants_ping: AtomicBool,
    pings: Mutex<Pings>,
    outcomes: Mutex<Outcomes>,
}

/// So many calls without an answer, one after the other, show that a node takes none.
const IN_VAIN_MAX: u32 = 2;
/// How long that counts; then it is tried again.
const IN_VAIN_COUNTS: Duration = Duration::from_secs(60);

/// What became of the last calls of ours.
#[derive(Debug, Default)]
struct Outcomes {
    has_answered: bool,
    /// Calls without an answer since the last one that had one.
    in_vain: u32,
    in_vain_at: Option<Instant>,
}

impl Outcomes {
    fn answered(&mut self) {
        *self = Self { has_answered: true, ..Self::default() };
    }

    fn timed_out(&mut self, now: Instant) {
        (self.in_vain, self.in_vain_at) = (self.in_vain.saturating_add(1), Some(now));
    }

    /// Whether calls are answered; nothing when nobody knows, or knows any more.
    fn takes_calls(&self, now: Instant) -> Option<bool> {
        if self.in_vain < IN_VAIN_MAX {
            return self.has_answered.then_some(true);
        }
        let is_recent = self.in_vain_at.is_some_and(|at| now.saturating_duration_since(at) < IN_VAIN_COUNTS);
        is_recent.then_some(false)
    }
}

/// The ping that waits for its pong, and how long the last ones took.
#[derive(Debug, Default)]
struct Pings {
    waiting: Option<(u64, Duration)>,
    round_trip: Option<Duration>,
}

/// Who waits for an answer, and what was asked.
#[derive(Debug)]
struct Asked {
    waiter: oneshot::Sender<Replied>,
    text: Utf8Bytes,
}

#[derive(Debug, Default)]
struct Queue {
    outbox: Outbox,
    ending: Option<Why>,
    is_closed: bool,
}

/// A lock that somebody panicked under holds data that are still in order: nothing here panics half-way.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub fn new(id: u64, address: SocketAddr) -> Self {
        Self {
            id,
            address,
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            calls: Mutex::default(),
            next_call: AtomicU64::new(1),
            heard_ms: AtomicU64::new(0),
            heard_count: AtomicU64::new(0),
            wants_ping: AtomicBool::new(false),
            pings: Mutex::default(),
            outcomes: Mutex::default(),
        }
    }

    /// Gives something to write that must not be lost. Without room for it the connection ends; false then, and when it
    /// has ended already.
    pub fn push(&self, text: Utf8Bytes) -> bool {
        let mut queue = locked(&self.queue);
        if queue.is_closed {
            return false;
        }
        let is_taken = queue.outbox.push(text);
        if !is_taken {
            queue.ending.get_or_insert(Why::TooSlow);
        }
        drop(queue);
        self.waker.wake();
        is_taken
    }

    /// Gives a context frame to write; returns how many older ones were dropped for it.
    pub fn push_frame(&self, text: Utf8Bytes) -> u64 {
        let mut queue = locked(&self.queue);
        if queue.is_closed {
            return 0;
        }
        let dropped = queue.outbox.push_frame(text);
        drop(queue);
        self.waker.wake();
        dropped
    }

    /// Ends the connection. The first reason counts; but from whoever is trusted no longer what waits is kept, whatever came
    /// before.
    pub fn end(&self, why: Why) {
        let mut queue = locked(&self.queue);
        if why == Why::Untrusted || queue.ending.is_none() {
            queue.ending = Some(why);
        }
        drop(queue);
        self.waker.wake();
    }

    /// Has a ping sent soon.
    pub fn ping(&self) {
        self.wants_ping.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Something came, `elapsed` after the beginning.
    pub fn heard(&self, elapsed: Duration) {
        self.heard_ms.store(whole_ms(elapsed), Ordering::Relaxed);
        self.heard_count.fetch_add(1, Ordering::Relaxed);
    }

    /// When something came last.
    pub fn heard_at(&self) -> Duration {
        Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// How often something came.
    pub fn heard_count(&self) -> u64 {
        self.heard_count.load(Ordering::Relaxed)
    }

    /// Begins to call a method of the other side; it waits for nothing.
    pub fn begin(self: &Arc<Self>, method: &str, params: &impl Serialize) -> Result<Pending, CallFault> {
        let id = format!("c{}", self.next_call.fetch_add(1, Ordering::Relaxed));
        let text = Utf8Bytes::from(encode_request(&id, method, params).map_err(CallFault::Ours)?);
        let (waiter, answer) = oneshot::channel();
        let asked = Asked { waiter, text: text.clone() };
        // Whoever waits has an end of its own, so the table needs none.
        let begun = locked(&self.calls).begin(id.clone(), asked, Duration::MAX);
        begun.map_err(|not_begun| CallFault::Ours(not_begun.refusal))?;
        let pending = Pending { call: CallHandle { link: Arc::clone(self), id }, answer };
        if self.push(text) { Ok(pending) } else { Err(CallFault::Ours(unsent())) }
    }

    /// Calls a method of the other side.
    pub async fn call(self: &Arc<Self>, method: &str, params: &impl Serialize, timeout: Duration) -> Replied {
        self.begin(method, params)?.answer(timeout).await
    }

    /// How good the connection is.
    pub fn quality(&self) -> LinkQuality {
        LinkQuality {
            round_trip_ms: locked(&self.pings).round_trip.map(whole_ms),
            waiting_calls: locked(&self.calls).len(),
            takes_calls: locked(&self.outcomes).takes_calls(Instant::now()),
        }
    }

    /// Gives an answer to whoever waits for it; false when nobody does.
    pub fn answered(&self, id: &str, outcome: Outcome<'_>) -> bool {
        let Some(asked) = locked(&self.calls).answered(id) else { return false };
        let replied = match outcome {
            Ok(payload) => Ok(payload.unwrap_or(RawValue::NULL).to_owned()),
            Err(refusal) => Err(CallFault::Theirs(refusal)),
        };
        asked.waiter.send(replied).is_ok()
    }

    /// Fails the call whose answer was no good.
    pub fn spoiled(&self, id: &str, refusal: Refusal) {
        if let Some(asked) = locked(&self.calls).answered(id) {
            let _ = asked.waiter.send(Err(CallFault::Ours(refusal)));
        }
    }

    // What follows is for the task of the connection.

    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub fn ending(&self) -> Option<Why> {
        locked(&self.queue).ending.clone()
    }

    pub fn pop(&self) -> Option<Utf8Bytes> {
        let mut queue = locked(&self.queue);
        if queue.ending == Some(Why::Untrusted) { None } else { queue.outbox.pop() }
    }

    pub fn is_filling(&self) -> bool {
        locked(&self.queue).outbox.is_filling()
    }

    /// The number of the ping that is to be sent now, if one is wanted.
    pub fn take_ping(&self, elapsed: Duration) -> Option<u64> {
        self.wants_ping.swap(false, Ordering::Relaxed).then(|| {
            // One that nobody can guess: a pong that was sent before its ping would make the way seem short.
            let number = random_bytes().map_or(0, u64::from_be_bytes);
            locked(&self.pings).waiting = Some((number, elapsed));
            number
        })
    }

    /// A pong came. One that nobody waits for says nothing about the way.
    pub fn pong(&self, payload: &[u8], elapsed: Duration) {
        let mut pings = locked(&self.pings);
        if let Some((number, sent_at)) = pings.waiting
            && payload == number.to_be_bytes()
        {
            pings.waiting = None;
            let now = elapsed.saturating_sub(sent_at);
            // The mean of the last ones, each older one half as heavy.
            pings.round_trip = Some(pings.round_trip.map_or(now, |before| (before + now) / 2));
        }
    }

    /// Nothing more is taken, no call leaves any more, and whoever waits for an answer hears that none will come.
    pub fn close(&self) {
        locked(&self.queue).is_closed = true;
        let calls = locked(&self.calls).end();
        for Asked { waiter, text } in calls {
            let has_left = !locked(&self.queue).outbox.take_back(&text);
            let _ = waiter.send(Err(CallFault::Ours(if has_left { disconnected() } else { unsent() })));
        }
    }
}

fn unsent() -> Refusal {
    let sentence = "the connection ends, or the node does not read; nothing was sent";
    Refusal::new(Code::SendFailed, sentence)
}

/// A call that was begun. Whoever drops it gives it up.
#[derive(Debug)]
pub struct Pending {
    call: CallHandle,
    answer: oneshot::Receiver<Replied>,
}

impl Pending {
    /// What comes back, or that nothing did in time.
    ///
    /// # Errors
    /// Its refusal, or ours: `TIMEOUT`, `PEER_DISCONNECTED`, and `SEND_FAILED` for a call that has not left.
    pub async fn answer(mut self, timeout: Duration) -> Result<Box<RawValue>, CallFault> {
        match tokio::time::timeout(timeout, &mut self.answer).await {
            Ok(Ok(replied)) => {
                locked(&self.call.link.outcomes).answered();
                replied
            }
            Ok(Err(_)) => Err(CallFault::Ours(disconnected())),
            Err(_) => {
                locked(&self.call.link.outcomes).timed_out(Instant::now());
                Err(CallFault::Ours(if self.call.take_back() { unsent() } else { timed_out() }))
            }
        }
    }

    /// The way to give it up from elsewhere.
    #[must_use]
    pub fn handle(&self) -> CallHandle {
        self.call.clone()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.call.give_up();
    }
}

/// The way to give a call up.
#[derive(Debug, Clone)]
pub struct CallHandle {
    link: Arc<Link>,
    id: String,
}

impl CallHandle {
    /// Nobody waits for it any more; what has not left by now does not leave. To say so twice changes nothing.
    pub fn give_up(&self) {
        self.take_back();
    }

    /// Gives it up; true when it had not left, and will not.
    fn take_back(&self) -> bool {
        let asked = locked(&self.link.calls).answered(&self.id);
        asked.is_some_and(|asked| locked(&self.link.queue).outbox.take_back(&asked.text))
    }
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn link() -> Arc<Link> {
        Arc::new(Link::new(1, ([127, 0, 0, 1], 1).into()))
    }

    #[tokio::test]
    async fn a_call_on_a_connection_that_has_ended_was_not_sent() {
        let link = link();
        link.close();
        let fault = link.call("mesh.health", &(), Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(fault, CallFault::Ours(refusal) if refusal.code == Code::SendFailed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_in_time_and_is_forgotten() {
        let link = link();
        let begun = link.begin("mesh.health", &()).unwrap();
        assert!(link.pop().unwrap().contains("mesh.health"));
        let fault = begun.answer(Duration::from_secs(30)).await.unwrap_err();
        assert!(matches!(fault, CallFault::Ours(refusal) if refusal.code == Code::Timeout));
        let fault = link.call("mesh.health", &(), Duration::from_secs(30)).await.unwrap_err();
        assert!(
            matches!(fault, CallFault::Ours(refusal) if refusal.code == Code::SendFailed),
            "it has not left"
        );
        assert!(!link.answered("c1", Ok(None)) && locked(&link.calls).is_empty());
        drop(tokio::time::timeout(Duration::ZERO, link.call("x", &(), Duration::MAX / 4)).await);
        assert!(locked(&link.calls).is_empty(), "also when whoever has called is gone");
        assert_eq!(link.pop(), None, "what nobody waits for does not leave");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_or_whose_connection_ends_does_not_leave_and_one_that_has_left_is_unknown()
     {
        let link = link();
        let within = Duration::from_secs(1);
        let [first, second, third] = ["on", "off", "more"].map(|method| link.begin(method, &()).unwrap());
        let fault = |replied: Replied| match replied {
            Err(CallFault::Ours(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert!(link.pop().unwrap().contains("\"on\""));
        second.handle().give_up();
        second.handle().give_up();
        assert!(link.pop().unwrap().contains("\"more\""), "what was given up is passed over");
        let fourth = link.begin("late", &()).unwrap();
        link.close();
        assert_eq!(link.pop(), None, "there are no last words that somebody could carry out");
        assert_eq!(fault(fourth.answer(within).await), Code::SendFailed);
        assert_eq!(fault(first.answer(within).await), Code::PeerDisconnected);
        assert_eq!(fault(third.answer(within).await), Code::PeerDisconnected);
        assert!(link.begin("on", &()).is_err());
    }

    #[test]
    fn nothing_leaves_to_whoever_is_trusted_no_longer_whyever_else_the_connection_ends() {
        for before in [None, Some(Why::Superseded)] {
            let link = link();
            assert!(link.push("an answer".into()));
            link.push_frame("a frame".into());
            before.into_iter().for_each(|why| link.end(why));
            link.end(Why::Untrusted);
            link.end(Why::WeLeave);
            assert_eq!((link.pop(), link.ending()), (None, Some(Why::Untrusted)));
        }
    }

    #[test]
    fn the_way_of_a_ping_is_measured_by_its_own_pong_and_by_no_other() {
        let (link, ms) = (link(), Duration::from_millis);
        assert_eq!(link.take_ping(ms(0)), None, "nobody wants one");
        link.pong(&1_u64.to_be_bytes(), ms(1));
        link.ping();
        let first = link.take_ping(ms(10)).unwrap();
        link.pong(&first.wrapping_add(1).to_be_bytes(), ms(11));
        link.pong(b"", ms(12));
        assert_eq!(link.quality().round_trip_ms, None);
        link.pong(&first.to_be_bytes(), ms(50));
        link.pong(&first.to_be_bytes(), ms(9_000));
        assert_eq!(link.quality().round_trip_ms, Some(40));
        link.ping();
        let second = link.take_ping(ms(100)).unwrap();
        assert_ne!(second, first.wrapping_add(1), "nobody knows the next number");
        link.pong(&second.to_be_bytes(), ms(200));
        assert_eq!(link.quality().round_trip_ms, Some(70), "half of it is what was");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_two_calls_unanswered_takes_none_for_a_minute_or_until_it_answers_one() {
        let link = Arc::new(link());
        let in_vain = async || {
            assert!(link.call("mesh.health", &(), Duration::from_secs(1)).await.is_err());
            link.quality().takes_calls
        };
        let answered = async |id: &str| {
            let caller = Arc::clone(&link);
            let waiting = tokio::spawn(async move { caller.call("x", &(), Duration::from_secs(9)).await });
            while link.quality().waiting_calls == 0 {
                tokio::task::yield_now().await;
            }
            assert!(link.answered(id, Ok(None)) && waiting.await.unwrap().is_ok());
            link.quality().takes_calls
        };
        assert_eq!(link.quality(), LinkQuality::default());
        assert_eq!((in_vain().await, in_vain().await), (None, Some(false)), "one is no habit");
        tokio::time::advance(IN_VAIN_COUNTS).await;
        assert_eq!(link.quality().takes_calls, None, "it is tried again");
        assert_eq!(in_vain().await, Some(false));
        assert_eq!(answered("c4").await, Some(true));
        assert_eq!(
            (in_vain().await, in_vain().await),
            (Some(true), Some(false)),
            "an answer is none for ever"
        );
        assert_eq!(answered("c7").await, Some(true));
    }

    #[tokio::test]
    async fn what_finds_no_room_ends_the_connection_as_too_slow() {
        let link = link();
        assert!((0..100_000).any(|_| !link.push("x".into())), "there is a bound");
        assert_eq!(link.ending(), Some(Why::TooSlow));
        link.end(Why::WeLeave);
        assert_eq!(link.ending(), Some(Why::TooSlow), "the first reason counts");
    }
}
