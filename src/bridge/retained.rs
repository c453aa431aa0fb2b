//! Our frames that others may not have heard yet: the newest of each subject, sealed, in bounded memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One sealed frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFrame {
    /// Its sequence on our state lane.
    pub sequence: u64,
    /// The envelope.
    pub bytes: Arc<[u8]>,
}

/// The frames of one run, by subject and by sequence.
#[derive(Debug)]
pub struct Retained {
    frames: BTreeMap<u64, (Option<String>, Arc<[u8]>)>,
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
    pub fn keep(&mut self, subject: Option<String>, frame: SealedFrame) -> Option<u64> {
        let SealedFrame { sequence, bytes } = frame;
        if let Some(subject) = &subject
            && let Some(replaced) = self.newest.insert(subject.clone(), sequence)
        {
            self.frames.remove(&replaced);
        }
        self.frames.insert(sequence, (subject, bytes));
        (self.frames.len() > self.frames_max).then(|| self.drop_oldest()).flatten()
    }

    /// The first frame after `sequence`, or the first of all.
    pub fn after(&self, sequence: Option<u64>) -> Option<SealedFrame> {
        let from = sequence.map_or(Some(0), |sequence| sequence.checked_add(1))?;
        let (sequence, (_, bytes)) = self.frames.range(from..).next()?;
        Some(SealedFrame { sequence: *sequence, bytes: Arc::clone(bytes) })
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(sequence: u64) -> SealedFrame {
        SealedFrame { sequence, bytes: Arc::from(sequence.to_be_bytes()) }
    }

    fn left(retained: &Retained) -> Vec<u64> {
        let mut sequences = Vec::new();
        while let Some(frame) = retained.after(sequences.last().copied()) {
            sequences.push(frame.sequence);
        }
        sequences
    }

    #[test]
    fn a_later_frame_of_a_subject_takes_the_place_of_the_earlier() {
        let mut retained = Retained::new(9);
        for (sequence, subject) in [(0, Some("a")), (1, Some("b")), (2, None), (3, None), (4, Some("a"))] {
            assert_eq!(retained.keep(subject.map(str::to_owned), frame(sequence)), None);
        }
        assert_eq!(left(&retained), [1, 2, 3, 4]);
        assert_eq!(retained.after(Some(4)), None);
        assert_eq!(retained.after(Some(u64::MAX)), None);
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut retained = Retained::new(2);
        assert_eq!(retained.keep(Some("a".to_owned()), frame(0)), None);
        assert_eq!(retained.keep(None, frame(1)), None);
        assert_eq!(retained.keep(None, frame(2)), Some(0));
        assert_eq!(retained.keep(Some("a".to_owned()), frame(3)), Some(1));
        assert_eq!(left(&retained), [2, 3]);
    }

    proptest! {
        #[test]
        fn the_newest_of_every_subject_is_there_in_order(subjects in prop::collection::vec(0_u8..9, 0..200)) {
            let mut retained = Retained::new(1_000);
            let mut newest = BTreeMap::new();
            for (sequence, subject) in (0..).zip(subjects) {
                retained.keep(Some(subject.to_string()), frame(sequence));
                newest.insert(subject, sequence);
            }
            let mut expected: Vec<u64> = newest.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(left(&retained), expected);
        }
    }
}
