//! Alarms as entities, and what is remembered to raise and to keep them.

use bevy::prelude::{Component, Resource};
use clawmesh_authority::ContentHash;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::world::Quality;

/// The identity of an alarm; the entity never becomes another.
#[derive(
    Component, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
pub struct Alarm {
    /// Its name, for example `stale/field-node/sensor:flow:mainline-01`.
    #[n(0)]
    pub key: String,
}

/// The ticks since which the flags of a sensor are set.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct FlaggedSince {
    /// It has never said anything.
    #[n(0)]
    pub silent: Option<u64>,
    /// It says nothing new.
    #[n(1)]
    pub stale: Option<u64>,
    /// Its value does not move.
    #[n(2)]
    pub stuck: Option<u64>,
    /// It says what cannot be.
    #[n(3)]
    pub out_of_range: Option<u64>,
    /// It measures later than now.
    #[n(4)]
    pub future: Option<u64>,
}

impl FlaggedSince {
    /// The same sensor one tick later.
    #[must_use]
    pub fn follow(self, quality: &Quality, tick: u64) -> Self {
        let date = |since: Option<u64>, is_set: bool| is_set.then(|| since.unwrap_or(tick));
        Self {
            silent: date(self.silent, quality.is_silent),
            stale: date(self.stale, quality.is_stale),
            stuck: date(self.stuck, quality.is_stuck),
            out_of_range: date(self.out_of_range, quality.is_out_of_range),
            future: date(self.future, quality.is_from_the_future),
        }
    }
}

/// What was kept of the alarms last, by its content; nothing yet in a new run.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LastKept(#[n(0)] pub Option<ContentHash>);
