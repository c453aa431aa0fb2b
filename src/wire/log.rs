//! What is known from frames: the newest ones, and the newest one about each thing.
//!
//! Frames come in any order: live, fetched, restored. What is known afterwards depends on the frames and not on the order,
//! because frames are compared by when they were made and by whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::context::{ContextFrame, Stamp};

/// The most frames that are kept.
pub const FRAMES_MAX: usize = 1_000;
/// The most things about which the newest frame is kept.
pub const ENTRIES_MAX: usize = 2_000;
/// The most memory for frames, and the most for entries, in bytes.
pub const BYTES_MAX: usize = 16 * 1_048_576;

/// The newest frame about one thing.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The frame.
    pub frame: Arc<ContextFrame>,
    /// When it came, Unix milliseconds by our clock. How fresh it is follows from the frame, not from this.
    pub received_ms: u64,
    /// How many frames there were about it.
    pub update_count: u64,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the newest about its thing.
    Newest,
    /// It is kept, but something newer is known.
    Older,
    /// A frame of this name is there.
    Known,
}

/// The newest frames and entries.
#[derive(Debug, Clone, Default)]
pub struct WorldLog {
    frames: BTreeMap<Stamp, Arc<ContextFrame>>,
    frame_bytes: usize,
    ids: BTreeSet<String>,
    entries: BTreeMap<String, Entry>,
    entry_bytes: usize,
    /// Entries by the frames they hold, oldest first.
    by_age: BTreeMap<Stamp, String>,
}

impl WorldLog {
    /// Takes a frame that came at `received_ms`, Unix milliseconds by our clock.
    pub fn take(&mut self, frame: ContextFrame, received_ms: u64) -> Taken {
        if self.ids.contains(&frame.frame_id) {
            return Taken::Known;
        }
        let frame = Arc::new(frame);
        let taken = self.update(&frame, received_ms);
        self.ids.insert(frame.frame_id.clone());
        self.frame_bytes += frame.bytes();
        self.frames.insert(frame.stamp(), frame);
        while self.frames.len() > FRAMES_MAX || self.frame_bytes > BYTES_MAX {
            let Some((_, oldest)) = self.frames.pop_first() else { break };
            self.frame_bytes = self.frame_bytes.saturating_sub(oldest.bytes());
            self.ids.remove(&oldest.frame_id);
        }
        taken
    }

    /// The frames, oldest first, by when they were made.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Arc<ContextFrame>> + ExactSizeIterator {
        self.frames.values()
    }

    /// The newest frame about each thing, in the order of their keys.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The newest frame about one thing.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// When the newest frame was made, Unix milliseconds by the clock of its source.
    #[must_use]
    pub fn newest_ms(&self) -> Option<u64> {
        self.frames.last_key_value().map(|(stamp, _)| stamp.timestamp_ms)
    }

    fn update(&mut self, frame: &Arc<ContextFrame>, received_ms: u64) -> Taken {
        let key = frame.key();
        let mut update_count = 1;
        if let Some(entry) = self.entries.get_mut(&key) {
            let held = entry.frame.stamp();
            // A frame whose name the log has forgotten may come again.
            if held == frame.stamp() {
                return Taken::Known;
            }
            entry.update_count = entry.update_count.saturating_add(1);
            if frame.stamp() < held {
                return Taken::Older;
            }
            update_count = entry.update_count;
            self.drop_entry(&key, &held);
        }
        self.entry_bytes += bytes(&key, frame);
        self.by_age.insert(frame.stamp(), key.clone());
        self.entries.insert(key, Entry { frame: Arc::clone(frame), received_ms, update_count });
        self.make_room();
        if self.by_age.contains_key(&frame.stamp()) { Taken::Newest } else { Taken::Older }
    }

    fn make_room(&mut self) {
        while self.entries.len() > ENTRIES_MAX || self.entry_bytes > BYTES_MAX {
            let Some((stamp, key)) = self.by_age.first_key_value() else { break };
            let (stamp, key) = (stamp.clone(), key.clone());
            self.drop_entry(&key, &stamp);
        }
    }

    fn drop_entry(&mut self, key: &str, stamp: &Stamp) {
        self.by_age.remove(stamp);
        if let Some(entry) = self.entries.remove(key) {
            self.entry_bytes = self.entry_bytes.saturating_sub(bytes(key, &entry.frame));
        }
    }
}

