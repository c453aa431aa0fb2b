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
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::host::Why;
use crate::news::Budget;
use crate::outbox::Outbox;

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

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub id: u64,
    pub address: SocketAddr,
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    calls: Mutex<Calls<Asked>>,
    news: Mutex<Budget>,
    next_call: AtomicU64,
    heard_ms: AtomicU64,
    heard_count: AtomicU64,
    wants_ping: AtomicBool,
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
            news: Mutex::default(),
            next_call: AtomicU64::new(1),
            heard_ms: AtomicU64::new(0),
            heard_count: AtomicU64::new(0),
            wants_ping: AtomicBool::new(false),
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

    /// True while there is room for one more piece of news in the minute that ends at `elapsed`.
    pub fn may_tell(&self, per_minute_max: u32, elapsed: Duration) -> bool {
        locked(&self.news).take(per_minute_max, elapsed)
    }

    /// Ends the connection. The first reason counts.
    pub fn end(&self, why: Why) {
        locked(&self.queue).ending.get_or_insert(why);
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
        locked(&self.queue).outbox.pop()
    }

    pub fn is_filling(&self) -> bool {
        locked(&self.queue).outbox.is_filling()
    }

    pub fn take_ping(&self) -> bool {
        self.wants_ping.swap(false, Ordering::Relaxed)
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
            Ok(Ok(replied)) => replied,
            Ok(Err(_)) => Err(CallFault::Ours(disconnected())),
            Err(_) => Err(CallFault::Ours(timed_out())),
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
        let asked = locked(&self.link.calls).answered(&self.id);
        if let Some(asked) = asked {
            locked(&self.link.queue).outbox.take_back(&asked.text);
        }
    }
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
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
        let fault = link.call("mesh.health", &(), Duration::from_secs(30)).await.unwrap_err();
        assert!(matches!(fault, CallFault::Ours(refusal) if refusal.code == Code::Timeout));
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

    #[tokio::test]
    async fn what_finds_no_room_ends_the_connection_as_too_slow() {
        let link = link();
        assert!((0..100_000).any(|_| !link.push("x".into())), "there is a bound");
        assert_eq!(link.ending(), Some(Why::TooSlow));
        link.end(Why::WeLeave);
        assert_eq!(link.ending(), Some(Why::TooSlow), "the first reason counts");
    }
}
