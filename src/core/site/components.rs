//! Actuators of this node, and the way to the layer that drives them.

use std::collections::BTreeSet;

use bevy::prelude::{Component, Resource};
use clawmesh_authority::policy::Mode;
use clawmesh_authority::{AuthorizedCommand, Capability, ContentHash};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::files::SiteFiles;
use crate::intake::ActuatorReport;

/// An actuator that this node drives.
#[derive(
    Component, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
#[require(Stands)]
pub struct Actuator(#[n(0)] pub Capability);

/// How an actuator stands, as its hardware said last; on a guest, where nothing can be read back, as a sensor of ours shows.
#[derive(Component, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Stands {
    /// What the hardware said.
    #[n(0)]
    pub seen: ActuatorReport,
    /// The tick it said so; a tick without a word from a driver means that nothing has changed.
    #[n(1)]
    pub since_tick: u64,
    /// Why it could not be made safe when that was last tried, if it could not.
    #[n(2)]
    pub unsafe_because: Option<String>,
    /// The newest stop after which it was looked at, by its number in this process.
    #[n(3)]
    pub stops_answered: u64,
    /// When an actuator on a guest was told to be safe, in milliseconds of the elapsed time, until a sensor has shown that it
    /// is; what was measured before shows nothing.
    #[n(4)]
    pub told_safe_ms: Option<u64>,
    /// Until when a command may still be carried out of which nobody knows whether it was, in milliseconds of the elapsed time:
    /// until then no sensor shows that it stays safe.
    #[n(5)]
    pub in_doubt_until_ms: Option<u64>,
}

/// How long a command may be on its way of which nobody knows whether it was taken, at least, milliseconds.
pub const IN_DOUBT_MS_MIN: u64 = 60_000;

impl Stands {
    /// Notes that a command to an actuator on a guest may have been carried out, or may be yet: until it is over, nothing that a
    /// sensor shows ends that it is told to be safe.
    pub fn leave_in_doubt(&mut self, run_for_ms: u64, now_ms: u64) {
        let until_ms = now_ms.saturating_add(run_for_ms.max(IN_DOUBT_MS_MIN));
        self.in_doubt_until_ms = self.in_doubt_until_ms.max(Some(until_ms));
        self.told_safe_ms.get_or_insert(now_ms);
    }

    /// True while nobody can know how an actuator on a guest stands, whatever a sensor shows now: a command may still be carried
    /// out, or its safe state is still owed.
    #[must_use]
    pub fn is_in_doubt(&self, now_ms: u64) -> bool {
        let is_owed = self.told_safe_ms.is_some() && self.unsafe_because.is_some();
        is_owed || self.in_doubt_until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }
}

/// The policy that holds now.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct PolicyInForce {
    /// By its content; nothing where this node has none.
    #[n(0)]
    pub hash: Option<ContentHash>,
    /// The tick from which on it holds; 0 if it held when the run began.
    #[n(1)]
    pub since_tick: u64,
}

impl PolicyInForce {
    /// The one with which a run begins.
    #[must_use]
    pub fn at_the_start(site: Option<&SiteFiles>) -> Self {
        let hash = site.and_then(|site| site.policy.as_ref().map(|_| site.home.policy));
        Self { hash, since_tick: 0 }
    }
}

/// The site of this run, constant but for its policy.
#[derive(Resource, Debug, Clone, PartialEq, Default)]
pub struct Site(pub Option<SiteFiles>);

/// The ways in which the site is out of order.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct SiteModes(#[n(0)] pub BTreeSet<Mode>);

/// The order found no place: the driver layer is not keeping up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

/// The way to the driver layer. It must not wait.
pub trait DriverPort: Send + Sync + 'static {
    /// Carries a command out once the journal holds row `cause`, if nobody has stopped more often than the `stops` that
    /// the tick had heard of when it decided.
    ///
    /// # Errors
    /// When there is no place; nothing was taken.
    fn carry(&self, command: AuthorizedCommand, cause: u64, stops: u64) -> Result<(), NoPlace>;

    /// Makes these actuators safe now, in the order of the site.
    ///
    /// # Errors
    /// When there is no place; nothing was taken.
    fn make_safe(&self, actuators: BTreeSet<Capability>, why: &str) -> Result<(), NoPlace>;

    /// Says that the tick is alive.
    fn renew(&self);
}

/// The driver layer of a live node that has actuators.
#[derive(Resource)]
pub struct DriversPort(pub Box<dyn DriverPort>);

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::canonical;

    #[test]
    fn how_an_actuator_stands_that_is_on_no_guest_is_written_in_four_fields_as_older_journals_have_it() {
        assert_eq!(canonical::encode(&Stands::default())[0], 0x84);
        let told = Stands { told_safe_ms: Some(7), ..Stands::default() };
        assert_eq!(canonical::encode(&told)[0], 0x85);
    }
}
