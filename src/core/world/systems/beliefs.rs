//! Beliefs: met, then resolved by hybrid time and source.

use std::collections::BTreeMap;

use bevy::prelude::*;
use clawmesh_authority::{Code, Observation, Value};

use crate::clock::{Tick, WallClock};
use crate::mesh::{ObservationMade, ReadingTaken};
use crate::replay::DomainId;
use crate::safety::Refused;
use crate::settings::Settings;
use crate::world::components::{
    BELIEFS_MAX, Belief, BeliefIndex, BeliefKey, Latest, Profile, Sensor, SensorIndex, SupportedBy,
};
use crate::world::conflict::{Claim, replaces};

/// A reading of a sensor that is about a key is an observation of that key.
pub(in crate::world) fn believe_readings(
    index: Res<SensorIndex>,
    sensors: Query<(&Profile, &Latest)>,
    mut taken: MessageReader<ReadingTaken>,
    mut made: MessageWriter<ObservationMade>,
) {
    for ReadingTaken { node, reading, hlc } in taken.read() {
        let sensor = Sensor { node: *node, capability: reading.sensor.clone() };
        let known = index.0.get(&sensor).and_then(|entity| sensors.get(*entity).ok());
        let Some((profile, latest)) = known else { continue };
        // A refused reading left `Latest` as it was, and then it is no evidence either.
        let was_taken = latest.hlc == *hlc && latest.sequence == reading.sequence;
        if let (true, Some(about)) = (was_taken, &profile.0.about) {
            let observation = Observation {
                key: about.clone(),
                value: Value::Number(reading.value),
                unit: Some(reading.unit),
                origin_ms: reading.origin_ms,
                tier: reading.tier,
            };
            let sensor = Some(reading.sensor.clone());
            made.write(ObservationMade { source: *node, observation, sensor, hlc: *hlc });
        }
    }
}

/// Makes an entity of every key met for the first time in this tick.
pub(in crate::world) fn meet_beliefs(
    mut made: MessageReader<ObservationMade>,
    mut index: ResMut<BeliefIndex>,
    mut refused: MessageWriter<Refused>,
    mut commands: Commands,
) {
    for ObservationMade { source, observation, .. } in made.read() {
        let key = &observation.key;
        if index.0.contains_key(key) {
            continue;
        }
        if index.0.len() >= BELIEFS_MAX {
            let sentence = format!("no room for {key:?}: this node keeps {BELIEFS_MAX} beliefs");
            refused.write(Refused::once(Code::LimitExceeded, source, sentence));
            continue;
        }
        let domain = DomainId::of("belief", &[key.as_bytes()]);
        let entity = commands.spawn((BeliefKey(key.clone()), domain)).id();
        // The observer indexes it when the command runs; later statements of this tick need it now.
        index.0.insert(key.clone(), entity);
    }
}

pub(in crate::world) fn resolve_beliefs(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    mut made: MessageReader<ObservationMade>,
    index: Res<BeliefIndex>,
    sensors: Res<SensorIndex>,
    beliefs: Query<&Belief>,
    mut commands: Commands,
) {
    let mut newest: BTreeMap<&str, &ObservationMade> = BTreeMap::new();
    for observed in made.read() {
        let held = newest.get(observed.observation.key.as_str()).map(|held| claim_of(held));
        if replaces(&claim_of(observed), held.as_ref()) {
            newest.insert(&observed.observation.key, observed);
        }
    }
    let wall_ms = wall.at(*tick, &settings);
    for (key, observed) in newest {
        let Some(entity) = index.0.get(key) else { continue };
        // What our own clock stamped while it was wrong must not outrank everything said since. What others stamped
        // was judged when it came, and must mean the same on every node.
        let is_void = |held: &&Belief| held.source == settings.node && held.hlc.is_of_a_wrong_clock(wall_ms);
        let held = beliefs.get(*entity).ok().filter(|held| !is_void(held));
        if !replaces(&claim_of(observed), held.map(claim_of_belief).as_ref()) {
            continue;
        }
        let mut belief = commands.entity(*entity);
        belief.insert(belief_of(observed));
        match support(observed, &sensors) {
            Some(sensor) => belief.insert(SupportedBy(sensor)),
            None => belief.remove::<SupportedBy>(),
        };
    }
}

fn claim_of(observed: &ObservationMade) -> Claim<'_> {
    let Observation { value, origin_ms, .. } = &observed.observation;
    Claim { hlc: observed.hlc, source: observed.source, origin_ms: *origin_ms, value }
}

fn claim_of_belief(belief: &Belief) -> Claim<'_> {
    Claim { hlc: belief.hlc, source: belief.source, origin_ms: belief.origin_ms, value: &belief.value }
}

fn belief_of(observed: &ObservationMade) -> Belief {
    let Observation { value, unit, origin_ms, tier, .. } = observed.observation.clone();
    Belief { value, unit, tier, hlc: observed.hlc, source: observed.source, origin_ms }
}

/// The sensor that measured it. A note of a person has none, whatever sensors there are about the same key.
fn support(observed: &ObservationMade, sensors: &SensorIndex) -> Option<Entity> {
    let capability = observed.sensor.clone()?;
    sensors.0.get(&Sensor { node: observed.source, capability }).copied()
}
