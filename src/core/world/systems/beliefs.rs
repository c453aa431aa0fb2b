//! Beliefs: met, then resolved by (HLC, source).

use bevy::prelude::*;
use clawmesh_authority::{Code, Observation, Value};

use crate::mesh::{ObservationMade, ReadingTaken};
use crate::replay::DomainId;
use crate::safety::Refused;
use crate::world::components::{
    BELIEFS_MAX, Belief, BeliefIndex, BeliefKey, Latest, Profile, Sensor, SensorIndex, SupportedBy,
};
use crate::world::conflict::replaces;

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
            made.write(ObservationMade { source: *node, observation, hlc: *hlc });
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
    mut made: MessageReader<ObservationMade>,
    index: Res<BeliefIndex>,
    sensors: Query<(Entity, &Sensor, &Profile)>,
    beliefs: Query<&Belief>,
    mut commands: Commands,
) {
    let mut newest: std::collections::BTreeMap<&str, &ObservationMade> = std::collections::BTreeMap::new();
    for observed in made.read() {
        let held = newest.get(observed.observation.key.as_str()).map(|held| (held.hlc, held.source));
        if replaces(observed.hlc, observed.source, held) {
            newest.insert(&observed.observation.key, observed);
        }
    }
    for (key, observed) in newest {
        let Some(entity) = index.0.get(key) else { continue };
        let held = beliefs.get(*entity).ok().map(|belief| (belief.hlc, belief.source));
        if !replaces(observed.hlc, observed.source, held) {
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

fn belief_of(observed: &ObservationMade) -> Belief {
    let Observation { value, unit, origin_ms, tier, .. } = observed.observation.clone();
    Belief { value, unit, tier, hlc: observed.hlc, source: observed.source, origin_ms }
}

/// The sensor of the same node that is about this key, if there is one.
fn support(observed: &ObservationMade, sensors: &Query<(Entity, &Sensor, &Profile)>) -> Option<Entity> {
    let is_it = |(_, sensor, profile): &(Entity, &Sensor, &Profile)| {
        sensor.node == observed.source
            && profile.0.about.as_deref() == Some(observed.observation.key.as_str())
    };
    // Two sensors of one node about one key: the lower capability, so that the answer has no luck in it.
    sensors.iter().filter(is_it).min_by_key(|(_, sensor, _)| *sensor).map(|(entity, ..)| entity)
}
