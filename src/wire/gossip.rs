//! Which frames are new here, and which are passed on.
//!
//! Frames are told apart by what they say and not by the name somebody gave them: whoever takes the name of another frame
//! keeps nobody from being heard.

use std::collections::{BTreeSet, VecDeque};

use clawmesh_authority::{ContentHash, NodeId};

use crate::context::ContextFrame;

/// The most frames that are remembered.
pub const SEEN_MAX: usize = 5_000;
/// How many of them stay when there are more.
pub const SEEN_KEPT: usize = 3_750;
/// A frame that was relayed this often is passed on no more.
pub const HOPS_MAX: u64 = 3;

/// What was seen last.
#[derive(Debug, Default)]
pub struct SeenSet {
    ids: BTreeSet<ContentHash>,
    order: VecDeque<ContentHash>,
}

impl SeenSet {
    /// Notes something; false when it was there.
    pub fn insert(&mut self, id: ContentHash) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > SEEN_MAX {
            for old in self.order.drain(..self.order.len() - SEEN_KEPT) {
                self.ids.remove(&old);
            }
        }
        true
    }

    /// True when it was seen and is not forgotten.
    #[must_use]
    pub fn contains(&self, id: ContentHash) -> bool {
        self.ids.contains(&id)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// What to do with a frame that came.
#[derive(Debug, Clone)]
pub enum Heard {
    /// It was here before.
    Seen,
    /// It claims to be from us. What we say does not come from others.
    Own,
    /// It is new: take it, and pass the copy on, if there is one, to all but the sender.
    New {
        /// The frame with one hop more; `None` when it has come far enough.
        forward: Option<Box<ContextFrame>>,
    },
}

/// What a node remembers of the frames that went around.
#[derive(Debug)]
pub struct Gossip {
    own_id: String,
    seen: SeenSet,
}

impl Gossip {
    /// Nothing was seen yet by the node `own_id`.
    #[must_use]
    pub fn new(own_id: NodeId) -> Self {
        Self { own_id: own_id.to_string(), seen: SeenSet::default() }
    }

    /// True for a frame that was not here before and does not claim to be from us; it is not remembered.
    #[must_use]
    pub fn is_new(&self, frame: &ContextFrame) -> bool {
        !self.seen.contains(frame.content()) && !self.is_own(frame)
    }

    /// Judges a frame that came from a peer.
    pub fn hear(&mut self, frame: &ContextFrame) -> Heard {
        if !self.seen.insert(frame.content()) {
            return Heard::Seen;
        }
        if frame.source_device_id.eq_ignore_ascii_case(&self.own_id) {
            return Heard::Own;
        }
        let relayed = |frame: &ContextFrame| Box::new(ContextFrame { hops: frame.hops + 1, ..frame.clone() });
        Heard::New { forward: (frame.hops < HOPS_MAX).then(|| relayed(frame)) }
    }

    /// Notes a frame that is not passed on: one of our own, or one that came as an answer to `context.sync`. False when it
    /// was here before.
    pub fn note(&mut self, frame: &ContextFrame) -> bool {
        self.seen.insert(frame.content())
    }

    /// True for a frame that claims to be from us.
    #[must_use]
    pub fn is_own(&self, frame: &ContextFrame) -> bool {
        frame.source_device_id.eq_ignore_ascii_case(&self.own_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{NOW_MS, frame};
    use proptest::prelude::*;

    fn gossip() -> Gossip {
        Gossip::new(NodeId([0xa7; 32]))
    }

    #[test]
    fn a_frame_is_new_once_and_goes_on_with_one_hop_more() {
        let mut gossip = gossip();
        let first = frame("s", "f", "m", NOW_MS);
        assert!(gossip.is_new(&first) && gossip.is_new(&first), "to ask marks nothing");
        let Heard::New { forward: Some(copy) } = gossip.hear(&first) else { panic!() };
        assert_eq!((copy.hops, copy.data.get()), (1, first.data.get()));
        assert!(matches!(gossip.hear(&copy), Heard::Seen));
    }

    #[test]
    fn a_frame_reaches_four_links_and_no_further() {
        let mut came = Some(Box::new(frame("s", "f", "m", NOW_MS)));
        let mut links = 0;
        while let Some(frame) = came {
            links += 1;
            came = match gossip().hear(&frame) {
                Heard::New { forward } => forward,
                _ => panic!(),
            };
        }
        assert_eq!(links, 4);
        let far = ContextFrame { hops: u64::MAX, ..frame("s", "g", "m", NOW_MS) };
        assert!(matches!(gossip().hear(&far), Heard::New { forward: None }));
    }

    #[test]
    fn what_claims_to_be_ours_is_dropped_however_it_writes_us() {
        let mut gossip = gossip();
        for (id, own) in
            [("a", NodeId([0xa7; 32]).to_string()), ("b", NodeId([0xa7; 32]).to_string().to_uppercase())]
        {
            assert!(!gossip.is_new(&frame(&own, id, "m", NOW_MS)), "{own}");
            assert!(matches!(gossip.hear(&frame(&own, id, "m", NOW_MS)), Heard::Own), "{own}");
        }
        let own = NodeId([0xa7; 32]).to_string();
        assert!(matches!(gossip.hear(&frame(&own, "a", "m", NOW_MS)), Heard::Seen), "it was marked");
    }

    #[test]
    fn whoever_takes_the_name_of_a_frame_keeps_nobody_from_being_heard() {
        let mut gossip = gossip();
        let (theirs, true_one) = (frame("h", "f", "m", NOW_MS), frame("s", "f", "m", NOW_MS));
        assert!(matches!(gossip.hear(&theirs), Heard::New { .. }));
        assert!(matches!(gossip.hear(&true_one), Heard::New { .. }));
        let relayed = ContextFrame { hops: 2, ..true_one };
        assert!(matches!(gossip.hear(&relayed), Heard::Seen), "another way, the same words");
    }

    #[test]
    fn what_was_noted_is_not_new_any_more() {
        let mut gossip = gossip();
        let synced = frame("s", "f", "m", NOW_MS);
        assert!(gossip.note(&synced) && !gossip.note(&synced));
        assert!(matches!(gossip.hear(&synced), Heard::Seen));
    }

    #[test]
    fn the_newest_three_quarters_stay_when_there_are_too_many() {
        let mut seen = SeenSet::default();
        let hash = |number: usize| ContentHash::of("test", &number.to_le_bytes());
        for number in 0..SEEN_MAX {
            assert!(seen.insert(hash(number)));
        }
        assert_eq!(seen.len(), SEEN_MAX);
        seen.insert(hash(SEEN_MAX));
        assert_eq!(seen.len(), SEEN_KEPT);
        assert!(seen.contains(hash(SEEN_MAX)) && seen.contains(hash(4_999)) && !seen.contains(hash(0)));
        assert!(seen.contains(hash(SEEN_MAX + 1 - SEEN_KEPT)));
        assert!(!seen.contains(hash(SEEN_MAX - SEEN_KEPT)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn memory_stays_bounded(ids in prop::collection::vec(0_u32..20_000, 0..12_000)) {
            let mut seen = SeenSet::default();
            for id in ids {
                seen.insert(ContentHash::of("test", &id.to_le_bytes()));
                prop_assert!(seen.len() <= SEEN_MAX && seen.order.len() == seen.ids.len());
            }
        }
    }
}
