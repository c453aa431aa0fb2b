//! Other nodes ask this one what time it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use clawmesh_authority::envelope::unproven;
use clawmesh_authority::time::{self, TIME_BYTES_MAX, TimeQuestion};
use clawmesh_authority::{Code, KeyId as _, NodeId, Refusal, signed};
use crossbeam_channel::Sender;
use zenoh::query::Query;

use crate::bucket::Buckets;
use crate::config::BridgeLimits;
use crate::edge::{Edge, lock};
use crate::gate::{Gate, UNKNOWN};
use crate::replies::{Answer, Reply};

/// Questions a second of one node that are answered: each costs a signature.
const OF_ONE_PER_SECOND_MAX: u32 = 2;
/// The same of all nodes together.
const OF_ALL_PER_SECOND_MAX: u32 = 32;
/// Questions a second under one name that may turn out to be worth nothing.
const UNPROVEN_PER_SECOND_MAX: u32 = 20;

/// Takes questions for the time.
pub struct TimesIn {
    edge: Arc<Edge>,
    gate: Gate,
    all: Mutex<Buckets>,
    /// The newest question of each node: its run, and its number there.
    newest: Mutex<BTreeMap<NodeId, (u64, u64)>>,
    replies: Sender<Reply>,
}

impl TimesIn {
    /// Nobody has asked yet.
    pub fn new(edge: Arc<Edge>, replies: Sender<Reply>) -> Self {
        let limits = BridgeLimits {
            envelopes_per_second_max: OF_ONE_PER_SECOND_MAX,
            unproven_per_second_max: UNPROVEN_PER_SECOND_MAX,
            ..edge.limits
        };
        let gate = Gate::new(&limits, &edge.trust.nodes());
        let all = Mutex::new(Buckets::new(OF_ALL_PER_SECOND_MAX, &BTreeSet::new()));
        Self { edge, gate, all, newest: Mutex::default(), replies }
    }

    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        self.gate.follow(trusted);
        lock(&self.newest).retain(|node, _| trusted.contains(node));
    }

    /// Takes a query on `rpc/clock`. The time is read when the answer is signed, so that it does not wait in between.
    pub fn ask(&self, query: &Query) {
        let bytes = payload_of(query);
        let claimed = bytes.as_ref().ok().and_then(|bytes| signed::claimed_key(bytes));
        let claimed = claimed.map(NodeId::of_public_key);
        if let Err(refusal) = self.gate.enter(claimed, self.edge.now_ns()) {
            // Unanswered, as elsewhere.
            return self.edge.refuse(refusal);
        }
        let answer = match bytes.and_then(|bytes| self.admit(&bytes, claimed)) {
            Ok((asker, question)) => {
                self.gate.give_back(claimed, 1);
                Answer::Time { to: asker, nonce: question.nonce }
            }
            Err(refusal) => {
                self.edge.refuse(refusal.clone());
                Answer::Refused(refusal)
            }
        };
        // A full queue drops the answer: whoever asked hears nothing in time and asks again.
        let _ = self.replies.try_send(Reply { query: query.clone(), answer });
    }

    /// Whom it is of before the signature is looked at, and once, and not too often, before one is made.
    fn admit(&self, bytes: &[u8], claimed: Option<NodeId>) -> Result<(NodeId, TimeQuestion), Refusal> {
        let from = claimed.map_or_else(|| UNKNOWN.to_owned(), unproven);
        if claimed.is_none_or(|node| !self.edge.trust.has(&node)) {
            let sentence =
                "only nodes that are trusted here are told the time; trust it with `clawmesh trust add`";
            return Err(Refusal::new(Code::UntrustedPeer, from, sentence));
        }
        let opened = time::open_question(bytes, self.edge.mesh, self.edge.own);
        let (asker, question) = opened.map_err(|refused| refused.given_to(from))?;
        let place = (question.epoch, question.count);
        {
            let mut newest = lock(&self.newest);
            if newest.get(&asker).is_some_and(|newest| place <= *newest) {
                let sentence = "this question for the time, or a later one, was heard before; look who repeats old messages";
                return Err(Refusal::new(Code::Replayed, unproven(asker), sentence));
            }
            newest.insert(asker, place);
        }
        let now_ns = self.edge.now_ns();
        if self.gate.take(asker, 1, now_ns).is_err() || !lock(&self.all).take(None, now_ns) {
            let sentence = "the time is asked for more often than it is told; ask again in a moment";
            return Err(Refusal::new(Code::RateLimited, asker, sentence));
        }
        Ok((asker, question))
    }
}

fn payload_of(query: &Query) -> Result<Vec<u8>, Refusal> {
    let payload = query.payload().filter(|payload| payload.len() <= TIME_BYTES_MAX);
    payload.map(|payload| payload.to_bytes().into_owned()).ok_or_else(|| {
        let sentence = format!("rpc/clock takes a signed question of at most {TIME_BYTES_MAX} bytes");
        Refusal::new(Code::MalformedEnvelope, UNKNOWN, sentence)
    })
}
