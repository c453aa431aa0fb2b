//! The doors of the node: bounded, one for each lane, safe to call from any edge thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{Code, Refusal};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::input::{Input, InputBody, SourceId};
use crate::replay::Ticket;

/// How much may wait at the doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxLimits {
    /// State-lane inputs; one more is answered `BUSY`.
    pub state_inputs_max: usize,
    /// Stream-lane inputs of one key; one more drops the oldest.
    pub stream_inputs_per_key_max: usize,
    /// Keys on the stream lane; inputs of one more are dropped and counted.
    pub stream_keys_max: usize,
}

impl Default for InboxLimits {
    fn default() -> Self {
        Self { state_inputs_max: 4_096, stream_inputs_per_key_max: 64, stream_keys_max: 4_096 }
    }
}

/// Inputs of one key compete for the same places on the stream lane, and with no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// Who brings them.
    pub source: SourceId,
    /// What they are about: a sensor, or nothing for all of a node.
    pub what: String,
}

type Waiting = (Input, Option<Ticket>);

/// The stream lane: one small ring for each key.
#[derive(Debug)]
struct StreamLane {
    rings: Mutex<BTreeMap<StreamKey, Ring>>,
    limits: InboxLimits,
}

#[derive(Debug)]
struct Ring {
    tx: Sender<Input>,
    rx: Receiver<Input>,
    dropped: u64,
}

impl Ring {
    fn new(size: usize) -> Self {
        let (tx, rx) = bounded(size);
        Self { tx, rx, dropped: 0 }
    }

    fn push(&mut self, mut input: Input) {
        while let Err(TrySendError::Full(back)) = self.tx.try_send(input) {
            self.dropped += u64::from(self.rx.try_recv().is_ok());
            input = back;
        }
    }
}

/// The edges' end. Clones share the same doors.
#[derive(Debug, Clone)]
pub struct InboxHandle {
    state: Sender<Waiting>,
    stream: Arc<StreamLane>,
    sequence: Arc<AtomicU64>,
}

/// The tick's end.
#[derive(Debug)]
pub struct Inboxes {
    state: Receiver<Waiting>,
    stream: Arc<StreamLane>,
}

/// Makes the doors of one node.
#[must_use]
pub fn doors(limits: InboxLimits) -> (InboxHandle, Inboxes) {
    let (tx, rx) = bounded(limits.state_inputs_max);
    let stream = Arc::new(StreamLane { rings: Mutex::default(), limits });
    let handle = InboxHandle { state: tx, stream: Arc::clone(&stream), sequence: Arc::default() };
    (handle, Inboxes { state: rx, stream })
}

impl InboxHandle {
    /// Offers a state-lane input. The ticket, if any, is answered when the input is durable.
    ///
    /// # Errors
    /// `BUSY` when the inbox is full: nothing was taken, the ticket was not answered.
    pub fn offer_state(&self, input: Input, ticket: Option<Ticket>) -> Result<(), Refusal> {
        let from = input.source;
        self.state.try_send((input, ticket)).map_err(|_| {
            let sentence = "the inbox is full; nothing was taken, send it again in a moment";
            Refusal::new(Code::Busy, from, sentence)
        })
    }

    /// Offers a state-lane input of one of our own edges, numbered in the order of the calls.
    ///
    /// # Errors
    /// As [`InboxHandle::offer_state`].
    pub fn offer_own(
        &self,
        source: SourceId,
        body: InputBody,
        ticket: Option<Ticket>,
    ) -> Result<(), Refusal> {
        self.offer_state(Input { source, sequence: self.next_sequence(), body }, ticket)
    }

    /// Offers a stream-lane input: when its key has no place left, the oldest of that key is dropped.
    pub fn offer_stream(&self, key: StreamKey, input: Input) {
        let mut rings = self.stream.lock();
        let limits = self.stream.limits;
        if rings.len() >= limits.stream_keys_max && !rings.contains_key(&key) {
            rings.retain(|_, ring| !ring.rx.is_empty() || ring.dropped > 0);
        }
        let key = if rings.len() >= limits.stream_keys_max && !rings.contains_key(&key) {
            // No place for one more key: they share one ring, whose drops are counted like any other's.
            StreamKey { source: key.source, what: "more keys than the inbox has".to_owned() }
        } else {
            key
        };
        rings.entry(key).or_insert_with(|| Ring::new(limits.stream_inputs_per_key_max.max(1))).push(input);
    }

    /// Numbers the inputs of this node's own edges.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}

impl StreamLane {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamKey, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inboxes {
    /// Takes at most `max` state-lane inputs; the rest wait for the next tick.
    pub fn take_state(&self, max: usize) -> Vec<Waiting> {
        self.state.try_iter().take(max).collect()
    }

    /// Takes everything on the stream lane, and says of which keys how many were dropped.
    pub fn take_stream(&self) -> (Vec<Input>, Vec<(StreamKey, u64)>) {
        let mut rings = self.stream.lock();
        let mut inputs = Vec::new();
        let mut dropped = Vec::new();
        for (key, ring) in rings.iter_mut() {
            inputs.extend(ring.rx.try_iter());
            if ring.dropped > 0 {
                dropped.push((key.clone(), std::mem::take(&mut ring.dropped)));
            }
        }
        (inputs, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> InboxLimits {
        InboxLimits { state_inputs_max: 2, stream_inputs_per_key_max: 2, stream_keys_max: 2 }
    }

    fn clock(unix_ms: u64) -> Input {
        Input {
            source: SourceId::Clock,
            sequence: unix_ms,
            body: InputBody::ClockSampled { unix_ms, up_ms: 0 },
        }
    }

    fn key(what: &str) -> StreamKey {
        StreamKey { source: SourceId::Clock, what: what.to_owned() }
    }

    #[test]
    fn a_full_state_inbox_answers_busy_and_loses_nothing() {
        let (handle, inboxes) = doors(limits());
        assert!(handle.offer_state(clock(1), None).is_ok());
        assert!(handle.offer_state(clock(2), None).is_ok());
        assert_eq!(handle.offer_state(clock(3), None).unwrap_err().code, Code::Busy);
        let taken: Vec<u64> = inboxes.take_state(9).into_iter().map(|(input, _)| input.sequence).collect();
        assert_eq!(taken, [1, 2]);
    }

    #[test]
    fn a_flooded_key_loses_its_own_oldest_and_nobody_elses() {
        let (handle, inboxes) = doors(limits());
        handle.offer_stream(key("quiet"), clock(1));
        for unix_ms in 10..20 {
            handle.offer_stream(key("loud"), clock(unix_ms));
        }
        let (inputs, dropped) = inboxes.take_stream();
        let sequences: Vec<u64> = inputs.iter().map(|input| input.sequence).collect();
        assert_eq!(sequences, [18, 19, 1]);
        assert_eq!(dropped, [(key("loud"), 8)]);
        assert_eq!(inboxes.take_stream(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn more_keys_than_places_share_one_ring_and_are_counted() {
        let (handle, inboxes) = doors(limits());
        for (n, name) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
            handle.offer_stream(key(name), clock(n as u64));
        }
        let (inputs, dropped) = inboxes.take_stream();
        assert_eq!(inputs.len() as u64 + dropped.iter().map(|(_, count)| count).sum::<u64>(), 6);
        assert!(inputs.len() <= 6 && !dropped.is_empty());
    }
}
