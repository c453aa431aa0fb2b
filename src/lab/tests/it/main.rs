//! What a mesh of cores must do, whatever the network does.

mod alarms;
mod alter;
mod attacks;
mod digests;
mod faults;
mod guests;
mod interleavings;
mod leadership;
mod mesh;
mod planner;
mod proposals;
mod replay;
mod site;
mod tick;
mod world;

use clawmesh_authority::{Capability, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{InputBody, Sample, SourceId};
use clawmesh_core::publish::{RefusalView, SensorView};
use clawmesh_lab::Lab;

/// A flow sensor that feeds the belief `main/flow`.
fn flow_spec() -> SensorSpec {
    SensorSpec {
        sensor: flow(),
        quantity: "flow".to_owned(),
        unit: Unit::LitrePerMinute,
        period_ms: 1_000,
        range: Some((0.0, 80.0)),
        stuck_after_ms: Some(10_000),
        about: Some("main/flow".to_owned()),
    }
}

fn flow() -> Capability {
    Capability::new("sensor:flow:main").expect("it is well-formed")
}

fn flow_of(value: f64) -> Sample {
    Sample { sensor: flow(), value, unit: Unit::LitrePerMinute, origin_ms: 0, tier: Tier::T2 }
}

/// A pump house that measures flow, and a barn that listens.
fn pump_and_barn() -> Lab {
    with_flow(Lab::seeded(7))
}

fn with_flow(lab: Lab) -> Lab {
    let mut lab = lab.with_nodes(["pump", "barn"]);
    lab.offer("pump", SourceId::HostSensors, InputBody::SensorsDeclared(vec![flow_spec()]));
    lab.run_ticks(5);
    lab
}

fn flow_at(lab: &Lab, name: &str) -> SensorView {
    let snapshot = lab.snapshot(name);
    let row = snapshot.sensors.iter().find(|row| row.sensor == flow().as_str());
    row.expect("the flow sensor is known").clone()
}

fn refusals(lab: &Lab, name: &str, code: &str) -> Vec<RefusalView> {
    let snapshot = lab.snapshot(name);
    snapshot.refusals.iter().filter(|row| row.code.as_str() == code).cloned().collect()
}
