//! The stream lane in: batches of readings of other nodes, judged on zenoh's receiving thread.
//!
//! The judgement costs about as much as one signature. Doing it there lets zenoh slow the sender down; the
//! inbox never makes it wait, because the stream lane drops the oldest. What a node says beyond its budget is not looked at: what
//! it says on the state lane comes on the same link and would wait for that.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use clawmesh_authority::envelope::{self, ENVELOPE_BYTES_MAX, unproven};
use clawmesh_authority::{Admission, Code, Lane, LaneMark, NodeId, Opened, Refusal};
use clawmesh_core::intake::{Input, InputBody, SourceId, StreamKey};
use zenoh::bytes::ZBytes;
use zenoh::sample::Sample;

use crate::admission::Wanted;
use crate::edge::{Edge, lock};
use crate::gate::Gate;
use crate::keys;

/// Takes readings.
pub struct ReadingsIn {
    edge: Arc<Edge>,
    gate: Gate,
    marks: Mutex<BTreeMap<NodeId, LaneMark>>,
}

impl ReadingsIn {
    /// Continues from the marks of earlier runs.
    pub fn new(edge: Arc<Edge>, marks: BTreeMap<NodeId, LaneMark>) -> Self {
        let gate = Gate::new(&edge.limits, &edge.trust.nodes());
        Self { edge, gate, marks: Mutex::new(marks) }
    }

    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        self.gate.follow(trusted);
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
        judge_size(unproven(claimed), payload.len())?;
        let bytes = payload.to_bytes();
        judge_signer(claimed, &bytes)?;
        self.gate.judge_room(claimed, self.edge.now_ns())?;
        self.gate.enter(Some(claimed), self.edge.now_ns())?;
        self.open(claimed, bytes).inspect(|()| self.gate.give_back(Some(claimed), 1))
    }

    fn open(&self, claimed: NodeId, bytes: Cow<'_, [u8]>) -> Result<(), Refusal> {
        let opened = self.edge.admission.judge(&bytes, Wanted::ReadingsOf(claimed), self.edge.wall_ms())?;
        self.move_mark(&opened)?;
        // Only now: what somebody else repeats must not use up what the node itself may say.
        self.gate.take(claimed, 1, self.edge.now_ns())?;
        self.edge.evidence.put(opened.source, &opened.statement, &bytes);
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

/// Refuses what cannot be signed by the node whose key it came under. It costs next to nothing, so it is done
/// before anybody pays; `admission` does not rely on it.
fn judge_signer(claimed: NodeId, bytes: &[u8]) -> Result<(), Refusal> {
    match envelope::claimed_signer(bytes) {
        Some(signer) if signer == claimed => Ok(()),
        Some(signer) => Err(Refusal::new(
            Code::SourceMismatch,
            unproven(signer),
            format!("it came under the key of {claimed}; a node speaks under its own key only"),
        )),
        None => Err(Refusal::new(
            Code::MalformedEnvelope,
            unproven(claimed),
            "it does not begin like an envelope; only signed clawmesh envelopes are taken",
        )),
    }
}

/// Refuses what was heard before.
pub fn replayed(node: NodeId, epoch: u64, sequence: u64) -> Refusal {
    let sentence = format!(
        "sequence {sequence} of run {epoch}, or a later one, was heard before; \
         somebody repeats old messages, or the node lost its run counter"
    );
    Refusal::new(Code::Replayed, node, sentence)
}
