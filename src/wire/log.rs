//! What is known from frames: the newest ones, and the newest one about each thing.
//!
//! Frames come in any order: live, fetched, restored. What is known afterwards depends on the frames and not on the order,
//! because frames are compared by when they were made and by whom. When there is no room left, whoever has told the most
//! loses its own oldest, so that no flood and no clock that is ahead takes the place of what others have told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clawmesh_authority::{ContentHash, NodeId};

use crate::context::{ContextFrame, Stamp};
use crate::freshness::{Freshness, INTERVAL_MS, freshness};

/// The most frames that are kept.
pub const FRAMES_MAX: usize = 1_000;
/// The most things about which the newest frame is kept.
pub const ENTRIES_MAX: usize = 2_000;
/// The most memory for frames, and the most for entries, in bytes.
pub const BYTES_MAX: usize = 16 * 1_048_576;

/// A frame, and who has told it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The frame.
    pub frame: ContextFrame,
    /// The node that has told us, which need not be the one that has made it.
    pub from: NodeId,
    /// What the frame says, in one number.
    pub content: ContentHash,
    /// When it came, Unix milliseconds by our clock. How fresh it is follows from the frame, not from this.
    pub received_ms: u64,
}

/// How long what a node has said itself stands against what others say in its name, milliseconds.
const OWN_WORD_MS: u64 = 60_000;

impl Told {
    /// A frame that `from` has told at `received_ms`, Unix milliseconds by our clock.
    #[must_use]
    pub fn new(frame: ContextFrame, from: NodeId, received_ms: u64) -> Self {
        Self { content: frame.content(), frame, from, received_ms }
    }

    /// When it was made as far as that can be believed, Unix milliseconds: nothing comes before it is made.
    #[must_use]
    pub fn made_ms(&self) -> u64 {
        self.frame.timestamp_ms.min(self.received_ms)
    }

    /// How fresh it is at `unix_ms`, for something that is told as often as is expected.
    #[must_use]
    pub fn freshness(&self, unix_ms: u64) -> Freshness {
        freshness(self.made_ms(), unix_ms, INTERVAL_MS)
    }

    /// True when the node that has made the frame told us itself.
    #[must_use]
    pub fn is_first_hand(&self) -> bool {
        self.frame.source_device_id.parse() == Ok(self.from)
    }
}

/// The newest frame about one thing.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The frame.
    pub told: Arc<Told>,
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
    /// The same frame is there.
    Known,
}

/// Where a frame stands among others. Two frames with one stamp say different things.
type Place = (Stamp, ContentHash);

/// The newest frames and entries.
#[derive(Debug, Clone, Default)]
pub struct WorldLog {
    frames: BTreeMap<Place, Arc<Told>>,
    known: BTreeSet<ContentHash>,
    frame_shares: Shares<Place>,
    entries: BTreeMap<String, Entry>,
    /// Entries by the frames they hold and by their keys.
    entry_shares: Shares<(Place, String)>,
}

impl WorldLog {
    /// Takes a frame that `from` has told at `received_ms`, Unix milliseconds by our clock.
    pub fn take(&mut self, frame: ContextFrame, from: NodeId, received_ms: u64) -> Taken {
        let told = Arc::new(Told::new(frame, from, received_ms));
        if self.known.contains(&told.content) {
            return Taken::Known;
        }
        let taken = self.update(&told);
        let place = place(&told);
        self.known.insert(told.content);
        self.frame_shares.add(from, place.clone(), told.frame.bytes());
        self.frames.insert(place, told);
        while let Some(place) = self.frame_shares.make_room(FRAMES_MAX) {
            self.known.remove(&place.1);
            self.frames.remove(&place);
        }
        taken
    }

    /// The frames, oldest first, by when they were made.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Arc<Told>> + ExactSizeIterator {
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