fn bytes(key: &str, frame: &ContextFrame) -> usize {
    2 * key.len() + frame.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{NOW_MS, frame};
    use proptest::prelude::*;

    fn known(log: &WorldLog) -> Vec<(String, String)> {
        log.entries().map(|(key, entry)| (key.to_owned(), entry.frame.frame_id.clone())).collect()
    }

    fn kept(log: &WorldLog) -> Vec<String> {
        log.frames().map(|frame| frame.frame_id.clone()).collect()
    }

    #[test]
    fn the_newest_wins_and_not_what_came_last() {
        let mut log = WorldLog::default();
        assert_eq!(log.take(frame("s", "new", "m", NOW_MS), 9), Taken::Newest);
        assert_eq!(log.take(frame("s", "old", "m", NOW_MS - 1), 10), Taken::Older);
        assert_eq!(log.take(frame("s", "new", "m", NOW_MS + 5), 11), Taken::Known);
        let entry = log.entry("s:observation:z:m").unwrap();
        assert_eq!((&*entry.frame.frame_id, entry.received_ms, entry.update_count), ("new", 9, 2));
        assert_eq!(kept(&log), ["old", "new"]);
        assert_eq!(log.newest_ms(), Some(NOW_MS));
    }

    #[test]
    fn equal_times_are_told_apart_by_source_and_name_and_not_by_arrival() {
        let frames =
            [frame("s", "a", "m", NOW_MS), frame("s", "b", "m", NOW_MS), frame("r", "c", "m", NOW_MS)];
        let mut logs = [WorldLog::default(), WorldLog::default()];
        for (one, other) in frames.iter().zip(frames.iter().rev()) {
            logs[0].take(one.clone(), 1);
            logs[1].take(other.clone(), 1);
        }
        assert_eq!(known(&logs[0]), known(&logs[1]));
        assert_eq!(logs[0].entry("s:observation:z:m").unwrap().frame.frame_id, "b");
    }

    #[test]
    fn the_newest_thousand_frames_and_two_thousand_entries_stay() {
        let mut log = WorldLog::default();
        for number in 0..=ENTRIES_MAX as u64 {
            log.take(frame("s", &number.to_string(), &number.to_string(), NOW_MS - number), 0);
        }
        assert_eq!((log.frames().len(), log.entries().len()), (FRAMES_MAX, ENTRIES_MAX));
        assert!(log.entry("s:observation:z:0").is_some() && log.entry("s:observation:z:2000").is_none());
        assert_eq!(kept(&log)[0], "999", "the oldest that is kept, though it came early");
        assert_eq!((log.ids.len(), log.by_age.len()), (FRAMES_MAX, ENTRIES_MAX));
    }

    #[test]
    fn large_frames_are_bounded_by_their_bytes() {
        let mut log = WorldLog::default();
        let text = format!(r#"{{"zone":"z","text":"{}"}}"#, "x".repeat(500_000));
        let data = serde_json::value::RawValue::from_string(text).unwrap();
        for number in 0..100_u64 {
            let large = ContextFrame {
                data: data.clone(),
                metric: Some(number.to_string()),
                ..frame("s", &number.to_string(), "m", NOW_MS + number)
            };
            log.take(large, 0);
        }
        assert!(log.frame_bytes <= BYTES_MAX && log.entry_bytes <= BYTES_MAX);
        assert!((30..34).contains(&log.frames().len()) && (30..34).contains(&log.entries().len()));
        assert!(log.entry("s:observation:z:99").is_some());
    }

    proptest! {
        #[test]
        fn what_is_known_does_not_depend_on_the_order(
            said in prop::collection::vec((0_u8..3, 0_u8..4, 0_u64..6), 1..40),
            order in any::<prop::sample::Index>(),
        ) {
            let frames: Vec<_> = said.iter().enumerate().map(|(at, (source, metric, time))| {
                frame(&source.to_string(), &at.to_string(), &metric.to_string(), NOW_MS + time)
            }).collect();
            let (mut live, mut restored) = (WorldLog::default(), WorldLog::default());
            for frame in &frames {
                live.take(frame.clone(), 1);
            }
            let from = order.index(frames.len());
            for frame in frames[from..].iter().rev().chain(&frames[..from]) {
                restored.take(frame.clone(), 2);
                restored.take(frame.clone(), 3);
            }
            prop_assert_eq!(known(&live), known(&restored));
            prop_assert_eq!(kept(&live), kept(&restored));
            let counts = |log: &WorldLog| log.entries().map(|(_, entry)| entry.update_count).collect::<Vec<_>>();
            prop_assert_eq!(counts(&live), counts(&restored));
        }
    }
}
