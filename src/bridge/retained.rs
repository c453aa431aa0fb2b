//! Our frames that others may not have heard yet: the newest of each subject, in bounded memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use clawmesh_authority::canonical;
use clawmesh_authority::envelope::Said;

/// One frame that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptFrame {
    /// The frame, as the tick numbered and dated it.
    pub said: Arc<Said>,
    /// How many bytes it has.
    pub bytes: usize,
}

impl KeptFrame {
    /// The frame with its size.
    pub fn new(said: Said) -> Self {
        Self { bytes: canonical::encode(&said).len(), said: Arc::new(said) }
    }
}

/// The frames of one run, by subject and by sequence.
#[derive(Debug)]
pub struct Retained {
    frames: BTreeMap<u64, (Option<String>, KeptFrame)>,
    newest: BTreeMap<String, u64>,
    frames_max: usize,
}

impl Retained {
    /// Keeps at most `frames_max` frames.
    pub fn new(frames_max: usize) -> Self {
        Self { frames: BTreeMap::new(), newest: BTreeMap::new(), frames_max: frames_max.max(1) }
    }

    /// Keeps a frame in place of the one with the same subject; gives the sequence of a frame that had to go
    /// for want of room.
    pub fn keep(&mut self, subject: Option<String>, frame: KeptFrame) -> Option<u64> {
        let sequence = frame.said.sequence;
        if let Some(subject) = &subject
            && let Some(replaced) = self.newest.insert(subject.clone(), sequence)
        {
            self.frames.remove(&replaced);
        }
        self.frames.insert(sequence, (subject, frame));
        (self.frames.len() > self.frames_max).then(|| self.drop_oldest()).flatten()
    }

    /// The frames after `sequence`, or all of them, in order.
    pub fn after(&self, sequence: Option<u64>) -> impl Iterator<Item = &KeptFrame> {
        let from = sequence.map_or(Some(0), |sequence| sequence.checked_add(1));
        from.into_iter().flat_map(|from| self.frames.range(from..)).map(|(_, (_, frame))| frame)
    }

    /// The sequence of the newest.
    pub fn newest(&self) -> Option<u64> {
        self.frames.last_key_value().map(|(sequence, _)| *sequence)
    }

    fn drop_oldest(&mut self) -> Option<u64> {
        let (sequence, (subject, _)) = self.frames.pop_first()?;
        if let Some(subject) = subject {
            self.newest.remove(&subject);
        }
        Some(sequence)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use clawmesh_authority::{Frame, Hlc, Observation, Tier, Value};
    use proptest::prelude::*;

    /// A frame with this sequence and a text of so many bytes, made at this time.
    pub fn frame(sequence: u64, text_bytes: usize, wall_ms: u64) -> KeptFrame {
        let observation = Observation {
            key: "gate".to_owned(),
            value: Value::Text("x".repeat(text_bytes)),
            unit: None,
            origin_ms: 0,
            tier: Tier::T1,
        };
        let hlc = Hlc { wall_ms, logical: 0 };
        KeptFrame::new(Said { sequence, hlc, frame: Frame::Observation(observation) })
    }

    fn left(retained: &Retained) -> Vec<u64> {
        retained.after(None).map(|frame| frame.said.sequence).collect()
    }

    #[test]
    fn a_later_frame_of_a_subject_takes_the_place_of_the_earlier() {
        let mut retained = Retained::new(9);
        for (sequence, subject) in [(0, Some("a")), (1, Some("b")), (2, None), (3, None), (4, Some("a"))] {
            assert_eq!(retained.keep(subject.map(str::to_owned), frame(sequence, 0, 0)), None);
        }
        assert_eq!(left(&retained), [1, 2, 3, 4]);
        assert_eq!(retained.after(Some(2)).next(), Some(&frame(3, 0, 0)));
        assert_eq!(retained.after(Some(4)).next(), None);
        assert_eq!(retained.after(Some(u64::MAX)).next(), None);
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut retained = Retained::new(2);
        assert_eq!(retained.keep(Some("a".to_owned()), frame(0, 0, 0)), None);
        assert_eq!(retained.keep(None, frame(1, 0, 0)), None);
        assert_eq!(retained.keep(None, frame(2, 0, 0)), Some(0));
        assert_eq!(retained.keep(Some("a".to_owned()), frame(3, 0, 0)), Some(1));
        assert_eq!(left(&retained), [2, 3]);
    }

    proptest! {
        #[test]
        fn the_newest_of_every_subject_is_there_in_order(subjects in prop::collection::vec(0_u8..9, 0..200)) {
            let mut retained = Retained::new(1_000);
            let mut newest = BTreeMap::new();
            for (sequence, subject) in (0..).zip(subjects) {
                retained.keep(Some(subject.to_string()), frame(sequence, 0, 0));
                newest.insert(subject, sequence);
            }
            let mut expected: Vec<u64> = newest.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(left(&retained), expected);
        }
    }
}
