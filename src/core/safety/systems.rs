//! Systems that keep the book.

use bevy::prelude::*;

use super::components::{LinkStatus, Refusals, StopState};
use super::messages::{Refused, Told};
use crate::clock::{BEHIND_MS_MAX, SAMPLE_PERIOD_MS, Tick, WallClock};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::settings::Settings;

/// The stop and the link are facts of the process around the tick; it learns of them as inputs.
pub(super) fn follow_runner(
    batch: Res<TickBatch>,
    (tick, wall, settings): (Res<Tick>, Res<WallClock>, Res<Settings>),
    mut stop: ResMut<StopState>,
    mut link: ResMut<LinkStatus>,
) {
    let wall_ms = wall.at(*tick, &settings);
    stop.date(wall_ms);
    for stamped in batch.iter() {
        match &stamped.input.body {
            InputBody::StopLatched { reason, stops } => {
                let is_left = stamped.input.source == SourceId::Journal;
                let known_ms = if is_left { settings.known_before_ms } else { 0 };
                stop.latch(reason, latched_ms(wall_ms, known_ms));
                stop.stops = stop.stops.max(*stops);
            }
            // The latch is opened by whoever runs this node, and nobody else knows that it is.
            InputBody::Rearmed if stamped.input.source == SourceId::Runner => stop.reason = None,
            InputBody::LinkChanged(state) => link.0 = state.clone(),
            _ => {}
        }
    }
}

/// When a stop was latched, by the clock now and the newest time that earlier runs knew. What they left may have been pressed at
/// their very end, by a clock that was ahead of this one.
fn latched_ms(wall_ms: u64, known_ms: u64) -> u64 {
    let is_behind = wall_ms > 0 && wall_ms < known_ms && known_ms <= wall_ms.saturating_add(BEHIND_MS_MAX);
    if is_behind { known_ms.saturating_add(SAMPLE_PERIOD_MS) } else { wall_ms }
}

/// What edges refused comes in as an input and goes into the same book.
pub(super) fn take_refusals(batch: Res<TickBatch>, mut refused: MessageWriter<Refused>) {
    for stamped in batch.iter() {
        if let InputBody::Refused { refusal, count } = &stamped.input.body {
            refused.write(Refused { refusal: refusal.clone(), count: *count });
        }
    }
}

pub(super) fn tally_refusals(
    tick: Res<Tick>,
    mut heard: MessageReader<Refused>,
    mut refusals: ResMut<Refusals>,
    mut told: MessageWriter<Told>,
) {
    for refused in heard.read() {
        if let Some(tally) = refusals.0.enter(refused.refusal.clone(), refused.count, tick.0) {
            told.write(Told(tally.clone()));
        }
    }
}
