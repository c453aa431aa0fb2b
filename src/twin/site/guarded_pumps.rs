//! Which valves have to wait for a pump that somebody else switches off.

use std::collections::{BTreeMap, BTreeSet};

use super::equipment::{Actuator, SwitchState};
use super::water::PartKind;
use super::{Name, Plan};

impl Plan {
    /// The valves of a node that shut when they are made safe, each with the pumps on guests that the same node guards, that are
    /// switched off then and that feed it: one that was only asked to stop may run for a while.
    #[must_use]
    pub fn shuts_after(&self, owner: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let is_pump = |part: &Name| self.has_part(part, |kind| matches!(kind, PartKind::Pump { .. }));
        let is_valve = |part: &Name| self.has_part(part, |kind| matches!(kind, PartKind::Valve { .. }));
        let mut off = self
            .actuators
            .iter()
            .filter(|actuator| actuator.owner.as_str() == owner && actuator.safe_state == SwitchState::Off);
        let (elsewhere, here): (Vec<&Actuator>, Vec<&Actuator>) =
            off.by_ref().partition(|actuator| actuator.on_guest.is_some());
        let valves = here.into_iter().filter(|actuator| is_valve(&actuator.of));
        let waits = valves.map(|valve| {
            let above = self.water.upstream(&valve.of);
            let feeds = |pump: &&&Actuator| is_pump(&pump.of) && above.contains(&pump.of);
            let pumps = elsewhere.iter().filter(feeds).map(|pump| pump.capability.as_str());
            (valve.capability.as_str(), pumps.collect::<BTreeSet<_>>())
        });
        waits.filter(|(_, pumps)| !pumps.is_empty()).collect()
    }

    fn has_part(&self, name: &Name, is_such: impl Fn(&PartKind) -> bool) -> bool {
        self.water.parts.iter().any(|part| part.name == *name && is_such(&part.kind))
    }
}
