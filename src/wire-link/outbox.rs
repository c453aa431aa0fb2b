//! What waits to be written to one connection: answers and news, which are never dropped, and context frames, of which the
//! oldest go when there are too many.

use std::collections::VecDeque;

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The most answers and news that wait.
const SURE_MAX: usize = 1_024;
/// The most bytes of them.
const SURE_BYTES_MAX: usize = 4 * 1_048_576;
/// So much waiting means that the other side does not read; nothing more is taken from it then.
const FILLING_BYTES: usize = 262_144;
/// The most frames that wait.
const FRAMES_MAX: usize = 256;
/// The most bytes of them.
const FRAMES_BYTES_MAX: usize = 2 * 1_048_576;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    sure: Lane,
    frames: Lane,
}

#[derive(Debug, Default)]
struct Lane {
    texts: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl Lane {
    fn push(&mut self, text: Utf8Bytes) {
        self.bytes += text.len();
        self.texts.push_back(text);
    }

    fn pop(&mut self) -> Option<Utf8Bytes> {
        let text = self.texts.pop_front()?;
        self.bytes -= text.len();
        Some(text)
    }
}

impl Outbox {
    /// Takes something that must not be lost; false when there is no room, and then the connection is over.
    #[must_use]
    pub fn push(&mut self, text: Utf8Bytes) -> bool {
        // One text always fits: whether the other side reads shows only when something waits for it.
        let has_room = self.sure.texts.is_empty()
            || (self.sure.texts.len() < SURE_MAX && self.sure.bytes + text.len() <= SURE_BYTES_MAX);
        if has_room {
            self.sure.push(text);
        }
        has_room
    }

    /// Takes a frame; returns how many older ones had to go for it.
    pub fn push_frame(&mut self, text: Utf8Bytes) -> u64 {
        self.frames.push(text);
        let mut dropped = 0;
        while self.frames.texts.len() > FRAMES_MAX || self.frames.bytes > FRAMES_BYTES_MAX {
            dropped += u64::from(self.frames.pop().is_some());
        }
        dropped
    }

    /// Takes something that must not be lost back out; false when it has left already.
    pub fn take_back(&mut self, text: &Utf8Bytes) -> bool {
        let Some(at) = self.sure.texts.iter().position(|waits| waits == text) else { return false };
        let taken = self.sure.texts.remove(at);
        self.sure.bytes -= taken.map_or(0, |text| text.len());
        true
    }

    /// What to write next: what must not be lost first.
    pub fn pop(&mut self) -> Option<Utf8Bytes> {
        self.sure.pop().or_else(|| self.frames.pop())
    }

    /// True when so much waits that no further calls should be taken from the other side.
    pub fn is_filling(&self) -> bool {
        self.sure.texts.len() >= SURE_MAX / 2 || self.sure.bytes >= FILLING_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_come_before_frames_and_each_in_its_order() {
        let mut outbox = Outbox::default();
        outbox.push_frame("f1".into());
        assert!(outbox.push("a1".into()) && outbox.push("a2".into()));
        outbox.push_frame("f2".into());
        let found: Vec<_> = std::iter::from_fn(|| outbox.pop()).collect();
        assert_eq!(found, ["a1", "a2", "f1", "f2"]);
    }

    #[test]
    fn of_too_many_frames_the_oldest_go_and_are_counted() {
        let mut outbox = Outbox::default();
        let dropped: u64 = (0..FRAMES_MAX + 3).map(|n| outbox.push_frame(n.to_string().into())).sum();
        assert_eq!((dropped, outbox.pop().as_deref()), (3, Some("3")));
        let large = "x".repeat(1_048_576);
        let dropped: u64 = (0..4).map(|_| outbox.push_frame(large.clone().into())).sum();
        assert_eq!(dropped as usize, FRAMES_MAX - 1 + 2);
    }

    #[test]
    fn an_answer_without_room_is_refused_and_half_full_is_a_sign_to_take_no_more_calls() {
        let mut outbox = Outbox::default();
        for n in 0..SURE_MAX {
            assert_eq!(outbox.is_filling(), n >= SURE_MAX / 2);
            assert!(outbox.push("x".into()));
        }
        assert!(!outbox.push("x".into()));
        let mut outbox = Outbox::default();
        let large = "x".repeat(1_048_576);
        assert_eq!((0..9).filter(|_| outbox.push(large.clone().into())).count(), 4);
    }

    #[test]
    fn what_is_taken_back_does_not_leave_and_the_others_keep_their_order() {
        let mut outbox = Outbox::default();
        assert!(["a1", "a2", "a3"].into_iter().all(|text| outbox.push(text.into())));
        assert!(outbox.take_back(&"a2".into()) && !outbox.take_back(&"a2".into()));
        let found: Vec<_> = std::iter::from_fn(|| outbox.pop()).collect();
        assert_eq!((found, outbox.sure.bytes), (vec!["a1".into(), "a3".into()], 0));
        assert!(!outbox.take_back(&"a1".into()), "it has left");
    }

    proptest! {
        #[test]
        fn memory_stays_bounded_and_bytes_are_counted_right(sizes in prop::collection::vec((0_usize..400_000, any::<bool>()), 0..80)) {
            let mut outbox = Outbox::default();
            for (size, is_frame) in sizes {
                let text = Utf8Bytes::from("x".repeat(size));
                if is_frame { outbox.push_frame(text); } else { let _ = outbox.push(text); }
                prop_assert!(outbox.sure.bytes <= SURE_BYTES_MAX && outbox.frames.bytes <= FRAMES_BYTES_MAX);
            }
            while outbox.pop().is_some() {}
            prop_assert_eq!((outbox.sure.bytes, outbox.frames.bytes), (0, 0));
        }
    }
}
