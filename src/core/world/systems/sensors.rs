//! Sensors: met, described, read, judged.

use std::collections::{BTreeMap, BTreeSet};

use bevy::prelude::*;
use clawmesh_authority::{Code, Hlc, NodeId, Reading};

use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, Sample, TickBatch};
use crate::mesh::{HlcState, NodeDescribed, NodeIndex, ReadingTaken, Trust};
use crate::publish::{OwnLanes, OwnReadings};
use crate::replay::DomainId;
use crate::safety::Refused;
use crate::settings::Settings;
use crate::world::components::{
    Latest, MountedOn, Profile, SENSORS_MAX, SENSORS_PER_NODE_MAX, Sensor, SensorIndex,
};
use crate::world::freshness::{FreshnessPolicy, Moment, Quality, assess};

/// Our own samples become readings like everybody else's.
pub(in crate::world) fn take_samples(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    mut clock: ResMut<HlcState>,
    mut lanes: ResMut<OwnLanes>,
    mut own: ResMut<OwnReadings>,
    mut taken: MessageWriter<ReadingTaken>,
) {
    let samples = batch.iter().filter_map(|stamped| match &stamped.input.body {
        InputBody::Sampled(samples) => Some(samples),
        _ => None,
    });
    let mut readings: Vec<Reading> =
        samples.flatten().map(|sample| reading_of(sample, lanes.next_sample())).collect();
    if readings.is_empty() {
        return;
    }
    let wall_ms = wall.at(*tick, &settings);
    // One stamp for all of them: here and on every other node they carry the same hybrid time.
    let hlc = clock.0.stamp(wall_ms);
    taken.write_batch(readings.iter().map(|reading| ReadingTaken {
        node: settings.node,
        reading: reading.clone(),
        hlc,
    }));
    // When something was measured while nobody knew the time is not known: it is shown here, and never said to others.
    readings.retain(|reading| wall_ms > 0 && reading.origin_ms > 0);
    own.0 = (!readings.is_empty()).then_some((hlc, readings));
}

fn reading_of(sample: &Sample, sequence: u64) -> Reading {
    Reading {
        sensor: sample.sensor.clone(),
        value: sample.value,
        unit: sample.unit,
        origin_ms: sample.origin_ms,
        sequence,
        tier: sample.tier,
    }
}

/// Makes an entity of every sensor met for the first time in this tick.
pub(in crate::world) fn meet_sensors(
    settings: Res<Settings>,
    batch: Res<TickBatch>,
    nodes: Res<NodeIndex>,
    mut index: ResMut<SensorIndex>,
    mut described: MessageReader<NodeDescribed>,
    mut taken: MessageReader<ReadingTaken>,
    mut refused: MessageWriter<Refused>,
    mut commands: Commands,
) {
    let mut met = met_in(&settings, &batch, &mut described, &mut taken);
    met.retain(|sensor| !index.0.contains_key(sensor));
    if met.is_empty() {
        return;
    }
    let mut of_node: BTreeMap<NodeId, usize> = BTreeMap::new();
    for Sensor { node, .. } in index.0.keys() {
        *of_node.entry(*node).or_default() += 1;
    }
    for sensor in met {
        let Some(node) = nodes.0.get(&sensor.node) else { continue };
        let of_node = of_node.entry(sensor.node).or_default();
        if let Some(sentence) = no_room(&sensor, index.0.len(), *of_node) {
            refused.write(Refused::once(Code::LimitExceeded, sensor.node, sentence));
            continue;
        }
        *of_node += 1;
        let domain = DomainId::of("sensor", &[&sensor.node.0, sensor.capability.as_str().as_bytes()]);
        let entity = commands.spawn((sensor.clone(), domain, MountedOn(*node))).id();
        // The observer indexes it when the command runs; later systems of this tick need it now.
        index.0.insert(sensor, entity);
    }
}

fn no_room(Sensor { capability, .. }: &Sensor, of_all: usize, of_node: usize) -> Option<String> {
    if of_all >= SENSORS_MAX {
        return Some(format!("no room for {capability}: this node keeps {SENSORS_MAX} sensors"));
    }
    (of_node >= SENSORS_PER_NODE_MAX)
        .then(|| format!("no room for {capability}: {SENSORS_PER_NODE_MAX} sensors of one node are kept"))
}

