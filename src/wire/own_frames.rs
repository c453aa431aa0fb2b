//! Frames of our own: what our sensors show and what we can do, told so that existing nodes know it and hear that we are there.
//!
//! Existing nodes end a connection on which no event came for 90 s, whatever else went over it.

use clawmesh_authority::{NodeId, Tier};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::auth::uuid_text;
use crate::code::{Code, Refusal};
use crate::context::{ContextFrame, FrameKind, SHOWN_TIER_MAX};
use crate::trust::EvidenceSource;

/// How often a node tells something of its own, milliseconds; a third of the time after which existing nodes give up.
pub const TOLD_EVERY_MS: u64 = 30_000;
/// The most readings that are told at a time. An existing node takes 100 messages a minute of a link that we have dialled, and
/// drops the others without a word; most of them are left to answers, calls and what others tell.
pub const READINGS_MAX: usize = 15;

/// Who tells, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teller<'a> {
    /// Our id.
    pub node: NodeId,
    /// What people call us.
    pub display_name: &'a str,
    /// Now, Unix milliseconds.
    pub unix_ms: u64,
}

/// What a sensor of ours shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// Where it is.
    pub zone: String,
    /// What it measures.
    pub metric: String,
    /// What it shows.
    pub value: f64,
    /// In which unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Which sensor.
    pub sensor: String,
    /// When it was measured, Unix milliseconds; the frame has this time.
    #[serde(skip)]
    pub measured_ms: u64,
    /// What the value is worth.
    #[serde(skip)]
    pub tier: Tier,
}

#[derive(Serialize)]
struct Abilities<'a> {
    capabilities: &'a [String],
}

impl Teller<'_> {
    /// A frame about a sensor, named by these random bytes.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` for a value that JSON cannot say.
    pub fn observation(&self, observed: &Observed, random: &[u8; 16]) -> Result<ContextFrame, Refusal> {
        let frame = self.frame(FrameKind::Observation, EvidenceSource::Sensor, observed, random)?;
        Ok(ContextFrame {
            timestamp_ms: observed.measured_ms,
            zone: Some(observed.zone.clone()),
            metric: Some(observed.metric.clone()),
            claimed_tier: observed.tier.min(SHOWN_TIER_MAX),
            ..frame
        })
    }

    /// A frame that says what we can do. It says the same each time, so whoever keeps the newest keeps one.
    ///
    /// # Errors
    /// `INTERNAL_ERROR`, which does not happen.
    pub fn abilities(&self, capabilities: &[String], random: &[u8; 16]) -> Result<ContextFrame, Refusal> {
        let data = Abilities { capabilities };
        self.frame(FrameKind::CapabilityUpdate, EvidenceSource::Device, &data, random)
    }

    fn frame(
        &self,
        kind: FrameKind,
        source: EvidenceSource,
        data: &impl Serialize,
        random: &[u8; 16],
    ) -> Result<ContextFrame, Refusal> {
        let data = to_raw_value(data).map_err(|why| Refusal::new(Code::InternalError, why.to_string()))?;
        Ok(ContextFrame {
            kind,
            frame_id: uuid_text(random),
            source_device_id: self.node.to_string(),
            source_display_name: Some(self.display_name.to_owned()),
            timestamp_ms: self.unix_ms,
            data,
            zone: None,
            metric: None,
            sources: vec![source],
            claimed_tier: SHOWN_TIER_MAX,
            note: None,
            hops: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::NOW_MS;

    fn teller() -> Teller<'static> {
        Teller { node: NodeId([7; 32]), display_name: "barn", unix_ms: NOW_MS }
    }

    fn observed(value: f64) -> Observed {
        Observed {
            zone: "pipe".to_owned(),
            metric: "flow".to_owned(),
            value,
            unit: Some("L/min".to_owned()),
            sensor: "sensor:flow:pipe".to_owned(),
            measured_ms: NOW_MS - 500,
            tier: Tier::T3,
        }
    }

    #[test]
    fn others_read_what_we_tell_as_we_meant_it() {
        let abilities = ["actuator:mock".to_owned()];
        for ours in [
            teller().observation(&observed(1.5), &[1; 16]).unwrap(),
            teller().abilities(&abilities, &[2; 16]).unwrap(),
        ] {
            let raw = to_raw_value(&ours).unwrap();
            let read = ContextFrame::read(Some(&raw), NOW_MS).unwrap();
            assert_eq!(to_raw_value(&read).unwrap().get(), raw.get());
            assert_eq!((read.stamp(), read.key()), (ours.stamp(), ours.key()));
            assert_eq!((read.zone.clone(), read.metric.clone()), (ours.zone.clone(), ours.metric.clone()));
            assert_eq!(read.shown_tier(), Tier::T2, "no frame is worth more");
        }
        let frame = teller().observation(&observed(1.5), &[1; 16]).unwrap();
        assert_eq!(frame.timestamp_ms, NOW_MS - 500, "as old as what was measured");
    }

    #[test]
    fn what_we_can_do_takes_one_place_however_often_it_is_said() {
        let said = |n: u8| teller().abilities(&["a:b".to_owned()], &[n; 16]).unwrap();
        assert_eq!(said(1).key(), said(2).key());
        assert_ne!(said(1).frame_id, said(2).frame_id);
    }

    #[test]
    fn a_value_that_json_cannot_say_is_told_as_null_and_breaks_nothing() {
        let frame = teller().observation(&observed(f64::NAN), &[1; 16]).unwrap();
        assert!(frame.data.get().contains(r#""value":null"#));
    }
}
