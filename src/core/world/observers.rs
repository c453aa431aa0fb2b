//! Indexes over sensors and beliefs; they decide nothing.

use bevy::prelude::*;

use super::components::{BeliefIndex, BeliefKey, Sensor, SensorIndex};

pub(super) fn index_sensor(
    insert: On<Insert, Sensor>,
    sensors: Query<&Sensor>,
    mut index: ResMut<SensorIndex>,
) -> Result {
    index.0.insert(sensors.get(insert.entity)?.clone(), insert.entity);
    Ok(())
}

pub(super) fn unindex_sensor(
    discard: On<Discard, Sensor>,
    sensors: Query<&Sensor>,
    mut index: ResMut<SensorIndex>,
) -> Result {
    index.0.remove(sensors.get(discard.entity)?);
    Ok(())
}

pub(super) fn index_belief(
    insert: On<Insert, BeliefKey>,
    keys: Query<&BeliefKey>,
    mut index: ResMut<BeliefIndex>,
) -> Result {
    index.0.insert(keys.get(insert.entity)?.0.clone(), insert.entity);
    Ok(())
}

pub(super) fn unindex_belief(
    discard: On<Discard, BeliefKey>,
    keys: Query<&BeliefKey>,
    mut index: ResMut<BeliefIndex>,
) -> Result {
    index.0.remove(&keys.get(discard.entity)?.0);
    Ok(())
}
