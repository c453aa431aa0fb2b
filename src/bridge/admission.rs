//! Who may say what: the judgement over one envelope, in the order in which it costs and could mislead.

use std::sync::Arc;

use clawmesh_authority::hlc::{AHEAD_MS_MAX, OWN_CLOCK, TIME_UNKNOWN};
use clawmesh_authority::{Body, Code, MeshId, NodeId, Opened, PublicKey, Refusal, envelope};

use crate::config::Part;
use crate::trust::Trust;

/// What a key expression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Batches of readings and the last word of a run, under the key of the node that signs them.
    ReadingsOf(NodeId),
    /// Frames, from anybody.
    Frames,
}

/// Whom and what this node takes.
#[derive(Debug, Clone)]
pub struct Admission {
    mesh: MeshId,
    trust: Arc<Trust>,
}

impl Admission {
    /// Takes statements for `mesh` by the nodes that are trusted at that moment.
    pub fn new(mesh: MeshId, trust: Arc<Trust>) -> Self {
        Self { mesh, trust }
    }

    /// Opens an envelope. Form, mesh and signature come first: before them nobody is to blame by name.
    ///
    /// Replays are not judged here: that needs the mark of the lane.
    pub fn judge(&self, bytes: &[u8], wanted: Wanted, wall_ms: u64) -> Result<Opened, Refusal> {
        self.judge_next(bytes, wanted, wall_ms, &mut None)
    }

    /// The same for one of a row, as [`envelope::open_next`].
    pub fn judge_next(
        &self,
        bytes: &[u8],
        wanted: Wanted,
        wall_ms: u64,
        signer: &mut Option<PublicKey>,
    ) -> Result<Opened, Refusal> {
        let opened = envelope::open_next(bytes, self.mesh, signer)?;
        let refuse = |code, sentence: String| Err(Refusal::new(code, opened.source, sentence));
        if let Wanted::ReadingsOf(node) = wanted
            && node != opened.source
        {
            return refuse(
                Code::SourceMismatch,
                format!(
                    "it signed readings that came under the key of {node}; \
                     a node speaks under its own key only"
                ),
            );
        }
        if !self.trust.has(&opened.source) {
            return refuse(Code::UntrustedPeer, untrusted(opened.source));
        }
        if self.trust.part(&opened.source) == Part::Viewer
            && matches!(&opened.statement.body, Body::Readings(batch) if !batch.0.is_empty())
        {
            return refuse(Code::NotAuthorized, looks_on(opened.source));
        }
        match (wanted, &opened.statement.body) {
            (Wanted::ReadingsOf(_), Body::Readings(_) | Body::Leave)
            | (Wanted::Frames, Body::Frame(_) | Body::Frames(_)) => {}
            _ => return refuse(Code::InvalidParams, misplaced(wanted)),
        }
        if wall_ms == 0 {
            return Err(Refusal::new(Code::ClockUntrusted, OWN_CLOCK, TIME_UNKNOWN));
        }
        if opened.statement.hlc.is_from_the_future(wall_ms) {
            return refuse(Code::ClockUntrusted, ahead(opened.statement.hlc.ahead_ms(wall_ms)));
        }
        Ok(opened)
    }
}

/// Why what `node` says is not taken.
pub fn untrusted(node: NodeId) -> String {
    format!("node {node} is not trusted here; trust it with `clawmesh trust add {node}`")
}

fn looks_on(node: NodeId) -> String {
    format!(
        "node {node} is a viewer here and says no readings; if it measures something, say `clawmesh trust add {node} --as node`"
    )
}

fn misplaced(wanted: Wanted) -> String {
    let wanted = match wanted {
        Wanted::ReadingsOf(_) => "reading/batch takes readings only",
        Wanted::Frames => "rpc/deliver takes frames only",
    };
    format!("{wanted}; the sender mixes its lanes up")
}

