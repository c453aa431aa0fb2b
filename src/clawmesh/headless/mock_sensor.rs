//! A mock sensor, for trying things out without hardware: it says by its name that it is one, and is worth nothing.

use std::time::Duration;

use clawmesh_authority::{Capability, NodeId, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, Sample, SourceId, StreamKey};
use clawmesh_plant::MockSoil;

use super::worker::{Ends, Worker};
use crate::moments::unix_ms;

/// What it is called, here and by everybody who hears of it.
const SENSOR: &str = "sensor:mock-moisture:zone-1";
/// What it measures, in words.
const QUANTITY: &str = "mock moisture, drawn by lot";
/// A number that was drawn is no more than somebody's thought: no rule lets anything move because of it.
const TIER: Tier = Tier::T0;

/// Starts to show a number at once and then every `interval_ms`. Which ones follows from the id of the node, so that a run can
/// be told beforehand.
pub fn start(inbox: InboxHandle, node: NodeId, interval_ms: u32) -> anyhow::Result<Worker> {
    let sensor = Capability::new(SENSOR).map_err(anyhow::Error::msg)?;
    let mock = Mock { inbox, soil: MockSoil::new(seed_of(node)), spec: spec(sensor, interval_ms) };
    Ok(Worker::start("mock-sensor", move |ends| mock.run(ends))?)
}

fn seed_of(NodeId(id): NodeId) -> u64 {
    id.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

fn spec(sensor: Capability, interval_ms: u32) -> SensorSpec {
    SensorSpec {
        sensor,
        quantity: QUANTITY.to_owned(),
        unit: Unit::Percent,
        period_ms: interval_ms,
        range: Some((0.0, 100.0)),
        stuck_after_ms: None,
        about: None,
    }
}

struct Mock {
    inbox: InboxHandle,
    soil: MockSoil,
    spec: SensorSpec,
}

impl Mock {
    fn run(mut self, ends: &Ends) {
        let declared = InputBody::SensorsDeclared(vec![self.spec.clone()]);
        if let Err(refusal) = self.inbox.offer_own(SourceId::HostSensors, declared, None) {
            tracing::error!("the mock sensor was not declared: {refusal}");
        }
        loop {
            self.offer();
            if !ends.sleep(Duration::from_millis(u64::from(self.spec.period_ms))) {
                return;
            }
            self.soil.dry();
        }
    }

    fn offer(&self) {
        let sample = Sample {
            sensor: self.spec.sensor.clone(),
            value: self.soil.percent(),
            unit: self.spec.unit,
            origin_ms: unix_ms(),
            tier: TIER,
        };
        let sequence = self.inbox.next_sequence();
        let input = Input { source: SourceId::HostSensors, sequence, body: InputBody::Sampled(vec![sample]) };
        self.inbox.offer_stream(StreamKey { source: SourceId::HostSensors, what: SENSOR.to_owned() }, input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_core::intake::{InboxLimits, doors};

    fn shown(node: NodeId) -> Sample {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let sensor = Capability::new(SENSOR).unwrap();
        let mut mock = Mock { inbox, soil: MockSoil::new(seed_of(node)), spec: spec(sensor, 5_000) };
        assert_eq!(mock.spec.fault(), None);
        mock.soil.dry();
        mock.offer();
        let InputBody::Sampled(samples) = &inboxes.take_stream().0[0].body else { panic!("a sample comes") };
        samples[0].clone()
    }

    #[test]
    fn s3_a_mock_says_that_it_is_one_and_is_worth_less_than_any_measurement() {
        let sample = shown(NodeId([7; 32]));
        assert!(sample.sensor.as_str().contains("mock"), "{sample:?}");
        // The gate wants T2 behind whatever is switched on, and more than T0 behind any proposal of a program.
        assert_eq!(sample.tier, Tier::T0);
    }

    #[test]
    fn what_it_shows_follows_from_the_node() {
        assert_eq!(shown(NodeId([7; 32])).value, shown(NodeId([7; 32])).value);
        assert_ne!(shown(NodeId([7; 32])).value, shown(NodeId([8; 32])).value);
    }
}