    fn update(&mut self, told: &Arc<Told>) -> Taken {
        let key = told.frame.key();
        let mut update_count = 1;
        if let Some(entry) = self.entries.get_mut(&key) {
            // A frame that the log has forgotten may come again.
            if entry.told.content == told.content {
                return Taken::Known;
            }
            entry.update_count = entry.update_count.saturating_add(1);
            if !follows(told, &entry.told) {
                return Taken::Older;
            }
            update_count = entry.update_count;
            let held = (place(&entry.told), key.clone());
            self.entry_shares.remove(entry.told.from, &held);
        }
        let bytes = 2 * key.len() + told.frame.bytes();
        self.entry_shares.add(told.from, (place(told), key.clone()), bytes);
        self.entries.insert(key.clone(), Entry { told: Arc::clone(told), update_count });
        while let Some((_, oldest)) = self.entry_shares.make_room(ENTRIES_MAX) {
            self.entries.remove(&oldest);
        }
        if self.entries.contains_key(&key) { Taken::Newest } else { Taken::Older }
    }
}

fn place(told: &Told) -> Place {
    (told.frame.stamp(), told.content)
}

/// True when `new` is to stand in the place of `held`: it was made later. What a node has said itself stands for a while against
/// what others say in its name, and they give way to it at once.
fn follows(new: &Told, held: &Told) -> bool {
    match (new.is_first_hand(), held.is_first_hand()) {
        (false, true) => new.made_ms() > held.made_ms().saturating_add(OWN_WORD_MS),
        (true, false) => new.made_ms().saturating_add(OWN_WORD_MS) >= held.made_ms(),
        _ => place(new) > place(held),
    }
}

/// The newest `limit` of these frames, oldest first: of each teller in turns, so that nobody who tells a lot, or whose clock is
/// ahead, hides what others told.
#[must_use]
pub fn newest_in_turns<'a>(frames: impl Iterator<Item = &'a Told>, limit: usize) -> Vec<&'a Told> {
    let mut by_teller: BTreeMap<NodeId, Vec<&Told>> = BTreeMap::new();
    for told in frames {
        by_teller.entry(told.from).or_default().push(told);
    }
    for told in by_teller.values_mut() {
        told.sort_by_key(|told| (told.made_ms(), place(told)));
    }
    let mut chosen = Vec::new();
    while chosen.len() < limit && !by_teller.is_empty() {
        for told in by_teller.values_mut() {
            chosen.extend(told.pop());
        }
        by_teller.retain(|_, told| !told.is_empty());
    }
    chosen.truncate(limit);
    chosen.sort_by_key(|told| (told.made_ms(), place(told)));
    chosen
}

/// Who holds how much, each in the order in which it has to go.
#[derive(Debug, Clone)]
struct Shares<K> {
    held: BTreeMap<NodeId, Share<K>>,
    count: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Share<K> {
    bytes_of: BTreeMap<K, usize>,
    bytes: usize,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), count: 0, bytes: 0 }
    }
}

impl<K: Ord + Clone> Shares<K> {
    fn add(&mut self, whose: NodeId, key: K, bytes: usize) {
        self.remove(whose, &key);
        let share = self.held.entry(whose).or_insert_with(|| Share { bytes_of: BTreeMap::new(), bytes: 0 });
        share.bytes_of.insert(key, bytes);
        share.bytes += bytes;
        self.count += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, whose: NodeId, key: &K) {
        let Some(share) = self.held.get_mut(&whose) else { return };
        let Some(bytes) = share.bytes_of.remove(key) else { return };
        share.bytes -= bytes;
        self.count -= 1;
        self.bytes -= bytes;
        if share.bytes_of.is_empty() {
            self.held.remove(&whose);
        }
    }

    /// Gives up the oldest of whoever holds the most, when there are more than `count_max` or too many bytes.
    fn make_room(&mut self, count_max: usize) -> Option<K> {
        let whose = if self.count > count_max {
            self.most(|share| share.bytes_of.len())
        } else if self.bytes > BYTES_MAX {
            self.most(|share| share.bytes)
        } else {
            None
        }?;
        let oldest = self.held.get(&whose)?.bytes_of.first_key_value()?.0.clone();
        self.remove(whose, &oldest);
        Some(oldest)
    }

