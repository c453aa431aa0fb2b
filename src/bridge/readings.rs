//! The stream lane in: batches of readings of other nodes, judged on zenoh's receiving thread.
//!
//! The judgement costs about as much as one signature. Doing it there lets zenoh slow the sender down; the
//! inbox never makes it wait, because the stream lane drops the oldest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clawmesh_authority::envelope::ENVELOPE_BYTES_MAX;
use clawmesh_authority::{Admission, Code, Lane, LaneMark, NodeId, Opened, Refusal};
use clawmesh_core::intake::{Input, InputBody, SourceId, StreamKey};
use zenoh::bytes::ZBytes;
use zenoh::sample::Sample;

use crate::admission::Wanted;
use crate::bucket::Buckets;
use crate::edge::{Edge, lock};
use crate::keys;

/// Takes readings.
pub struct ReadingsIn {
    edge: Arc<Edge>,
    buckets: Mutex<Buckets>,
    marks: Mutex<BTreeMap<NodeId, LaneMark>>,
}

impl ReadingsIn {
    /// Continues from the marks of earlier runs.
    pub fn new(edge: Arc<Edge>, marks: BTreeMap<NodeId, LaneMark>) -> Self {
        let buckets = Buckets::new(edge.limits.envelopes_per_second_max, edge.trusted.clone());
        Self { edge, buckets: Mutex::new(buckets), marks: Mutex::new(marks) }
    }

    /// Judges one sample and offers what it holds, or counts why not.
    pub fn take(&self, sample: &Sample) {
        if let Err(refusal) = self.admit(sample.key_expr().as_str(), sample.payload()) {
            self.edge.refuse(refusal);
        }
    }

    fn admit(&self, key: &str, payload: &ZBytes) -> Result<(), Refusal> {
        let claimed = keys::node_of(self.edge.mesh, key).ok_or_else(|| malformed_key(key))?;
        if claimed == self.edge.own {
            return Ok(());
        }
        judge_size(claimed, payload.len())?;
        if !lock(&self.buckets).take(claimed, self.edge.now_ns()) {
            return Err(rate_limited(claimed, self.edge.limits.envelopes_per_second_max));
        }
        let bytes = payload.to_bytes();
        let wanted = Wanted::ReadingsOf(claimed);
        let opened = self.edge.admission.judge(&bytes, wanted, self.edge.wall_ms())?;
        self.move_mark(&opened)?;
        let source = SourceId::Node(opened.source);
        let body = InputBody::Envelope { lane: Lane::Stream, bytes: bytes.into_owned() };
        let input = Input { source, sequence: opened.statement.sequence, body };
        self.edge.inbox.offer_stream(StreamKey { source, what: String::new() }, input);
        Ok(())
    }

    /// Only trusted nodes come this far, so there are never more marks than trusted nodes.
    fn move_mark(&self, opened: &Opened) -> Result<(), Refusal> {
        let (epoch, sequence) = (opened.statement.epoch, opened.statement.sequence);
        let admission = lock(&self.marks).entry(opened.source).or_default().admit(epoch, sequence);
        match admission {
            Admission::Replayed => Err(replayed(opened.source, epoch, sequence)),
            Admission::Next | Admission::After { .. } => Ok(()),
        }
    }
}

/// Refuses a key that names no node of the mesh.
pub fn malformed_key(key: &str) -> Refusal {
    let sentence =
        "the key expression names no node of this mesh; nodes speak under clawmesh/<mesh id>/<node id>/";
    Refusal::new(Code::InvalidParams, key, sentence)
}

/// Refuses what is too large to be an envelope, before anything of it is copied.
pub fn judge_size(claimed: impl std::fmt::Display, bytes: usize) -> Result<(), Refusal> {
    if bytes <= ENVELOPE_BYTES_MAX {
        return Ok(());
    }
    let sentence = format!("{bytes} bytes, an envelope has at most {ENVELOPE_BYTES_MAX}; send less at once");
    Err(Refusal::new(Code::TooLarge, claimed, sentence))
}

/// Refuses one more of a node that says too much.
pub fn rate_limited(claimed: NodeId, rate: u32) -> Refusal {
    let sentence = format!(
        "more than {rate} envelopes a second under the name of {claimed}; \
         sign more readings in one batch, or look who floods"
    );
    Refusal::new(Code::RateLimited, claimed, sentence)
}

/// Refuses what was heard before.
pub fn replayed(node: NodeId, epoch: u64, sequence: u64) -> Refusal {
    let sentence = format!(
        "sequence {sequence} of run {epoch}, or a later one, was heard before; \
         somebody repeats old messages, or the node lost its run counter"
    );
    Refusal::new(Code::Replayed, node, sentence)
}
