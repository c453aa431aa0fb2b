//! Systems that move time.

use bevy::app::FixedMain;
use bevy::prelude::*;

use super::components::{Tick, WallClock};
use crate::intake::{InputBody, TickBatch};

/// Runs the fixed schedules once; `App::update` is one tick, whatever the wall clock does.
pub(super) fn run_one_tick(world: &mut World) {
    world.run_schedule(FixedMain);
}

pub(super) fn count_tick(mut tick: ResMut<Tick>) {
    tick.0 += 1;
}

pub(super) fn read_wall_clock(tick: Res<Tick>, batch: Res<TickBatch>, mut clock: ResMut<WallClock>) {
    for stamped in batch.iter() {
        if let InputBody::ClockSampled { unix_ms, up_ms } = stamped.input.body {
            clock.sample(unix_ms, up_ms, *tick);
        }
    }
}
