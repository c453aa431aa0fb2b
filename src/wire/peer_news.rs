//! What nodes tell about nodes that go: `peer.leaving` of themselves, `peer.down` of others.

use clawmesh_authority::NodeId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal};
use crate::context::{GENERATION, NAME_BYTES_MAX};
use crate::fields::Fields;

/// The event with which a node says that it leaves.
pub const LEAVING: &str = "peer.leaving";
/// The event with which a node says that another one does not answer it.
pub const DOWN: &str = "peer.down";

/// A node leaves in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerLeaving {
    /// The generation of the protocol.
    r#gen: u64,
    /// Who leaves.
    pub device_id: NodeId,
    /// When, Unix milliseconds by its clock.
    pub timestamp: u64,
}

/// A node does not answer another one. It is a reason to look, and no proof: the link between those two may be all that is
/// broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerDown {
    /// The generation of the protocol.
    r#gen: u64,
    /// Who does not answer.
    pub device_id: NodeId,
    /// When that was found, Unix milliseconds by the clock of who tells.
    pub reported_at_ms: u64,
}

impl PeerLeaving {
    /// The news that `node` leaves.
    #[must_use]
    pub fn new(node: NodeId, unix_ms: u64) -> Self {
        Self { r#gen: GENERATION, device_id: node, timestamp: unix_ms }
    }

    /// Reads the news that `sender` leaves; nobody says it for somebody else.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(payload: Option<&RawValue>, sender: NodeId) -> Result<Self, Refusal> {
        let (fields, device_id) = read(payload, LEAVING)?;
        if device_id != sender {
            return Err(fields.wrong("deviceId", "must be the sender itself"));
        }
        Ok(Self::new(device_id, fields.whole_number("timestamp")?.unwrap_or(0)))
    }
}

impl PeerDown {
    /// The news that `node` does not answer us.
    #[must_use]
    pub fn new(node: NodeId, unix_ms: u64) -> Self {
        Self { r#gen: GENERATION, device_id: node, reported_at_ms: unix_ms }
    }

    /// Reads the news that a node does not answer `sender`; nobody says it of themselves, and nobody of us, `own_id`.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(payload: Option<&RawValue>, sender: NodeId, own_id: NodeId) -> Result<Self, Refusal> {
        let (fields, device_id) = read(payload, DOWN)?;
        if device_id == sender || device_id == own_id {
            return Err(fields.wrong("deviceId", "must be neither the sender nor the receiver"));
        }
        Ok(Self::new(device_id, fields.whole_number("reportedAtMs")?.unwrap_or(0)))
    }
}

fn read<'a>(payload: Option<&'a RawValue>, what: &'static str) -> Result<(Fields<'a>, NodeId), Refusal> {
    let missing = || Refusal::new(Code::InvalidParams, format!("{what}: the payload is missing"));
    let fields = Fields::read(payload.ok_or_else(missing)?, what, Code::InvalidParams)?;
    if fields.required_whole_number("gen")? != GENERATION {
        return Err(fields.wrong("gen", "must be 1"));
    }
    let text = fields.required_text("deviceId", NAME_BYTES_MAX)?;
    let device_id =
        text.parse().map_err(|fault| fields.wrong("deviceId", format_args!("is no id: {fault}")))?;
    Ok((fields, device_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn raw(value: &impl Serialize) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn news_reads_as_it_was_written() {
        let leaving = PeerLeaving::new(node(1), 5);
        assert_eq!(PeerLeaving::read(Some(&raw(&leaving)), node(1)), Ok(leaving));
        assert_eq!(raw(&leaving).get(), format!(r#"{{"gen":1,"deviceId":"{}","timestamp":5}}"#, node(1)));
        let down = PeerDown::new(node(1), 5);
        assert_eq!(PeerDown::read(Some(&raw(&down)), node(2), node(3)), Ok(down));
        assert_eq!(raw(&down).get(), format!(r#"{{"gen":1,"deviceId":"{}","reportedAtMs":5}}"#, node(1)));
    }

    #[test]
    fn nobody_leaves_for_somebody_else_and_nobody_is_told_that_they_are_down() {
        let leaving = raw(&PeerLeaving::new(node(1), 5));
        assert!(PeerLeaving::read(Some(&leaving), node(2)).unwrap_err().message.contains("`deviceId`"));
        let down = raw(&PeerDown::new(node(1), 5));
        assert!(PeerDown::read(Some(&down), node(1), node(3)).is_err());
        assert!(PeerDown::read(Some(&down), node(2), node(1)).is_err());
    }

    #[test]
    fn wrong_news_is_refused_by_the_field() {
        for (payload, named) in [
            (json!({"gen": 2, "deviceId": node(1)}), "`gen`"),
            (json!({"deviceId": node(1)}), "`gen`"),
            (json!({"gen": 1}), "`deviceId`"),
            (json!({"gen": 1, "deviceId": "barn"}), "`deviceId`"),
            (json!({"gen": 1, "deviceId": node(1), "timestamp": "now", "reportedAtMs": -1}), "`"),
            (json!([]), "peer."),
        ] {
            let payload = raw(&payload);
            assert!(PeerLeaving::read(Some(&payload), node(1)).unwrap_err().message.contains(named));
            assert!(PeerDown::read(Some(&payload), node(2), node(3)).unwrap_err().message.contains(named));
        }
        assert!(PeerLeaving::read(None, node(1)).is_err());
    }
}
