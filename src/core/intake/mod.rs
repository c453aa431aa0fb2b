//! How anything enters the world: bounded doors, one order, journal before effect.
//! Reads the inboxes (or a journal in replay). Writes the batch of the tick.
//! Invariant: a batch is sorted by (source, lane, sequence) and handed to the journal before any system
//! sees it.
//! Not here: what an input means (`mesh`, `world`, `safety`).

mod components;
mod inbox;
mod input;
mod systems;

use bevy::prelude::*;

pub use components::{Feed, JournalCursor, JournalPort, TickBatch};
pub use inbox::{InboxHandle, InboxLimits, Inboxes, StreamKey, doors};
pub use input::{
    ActuatorReport, AlarmAct, DriverReport, InDoubt, Input, InputBody, LinkState, SafeBecause, Sample,
    SourceId, StampedInput, Thought,
};

use crate::clock::TickSystems;
use crate::replay::DigestApp as _;

/// The part of `Ingest` that fills the batch; everything else in the tick comes after.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IntakeSystems;

/// Fills the batch of every tick.
pub struct IntakePlugin;

impl Plugin for IntakePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<TickBatch>()
            .init_resource::<JournalCursor>()
            .exclude_from_digest::<TickBatch>("inputs of one tick, which the journal itself holds")
            .exclude_from_digest::<JournalCursor>("where the journal stands, not what the world is")
            .exclude_from_digest::<Feed>("the doors of a live node; a replay has none")
            .exclude_from_digest::<JournalPort>("the way to the journal; a replay has none")
            .add_systems(
                FixedUpdate,
                systems::take_batch
                    .run_if(resource_exists::<Feed>)
                    .in_set(IntakeSystems)
                    .in_set(TickSystems::Ingest),
            );
    }
}
