//! The tick: ten sets in one order, and the only idea of time the world has.
//! Reads the batch of the tick. Writes `Tick`, `WallClock`.
//! Invariant: every system of `FixedUpdate` is in exactly one set of [`TickSystems`]; wall time enters as
//! an input and is carried forward by counting ticks; 0 means that it is not known.
//! Not here: the thread that sleeps between ticks (`clawmesh`), hybrid time of messages (`mesh`).

pub mod agreement;
mod components;
mod keeper;
mod systems;

use bevy::ecs::schedule::{LogLevel, ScheduleBuildSettings, SingleThreadedExecutor};
use bevy::prelude::*;

pub use components::{Tick, WallClock};
pub use keeper::{ClockView, Keeping, Round, Timekeeper};

use crate::intake;
use crate::replay::DigestApp as _;

/// The clocks are sampled at latest after this long, milliseconds.
pub const SAMPLE_PERIOD_MS: u64 = 1_000;
/// How far the clock of a machine may stand behind the newest time of earlier runs and still be believed, milliseconds.
pub const BEHIND_MS_MAX: u64 = 60_000;

/// One tick, in order. Every `FixedUpdate` system is in exactly one of these.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TickSystems {
    /// Inputs are ordered, written down and opened.
    Ingest,
    /// The world takes notice.
    Track,
    /// Planners may propose.
    Plan,
    /// Proposals are simulated.
    Simulate,
    /// People and policy judge.
    Review,
    /// The gate decides.
    Guard,
    /// Drivers are told.
    Actuate,
    /// Sensors confirm.
    Verify,
    /// What happened is counted, composed and digested.
    Record,
    /// What may leave, leaves; readers get a picture.
    Publish,
}

impl TickSystems {
    /// All sets, in the order of a tick.
    pub const ALL: [Self; 10] = [
        Self::Ingest,
        Self::Track,
        Self::Plan,
        Self::Simulate,
        Self::Review,
        Self::Guard,
        Self::Actuate,
        Self::Verify,
        Self::Record,
        Self::Publish,
    ];
}

/// The part of `Ingest` after which [`WallClock`] is that of this tick.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WallClockSystems;

/// Builds the tick: one fixed step for each `App::update`, single-threaded, ambiguity is an error.
pub struct ClockPlugin;

impl Plugin for ClockPlugin {
    fn build(&self, app: &mut App) {
        let [ingest, track, plan, simulate, review, guard, actuate, verify, record, publish] =
            TickSystems::ALL;
        app.init_resource::<Tick>()
            .init_resource::<WallClock>()
            .digest_resource::<Tick>("tick")
            .digest_resource::<WallClock>("wall_clock")
            .edit_schedule(FixedUpdate, |schedule| {
                schedule.set_executor(SingleThreadedExecutor::new());
                schedule.set_build_settings(ScheduleBuildSettings {
                    ambiguity_detection: LogLevel::Error,
                    ..ScheduleBuildSettings::default()
                });
            })
            .configure_sets(
                FixedUpdate,
                (ingest, track, plan, simulate, review, guard, actuate, verify, record, publish).chain(),
            )
            .add_systems(
                RunFixedMainLoop,
                systems::run_one_tick.in_set(RunFixedMainLoopSystems::FixedMainLoop),
            )
            .add_systems(
                FixedUpdate,
                (
                    systems::count_tick.before(intake::IntakeSystems),
                    systems::read_wall_clock.after(intake::IntakeSystems).in_set(WallClockSystems),
                )
                    .in_set(TickSystems::Ingest),
            );
    }
}
