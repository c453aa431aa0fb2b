//! What a person has to look at, until a person has: alarms as in ISA-18.2 and IEC 62682, as far as we need them.
//! Reads what the world knows (flags of sensors, readings, the stop, refusals, proposals, actuators) and what people do
//! with alarms. Writes alarm entities, and what a restart must know of them.
//! Invariant: what is the case is shown or counted; what rang stays until somebody acknowledges it; no key has two alarms;
//! their number is bounded; a stop is never put aside.
//! Not here: deciding anything by an alarm (nothing does), the page and the terminal (`gateway`, `clawmesh`).

mod book;
mod components;
mod condition;
mod record;
mod state;
mod systems;
mod watch;

use bevy::prelude::*;

pub use book::{
    ALARMS_MAX, AlarmBook, CRITICAL_SHELF_MS_MAX, SHELF_MS_MAX, not_shelved, shelf_fault, shelf_ms_max,
    unknown,
};
pub use components::{Alarm, FlaggedSince, LastKept};
pub use condition::{Condition, FLAG_LASTS_MS, KEY_BYTES_MAX, MET_WITHIN_MS, MORE, REFUSALS_LAST_MS, STOP};
pub use record::SUBJECT;
pub use state::{AlarmState, Now, Priority, QUIET_AFTER_RESTART_MS, QUIET_MS, Standing};

use crate::clock::TickSystems;
use crate::publish::ComposeSystems;
use crate::replay::DigestApp as _;
use crate::safety::RefusalSystems;
use crate::world::Sensor;

/// The part of `Record` after which alarms are what they are in this tick, and what is to be kept of them is known.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlarmSystems;

/// Keeps the alarms of this node.
pub struct AlarmsPlugin;

impl Plugin for AlarmsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<LastKept>().register_required_components::<Sensor, FlaggedSince>();
        app.digest_component::<Alarm>("alarm")
            .digest_component::<AlarmState>("alarm_state")
            .digest_component::<FlaggedSince>("flagged_since")
            .digest_resource::<LastKept>("alarms_kept")
            .add_systems(
                FixedUpdate,
                systems::handle_alarms.before(RefusalSystems).in_set(TickSystems::Record),
            )
            .add_systems(
                FixedUpdate,
                (systems::date_flags, systems::raise_alarms, systems::keep_alarms)
                    .chain()
                    .in_set(AlarmSystems)
                    .after(RefusalSystems)
                    .before(ComposeSystems)
                    .in_set(TickSystems::Record),
            );
    }
}
