//! What is on its way out, and the ports it leaves through.

use bevy::prelude::Resource;
use clawmesh_authority::{Hlc, Lane, Reading};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::outgoing::{Outbox, Outgoing};
use super::snapshot::SnapshotSink;

/// How far this node has numbered what it says, in this run.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct OwnLanes {
    #[n(0)]
    state_next: u64,
    #[n(1)]
    stream_next: u64,
    #[n(2)]
    samples: u64,
    #[n(3)]
    stream_tick: u64,
    #[n(4)]
    has_left: bool,
}

impl OwnLanes {
    /// Numbers the next statement on `lane`.
    pub fn next(&mut self, lane: Lane) -> u64 {
        let next = match lane {
            Lane::State => &mut self.state_next,
            Lane::Stream => &mut self.stream_next,
        };
        *next += 1;
        *next - 1
    }

    /// The tick in which something was said on the stream lane last.
    #[must_use]
    pub fn stream_tick(&self) -> u64 {
        self.stream_tick
    }

    /// Notes that something is said on the stream lane in this tick.
    pub fn speak(&mut self, tick: u64) {
        self.stream_tick = tick;
    }

    /// True when the last word on the stream lane was said.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.has_left
    }

    /// Notes that the last word on the stream lane is said.
    pub fn leave(&mut self) {
        self.has_left = true;
    }

    /// Numbers the next sample of any of our sensors.
    pub fn next_sample(&mut self) -> u64 {
        self.samples += 1;
        self.samples - 1
    }
}

/// The readings of our own sensors in this tick, and their hybrid time.
#[derive(Resource, Debug, Default)]
pub struct OwnReadings(pub Option<(Hlc, Vec<Reading>)>);

/// Statements that wait for a place in the outbox, oldest first.
#[derive(Resource, Debug, Default)]
pub struct Pending(pub Vec<Outgoing>);

/// The way out.
#[derive(Resource, Debug)]
pub struct OutboxPort(pub Outbox);

/// The way to readers.
#[derive(Resource)]
pub struct SnapshotPort(pub Box<dyn SnapshotSink>);
