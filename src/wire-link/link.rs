//! One connection as everybody else sees it: what waits to be written, who waits for answers, and how it is to end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    calls: Mutex<Calls<oneshot::Sender<Replied>>>,
    next_call: AtomicU64,
    heard_ms: AtomicU64,
    heard_count: AtomicU64,
    wants_ping: AtomicBool,
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

    /// Calls a method of the other side.
    pub async fn call(&self, method: &str, params: &impl Serialize, timeout: Duration) -> Replied {
        let id = format!("c{}", self.next_call.fetch_add(1, Ordering::Relaxed));
        let text = encode_request(&id, method, params).map_err(CallFault::Ours)?;
        let (waiter, answer) = oneshot::channel();
        // The wait below has its own end, so the table needs none.
        let begun = locked(&self.calls).begin(id.clone(), waiter, Duration::MAX);
        begun.map_err(|not_begun| CallFault::Ours(not_begun.refusal))?;
        let _forgotten = Forget { link: self, id: &id };
        if !self.push(text.into()) {
            let sentence = "the connection ends, or the node does not read; nothing was sent";
            return Err(CallFault::Ours(Refusal::new(Code::SendFailed, sentence)));
        }
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(replied)) => replied,
            Ok(Err(_)) => Err(CallFault::Ours(disconnected())),
            Err(_) => Err(CallFault::Ours(timed_out())),
        }
    }

    /// Gives an answer to whoever waits for it; false when nobody does.
    pub fn answered(&self, id: &str, outcome: Outcome<'_>) -> bool {
        let Some(waiter) = locked(&self.calls).answered(id) else { return false };
        let replied = match outcome {
            Ok(payload) => Ok(payload.unwrap_or(RawValue::NULL).to_owned()),
            Err(refusal) => Err(CallFault::Theirs(refusal)),
        };
        waiter.send(replied).is_ok()
    }

    /// Fails the call whose answer was no good.
    pub fn spoiled(&self, id: &str, refusal: Refusal) {
        if let Some(waiter) = locked(&self.calls).answered(id) {
            let _ = waiter.send(Err(CallFault::Ours(refusal)));
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

    /// Nothing more is taken, and whoever waits for an answer hears that none will come.
    pub fn close(&self) {
        locked(&self.queue).is_closed = true;
        for waiter in locked(&self.calls).end() {
            let _ = waiter.send(Err(CallFault::Ours(disconnected())));
        }
    }
}

/// Forgets a call that nobody waits for any more.
struct Forget<'a> {
    link: &'a Link,
    id: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        drop(locked(&self.link.calls).answered(self.id));
    }
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(1, ([127, 0, 0, 1], 1).into())
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
