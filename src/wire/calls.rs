//! Calls of ours that wait for their answers, on one connection: whichever side has dialled, both may call.
//!
//! The table belongs to one connection, so that an answer counts only if it comes from whom was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::code::{Code, Refusal};

/// How long a call waits for its answer when nothing else is said.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The most calls that wait on one connection.
pub const CALLS_MAX: usize = 1_024;

/// Calls by their ids; `T` is what waits for the answer, for example the end of a channel.
#[derive(Debug)]
pub struct Calls<T> {
    waiting: BTreeMap<String, Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    waiter: T,
    due: Duration,
}

/// A call that could not begin, with what would have waited for it.
#[derive(Debug)]
pub struct NotBegun<T> {
    /// What would have waited.
    pub waiter: T,
    /// Why not.
    pub refusal: Refusal,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new() }
    }
}

impl<T> Calls<T> {
    /// Notes a call that is about to be sent under `id` and must be answered until `due`, on any clock that only goes
    /// forward.
    ///
    /// # Errors
    /// `BUSY` when [`CALLS_MAX`] calls wait, `DUPLICATE` when one waits under this id.
    pub fn begin(&mut self, id: String, waiter: T, due: Duration) -> Result<(), NotBegun<T>> {
        if self.waiting.len() >= CALLS_MAX {
            let sentence = format!("{CALLS_MAX} calls wait for this node already; try again");
            return Err(NotBegun { waiter, refusal: Refusal::new(Code::Busy, sentence) });
        }
        if self.waiting.contains_key(&id) {
            let refusal = Refusal::new(Code::Duplicate, "a call waits under this id; draw another one");
            return Err(NotBegun { waiter, refusal });
        }
        self.waiting.insert(id, Waiting { waiter, due });
        Ok(())
    }

    /// Who waits for the answer under `id`; `None` for an answer to nothing, or one that comes too late.
    pub fn answered(&mut self, id: &str) -> Option<T> {
        self.waiting.remove(id).map(|waiting| waiting.waiter)
    }

    /// Everybody whose answer is overdue at `elapsed`, in order of their ids; tell them [`timed_out`].
    pub fn overdue(&mut self, elapsed: Duration) -> Vec<T> {
        self.waiting
            .extract_if(.., |_, waiting| waiting.due <= elapsed)
            .map(|(_, waiting)| waiting.waiter)
            .collect()
    }

    /// When to look for overdue calls next.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.waiting.values().map(|waiting| waiting.due).min()
    }

    /// Everybody who waits, because the connection has ended; tell them [`disconnected`].
    pub fn end(&mut self) -> Vec<T> {
        std::mem::take(&mut self.waiting).into_values().map(|waiting| waiting.waiter).collect()
    }

    /// How many calls wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// What to tell who waited too long.
#[must_use]
pub fn timed_out() -> Refusal {
    Refusal::new(
        Code::Timeout,
        "the node has not answered in time; whether it did what was asked is not known",
    )
}

/// What to tell who waited when the connection ended.
#[must_use]
pub fn disconnected() -> Refusal {
    let sentence = "the connection ended before the answer came; whether it did what was asked is not known";
    Refusal::new(Code::PeerDisconnected, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_call_is_answered_once_and_only_on_its_own_connection() {
        let (mut ours, mut other) = (Calls::default(), Calls::<u8>::default());
        ours.begin("1".into(), 7, after(30)).unwrap();
        assert_eq!(other.answered("1"), None);
        assert_eq!((ours.answered("1"), ours.answered("1")), (Some(7), None));
    }

    #[test]
    fn who_waits_too_long_hears_of_it_at_its_own_time() {
        let mut calls = Calls::default();
        calls.begin("a".into(), 'a', after(30)).unwrap();
        calls.begin("b".into(), 'b', after(3)).unwrap();
        assert_eq!(calls.next_due(), Some(after(3)));
        assert_eq!(calls.overdue(after(2)), []);
        assert_eq!(calls.overdue(after(3)), ['b']);
        assert_eq!(calls.answered("b"), None, "an answer that comes too late is none");
        assert_eq!(calls.overdue(after(30)), ['a']);
        assert_eq!(calls.next_due(), None);
    }

    #[test]
    fn everybody_hears_that_the_connection_has_ended() {
        let mut calls = Calls::default();
        calls.begin("a".into(), 'a', after(30)).unwrap();
        calls.begin("b".into(), 'b', after(30)).unwrap();
        assert_eq!((calls.end(), calls.is_empty()), (vec!['a', 'b'], true));
        assert_eq!((timed_out().code, disconnected().code), (Code::Timeout, Code::PeerDisconnected));
    }

    #[test]
    fn calls_are_bounded_and_an_id_waits_once() {
        let mut calls = Calls::default();
        for id in 0..CALLS_MAX {
            calls.begin(id.to_string(), id, after(1)).unwrap();
        }
        let refused = calls.begin("more".into(), 9_999, after(1)).unwrap_err();
        assert_eq!((refused.waiter, refused.refusal.code), (9_999, Code::Busy));
        calls.answered("0");
        assert_eq!(calls.begin("1".into(), 1, after(1)).unwrap_err().refusal.code, Code::Duplicate);
        assert_eq!(calls.len(), CALLS_MAX - 1);
    }

    proptest! {
        #[test]
        fn nobody_waits_for_ever(dues in prop::collection::vec(0_u64..100, 0..50), now in 0_u64..120) {
            let mut calls = Calls::default();
            for (id, due) in dues.iter().enumerate() {
                calls.begin(id.to_string(), *due, after(*due)).unwrap();
            }
            let overdue = calls.overdue(after(now));
            prop_assert!(overdue.iter().all(|due| *due <= now));
            prop_assert_eq!(overdue.len() + calls.len(), dues.len());
            prop_assert!(calls.next_due().is_none_or(|due| due > after(now)));
        }
    }
}