fn met_in(
    settings: &Settings,
    batch: &TickBatch,
    described: &mut MessageReader<NodeDescribed>,
    taken: &mut MessageReader<ReadingTaken>,
) -> BTreeSet<Sensor> {
    let sensor = |node: NodeId, capability: &clawmesh_authority::Capability| Sensor {
        node,
        capability: capability.clone(),
    };
    let own = batch.iter().filter_map(|stamped| match &stamped.input.body {
        InputBody::SensorsDeclared(specs) => Some(specs),
        _ => None,
    });
    let mut met: BTreeSet<Sensor> = own.flatten().map(|spec| sensor(settings.node, &spec.sensor)).collect();
    for NodeDescribed { node, description } in described.read() {
        met.extend(description.sensors.iter().map(|spec| sensor(*node, &spec.sensor)));
    }
    met.extend(taken.read().map(|taken| sensor(taken.node, &taken.reading.sensor)));
    met
}

pub(in crate::world) fn describe_sensors(
    settings: Res<Settings>,
    batch: Res<TickBatch>,
    index: Res<SensorIndex>,
    mut described: MessageReader<NodeDescribed>,
    mut commands: Commands,
) {
    let own = batch.iter().filter_map(|stamped| match &stamped.input.body {
        InputBody::SensorsDeclared(specs) => Some((settings.node, specs)),
        _ => None,
    });
    let theirs = described.read().map(|described| (described.node, &described.description.sensors));
    for (node, specs) in own.chain(theirs) {
        for spec in specs {
            let sensor = Sensor { node, capability: spec.sensor.clone() };
            if let Some(entity) = index.0.get(&sensor) {
                commands.entity(*entity).insert(Profile(spec.clone()));
            }
        }
    }
}

pub(in crate::world) fn take_readings(
    tick: Res<Tick>,
    index: Res<SensorIndex>,
    mut taken: MessageReader<ReadingTaken>,
    mut sensors: Query<(Option<&Profile>, Option<&mut Latest>)>,
    mut refused: MessageWriter<Refused>,
    mut commands: Commands,
) -> Result {
    for ReadingTaken { node, reading, hlc } in taken.read() {
        let sensor = Sensor { node: *node, capability: reading.sensor.clone() };
        let Some(entity) = index.0.get(&sensor) else { continue };
        let (profile, latest) = sensors.get_mut(*entity)?;
        if let Some(refusal) = judge(*node, reading, profile) {
            refused.write(refusal);
            continue;
        }
        let next = succeed(latest.as_deref(), reading, *hlc, *tick);
        match latest {
            Some(mut latest) => *latest = next,
            // Two first readings in one tick: the later command wins, and it is the later reading.
            None => drop(commands.entity(*entity).insert(next)),
        }
    }
    Ok(())
}

fn judge(node: NodeId, reading: &Reading, profile: Option<&Profile>) -> Option<Refused> {
    let Reading { sensor, value, unit, .. } = reading;
    if !value.is_finite() {
        let sentence = format!("{sensor} said {value}; its last good value stands, look at the sensor");
        return Some(Refused::once(Code::NotANumber, node, sentence));
    }
    let declared = profile.map(|profile| profile.0.unit).filter(|declared| declared != unit)?;
    let sentence = format!("{sensor} came in {unit} but was declared in {declared}; correct one of them");
    Some(Refused::once(Code::UnitMismatch, node, sentence))
}

fn succeed(before: Option<&Latest>, reading: &Reading, hlc: Hlc, tick: Tick) -> Latest {
    // Since when it rests is not known of one whose time is not.
    let is_same =
        |before: &&Latest| before.value.to_bits() == reading.value.to_bits() && before.unchanged_since_ms > 0;
    Latest {
        value: reading.value,
        unit: reading.unit,
        origin_ms: reading.origin_ms,
        unchanged_since_ms: before
            .filter(is_same)
            .map_or(reading.origin_ms, |before| before.unchanged_since_ms),
        sequence: reading.sequence,
        tier: reading.tier,
        hlc,
        received_tick: tick.0,
        samples: before.map_or(0, |before| before.samples) + 1,
    }
}

pub(in crate::world) fn assess_sensors(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    trust: Res<Trust>,
    policy: Res<FreshnessPolicy>,
    mut sensors: Query<(&Sensor, Option<&Latest>, Option<&Profile>, &mut Quality)>,
) {
    let wall_ms = wall.at(*tick, &settings);
    for (sensor, latest, profile, mut quality) in &mut sensors {
        let received = latest.map_or(tick.0, |latest| latest.received_tick);
        let now = Moment { wall_ms, since_receipt_ms: settings.ms_of_ticks(tick.0 - received) };
        let assessed = assess(latest, profile.map(|profile| &profile.0), now, &policy);
        quality.set_if_neq(Quality { is_untrusted: !trust.believes(&sensor.node), ..assessed });
    }
}
