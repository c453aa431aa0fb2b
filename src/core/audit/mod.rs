//! The safety log of this node: what was asked, judged, ordered and done, in lines that hang together for as long as the journal is
//! kept.
//! Reads the batch, what is new in stories, orders, answers and refusals. Writes [`SafetyLog`] and, through `Keeping`, the journal.
//! Invariant: a line is in the journal before what it tells of leaves the node; a later run goes on where the last one ended.
//! Not here: what a line is and how it hangs on those before it (`authority::audit`), showing it to people (`clawmesh`).

mod log;
mod systems;

use bevy::prelude::*;

pub use log::{Moment, SUBJECT, SafetyLog, read};
pub(crate) use systems::{Log, keep_log};

use crate::alarms::AlarmSystems;
use crate::clock::TickSystems;
use crate::proposals::RequestSystems;
use crate::replay::DigestApp as _;
use crate::safety::RefusalSystems;
use crate::site::SiteSystems;

/// The part of `Track` after which the safety log has what came in.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogSystems;

/// Keeps the safety log.
pub struct AuditPlugin;

impl Plugin for AuditPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<SafetyLog>()
            .digest_resource::<SafetyLog>("safety_log")
            .add_systems(
                FixedUpdate,
                (systems::go_on, systems::log_inputs)
                    .chain()
                    .in_set(LogSystems)
                    .after(SiteSystems)
                    .in_set(TickSystems::Track),
            )
            .add_systems(
                FixedUpdate,
                systems::log_revocations.after(RequestSystems).in_set(TickSystems::Plan),
            )
            .add_systems(
                FixedUpdate,
                systems::log_refusals.after(RefusalSystems).before(AlarmSystems).in_set(TickSystems::Record),
            );
    }
}