    fn most(&self, measure: impl Fn(&Share<K>) -> usize) -> Option<NodeId> {
        self.held.iter().max_by_key(|(_, share)| measure(share)).map(|(node, _)| *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{NOW_MS, frame};
    use proptest::prelude::*;

    const A: NodeId = NodeId([0xa; 32]);
    const B: NodeId = NodeId([0xb; 32]);

    fn known(log: &WorldLog) -> Vec<(String, String)> {
        log.entries().map(|(key, entry)| (key.to_owned(), entry.told.frame.frame_id.clone())).collect()
    }

    fn kept(log: &WorldLog) -> Vec<String> {
        log.frames().map(|told| told.frame.frame_id.clone()).collect()
    }

    #[test]
    fn the_newest_wins_and_not_what_came_last() {
        let mut log = WorldLog::default();
        assert_eq!(log.take(frame("s", "new", "m", NOW_MS), A, 9), Taken::Newest);
        assert_eq!(log.take(frame("s", "old", "m", NOW_MS - 1), A, 10), Taken::Older);
        assert_eq!(log.take(frame("s", "new", "m", NOW_MS), B, 11), Taken::Known);
        let entry = log.entry("s:observation:z:m").unwrap();
        assert_eq!((&*entry.told.frame.frame_id, entry.told.received_ms, entry.update_count), ("new", 9, 2));
        assert_eq!(kept(&log), ["old", "new"]);
    }

    #[test]
    fn equal_times_are_told_apart_by_source_and_name_and_not_by_arrival() {
        let frames =
            [frame("s", "a", "m", NOW_MS), frame("s", "b", "m", NOW_MS), frame("r", "c", "m", NOW_MS)];
        let mut logs = [WorldLog::default(), WorldLog::default()];
        for (one, other) in frames.iter().zip(frames.iter().rev()) {
            logs[0].take(one.clone(), A, 1);
            logs[1].take(other.clone(), A, 1);
        }
        assert_eq!(known(&logs[0]), known(&logs[1]));
        assert_eq!(logs[0].entry("s:observation:z:m").unwrap().told.frame.frame_id, "b");
    }

    #[test]
    fn the_newest_thousand_frames_and_two_thousand_entries_stay() {
        let mut log = WorldLog::default();
        for number in 0..=ENTRIES_MAX as u64 {
            log.take(frame("s", &number.to_string(), &number.to_string(), NOW_MS - number), A, 0);
        }
        assert_eq!((log.frames().len(), log.entries().len()), (FRAMES_MAX, ENTRIES_MAX));
        assert!(log.entry("s:observation:z:0").is_some() && log.entry("s:observation:z:2000").is_none());
        assert_eq!(kept(&log)[0], "999", "the oldest that is kept, though it came early");
        assert_eq!((log.known.len(), log.entry_shares.count), (FRAMES_MAX, ENTRIES_MAX));
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
            log.take(large, A, 0);
        }
        assert!(log.frame_shares.bytes <= BYTES_MAX && log.entry_shares.bytes <= BYTES_MAX);
        assert!((30..34).contains(&log.frames().len()) && (30..34).contains(&log.entries().len()));
        assert!(log.entry("s:observation:z:99").is_some());
    }

    #[test]
    fn who_tells_too_much_loses_its_own_frames_whatever_its_clock_says() {
        let mut log = WorldLog::default();
        log.take(frame("a", "first", "m", NOW_MS), A, 1);
        for number in 0..3 * ENTRIES_MAX as u64 {
            let text = number.to_string();
            log.take(frame("b", &text, &text, NOW_MS + 300_000 + number), B, 2);
        }
        assert_eq!((log.frames().len(), log.entries().len()), (FRAMES_MAX, ENTRIES_MAX));
        assert_eq!(kept(&log)[0], "first");
        assert_eq!(log.entry("a:observation:z:m").unwrap().told.from, A);
    }

    #[test]
    fn frames_about_two_things_with_the_same_stamp_are_both_given_up_in_time() {
        let mut log = WorldLog::default();
        log.take(frame("a", "twice", "one", NOW_MS), A, 1);
        for number in 0..FRAMES_MAX as u64 {
            log.take(frame("a", &number.to_string(), "other", NOW_MS + 1 + number), A, 1);
        }
        assert_eq!(
            log.take(frame("a", "twice", "two", NOW_MS), A, 1),
            Taken::Newest,
            "its name is forgotten"
        );
        for number in 0..ENTRIES_MAX as u64 {
            let text = format!("n{number}");
            log.take(frame("a", &text, &text, NOW_MS + 10_000 + number), A, 1);
        }
        assert_eq!(log.entries().len(), ENTRIES_MAX);
        for gone in ["a:observation:z:one", "a:observation:z:two", "a:observation:z:other"] {
            assert!(log.entry(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn what_a_node_says_of_itself_is_told_from_what_others_say_of_it() {
        let own = frame(&A.to_string(), "f", "m", NOW_MS);
        assert!(
            Told::new(own.clone(), A, 1).is_first_hand() && !Told::new(own.clone(), B, 2).is_first_hand()
        );
        let relayed = ContextFrame { hops: 1, ..own.clone() };
        let other = ContextFrame { note: Some("so".to_owned()), ..own.clone() };
        assert_eq!(Told::new(own.clone(), A, 1).content, Told::new(own.clone(), B, 2).content);
        assert_eq!(own.content(), relayed.content());
        assert_ne!(own.content(), other.content());
    }

    #[test]
    fn what_a_node_says_itself_stands_against_what_others_say_in_its_name() {
        let name = A.to_string();
        let key = format!("{name}:observation:z:m");
        let held = |log: &WorldLog| log.entry(&key).unwrap().told.frame.frame_id.clone();
        let mut log = WorldLog::default();
        log.take(frame(&name, "own", "m", NOW_MS), A, NOW_MS);
        log.take(frame(&name, "forged", "m", NOW_MS + 200_000), B, NOW_MS + 1_000);
        assert_eq!(held(&log), "own", "a stamp ahead of time helps nobody");
        log.take(frame(&name, "late", "m", NOW_MS + 61_000), B, NOW_MS + 61_000);
        assert_eq!(held(&log), "late", "after a while of silence others may tell how it is");
        log.take(frame(&name, "back", "m", NOW_MS + 30_000), A, NOW_MS + 62_000);
        assert_eq!(held(&log), "back", "and give way at once");
    }

    #[test]
    fn whoever_tells_a_lot_or_from_the_future_hides_nothing_in_an_answer() {
        let mut log = WorldLog::default();
        // Whoever tells a lot comes first in the order of ids, and gains nothing by it.
        log.take(frame("b", "calm", "m", NOW_MS), B, NOW_MS);
        for number in 0..400_u64 {
            log.take(frame("a", &number.to_string(), "m", NOW_MS + 290_000 + number), A, NOW_MS + number);
        }
        let chosen = newest_in_turns(log.frames().map(|told| &**told), 5);
        let names: Vec<&str> = chosen.iter().map(|told| &*told.frame.frame_id).collect();
        assert_eq!(names, ["calm", "396", "397", "398", "399"]);
        assert!(newest_in_turns(log.frames().map(|told| &**told), 0).is_empty());
        assert_eq!(newest_in_turns(log.frames().map(|told| &**told), 9_999).len(), 401);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_what_goes_is_of_whoever_holds_the_most(
            steps in prop::collection::vec((0_u8..4, 0_u32..60, 1_usize..2_000_000), 1..200),
        ) {
            let mut shares = Shares::default();
            for (whose, key, bytes) in steps {
                shares.add(NodeId([whose; 32]), key, bytes);
                while let Some(_key) = shares.make_room(20) {}
                prop_assert!(shares.count <= 20 && shares.bytes <= BYTES_MAX);
                let held: usize = shares.held.values().map(|share| share.bytes_of.len()).sum();
                let bytes: usize = shares.held.values().flat_map(|share| share.bytes_of.values()).sum();
                prop_assert_eq!((held, bytes), (shares.count, shares.bytes));
                prop_assert_eq!(bytes, shares.held.values().map(|share| share.bytes).sum::<usize>());
            }
        }

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
                live.take(frame.clone(), A, 1);
            }
            let from = order.index(frames.len());
            for frame in frames[from..].iter().rev().chain(&frames[..from]) {
                restored.take(frame.clone(), A, 2);
                restored.take(frame.clone(), B, 3);
            }
            prop_assert_eq!(known(&live), known(&restored));
            prop_assert_eq!(kept(&live), kept(&restored));
            let counts = |log: &WorldLog| log.entries().map(|(_, entry)| entry.update_count).collect::<Vec<_>>();
            prop_assert_eq!(counts(&live), counts(&restored));
        }
    }
}
