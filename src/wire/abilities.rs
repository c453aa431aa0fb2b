//! What a node says that it can do, after its handshake: a `capability_update` frame of its own. Existing nodes ignore it.

use clawmesh_authority::NodeId;

use crate::code::Code;
use crate::connect::{CAPABILITIES_MAX, CAPABILITY_BYTES_MAX};
use crate::context::{ContextFrame, FrameKind};
use crate::fields::Fields;

/// The most bytes of a node's capabilities that are written down and shown.
pub const ABILITIES_BYTES_MAX: usize = 512;

/// What the node that has told us this frame can do from now on; nothing for a frame about something else, or about another
/// node: what a node can do only it says itself.
#[must_use]
pub fn said_by(frame: &ContextFrame, told_by: NodeId) -> Option<Vec<String>> {
    if frame.kind != FrameKind::CapabilityUpdate || frame.source_device_id.parse() != Ok(told_by) {
        return None;
    }
    let fields = Fields::read(&frame.data, "capability_update", Code::InvalidParams).ok()?;
    let capabilities = fields.texts("capabilities", CAPABILITIES_MAX, CAPABILITY_BYTES_MAX).ok()??;
    Some(fitting(&capabilities))
}

/// As many capabilities as have room, in their order.
#[must_use]
pub fn fitting(capabilities: &[String]) -> Vec<String> {
    let mut bytes = 0;
    let fits = |capability: &&String| {
        bytes += capability.len();
        bytes <= ABILITIES_BYTES_MAX
    };
    capabilities.iter().take_while(fits).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::context::tests::NOW_MS;

    const NODE: NodeId = NodeId([7; 32]);

    fn frame(kind: &str, data: &serde_json::Value) -> ContextFrame {
        let json = json!({
            "gen": 1, "kind": kind, "frameId": "f", "sourceDeviceId": NODE, "timestamp": NOW_MS, "data": data,
            "trust": {"evidence_sources": ["device"], "evidence_trust_tier": "T2_operational_observation"},
        });
        ContextFrame::read(Some(&to_raw_value(&json).unwrap()), NOW_MS).unwrap()
    }

    #[test]
    fn only_a_node_itself_says_what_it_can_do() {
        let update = frame("capability_update", &json!({"capabilities": ["channel:telegram"]}));
        assert_eq!(said_by(&update, NODE), Some(vec!["channel:telegram".to_owned()]));
        assert_eq!(said_by(&update, NodeId([8; 32])), None, "somebody else has told it");
        let nothing = frame("capability_update", &json!({"capabilities": []}));
        assert_eq!(said_by(&nothing, NODE), Some(Vec::new()), "it can do nothing any more");
        for (kind, data) in [
            ("observation", json!({"capabilities": ["channel:telegram"]})),
            ("capability_update", json!({"type": "learned_patterns", "patterns": []})),
            ("capability_update", json!({"capabilities": "channel:telegram"})),
            ("capability_update", json!({"capabilities": ["x".repeat(129)]})),
        ] {
            assert_eq!(said_by(&frame(kind, &data), NODE), None, "{kind} {data}");
        }
    }

    #[test]
    fn as_many_are_kept_as_have_room() {
        let many: Vec<String> = (0..100).map(|n| format!("sensor:soil-{n:03}")).collect();
        assert_eq!(fitting(&many).len(), ABILITIES_BYTES_MAX / many[0].len());
        assert_eq!(fitting(&many[..3]), many[..3]);
    }
}
