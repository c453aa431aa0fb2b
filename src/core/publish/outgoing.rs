//! What leaves the node: statements to sign, each with the journal row that caused it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clawmesh_authority::{Lane, Statement};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// A statement on its way out. An edge signs and sends it once the journal holds row `cause`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The last journal row this statement depends on.
    pub cause: u64,
    /// For frames: a later one with the same subject replaces this one.
    pub subject: Option<String>,
    /// What to sign.
    pub statement: Statement,
}

/// The tick's end of the outbox: bounded, and it never waits.
#[derive(Debug)]
pub struct Outbox {
    state: Sender<Outgoing>,
    stream: Sender<Outgoing>,
    stream_oldest: Receiver<Outgoing>,
    dropped: Arc<AtomicU64>,
}

/// The edge's end of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxReader {
    /// Frames, in order.
    pub state: Receiver<Outgoing>,
    /// Readings, in order; the oldest may be missing.
    pub stream: Receiver<Outgoing>,
    dropped: Arc<AtomicU64>,
}

/// Makes an outbox with places for `state_max` frames and `stream_max` batches of readings.
#[must_use]
pub fn outbox(state_max: usize, stream_max: usize) -> (Outbox, OutboxReader) {
    let (state_tx, state_rx) = bounded(state_max);
    let (stream_tx, stream_rx) = bounded(stream_max);
    let dropped = Arc::<AtomicU64>::default();
    let reader = OutboxReader { state: state_rx, stream: stream_rx.clone(), dropped: Arc::clone(&dropped) };
    (Outbox { state: state_tx, stream: stream_tx, stream_oldest: stream_rx, dropped }, reader)
}

impl Outbox {
    /// Offers one statement. A frame that finds no place comes back and must be offered again next tick.
    ///
    /// # Errors
    /// The frame itself, when the state lane is full.
    pub fn offer(&self, outgoing: Outgoing) -> Result<(), Box<Outgoing>> {
        match outgoing.statement.lane() {
            Lane::State => self.state.try_send(outgoing).map_err(|refused| Box::new(refused.into_inner())),
            Lane::Stream => {
                self.push_stream(outgoing);
                Ok(())
            }
        }
    }

    fn push_stream(&self, mut outgoing: Outgoing) {
        loop {
            match self.stream.try_send(outgoing) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    let was_dropped = self.stream_oldest.try_recv().is_ok();
                    self.dropped.fetch_add(u64::from(was_dropped), Ordering::Relaxed);
                    outgoing = back;
                }
            }
        }
    }
}

impl OutboxReader {
    /// Batches of readings dropped since the last call.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::{Body, Frame, Hlc, MeshId, Observation, ReadingBatch, Tier, Value};

    fn outgoing(sequence: u64, body: Body) -> Outgoing {
        let statement =
            Statement { mesh: MeshId::of_name("barn"), epoch: 1, sequence, hlc: Hlc::default(), body };
        Outgoing { cause: 0, subject: None, statement }
    }

    fn readings(sequence: u64) -> Outgoing {
        outgoing(sequence, Body::Readings(ReadingBatch(Vec::new())))
    }

    fn frame(sequence: u64) -> Outgoing {
        let observation = Observation {
            key: "gate".to_owned(),
            value: Value::Flag(true),
            unit: None,
            origin_ms: 0,
            tier: Tier::T1,
        };
        outgoing(sequence, Body::Frame(Frame::Observation(observation)))
    }

    #[test]
    fn frames_come_back_when_there_is_no_place_and_readings_drop_the_oldest() {
        let (outbox, reader) = outbox(1, 2);
        assert_eq!(outbox.offer(frame(0)), Ok(()));
        assert_eq!(outbox.offer(frame(1)), Err(Box::new(frame(1))));
        for sequence in 0..5 {
            assert_eq!(outbox.offer(readings(sequence)), Ok(()));
        }
        let left: Vec<u64> = reader.stream.try_iter().map(|out| out.statement.sequence).collect();
        assert_eq!((left, reader.take_dropped(), reader.take_dropped()), (vec![3, 4], 3, 0));
    }
}
