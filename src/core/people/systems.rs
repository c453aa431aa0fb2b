//! Systems that follow what people at the console write down.

use bevy::prelude::*;

use super::components::People;
use crate::intake::{InputBody, SourceId, TickBatch};

/// Knows these people from now on. Only whoever runs this node may say so.
pub(super) fn follow_people(batch: Res<TickBatch>, mut people: ResMut<People>) {
    let newest = batch.iter().filter_map(|stamped| match (&stamped.input.source, &stamped.input.body) {
        (SourceId::Runner, InputBody::PeopleChanged(roster)) => Some(roster),
        _ => None,
    });
    if let Some(newest) = newest.last() {
        people.set_if_neq(People(newest.clone()));
    }
}