fn ahead(ahead_ms: u64) -> String {
    format!(
        "its clock is {ahead_ms} ms ahead of ours, at most {AHEAD_MS_MAX} ms are taken; \
         set the clock of that node (or ours)"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use clawmesh_authority::envelope::Receipt;
    use clawmesh_authority::{
        Capability, Frame, Hlc, NodeKey, Observation, Reading, ReadingBatch, Statement, Tier, Unit, Value,
    };
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_730_000_000_000;

    fn mesh() -> MeshId {
        MeshId::of_name("barn")
    }

    fn key(n: u8) -> NodeKey {
        NodeKey::from_secret(&[n; 32])
    }

    fn readings() -> Body {
        Body::Readings(ReadingBatch(Vec::new()))
    }

    fn measured() -> Body {
        let sensor = Capability::new("sensor:t:shed").unwrap();
        let (unit, tier) = (Unit::Celsius, Tier::T2);
        Body::Readings(ReadingBatch(vec![Reading {
            sensor,
            value: 1.0,
            unit,
            origin_ms: 0,
            sequence: 0,
            tier,
        }]))
    }

    fn frame() -> Body {
        let observation = Observation {
            key: "gate".to_owned(),
            value: Value::Flag(true),
            unit: None,
            origin_ms: 0,
            tier: Tier::T1,
        };
        Body::Frame(Frame::Observation(observation))
    }

    fn receipt() -> Body {
        Body::Receipt(Receipt { source: key(1).id(), epoch: 1, sequence: 1 })
    }

    fn sealed(signer: u8, mesh: MeshId, wall_ms: u64, body: Body) -> Vec<u8> {
        let statement = Statement { mesh, epoch: 1, sequence: 1, hlc: Hlc { wall_ms, logical: 0 }, body };
        envelope::seal(&key(signer), &statement)
    }

    fn judge(bytes: &[u8], wanted: Wanted) -> Result<Opened, Refusal> {
        Admission::new(mesh(), Arc::new(Trust::of(key(9).id(), &BTreeSet::from([key(1).id()]))))
            .judge(bytes, wanted, NOW_MS)
    }

    #[test]
    fn what_a_trusted_node_says_in_its_place_and_time_is_taken() {
        let own = Wanted::ReadingsOf(key(1).id());
        assert_eq!(judge(&sealed(1, mesh(), NOW_MS, readings()), own).unwrap().source, key(1).id());
        assert!(judge(&sealed(1, mesh(), NOW_MS, Body::Leave), own).is_ok());
        assert!(judge(&sealed(1, mesh(), NOW_MS + 500, frame()), Wanted::Frames).is_ok());
        assert!(
            judge(&sealed(1, mesh(), 0, frame()), Wanted::Frames).is_ok(),
            "age is for the core to judge"
        );
    }

    #[test]
    fn everything_else_is_refused_with_its_own_code_and_a_way_out() {
        let (one, two) = (Wanted::ReadingsOf(key(1).id()), Wanted::ReadingsOf(key(2).id()));
        for (bytes, wanted, code, words) in [
            (b"hello".to_vec(), one, Code::MalformedEnvelope, "signed"),
            (
                sealed(1, MeshId::of_name("field"), NOW_MS, readings()),
                one,
                Code::MeshIdMismatch,
                "--mesh-name",
            ),
            (sealed(1, mesh(), NOW_MS, readings()), two, Code::SourceMismatch, "own key"),
            (sealed(2, mesh(), NOW_MS, readings()), two, Code::UntrustedPeer, "clawmesh trust add"),
            (sealed(1, mesh(), NOW_MS, frame()), one, Code::InvalidParams, "readings only"),
            (sealed(1, mesh(), NOW_MS, readings()), Wanted::Frames, Code::InvalidParams, "frames only"),
            (sealed(1, mesh(), NOW_MS, Body::Leave), two, Code::SourceMismatch, "own key"),
            (sealed(1, mesh(), NOW_MS, Body::Leave), Wanted::Frames, Code::InvalidParams, "frames only"),
            (sealed(1, mesh(), NOW_MS, receipt()), Wanted::Frames, Code::InvalidParams, "frames only"),
            (sealed(1, mesh(), NOW_MS + 600_000, readings()), one, Code::ClockUntrusted, "600000 ms ahead"),
        ] {
            let refusal = judge(&bytes, wanted).unwrap_err();
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(refusal.sentence.contains(words), "{refusal}");
        }
    }

    #[test]
    fn a_viewer_says_no_readings_whichever_way_they_came_and_still_says_who_it_is() {
        let trust = Trust::of(key(9).id(), &BTreeSet::from([key(1).id()]));
        trust.set_parts(BTreeMap::from([(key(1).id(), Part::Viewer)]));
        let admission = Admission::new(mesh(), Arc::new(trust));
        let judge =
            |body| admission.judge(&sealed(1, mesh(), NOW_MS, body), Wanted::ReadingsOf(key(1).id()), NOW_MS);
        assert!([readings(), Body::Leave].into_iter().all(|body| judge(body).is_ok()), "no readings");
        let refusal = judge(measured()).unwrap_err();
        assert_eq!(refusal.code, Code::NotAuthorized);
        assert!(refusal.sentence.contains("--as node"), "{refusal}");
        assert!(admission.judge(&sealed(1, mesh(), NOW_MS, frame()), Wanted::Frames, NOW_MS).is_ok());
    }

    #[test]
    fn a_forged_signature_is_never_blamed_on_trust_or_clock() {
        let mut bytes = sealed(2, mesh(), NOW_MS + 600_000, readings());
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(judge(&bytes, Wanted::Frames).unwrap_err().code, Code::BadSignature);
    }

    proptest! {
        #[test]
        fn only_the_trusted_pass(signer in 0_u8..4, wall_ms in NOW_MS - 2_000..NOW_MS + 2_000) {
            let taken = judge(&sealed(signer, mesh(), wall_ms, frame()), Wanted::Frames).is_ok();
            prop_assert_eq!(taken, signer == 1 && wall_ms <= NOW_MS + 500);
        }
    }
}
