//! What goes out in one delivery: which frames, and which of them under one signature. Pure.

use std::sync::Arc;

use clawmesh_authority::envelope::{
    BUNDLE_BYTES_MAX, ENVELOPE_BYTES_MAX, ENVELOPES_PER_DELIVERY_MAX, FRAMES_PER_BUNDLE_MAX, Said,
};
use clawmesh_authority::{MeshId, Statement};

use crate::retained::KeptFrame;

/// The most that [`Bounds::bytes`] may ask for. A full window of them has room in the queue of a
/// link (see `session`), as couriers do not wait for it.
pub const PARCEL_BYTES_MAX: usize = 60 * 1024;
/// What an envelope has at most beside its frames, in bytes.
const ENVELOPE_FRAMING_BYTES_MAX: usize = 256;

/// How much goes together.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of one delivery, unless a single frame has more.
    pub bytes: usize,
    /// Frames under one signature.
    pub together: usize,
}

/// Frames that go under one signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    after: Option<u64>,
    frames: Vec<Arc<Said>>,
    bytes: usize,
}

impl Run {
    /// The sequence of the first of them.
    pub fn first(&self) -> Option<u64> {
        self.frames.first().map(|said| said.sequence)
    }

    /// The sequence of the last of them.
    pub fn last(&self) -> Option<u64> {
        self.frames.last().map(|said| said.sequence)
    }

    /// What is to be signed.
    pub fn statement(&self, mesh: MeshId, epoch: u64) -> Statement {
        let frames = self.frames.iter().map(|said| Said::clone(said)).collect();
        Statement::of_frames(mesh, epoch, self.after, frames)
    }

    fn begin(after: Option<u64>, frame: &KeptFrame) -> Self {
        let bytes = ENVELOPE_FRAMING_BYTES_MAX + frame.bytes;
        Self { after, frames: vec![Arc::clone(&frame.said)], bytes }
    }

    fn takes(&self, frame: &KeptFrame, together_max: usize, wall_ms: u64) -> bool {
        // A peer refuses what is from the future, and must not refuse with it what came before.
        let is_ahead = |said: &Said| said.hlc.ahead_ms(wall_ms) > 0;
        self.frames.len() < together_max.min(FRAMES_PER_BUNDLE_MAX)
            && self.bytes + frame.bytes <= BUNDLE_BYTES_MAX
            && !is_ahead(&frame.said)
            && !self.frames.iter().any(|said| is_ahead(said))
    }
}

/// True when no peer would take the frame.
pub fn is_too_large(frame: &KeptFrame) -> bool {
    frame.bytes + ENVELOPE_FRAMING_BYTES_MAX > ENVELOPE_BYTES_MAX
}

