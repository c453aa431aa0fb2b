//! Context frames of existing nodes: read, shown, written again, passed on.

use clawmesh_authority::Tier;
use clawmesh_lab::Lab;
use clawmesh_wire::Code;
use clawmesh_wire::code::SENTENCE_BYTES_MAX;
use clawmesh_wire::context::{ContextFrame, FUTURE_MS_MAX, FrameKind, SHOWN_TIER_MAX};
use clawmesh_wire::gossip::{Gossip, HOPS_MAX, Heard};
use clawmesh_wire::trust::EvidenceSource;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::messages::raw;
use super::{MIB, NOW_MS, Seed, Target, is_brief, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "context",
    promise: "a frame that is read is written as the same frame, is shown for no more than it can be worth, and goes on once, \
              never back to its maker",
    shapes: &[Shape::Json],
    seeds,
    check,
    memory_bytes_max: 2 * MIB,
    memory_per_byte: 128,
};

/// A frame with everything in it.
pub(super) fn good() -> serde_json::Value {
    json!({
        "gen": 1, "kind": "observation", "frameId": "f-1", "sourceDeviceId": Lab::id_of(2).to_string(),
        "sourceDisplayName": "old node", "timestamp": NOW_MS,
        "data": {"zone": "zone-1", "metric": "moisture", "value": 23.5},
        "trust": {"evidence_sources": ["sensor", "human"], "evidence_trust_tier": "T3_verified_action_evidence"},
        "note": "seen", "hops": 0,
    })
}

fn seeds() -> Vec<Seed> {
    let of_kind = |kind: &str, data: serde_json::Value| {
        let mut frame = good();
        frame["kind"] = json!(kind);
        frame["data"] = data;
        frame.to_string().into_bytes()
    };
    vec![
        ("observation", good().to_string().into_bytes()),
        ("event", of_kind("event", json!({"what": "rain", "b": [1, {"c": " "}]}))),
        ("human", of_kind("human_input", json!({"text": "it \"rains\""}))),
        ("inference", of_kind("inference", json!({"zone": 7}))),
        ("abilities", of_kind("capability_update", json!({"capabilities": ["a", "b"]}))),
        ("answer", of_kind("agent_response", json!({}))),
    ]
}

fn check(input: &[u8]) -> Result<String, String> {
    match raw(input) {
        Some(raw) => judge(Some(raw)),
        None => Ok("no JSON".to_owned()),
    }
}

/// Everything a node does with a frame that comes.
pub(super) fn judge(payload: Option<&RawValue>) -> Result<String, String> {
    let frame = match ContextFrame::read(payload, NOW_MS) {
        Ok(frame) => frame,
        Err(refusal) => {
            is_brief(&refusal.message, SENTENCE_BYTES_MAX)?;
            let is_ours = matches!(refusal.code, Code::InvalidParams | Code::DataTooLarge);
            promised(is_ours, || format!("a frame is refused with {}", refusal.code))?;
            return Ok(refusal.to_string());
        }
    };
    promised(frame.timestamp_ms <= NOW_MS + FUTURE_MS_MAX, || "a frame of the future is taken".to_owned())?;
    is_same(&frame)?;
    is_shown_for_no_more(&frame)?;
    goes_on_once(&frame)
}

fn is_same(frame: &ContextFrame) -> Result<(), String> {
    let written = to_raw_value(frame).map_err(|fault| format!("a frame cannot be written: {fault}"))?;
    promised(frame.written_bytes() == written.get().len() + 1, || "a frame has another length".to_owned())?;
    let again = ContextFrame::read(Some(&written), NOW_MS);
    let again = again.map_err(|refusal| format!("a frame is written so that it is refused: {refusal}"))?;
    let parts = |frame: &ContextFrame| {
        let told =
            (frame.kind, frame.source_display_name.clone(), frame.note.clone(), frame.data.get().to_owned());
        let worth = (frame.sources.clone(), frame.claimed_tier, frame.shown_tier());
        (frame.content(), frame.key(), frame.stamp(), frame.hops, told, worth)
    };
    promised(parts(frame) == parts(&again), || "a frame is written as another one".to_owned())
}

fn is_shown_for_no_more(frame: &ContextFrame) -> Result<(), String> {
    let shown = frame.shown_tier();
    promised(shown <= SHOWN_TIER_MAX && shown <= frame.claimed_tier, || format!("shown as {shown}"))?;
    let is_by_model = frame.sources.iter().all(|source| *source == EvidenceSource::Llm)
        || matches!(frame.kind, FrameKind::Inference | FrameKind::AgentResponse);
    promised(!is_by_model || shown == Tier::T0, || format!("what a model says is shown as {shown}"))
}

fn goes_on_once(frame: &ContextFrame) -> Result<String, String> {
    let mut gossip = Gossip::new(Lab::id_of(1));
    let first = gossip.hear(frame);
    let is_own = frame.source_device_id.eq_ignore_ascii_case(&Lab::id_of(1).to_string());
    promised(matches!(gossip.hear(frame), Heard::Seen), || "a frame is heard twice".to_owned())?;
    match first {
        Heard::Seen => Err("a frame was seen before it came".to_owned()),
        Heard::Own => promised(is_own, || "somebody else's frame counts as ours".to_owned())
            .map(|()| "our own".to_owned()),
        Heard::New { forward } => {
            promised(!is_own, || "our own frame is passed on".to_owned())?;
            let Some(forward) = forward else {
                return promised(frame.hops >= HOPS_MAX, || "a frame stays here".to_owned())
                    .map(|()| format!("{:?} stays", frame.kind));
            };
            let goes_on = forward.hops == frame.hops + 1 && forward.hops <= HOPS_MAX;
            promised(goes_on, || format!("a frame goes on with {} hops", forward.hops))?;
            promised(forward.content() == frame.content(), || "a frame goes on as another one".to_owned())?;
            // Whoever hears the copy knows it when the first one comes over another way.
            let mut others = Gossip::new(Lab::id_of(3));
            others.hear(&forward);
            promised(!others.is_new(frame), || "the copy of a frame is new".to_owned())?;
            Ok(format!("{:?} goes on, {:?}", frame.kind, frame.shown_tier()))
        }
    }
}