/// The first of `frames`, which are all those kept after `after`, as far as one delivery goes.
pub fn pack<'f>(
    after: Option<u64>,
    frames: impl Iterator<Item = &'f KeptFrame>,
    bounds: Bounds,
    wall_ms: u64,
) -> Vec<Run> {
    let (mut runs, mut bytes): (Vec<Run>, usize) = (Vec::new(), 0);
    for frame in frames {
        let last = runs.last().and_then(Run::last).or(after);
        let room = bounds.bytes.min(PARCEL_BYTES_MAX).saturating_sub(bytes);
        let is_full = runs.len() >= ENVELOPES_PER_DELIVERY_MAX;
        match runs.last_mut() {
            Some(run) if frame.bytes <= room && run.takes(frame, bounds.together, wall_ms) => {
                run.frames.push(Arc::clone(&frame.said));
                run.bytes += frame.bytes;
                bytes += frame.bytes;
            }
            Some(_) if is_full || frame.bytes + ENVELOPE_FRAMING_BYTES_MAX > room => break,
            _ => {
                let run = Run::begin(last, frame);
                bytes += run.bytes;
                runs.push(run);
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retained::tests::frame;
    use clawmesh_authority::{NodeKey, envelope};
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_000;

    fn together(together: usize) -> Bounds {
        Bounds { bytes: PARCEL_BYTES_MAX, together }
    }

    fn mesh() -> MeshId {
        MeshId::of_name("barn")
    }

    fn sequences(runs: &[Run]) -> Vec<Vec<u64>> {
        runs.iter().map(|run| run.frames.iter().map(|said| said.sequence).collect()).collect()
    }

    #[test]
    fn what_is_from_the_future_goes_alone() {
        let frames = [(3, 0), (4, NOW_MS), (6, NOW_MS + 1), (7, 0), (8, 0)];
        let frames = frames.map(|(sequence, wall_ms)| frame(sequence, 9, wall_ms));
        let runs = pack(Some(1), frames.iter(), together(32), NOW_MS);
        assert_eq!(sequences(&runs), [vec![3, 4], vec![6], vec![7, 8]]);
        assert_eq!(runs.iter().map(|run| run.after).collect::<Vec<_>>(), [Some(1), Some(4), Some(6)]);
    }

    #[test]
    fn each_on_its_own_when_one_is_to_be_signed_at_a_time() {
        let frames: Vec<_> = (0..300).map(|sequence| frame(sequence, 0, 0)).collect();
        let runs = pack(None, frames.iter(), together(1), NOW_MS);
        assert!(runs.iter().all(|run| run.frames.len() == 1));
        assert!(runs.len() > 100 && runs.len() <= ENVELOPES_PER_DELIVERY_MAX);
        let room = Bounds { bytes: 2 * runs[0].bytes, together: 1 };
        assert_eq!(sequences(&pack(None, frames.iter(), room, NOW_MS)), [vec![0], vec![1]]);
        let none = Bounds { bytes: 0, together: 1 };
        assert_eq!(sequences(&pack(None, frames.iter(), none, NOW_MS)), [vec![0]], "one always goes");
    }

    #[test]
    fn a_frame_that_fills_an_envelope_goes_alone_and_a_larger_one_not_at_all() {
        // Texts of a frame are shorter than this; only its size matters here.
        let large = frame(2, ENVELOPE_BYTES_MAX - 400, 0);
        assert!(!is_too_large(&large) && is_too_large(&frame(2, ENVELOPE_BYTES_MAX, 0)));
        let frames = [frame(1, 0, 0), large, frame(3, 0, 0)];
        assert_eq!(sequences(&pack(None, frames.iter(), together(32), NOW_MS)), [vec![1]]);
        assert_eq!(sequences(&pack(Some(1), frames[1..].iter(), together(32), NOW_MS)), [vec![2]]);
    }

    proptest! {
        #[test]
        fn every_delivery_is_one_that_peers_take_and_nothing_is_left_out(
            sizes in prop::collection::vec((0_usize..600, 0_u64..2_000), 1..200),
            together_max in 0_usize..40,
            bytes in 2_000_usize..70_000,
        ) {
            let frames: Vec<_> =
                (0..).zip(sizes).map(|(at, (bytes, wall_ms))| frame(at * 2, bytes.min(512), wall_ms)).collect();
            let key = NodeKey::from_secret(&[1; 32]);
            let (mut after, mut gone) = (None, Vec::new());
            while gone.len() < frames.len() {
                let bounds = Bounds { bytes, together: together_max };
                let runs = pack(after, frames[gone.len()..].iter(), bounds, NOW_MS);
                let sealed: Vec<u8> =
                    runs.iter().flat_map(|run| envelope::seal(&key, &run.statement(mesh(), 1))).collect();
                prop_assert!(!runs.is_empty() && sealed.len() <= bytes.min(PARCEL_BYTES_MAX));
                for bytes in envelope::split(&sealed).unwrap() {
                    for said in envelope::open(bytes, mesh()).unwrap().statement.apart() {
                        gone.push(said.sequence);
                    }
                }
                after = gone.last().copied();
            }
            let all: Vec<u64> = frames.iter().map(|frame| frame.said.sequence).collect();
            prop_assert_eq!(gone, all);
        }
    }
}
